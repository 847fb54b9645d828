/* SPDX-License-Identifier: MIT */
/*
 * replay.h - one check again and again, slowly, for whoever debugs a program that runs elsewhere.
 *
 * The check's own function runs; before each stimulus there is a pause, in which all that has passed
 * is shown. Addresses of guests are others in each round, as the router knows the old ones.
 */
#ifndef LABCTL_GRADE_REPLAY_H
#define LABCTL_GRADE_REPLAY_H

#include "grade/grader.h"

#define REPLAY_PAUSE_MS 1000

struct replay {
	/* A line about a frame: "0.25 ms  router > client2: ARP who-has 2.2.2.2 tell 2.2.2.1". */
	void (*frame)(void *arg, const char *line);
	/* After each round; r has the lesson. */
	void (*round)(void *arg, unsigned n, const struct result *r);
	void *arg;
	unsigned pause_ms;
	unsigned rounds; /* 0: until an interrupt */
};

/* The selected check of *all, which has the last round's verdict then. Fails with ERR_INTERRUPTED. */
int replay_run(struct grader *g, struct results *all, struct err *err) MUST_CHECK;

/* Before a stimulus. Nothing unless a check is replayed. */
int replay_pause(struct grader *g, struct err *err) MUST_CHECK;

#endif
