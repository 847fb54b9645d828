/* SPDX-License-Identifier: MIT */
/* prove.h - does a link carry frames? One frame each way tells. */
#ifndef LABCTL_NET_PROVE_H
#define LABCTL_NET_PROVE_H

#include "base/err.h"

struct prove_end {
	int netns_fd; /* -1: the current namespace */
	const char *ifname;
};

/* Sends a frame (EtherType 0x88b5, local experimental, IEEE 802) from each end to the other's
 * MAC address and waits for it, ms milliseconds at most. ERR_ENV says which way is broken. */
int link_prove(const struct prove_end *a, const struct prove_end *b, int ms,
	       struct err *err) MUST_CHECK;

#endif
