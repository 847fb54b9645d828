/* SPDX-License-Identifier: MIT */
/* exec.c - the student's program: in the seat, as the student, with two capabilities. */
#include "lab/session.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "net/netns.h"

#include "base/banned.h"

static const cap_value_t kept[] = { CAP_NET_RAW, CAP_NET_ADMIN };

/* /sys shows the namespace it was mounted in: the program should find its own interfaces in
 * /sys/class/net, so it gets a mount namespace with a fresh one. */
static int mount_sysfs(struct err *err)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", "none", MS_SLAVE | MS_REC, NULL) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make a mount namespace");
	umount2("/sys", MNT_DETACH);
	if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return err_set(err, ERR_ENV, errno, "cannot mount /sys");
	return 0;
}

static int enter_seat(const struct lab *l, struct err *err)
{
	auto_fd ns = -1;

	if (!l->isolated)
		return 0;
	if (netns_open_name(l->seat_ns, &ns, err) < 0)
		return err_wrap(err, "the seat of lab '%s'", l->name);
	if (setns(ns, CLONE_NEWNET) < 0)
		return err_set(err, ERR_ENV, errno, "cannot enter the seat of lab '%s'", l->name);
	return mount_sysfs(err);
}

/* The bounding set keeps a setuid program, or root itself, from having more than the two. */
static int limit_bounding_set(struct err *err)
{
	for (cap_value_t c = 0; c < cap_max_bits(); c++) {
		if (c == kept[0] || c == kept[1])
			continue;
		if (cap_drop_bound(c) < 0)
			return err_set(err, ERR_ENV, errno, "cannot drop a capability");
	}
	return 0;
}

static int set_capabilities(struct err *err)
{
	const int n = (int)ARRAY_SIZE(kept);
	cap_t caps = cap_init();
	int r = -1;

	if (!caps)
		return err_set(err, ERR_ENV, errno, "cannot prepare capabilities");
	if (cap_set_flag(caps, CAP_PERMITTED, n, kept, CAP_SET) == 0 &&
	    cap_set_flag(caps, CAP_EFFECTIVE, n, kept, CAP_SET) == 0 &&
	    cap_set_flag(caps, CAP_INHERITABLE, n, kept, CAP_SET) == 0 && cap_set_proc(caps) == 0)
		r = 0;
	cap_free(caps);
	for (int i = 0; r == 0 && i < n; i++)
		r = cap_set_ambient(kept[i], CAP_SET);
	if (r < 0)
		return err_set(err, ERR_ENV, errno, "cannot set the program's capabilities");
	return 0;
}

int session_become(const struct caller *c, struct err *err)
{
	if (limit_bounding_set(err) < 0)
		return -1;
	if (prctl(PR_SET_KEEPCAPS, 1L, 0L, 0L, 0L) < 0)
		return err_set(err, ERR_ENV, errno, "cannot keep capabilities");
	if (caller_become(c, err) < 0)
		return -1;
	return set_capabilities(err);
}

static void set_environment(const struct lab *l, const struct caller *c)
{
	auto_free char *file = lab_path(l, "lab.json");

	setenv("LAB_FILE", file, 1);
	/* sudo's traces would tell the program that it is root's. */
	if (getenv("SUDO_UID")) {
		static const char *const sudo[] = { "SUDO_UID", "SUDO_GID", "SUDO_USER",
						    "SUDO_COMMAND" };

		for (size_t i = 0; i < ARRAY_SIZE(sudo); i++)
			unsetenv(sudo[i]);
		setenv("HOME", c->home, 1);
		setenv("USER", c->name, 1);
		setenv("LOGNAME", c->name, 1);
	}
}

/* execvp() says EACCES for a program that is nowhere when it may not look into a directory of
 * PATH, as sudo leaves root's there. */
static bool is_in_path(const char *name)
{
	const char *path = getenv("PATH");
	auto_free char *dirs = xstrdup(path ? path : "");
	char *save = NULL;

	for (char *d = strtok_r(dirs, ":", &save); d; d = strtok_r(NULL, ":", &save)) {
		auto_free char *file = xasprintf("%s/%s", d, name);

		if (fs_access(file, F_OK))
			return true;
	}
	return false;
}

int session_exec(struct lab_ctx *ctx, const struct lab *l, char **argv, int *ret_code,
		 struct err *err)
{
	static const int handled[] = { SIGINT, SIGTERM, SIGHUP };

	*ret_code = 125;
	if (session_check_seat(ctx, l, err) < 0 || enter_seat(l, err) < 0 ||
	    session_become(&ctx->caller, err) < 0)
		return -1;
	set_environment(l, &ctx->caller);
	for (size_t i = 0; i < ARRAY_SIZE(handled); i++) {
		struct sigaction sa;

		if (sigaction(handled[i], NULL, &sa) == 0 && sa.sa_handler != SIG_IGN)
			signal(handled[i], SIG_DFL);
	}
	signal(SIGPIPE, SIG_DFL);
	execvp(argv[0], argv);
	if (errno == EACCES && !strchr(argv[0], '/') && !is_in_path(argv[0]))
		errno = ENOENT;
	*ret_code = errno == ENOENT ? 127 : 126;
	err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_ENV, errno, "cannot run '%s'", argv[0]);
	if (*ret_code == 127 && strchr(argv[0], ' '))
		err_hint(err,
			 "give the program and its arguments as words, without quotes: "
			 "labctl run -- %s",
			 argv[0]);
	return -1;
}
