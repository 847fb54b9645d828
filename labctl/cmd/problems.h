/* SPDX-License-Identifier: MIT */
/* problems.h - problems of a stage file, shown. */
#ifndef LABCTL_CMD_PROBLEMS_H
#define LABCTL_CMD_PROBLEMS_H

#include <stdio.h>

#include <jansson.h>

#include "base/err.h"
#include "stage/load.h"

/* A line each, and its hint. */
void problems_print(FILE *to, const struct stage_problems *p);
/* Makes err the sum of them. No problems: err stays. Returns -1. */
int problems_sum(const struct stage_problems *p, struct err *err);
/* Both, on stderr. */
void problems_explain(const struct stage_problems *p, struct err *err);
/* Does a stage that was read, or a part of one, ask for checks that there are? ERR_STAGE with all problems. */
int problems_of_checks(const struct stage *s, struct stage_problems *ret,
		       struct err *err) MUST_CHECK;
json_t *problems_json(const struct stage_problems *p);

#endif
