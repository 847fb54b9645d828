/* SPDX-License-Identifier: MIT */
/* packetsock.h - the packet sockets (packet(7)) that are open in a namespace, and who holds them. */
#ifndef LABCTL_NET_PACKETSOCK_H
#define LABCTL_NET_PACKETSOCK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct packetsock {
	int type;	   /* SOCK_RAW, SOCK_DGRAM */
	uint16_t protocol; /* in host order: 0x0003 is every protocol, 0 none */
	unsigned ifindex;  /* 0: not bound to one interface */
	ino_t inode;
};

/* Reads /proc/net/packet of the namespace (-1: the current one); *ret is a heap array. */
int packetsock_list(int netns_fd, struct packetsock **ret, size_t *ret_n,
		    struct err *err) MUST_CHECK;

/* One process that has this socket open, and the beginning of its command line as heap text; 0 and NULL when none is
 * found among those that the caller may look at. Walks through /proc. */
pid_t packetsock_holder(ino_t inode, char **ret_command);

#endif
