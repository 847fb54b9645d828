/* SPDX-License-Identifier: MIT */
/* pcap.h - a check's frames as a capture file that tcpdump and Wireshark read. */
#ifndef LABCTL_GRADE_PCAP_H
#define LABCTL_GRADE_PCAP_H

#include "grade/probe.h"

/* All capture files of one grading: a program that floods must not fill the disk. */
#define PCAP_TOTAL_MAX (64u << 20)

/* Writes the journal, in order of time, sent and received frames alike, for as long as *room has
 * bytes left, which become fewer. *ret_cut: frames were left out. */
int pcap_write_journal(const struct probe *p, const char *path, size_t *room, bool *ret_cut,
		       struct err *err) MUST_CHECK;

#endif
