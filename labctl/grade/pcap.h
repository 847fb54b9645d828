/* SPDX-License-Identifier: MIT */
/* pcap.h - a check's frames as a capture file (pcapng) that tcpdump and Wireshark read. */
#ifndef LABCTL_GRADE_PCAP_H
#define LABCTL_GRADE_PCAP_H

#include "grade/grader.h"

/* All capture files of one grading: a program that floods must not fill the disk. */
#define PCAP_TOTAL_MAX (64u << 20)

/* Writes what passed on all of the clients' interfaces, in order of time, for as long as *room has
 * bytes left, which become fewer. Comments tell who sent a frame; what is missing, and the lesson,
 * stand at the last. *ret_cut: frames were left out. */
int pcap_write(const struct grader *g, const struct result *r, const char *path, size_t *room,
	       bool *ret_cut, struct err *err) MUST_CHECK;

#endif
