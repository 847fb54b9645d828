/* SPDX-License-Identifier: MIT */
/* exec.c - the student's program: in the seat, as the student, with one capability. */
#include "lab/session.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fs.h"
#include "base/mem.h"
#include "net/netns.h"

#include "base/banned.h"

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

/* What people type first, and what it should have been. */
static int explain_exec(const struct lab_ctx *ctx, const char *name, int sys, struct err *err)
{
	auto_free char *cwd = getcwd(NULL, 0);
	bool is_there = fs_access(name, F_OK), is_path = strchr(name, '/');

	if (sys != ENOENT) {
		err_set(err, ERR_ENV, sys, "cannot run '%s'", name);
		return is_path && is_there && sys == EACCES && !fs_is_dir(name)
			       ? err_hint(err, "it is not executable: chmod +x %s", name)
			       : -1;
	}
	if (is_path && is_there)
		return err_set(err, ERR_NOT_FOUND, 0,
			       "cannot run '%s': what its first line names is not there", name);
	if (is_path) {
		bool absolute = *name == '/' || !cwd;

		return err_set(err, ERR_NOT_FOUND, 0,
			       "cannot run '%s': there is no such file%s%s%s", name,
			       absolute ? "" : " in '", absolute ? "" : cwd, absolute ? "" : "'");
	}
	err_set(err, ERR_NOT_FOUND, 0, "cannot run '%s': no directory of PATH has it", name);
	if (strchr(name, ' '))
		return err_hint(err,
				"give the program and its arguments as words, without quotes: "
				"%s run -- %s",
				ctx->labctl, name);
	return is_there ? err_hint(err, "the one in this directory: ./%s", name) : -1;
}

int session_exec(struct lab_ctx *ctx, const struct lab *l, enum session_use use, char **argv,
		 int *ret_code, struct err *err)
{
	static const int handled[] = { SIGINT, SIGTERM, SIGHUP };

	auto_free char *file = lab_path(l, "lab.json");
	auto_free char *lab_file = xasprintf("LAB_FILE=%s", file);
	const char *const vars[] = { lab_file, NULL };
	const struct child child = { .as = &ctx->caller,
				     .env = CHILD_ENV_CALLER,
				     .vars = vars,
				     .net_raw = true,
				     .other_users = use == SESSION_AT_WORK };

	*ret_code = 125;
	if (session_check_seat(ctx, l, err) < 0 || enter_seat(l, err) < 0 ||
	    child_prepare(&child, err) < 0)
		return -1;
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
	return explain_exec(ctx, argv[0], errno, err);
}
