/* SPDX-License-Identifier: MIT */
/* pcap.h - a check's frames as a capture file that tcpdump and Wireshark read. */
#ifndef LABCTL_GRADE_PCAP_H
#define LABCTL_GRADE_PCAP_H

#include "grade/probe.h"

/* Writes the journal, in order of time, sent and received frames alike. */
int pcap_write_journal(const struct probe *p, const char *path, struct err *err) MUST_CHECK;

#endif
