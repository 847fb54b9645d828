/* SPDX-License-Identifier: MIT */
/*
 * fit.h - do a check's arguments go with the stage's topology, as far as the model alone tells?
 *
 * Each of these fails with ERR_STAGE, a sentence and a hint. That the clients that are named exist
 * is seen before (entries.c).
 */
#ifndef LABCTL_GRADE_FIT_H
#define LABCTL_GRADE_FIT_H

#include "grade/check.h"
#include "stage/model.h"

fit_fn fit_place;   /* "on" is a neighbour of the router */
fit_fn fit_path;    /* "from" and "to", named or found as trial_path() does, on two networks */
fit_fn fit_narrow;  /* the same, and the MTU of the second is the smaller one */
fit_fn fit_flow;    /* the same, and frames of "size" bytes pass on both */
fit_fn fit_routes;  /* the same, and the stage has routes */
fit_fn fit_default; /* ... a default route among them */
fit_fn fit_nowhere; /* ... no default route: something is unreachable */
fit_fn fit_clients; /* "from" and "to" are two clients, wherever they are */

/* By the check's own `args_fit`, else by the arguments that it takes. */
int fit_check(const struct check *c, const struct stage *s, const json_t *args,
	      struct err *err) MUST_CHECK;

#endif
