/* SPDX-License-Identifier: MIT */
/* up.h - bring a lab up: all of it, or nothing. */
#ifndef LABCTL_LAB_UP_H
#define LABCTL_LAB_UP_H

#include "lab/lab.h"

/* Works through the plan of a new lab (lab_new()) whose lock is held. On failure, an interrupt
 * included, everything made is taken down again; should that be impossible (engine gone), the
 * record stays and the message says so. */
int lab_up(struct lab_ctx *ctx, struct lab *l, struct err *err) MUST_CHECK;

#endif
