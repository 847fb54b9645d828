/* SPDX-License-Identifier: MIT */
/* hint.h - what usually makes a field wrong, and what to do. */
#ifndef LABCTL_GRADE_HINT_H
#define LABCTL_GRADE_HINT_H

#include "grade/field.h"

/* About a field that is wrong in a frame that the router sent; NULL: there is nothing to say in
 * general. seen: the frame; sent: what it was sent for; each may be NULL when it is not known. */
const char *fault_hint(enum field f, const struct frame *seen, const struct frame *sent);

#endif
