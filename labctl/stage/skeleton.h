/* SPDX-License-Identifier: MIT */
/* skeleton.h - the beginning of a new stage: a stage.json that works, a README to fill in. */
#ifndef LABCTL_STAGE_SKELETON_H
#define LABCTL_STAGE_SKELETON_H

#include "base/err.h"

/* Makes the directory `dir` (its parent is there already) and the two files. schema: what
 * "$schema" shall name, for editors. ERR_CONFLICT when there is something of that name: nothing
 * is ever overwritten. On failure nothing is left behind. */
int skeleton_write(const char *dir, const char *schema, struct err *err) MUST_CHECK;

#endif
