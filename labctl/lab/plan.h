/* SPDX-License-Identifier: MIT */
/*
 * plan.h - what bringing a lab up consists of: an ordered list of steps.
 *
 * The list is what --dry-run prints and what up.c works through. A step is taken as soon as what
 * it needs is there (see step_needs_*), so clients come up in any order and nobody waits for the
 * slowest.
 */
#ifndef LABCTL_LAB_PLAN_H
#define LABCTL_LAB_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "lab/lab.h"

enum step_kind {
	STEP_DIR,	/* the lab's run directory with lab.json and hosts */
	STEP_SRC,	/* the mount of src/ */
	STEP_SCRIPT,	/* a stage of the old kind: its up.sh */
	STEP_SEAT,	/* a private namespace for the student's program */
	STEP_FABRIC,	/* the namespace that holds bridges */
	STEP_BRIDGE,	/* of one network */
	STEP_CONTAINER, /* create and start it */
	STEP_CLIENT,	/* its namespace's settings */
	STEP_LINK,	/* a veth pair, both ends configured */
	STEP_ROUTES,	/* of one client, once all its links are there */
	STEP_PORTS,	/* the process that forwards the clients' ports */
	STEP_COMMANDS,	/* the stage's start commands of one client */
	STEP_VERIFY,	/* read everything back */
	STEP_PUBLISH,	/* .stage, record "running" */
	STEP_KIND_MAX
};

enum end_kind {
	END_SEAT,
	END_CLIENT,
	END_FABRIC, /* a port of the network's bridge */
};

struct plan_end {
	enum end_kind kind;
	size_t client; /* END_CLIENT */
	size_t ifc;    /* END_CLIENT: index of the interface */
};

struct step {
	enum step_kind kind;
	size_t network;		 /* STEP_BRIDGE, STEP_LINK */
	size_t client;		 /* steps of one client */
	struct plan_end ends[2]; /* STEP_LINK */
	bool done;
};

struct plan {
	struct step *steps;
	size_t n;
};

void plan_make(const struct lab *l, struct plan *ret);
void plan_done(struct plan *p);
static inline void auto_plan_(struct plan *p)
{
	plan_done(p);
}
#define auto_plan auto_cleanup(plan) struct plan

const char *step_name(enum step_kind kind);
/* One line: "net1: net1 02:42:01:01:01:01 -- client1 eth0 02:42:01:01:01:02, mtu 1500". */
void step_describe(const struct lab *l, const struct step *s, struct str *ret);
/* Does this link end at that client? */
bool step_touches(const struct step *s, size_t client);

#endif
