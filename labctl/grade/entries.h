/* SPDX-License-Identifier: MIT */
/* entries.h - a stage's checks against the catalogue, before anybody is graded by them. */
#ifndef LABCTL_GRADE_ENTRIES_H
#define LABCTL_GRADE_ENTRIES_H

#include "stage/load.h"

/* Adds a problem for each check that does not exist, for keys that are not its own, and for values
 * that no lab could give a meaning. What a check asks of the topology is seen when it is tried. */
void entries_validate(const struct stage *s, struct stage_problems *p);

#endif
