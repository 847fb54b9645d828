/* SPDX-License-Identifier: MIT */
/* sockdiag.h - which ports the sockets of a namespace use. */
#ifndef LABCTL_NET_SOCKDIAG_H
#define LABCTL_NET_SOCKDIAG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* One bit a port. */
struct sockdiag_ports {
	uint64_t used[1024];	  /* TCP or UDP, IPv4 or IPv6, some socket has it as its own */
	uint64_t lingering[1024]; /* only connections in TIME_WAIT have it */
};

/* Adds the ports of namespace netns_fd (-1: the current one) to *ports: one pass over
 * NETLINK_SOCK_DIAG (TCP and UDP, IPv4 and IPv6), no probing. A TCP socket that is bound and
 * neither listens nor is connected is only seen by kernels since 6.8. Needs no privilege in the
 * caller's own namespace. */
int sockdiag_add_ports(int netns_fd, struct sockdiag_ports *ports, struct err *err) MUST_CHECK;

static inline bool sockdiag_has(const uint64_t set[static 1024], uint32_t port)
{
	return port < 65536 && set[port / 64] >> (port % 64) & 1;
}

#endif
