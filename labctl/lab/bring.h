/* SPDX-License-Identifier: MIT */
/*
 * bring.h - a lab on its way up: what up.c (the plan and the kernel's side) and crew.c (the
 * engine's side) share. Internal to those two.
 *
 * Every client goes through create, start, inspect, wire on its own; the engine works on some
 * while the kernel's side of others is made. bring_advance() takes whatever steps of the plan
 * have become possible.
 */
#ifndef LABCTL_LAB_BRING_H
#define LABCTL_LAB_BRING_H

#include <stdbool.h>
#include <sys/types.h>

#include "docker/engine.h"
#include "lab/lab.h"
#include "lab/limits.h"
#include "lab/plan.h"
#include "lab/wire.h"

enum client_phase {
	CLIENT_WAITING,
	CLIENT_CREATING,
	CLIENT_STARTING,
	CLIENT_LOOKING, /* for its process, a second time */
	CLIENT_RUNNING, /* its namespace is set up */
	CLIENT_WIRED,
	CLIENT_EXITED,
};

struct client_run {
	struct bring *up;
	size_t index;
	enum client_phase phase;
	char *container; /* name */
	char id[65];
	pid_t pid; /* known and verified when > 0 */
	unsigned links_left;
	bool retried;	   /* a remnant of ours was in the way once */
	bool made;	   /* created or started by this command */
	const char *woken; /* a repair's words for what it did instead of making it anew */
};

struct bring {
	struct lab_ctx *ctx;
	struct lab *lab;
	struct engine *engine;
	struct wiring *wiring;
	struct plan plan;
	struct limits ceiling; /* for a client's */
	struct client_run *clients;
	size_t next;	  /* the first client that is still waiting */
	size_t in_flight; /* clients that the engine is busy with */
	size_t limit;
	unsigned wired;
	bool repair; /* look first, make what is not there */
	bool failed;
	struct err err;		     /* the first failure */
	struct client_run *stumbled; /* whose step failed, if a client's */
};

/* Sends the next clients on their way, as many as the limit allows; takes note of an interrupt. */
void crew_pump(struct bring *up);

void bring_advance(struct bring *up);
/* The first failure counts; no client is begun after it. */
void bring_fail(struct bring *up, const struct err *err);
void bring_fail_client(struct client_run *c, const struct err *err);
/* A client whose process is gone, or NULL. */
struct client_run *crew_ended(struct bring *up);
/* A step for a client that failed because his command had ended is told as that. After the
 * engine's last callback. */
void crew_explain(struct bring *up);
const struct stage_client *bring_stage_client(const struct client_run *c);

#endif
