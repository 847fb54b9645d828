/* SPDX-License-Identifier: MIT */
/*
 * leftovers.h - what dead labs left behind.
 *
 * Everything that a lab has is leased before it is made and given back when it is gone: the
 * remains of a lab are what its leases name and no record knows. Other books (LABCTL_STATE) may
 * have labs on this computer: what this book does not know of is theirs.
 */
#ifndef LABCTL_LAB_LEFTOVERS_H
#define LABCTL_LAB_LEFTOVERS_H

#include <sys/types.h>

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
	LEFTOVER_FILE,	    /* a lock of a process that died, a file that was never finished */
	LEFTOVER_LEASES,    /* of a lab that is no more */
	LEFTOVER_STRANGE,   /* has the mark, but of another book or a lost one: never removed */
};

struct leftover {
	enum leftover_kind kind;
	char *lab;
	uid_t uid;  /* whose it is; LEASE_ANY_UID: unknown, the real root's business */
	char *name; /* the lab's, container's, link's, ...; a mount's path */
	char *text; /* what it is */
	char *mend; /* the command that removes it */
};

struct leftovers {
	struct leftover *v;
	size_t n;
};

/* The remains of labs without a record, and labs that are half-done or from before a boot. Labs
 * that a labctl is at work on right now are left out, with all they have. An engine that does not
 * answer is passed over. */
int leftovers_find(struct lab_ctx *ctx, struct leftovers *ret, struct err *err) MUST_CHECK;
/* The same of one lab whose lock is the caller's. */
int leftovers_find_of(struct lab_ctx *ctx, const char *lab, struct leftovers *ret,
		      struct err *err) MUST_CHECK;
/* Removes them; labs from before the last boot stay ('labctl repair' or 'stage-stop' is for
 * them), and so do unreadable records with all that their labs have, and what another labctl has
 * begun to work on. Not real root: only what is the caller's own. *ret_done tells in words what
 * was removed; goes on past a failure and returns the first. */
int leftovers_remove(struct lab_ctx *ctx, const struct leftovers *all, struct strv *ret_done,
		     struct err *err) MUST_CHECK;
/* The same for one lab, which has no record and whose lock is held: what a labctl leaves that
 * dies before it wrote the record, or just after it removed it. */
int leftovers_sweep(struct lab_ctx *ctx, const char *lab, struct err *err) MUST_CHECK;
void leftovers_done(struct leftovers *l);
static inline void auto_leftovers_(struct leftovers *l)
{
	leftovers_done(l);
}
#define auto_leftovers auto_cleanup(leftovers) struct leftovers

#endif
