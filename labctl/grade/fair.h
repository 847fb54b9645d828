/* SPDX-License-Identifier: MIT */
/*
 * fair.h - was it the student? Ways by which the kernel could do the router's work: forwarding,
 * addresses, a bridge, XDP, tc, nftables.
 */
#ifndef LABCTL_GRADE_FAIR_H
#define LABCTL_GRADE_FAIR_H

#include "base/str.h"
#include "grade/arena.h"

/* Looks at the seat's interfaces and adds a sentence for each way found. Networks whose address
 * is meant to be the kernel's are left alone. Fails only when it cannot look. */
int fair_inspect(const struct arena *a, struct strv *ret_reasons, struct err *err) MUST_CHECK;

#endif
