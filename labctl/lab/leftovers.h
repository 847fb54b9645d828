/* SPDX-License-Identifier: MIT */
/* leftovers.h - things that carry labctl's mark and that no lab's record knows. */
#ifndef LABCTL_LAB_LEFTOVERS_H
#define LABCTL_LAB_LEFTOVERS_H

#include "base/str.h"
#include "lab/ctx.h"

struct leftover {
	char *text; /* what it is */
	char *mend; /* the command that removes it */
};

struct leftovers {
	struct leftover *v;
	size_t n;
};

/* Containers, links of the current namespace, named namespaces, mounts, and labs that are
 * half-done or from before a boot. An engine that does not answer is passed over. */
int leftovers_find(struct lab_ctx *ctx, struct leftovers *ret, struct err *err) MUST_CHECK;
void leftovers_done(struct leftovers *l);
static inline void auto_leftovers_(struct leftovers *l)
{
	leftovers_done(l);
}
#define auto_leftovers auto_cleanup(leftovers) struct leftovers

#endif
