/* SPDX-License-Identifier: MIT */
/* bound.h - what a lease can be bound to: this host, its boot, a process. */
#ifndef LABCTL_NETPORT_BOUND_H
#define LABCTL_NETPORT_BOUND_H

#include "netport/lease.h"

/* Fills bound, host, boot_id, pid and start of *l. ERR_NOT_FOUND when there is no process pid. */
int bound_fill(enum lease_bound bound, pid_t pid, struct lease *l, struct err *err) MUST_CHECK;

/* Answers many times in one operation: this host is read once, a process once in a row. */
struct bound_view {
	bool known;
	char host[65];
	char boot_id[37];
	pid_t pid;
	uint64_t start; /* of pid */
};

/* False: what it is bound to is gone. */
bool bound_is_alive(struct bound_view *view, const struct lease *l);

#endif
