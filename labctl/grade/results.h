/* SPDX-License-Identifier: MIT */
/* results.h - for the grader: which checks of a stage are tried, and what came of them all. */
#ifndef LABCTL_GRADE_RESULTS_H
#define LABCTL_GRADE_RESULTS_H

#include "base/err.h"
#include "grade/grader.h"

/* One pending result for each check of the stage; the chosen ones are marked, and those that they
 * need. `only` may name one that the stage does not ask for: it is the last then. ERR_STAGE: a
 * check that does not exist; ERR_NOT_FOUND, ERR_USAGE: none is chosen, or it does not go with the
 * stage. What *ret has so far is the caller's. */
int results_make(const struct stage *s, const struct grader_options *o, struct results *ret,
		 struct err *err) MUST_CHECK;
/* What was told of it, before it is told anew. */
void result_forget_lesson(struct result *r);
/* Sums up the chosen ones. */
void results_count(struct results *r);
/* The first check that this one needs and that was tried without being passed; NULL: none. */
const struct result *results_blocked_by(const struct results *all, const struct result *r);

#endif
