/* SPDX-License-Identifier: MIT */
/* down.h - take a lab down by its record, whatever state it is in. */
#ifndef LABCTL_LAB_DOWN_H
#define LABCTL_LAB_DOWN_H

#include "lab/lab.h"

/* Idempotent: what is gone already is fine. Goes on past a failure and reports the first one;
 * then the record stays, so that the next command can finish. Holds interrupts back. */
int lab_down(struct lab_ctx *ctx, struct lab *l, struct err *err) MUST_CHECK;

#endif
