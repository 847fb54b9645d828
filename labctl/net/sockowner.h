/* SPDX-License-Identifier: MIT */
/* sockowner.h - which user is at the other end of a TCP connection within this host. */
#ifndef LABCTL_NET_SOCKOWNER_H
#define LABCTL_NET_SOCKOWNER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"

struct sockowner;

/* For many questions; of the current network namespace. */
int sockowner_open(struct sockowner **ret, struct err *err) MUST_CHECK;
void sockowner_close(struct sockowner *o);

/* The user who made the socket that is bound to `peer` and connected to `local`, the two ends of a
 * connection of ours (AF_INET or AF_INET6): one question to the kernel for exactly these addresses
 * and ports (NETLINK_SOCK_DIAG), which does not block. *ret_found false: no process of this
 * namespace has that socket open: the peer is on another host, or it has closed its end. A user
 * outside of our user namespace is the overflow user (65534). */
int sockowner_find(struct sockowner *o, const struct sockaddr_storage *peer,
		   const struct sockaddr_storage *local, bool *ret_found, uid_t *ret_uid,
		   struct err *err) MUST_CHECK;

#endif
