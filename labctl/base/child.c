/* SPDX-License-Identifier: MIT */
/* child.c - descriptors, environment and rights of a program that labctl starts. */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/close_range.h>
#include <linux/keyctl.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/rawfilter.h"
#include "base/str.h"

#include "base/banned.h"

#define SYSTEM_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Names and, with a '*' at the end, beginnings of names. */
static const char *const harmless[] = { "LANG",	     "LANGUAGE", "LC_*", "TERM",
					"COLORTERM", "NO_COLOR", "TZ",	 NULL };
static const char *const ours[] = { "SUDO_*", "PKEXEC_UID", "DOAS_USER", "LABCTL_*", "MAIL", NULL };
static const char *const labctls[] = { "SUDO_UID",  "SUDO_GID", "SUDO_USER", "PKEXEC_UID",
				       "DOAS_USER", "LABCTL_*", "DOCKER_*",  NULL };

static bool is_among(const char *variable, const char *const *names)
{
	size_t len = strcspn(variable, "=");

	for (; names && *names; names++) {
		size_t n = strcspn(*names, "*");

		if (strncmp(variable, *names, n) == 0 && (len == n || (*names)[n] == '*'))
			return true;
	}
	return false;
}

static void set_variable(const char *variable)
{
	const char *eq = strchr(variable, '=');
	auto_free char *name = eq ? xstrndup(variable, (size_t)(eq - variable)) : NULL;

	if (name)
		setenv(name, eq + 1, 1);
}

/* The variables of ours that are among `keep` or, where that is NULL, not among `drop`. */
static void filter(const char *const *keep, const char *const *more, const char *const *drop)
{
	auto_strv kept = { 0 };

	for (char **v = environ; v && *v; v++) {
		bool wanted = keep ? is_among(*v, keep) || is_among(*v, more) : !is_among(*v, drop);

		if (wanted)
			strv_add(&kept, *v);
	}
	clearenv();
	for (size_t i = 0; i < kept.n; i++)
		set_variable(kept.v[i]);
}

static void set_user(const struct caller *as)
{
	const struct passwd *pw = getpwuid(as ? as->uid : geteuid());

	setenv("HOME", as ? as->home : pw ? pw->pw_dir : "/", 1);
	setenv("USER", as ? as->name : pw ? pw->pw_name : "root", 1);
	setenv("LOGNAME", getenv("USER"), 1);
	setenv("SHELL", pw && *pw->pw_shell ? pw->pw_shell : "/bin/sh", 1);
}

static void set_environment(const struct child *c)
{
	if (c->env == CHILD_ENV_CALLER && c->as && c->as->uid != getuid()) {
		filter(NULL, NULL, ours);
		set_user(c->as);
	} else if (c->env == CHILD_ENV_CLEAN || c->env == CHILD_ENV_LABCTL) {
		filter(harmless, c->env == CHILD_ENV_LABCTL ? labctls : NULL, NULL);
		setenv("PATH", SYSTEM_PATH, 1);
		set_user(c->as);
	}
	for (size_t i = 0; c->vars && c->vars[i]; i++)
		set_variable(c->vars[i]);
}

static int detach(struct err *err)
{
	auto_fd null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return err_set(err, ERR_ENV, errno, "cannot open /dev/null");
	/* A process that leads its group already cannot; nobody starts one that does. */
	if (setsid() < 0)
		return err_set(err, ERR_ENV, errno, "cannot make a session");
	/* Where there are no keys there are none to be given away. */
	syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	return 0;
}

/* At exec, so that a failure can still be reported. */
static int close_files(int keep, struct err *err)
{
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0 || (keep && fcntl(keep, F_SETFD, 0) < 0))
		return err_set(err, ERR_ENV, errno, "cannot close files");
	return 0;
}

/* CAP_NET_RAW comes first: it is what all have. */
static const cap_value_t kept[] = { CAP_NET_RAW, CAP_SETUID, CAP_SETGID, CAP_CHOWN, CAP_KILL };

static int count_kept(const struct child *c)
{
	return c->other_users && c->as && c->as->uid == 0 ? ARRAY_SIZE(kept) : 1;
}

/* Without it in the bounding set, neither a setuid program nor root itself can have more. */
static int limit_bounding_set(int n_kept, struct err *err)
{
	for (cap_value_t c = 0; c < cap_max_bits(); c++) {
		bool keep = false;

		for (int i = 0; i < n_kept; i++)
			keep = keep || c == kept[i];
		if (!keep && cap_drop_bound(c) < 0)
			return err_set(err, ERR_ENV, errno, "cannot drop a capability");
	}
	if (prctl(PR_SET_KEEPCAPS, 1L, 0L, 0L, 0L) < 0)
		return err_set(err, ERR_ENV, errno, "cannot keep capabilities");
	return 0;
}

static int set_capabilities(int n_kept, struct err *err)
{
	cap_t caps = cap_init();
	bool done = caps && cap_set_flag(caps, CAP_PERMITTED, n_kept, kept, CAP_SET) == 0 &&
		    cap_set_flag(caps, CAP_EFFECTIVE, n_kept, kept, CAP_SET) == 0 &&
		    cap_set_flag(caps, CAP_INHERITABLE, 1, kept, CAP_SET) == 0 &&
		    cap_set_proc(caps) == 0 && cap_set_ambient(CAP_NET_RAW, CAP_SET) == 0;
	int sys = errno;

	if (caps)
		cap_free(caps);
	return done ? 0 : err_set(err, ERR_ENV, sys, "cannot set the program's capabilities");
}

int child_prepare(const struct child *c, struct err *err)
{
	bool as_we_are = c->as && c->as->uid == getuid() && !c->net_raw;
	int n_kept = count_kept(c);

	if ((c->detached && detach(err) < 0) || close_files(c->keep_fd, err) < 0)
		return -1;
	set_environment(c);
	if ((c->net_raw && limit_bounding_set(n_kept, err) < 0) ||
	    (c->as && caller_become(c->as, err) < 0) ||
	    (c->net_raw && set_capabilities(n_kept, err) < 0))
		return -1;
	if (!as_we_are && prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0)
		return err_set(err, ERR_ENV, errno, "cannot set no_new_privs");
	/* Root itself needs no detour. */
	return c->net_raw && getuid() != 0 ? rawfilter_apply(err) : 0;
}
