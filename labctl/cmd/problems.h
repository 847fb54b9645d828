/* SPDX-License-Identifier: MIT */
/* problems.h - problems of a stage file, shown. */
#ifndef LABCTL_CMD_PROBLEMS_H
#define LABCTL_CMD_PROBLEMS_H

#include <jansson.h>

#include "base/err.h"
#include "stage/load.h"

/* Prints every problem on stderr, a line each (and its hint), and makes err the sum of them.
 * No problems: err stays. */
void problems_explain(const struct stage_problems *p, struct err *err);
/* Does a stage that was read ask for checks that there are? ERR_STAGE with all problems. */
int problems_of_checks(const struct stage *s, struct stage_problems *ret,
		       struct err *err) MUST_CHECK;
json_t *problems_json(const struct stage_problems *p);

#endif
