/* SPDX-License-Identifier: MIT */
/*
 * arena.h - where grading takes place: the seat, its interfaces, the clients' namespaces.
 *
 * Made from a running lab (arena_of_lab()), or by hand from namespaces without any engine: the
 * grader itself only knows this.
 */
#ifndef LABCTL_GRADE_ARENA_H
#define LABCTL_GRADE_ARENA_H

#include <net/if.h>

#include "lab/lab.h"

struct arena_network {
	char ifname[IFNAMSIZ]; /* in the seat; empty: does not reach it */
	struct macaddr mac;    /* the seat's side */
	bool guarded;	       /* by the nftables hook */
};

struct arena {
	const struct stage *stage;	/* borrowed */
	const char *labctl;		/* how a command about its lab begins; borrowed */
	const char *guard;		/* nftables table that silences the kernel; NULL: none */
	int seat_ns;			/* owned; -1: the current namespace */
	int *client_ns;			/* parallel to stage.clients; owned; -1: none */
	struct arena_network *networks; /* parallel to stage.networks */
};

/* All namespaces are -1 and interfaces unnamed then. */
void arena_init(struct arena *a, const struct stage *s);
/* ctx and lab must outlive the arena. Asks the engine for the clients' processes. */
int arena_of_lab(struct lab_ctx *ctx, const struct lab *l, struct arena *ret,
		 struct err *err) MUST_CHECK;
void arena_done(struct arena *a);
static inline void auto_arena_(struct arena *a)
{
	arena_done(a);
}
#define auto_arena auto_cleanup(arena) struct arena

#endif
