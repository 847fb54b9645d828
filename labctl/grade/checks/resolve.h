/* SPDX-License-Identifier: MIT */
/* resolve.h - for other checks: how the router asks for its neighbours. */
#ifndef LABCTL_GRADE_CHECKS_RESOLVE_H
#define LABCTL_GRADE_CHECKS_RESOLVE_H

#include "grade/trial.h"

/* The router asks at most once in so long: one second, less what clocks and hosts differ. */
#define ASK_LEAST_NS (800 * NS_PER_MS)

/* At most one question a second about this station (RFC 1122 2.3.2.1), among the frames of the
 * journal since `start`. False after recording that there are more. */
bool asked_slowly(struct trial *t, const struct station *silent, size_t start);

#endif
