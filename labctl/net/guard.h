/* SPDX-License-Identifier: MIT */
/*
 * guard.h - the ingress guard: an nftables table (family netdev) with one chain, hook ingress,
 * policy drop, for each guarded interface. Packet sockets tap before it, so a program sees every
 * frame and the kernel's IP stack none.
 */
#ifndef LABCTL_NET_GUARD_H
#define LABCTL_NET_GUARD_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/* Adds a chain for ifname (and the table, if need be) in namespace netns_fd (-1: current).
 * The kernel lacks the hook: ERR_ENV, err->sys EOPNOTSUPP or ENOENT. */
int guard_add(int netns_fd, const char *table, const char *ifname, struct err *err) MUST_CHECK;
/* Removes the table. Not there: success. */
int guard_delete(int netns_fd, const char *table, struct err *err) MUST_CHECK;
/* The interfaces that the table guards with policy drop; no table: none. */
int guard_list(int netns_fd, const char *table, struct strv *ret_ifnames,
	       struct err *err) MUST_CHECK;
/* Can this kernel do it? Tried on the loopback of a namespace of its own. Needs root. */
bool guard_supported(void);

#endif
