/* SPDX-License-Identifier: MIT */
/*
 * limits.h - how much of the host a client and a user's labs may take.
 *
 * A stage asks ("memory": "1G", "processes": 1000) or gets the default. Where the lab's owner does
 * not administer the host, a ceiling holds besides: /etc/labctl/limits, with lines as "memory 2G",
 * "processes 4096" and "clients 64" (in all labs of one user), or what is built in. Processor time needs no limit: the kernel shares it
 * out between the containers and everyone else.
 *
 * LABCTL_LIMITS names another file, for tests: see base/caller.h.
 */
#ifndef LABCTL_LAB_LIMITS_H
#define LABCTL_LAB_LIMITS_H

#include <stdint.h>

#include "lab/lab.h"

#define LIMITS_MEMORY	 (512ull << 20) /* bytes, for each client */
#define LIMITS_PROCESSES 512u

#define LIMITS_MEMORY_CEILING	 (2ull << 30)
#define LIMITS_PROCESSES_CEILING 4096u
#define LIMITS_CLIENTS_CEILING	 64u /* in all labs of one user */

struct limits {
	uint64_t memory; /* bytes; 0: none */
	uint32_t processes;
	uint32_t clients; /* in all labs of one user */
};

/* The ceiling for labs of that owner; zeros when none holds. A file with a mistake is an error. */
int limits_ceiling(const struct caller *owner, struct limits *ret, struct err *err) MUST_CHECK;

/* Does each client of the stage ask for what it may have? */
int limits_check(const struct stage *s, const struct limits *ceiling, struct err *err) MUST_CHECK;

/* Would the owner's labs, l in the place of one of its name, have more clients than the ceiling
 * allows? ERR_CONFLICT. Two labs that are started at the same time know of each other once both have
 * a record: to be asked before a start, and again with the record written. */
int limits_check_clients(const struct lab_ctx *ctx, const struct lab *l,
			 const struct limits *ceiling, struct err *err) MUST_CHECK;

/* What a client gets. */
struct limits limits_of(const struct stage_client *c, const struct limits *ceiling);

#endif
