/* SPDX-License-Identifier: MIT */
/* proc.h - who calls, and running a helper program. */
#ifndef LABCTL_BASE_PROC_H
#define LABCTL_BASE_PROC_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/child.h"
#include "base/cleanup.h"
#include "base/err.h"

/* The person behind the command: under sudo SUDO_UID, otherwise the real user id. */
struct caller {
	uid_t uid;
	gid_t gid;
	char name[64]; /* login name, or "uid1000" when there is none */
	char home[256];
};

int caller_get(struct caller *ret, struct err *err) MUST_CHECK;
/* The two halves of caller_get(): the ids, without opening a file; then name and home of c->uid
 * from the user database. */
int caller_ids(uid_t *ret_uid, gid_t *ret_gid, struct err *err) MUST_CHECK;
void caller_names(struct caller *c);

/* Lasting: this process becomes the caller (groups, gid, uid). For the real root: nothing. One
 * without a name has no groups. */
int caller_become(const struct caller *c, struct err *err) MUST_CHECK;

enum proc_out {
	PROC_OUT_INHERIT,
	PROC_OUT_STDERR, /* the child's stdout goes to our stderr */
	PROC_OUT_NULL,	 /* nobody hears stdout or stderr */
	PROC_OUT_PIPE,	 /* the child's stdout comes to *ret_out */
	PROC_OUT_BOTH,	 /* stdout and stderr, mixed, come to *ret_out */
};

struct proc_spec {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	const char *cwd;	 /* NULL: ours */
	enum proc_out out;
	struct child child; /* what it begins with */
};

/* Starts a child with default signal dispositions, see child.h for the rest. */
int proc_spawn(const struct proc_spec *spec, pid_t *ret_pid, int *ret_out,
	       struct err *err) MUST_CHECK;

/* Waits; *ret_code is the exit code, or 128 + signal. */
int proc_wait(pid_t pid, int *ret_code, struct err *err) MUST_CHECK;

/* This host's boot id (heap text of 36 bytes); it tells a reboot. */
int proc_boot_id(char ret[static 37], struct err *err) MUST_CHECK;

#endif
