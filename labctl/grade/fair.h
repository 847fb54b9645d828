/* SPDX-License-Identifier: MIT */
/* fair.h - was it the student, and not the kernel (lab/bypass.h)? */
#ifndef LABCTL_GRADE_FAIR_H
#define LABCTL_GRADE_FAIR_H

#include "base/str.h"
#include "grade/arena.h"
#include "net/kernel_watch.h"

/* Looks at the seat's interfaces and adds a sentence for each way found. Networks whose address
 * is meant to be the kernel's are left alone. Fails only when it cannot look. */
int fair_inspect(const struct arena *a, struct strv *ret_reasons, struct err *err) MUST_CHECK;

/* Listens from now on to what the kernel says about the seat: whatever is changed there for a moment
 * only, and undone before fair_inspect() looks, is noticed. The arena must outlive it. */
int fair_watch(const struct arena *a, struct kernel_watch **ret, struct err *err) MUST_CHECK;

#endif
