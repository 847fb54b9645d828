/* SPDX-License-Identifier: MIT */
/* entries.h - a stage's checks against the catalogue, before anybody is graded by them. */
#ifndef LABCTL_GRADE_ENTRIES_H
#define LABCTL_GRADE_ENTRIES_H

#include "stage/load.h"

/* Adds a problem for each check that does not exist, for keys that are not its own, for values that
 * no lab could give a meaning, and, where nothing is wrong with the rest of the stage, for arguments
 * that do not go with the topology (fit.h). The stage may be one of which only a part was read. */
void entries_validate(const struct stage *s, struct stage_problems *p);

#endif
