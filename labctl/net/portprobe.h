/* SPDX-License-Identifier: MIT */
/* portprobe.h - could a program bind this port right now? */
#ifndef LABCTL_NET_PORTPROBE_H
#define LABCTL_NET_PORTPROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct portprobe {
	bool only_v6; /* an IPv6 socket does not cover IPv4 by itself (bindv6only) */
};

/* Asks the kernel by binding the port, TCP and UDP, on all addresses, for a moment: the cost does
 * not depend on how many sockets there are (sockdiag.h, which reads them all, takes milliseconds on
 * hosts with large tables). *ret_free false: some socket has it, maybe only a connection that
 * lingers. Where the caller may not bind it (below 1024) the answer comes from sockdiag.h. */
int portprobe(const struct portprobe *p, uint32_t port, bool *ret_free, struct err *err) MUST_CHECK;

/* Reads what this host's sockets are by default; for many probes. */
struct portprobe portprobe_init(void);

#endif
