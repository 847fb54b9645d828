/* SPDX-License-Identifier: MIT */
/*
 * rights.h - whose rights decide when this process looks up, opens, makes or removes files.
 *
 * A labctl that runs through sudo keeps root's capabilities for networks and namespaces, but has
 * the file rights of its caller (fsuid, fsgid, supplementary groups) from its first instruction.
 * Root's own places (state, run directory, lease book, engine socket, mounts, control groups,
 * names of namespaces) are reached inside a bracket:
 *
 *	auto_file_rights as_root = file_rights_root("the lease book");
 *
 * A forgotten bracket is thus an error message, not a hole. Brackets end with their scope, in the
 * opposite order of their beginning, and nest. File rights belong to the thread; a new thread has
 * those of the one that made it. A program that is executed has root's again: proc.h gives them up
 * for whom it runs. Only names are looked up with these rights: a descriptor that is open stays as
 * good as it was. Use fs_access(), never access(2), which asks for the real user.
 */
#ifndef LABCTL_BASE_RIGHTS_H
#define LABCTL_BASE_RIGHTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/proc.h"

/* First of all in main(): the caller's file rights, for good. Nothing happens for the real root
 * and for a process that is not root. *ret: who that is. */
int file_rights_adopt(struct caller *ret, struct err *err) MUST_CHECK;

/* What to come back to. */
struct file_rights {
	bool changed;
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* NULL: unchanged */
	int n_groups;
};

/* Root's file rights; `what` is the place that needs them. Nothing happens when this process is
 * not root or has them already. */
struct file_rights file_rights_root(const char *what);
/* Another user's file rights, for what is opened in his place. Nothing happens when this process
 * is not root. */
int file_rights_of(const struct caller *c, struct file_rights *ret, struct err *err) MUST_CHECK;
/* Ends a bracket. Keeps errno. */
void file_rights_restore(struct file_rights *f);
static inline void auto_file_rights_(struct file_rights *f)
{
	file_rights_restore(f);
}
#define auto_file_rights auto_cleanup(file_rights) struct file_rights

#endif
