/* SPDX-License-Identifier: MIT */
/* proc.h - who calls, and running a helper program. */
#ifndef LABCTL_BASE_PROC_H
#define LABCTL_BASE_PROC_H

#include <stdbool.h>
#include <sys/types.h>

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

/* Lasting: this process becomes the caller (groups, gid, uid). For the real root: nothing. One
 * without a name has no groups. */
int caller_become(const struct caller *c, struct err *err) MUST_CHECK;

/* Until caller_files_end(), files are looked up and opened with the caller's rights, whatever
 * else we may do: what a person names on the command line must not be opened by root in his
 * place. Nothing happens when we are not root or the caller is. */
struct caller_files {
	bool active;
	gid_t *groups; /* ours */
	int n_groups;
};

int caller_files_begin(const struct caller *c, struct caller_files *ret,
		       struct err *err) MUST_CHECK;
void caller_files_end(struct caller_files *f);
static inline void auto_caller_files_(struct caller_files *f)
{
	caller_files_end(f);
}
#define auto_caller_files auto_cleanup(caller_files) struct caller_files

enum proc_out {
	PROC_OUT_INHERIT,
	PROC_OUT_STDERR, /* the child's stdout goes to our stderr */
	PROC_OUT_PIPE,	 /* the child's stdout comes to *ret_out */
	PROC_OUT_BOTH,	 /* stdout and stderr, mixed, come to *ret_out */
};

struct proc_spec {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	const char *cwd;	 /* NULL: ours */
	const char *const *env;	 /* "K=V" additions, NULL-terminated; may be NULL */
	const struct caller *as; /* run as this user; NULL: as we are */
	enum proc_out out;
};

/* Starts a child with default signal dispositions. */
int proc_spawn(const struct proc_spec *spec, pid_t *ret_pid, int *ret_out,
	       struct err *err) MUST_CHECK;

/* Waits; *ret_code is the exit code, or 128 + signal. */
int proc_wait(pid_t pid, int *ret_code, struct err *err) MUST_CHECK;

/* This host's boot id (heap text of 36 bytes); it tells a reboot. */
int proc_boot_id(char ret[static 37], struct err *err) MUST_CHECK;

#endif
