/* SPDX-License-Identifier: MIT */
/* up.h - bring a lab up: all of it, or nothing. */
#ifndef LABCTL_LAB_UP_H
#define LABCTL_LAB_UP_H

#include "lab/lab.h"

/* Works through the plan of a new lab (lab_new()) whose lock is held. On failure, an interrupt
 * included, everything made is taken down again; should that be impossible (engine gone), the
 * record stays and the message says so. */
int lab_up(struct lab_ctx *ctx, struct lab *l, struct err *err) MUST_CHECK;

/* Brings a lab that should be running (its lock is held) back to what its record says: clients
 * that do not run are made anew, links that are not right are replaced, addresses, guard and
 * offloads are set again; what is right is not touched. Then each link is proved by a frame in
 * both directions. *ret_mended: what was made anew, in words. On failure the record stays, and
 * so does what is there. */
int lab_repair(struct lab_ctx *ctx, struct lab *l, struct strv *ret_mended,
	       struct err *err) MUST_CHECK;

#endif
