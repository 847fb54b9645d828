/* SPDX-License-Identifier: MIT */
/* leftovers.h - things that carry labctl's mark and that no lab's record knows. */
#ifndef LABCTL_LAB_LEFTOVERS_H
#define LABCTL_LAB_LEFTOVERS_H

#include "base/str.h"
#include "lab/ctx.h"

enum leftover_kind {
	LEFTOVER_LAB,	 /* half-done, and nobody at work on it */
	LEFTOVER_BOOTED, /* from before the last boot */
	LEFTOVER_RECORD, /* a record that cannot be read */
	LEFTOVER_CONTAINER,
	LEFTOVER_LINK,
	LEFTOVER_NETNS,
	LEFTOVER_MOUNT,
	LEFTOVER_DIRECTORY, /* $LABCTL_RUN/<lab> */
	LEFTOVER_LEASES,    /* of a lab that is no more */
	LEFTOVER_STRANGE,   /* has the mark, but of another book or a lost one: never removed */
};

struct leftover {
	enum leftover_kind kind;
	char *name; /* the lab's, container's, link's, ...; a mount's path */
	char *text; /* what it is */
	char *mend; /* the command that removes it */
};

struct leftovers {
	struct leftover *v;
	size_t n;
};

/* Everything that carries labctl's mark and belongs to no lab with a record, and labs that are
 * half-done or from before a boot. Labs that a labctl is at work on right now are left out, with
 * all they have. An engine that does not answer is passed over. */
int leftovers_find(struct lab_ctx *ctx, struct leftovers *ret, struct err *err) MUST_CHECK;
/* Removes them, oldest kinds of trouble first; labs from before the last boot stay ('labctl
 * repair' or 'stage-stop' is for them), and so do unreadable records. Not real root: only what
 * is the caller's own. *ret_done tells in words what was removed; goes on past a failure and
 * returns the first. */
int leftovers_remove(struct lab_ctx *ctx, const struct leftovers *all, struct strv *ret_done,
		     struct err *err) MUST_CHECK;
void leftovers_done(struct leftovers *l);
static inline void auto_leftovers_(struct leftovers *l)
{
	leftovers_done(l);
}
#define auto_leftovers auto_cleanup(leftovers) struct leftovers

#endif
