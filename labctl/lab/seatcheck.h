/* SPDX-License-Identifier: MIT */
/* seatcheck.h - whose is an interface that stands where a lab wants one? */
#ifndef LABCTL_LAB_SEATCHECK_H
#define LABCTL_LAB_SEATCHECK_H

#include "lab/ctx.h"

/* Fails with ERR_CONFLICT when an interface of this name is there in the current namespace and
 * belongs to no lab of the book: a stranger's (the message says what it is, a Docker network by
 * its name) or a remnant. A lab's own, or none: success. */
int seatcheck_stranger(struct lab_ctx *ctx, const char *ifname, struct err *err) MUST_CHECK;

#endif
