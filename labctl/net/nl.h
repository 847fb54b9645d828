/* SPDX-License-Identifier: MIT */
/*
 * nl.h - netlink transport: one socket in one namespace, requests with the kernel's own words
 * as errors.
 *
 * The room net/ changes and reads links, addresses, routes, offloads and guards in a network
 * namespace; it knows nothing of stages or labs. Messages are built (msg.h), sent and received
 * with libmnl (extack, NETLINK_GET_STRICT_CHK, 32 KiB buffer).
 */
#ifndef LABCTL_NET_NL_H
#define LABCTL_NET_NL_H

#include <linux/netlink.h>

#include "base/cleanup.h"
#include "base/err.h"

struct nl;

/* A NETLINK_ROUTE socket that lives in namespace netns_fd (-1: the current one) for good,
 * wherever the thread is later. */
int nl_open(int netns_fd, struct nl **ret, struct err *err) MUST_CHECK;
void nl_close(struct nl *nl);
DEFINE_AUTO(nl, struct nl *, nl_close, NULL)
#define auto_nl auto_cleanup(nl) struct nl *

/* Sends one request and waits for its acknowledgement. Sets sequence number and NLM_F_REQUEST
 * and NLM_F_ACK. Kernel errors: EEXIST is ERR_CONFLICT, ENODEV/ENOENT/ESRCH ERR_NOT_FOUND, all
 * others ERR_ENV; err->sys is the errno; the extack text is in the message. */
int nl_do(struct nl *nl, struct nlmsghdr *req, struct err *err) MUST_CHECK;

typedef int nl_msg_fn(const struct nlmsghdr *msg, void *data); /* <0: enough */

/* Dumps; an interrupted dump is drained and, at most 5 times, begun again: `restart` (may be
 * NULL) is called before each new try so that the caller forgets what it has. Then: ERR_BUSY.
 * When fn has had enough the rest is dropped, and the call succeeds: `data` tells. */
int nl_dump(struct nl *nl, struct nlmsghdr *req, nl_msg_fn *fn, void (*restart)(void *data),
	    void *data, struct err *err) MUST_CHECK;

/* Sends one request that has exactly one reply (RTM_GETLINK of one link). */
int nl_get(struct nl *nl, struct nlmsghdr *req, nl_msg_fn *fn, void *data,
	   struct err *err) MUST_CHECK;

#endif
