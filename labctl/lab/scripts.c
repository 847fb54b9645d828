/* SPDX-License-Identifier: MIT */
/* scripts.c - stages of the old kind. */
#include "lab/scripts.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/printable.h"
#include "base/rights.h"
#include "lab/claim.h"
#include "lab/down.h"
#include "lab/publish.h"
#include "lab/srcmount.h"

#include "base/banned.h"

#define OUTPUT_REST   65536 /* bytes; what a script said before it ended fits in its pipe */
#define RELAY_LOOK_MS 200

static char *script_path(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

/* The copy keeps the directory's name: docker-compose calls its project after it. */
static char *copy_dir(const struct lab *l)
{
	return xasprintf("%s/stage/%s", l->dir, l->stage->name);
}

/* What another user's script says is text, and nothing else, to our terminal. A Ctrl-C does not
 * reach its session: then it is killed. What it leaves behind does not hold us up. */
static int relay(pid_t pid, int from, int *ret_code, struct err *err)
{
	/* glibc 2.35 (Ubuntu 22.04) has no wrapper yet. */
	auto_fd ended = (int)syscall(SYS_pidfd_open, pid, 0);
	auto_fd out = from;
	int rest = OUTPUT_REST;
	char buf[4096];
	size_t len = 0;

	for (;;) {
		struct pollfd p[] = { { ended, POLLIN, 0 }, { out, POLLIN, 0 } };
		ssize_t n;

		if (interrupt_seen())
			kill(-pid, SIGKILL);
		if (poll(p, 2, RELAY_LOOK_MS) <= 0)
			continue;
		n = p[1].revents && rest > 0 ? read(out, buf + len, sizeof(buf) - len) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0) {
			size_t done = printable_chunk(buf, len + (size_t)n);

			dprintf(STDERR_FILENO, "%.*s", (int)done, buf);
			len += (size_t)n - done;
			memmove(buf, buf + done, len);
			rest -= p[0].revents ? (int)n : 0;
		} else if (p[0].revents || ended < 0) {
			break;
		} else {
			close(steal_fd(&out));
		}
	}
	return proc_wait(pid, ret_code, err);
}

static bool is_another_users(const struct lab_ctx *ctx, const struct lab *l)
{
	return ctx->caller.uid != l->owner.uid;
}

static int run_script(const struct lab_ctx *ctx, const struct lab *l, const char *dir,
		      const char *script, const char *arg, enum proc_out out, int *ret_code,
		      struct err *err)
{
	auto_free char *path = script_path(dir, script);
	auto_free char *stages = xstrdup(l->stage->dir);
	auto_free char *root = NULL;
	auto_strv vars = { 0 };
	const char *const argv[] = { path, arg, NULL };
	struct proc_spec spec = { .argv = argv,
				  .cwd = dir,
				  .out = out,
				  .child = { .as = &l->owner, .env = CHILD_ENV_CALLER } };
	int said = -1;
	pid_t pid;

	*strrchr(stages, '/') = '\0';
	root = xstrdup(stages);
	if (strrchr(root, '/') != root)
		*strrchr(root, '/') = '\0';
	strv_addf(&vars, "PYROUTE_ENV=%s", root);
	strv_addf(&vars, "PYROUTE_SRC_DIR=%s/src", root);
	strv_addf(&vars, "PYROUTE_STAGE_DIR=%s", stages);
	strv_addf(&vars, "PYROUTE_STAGE_FILE=%s/.stage", root);
	strv_addf(&vars, "HOME=%s", l->owner.home);
	spec.child.vars = (const char *const *)vars.v;
	if (is_another_users(ctx, l)) {
		spec.out = PROC_OUT_BOTH;
		spec.child.env = CHILD_ENV_CLEAN;
		spec.child.detached = true;
	}
	if (proc_spawn(&spec, &pid, &said, err) < 0)
		return -1;
	return said < 0 ? proc_wait(pid, ret_code, err) : relay(pid, said, ret_code, err);
}

/* What is copied there may come from a place that others cannot enter. */
static int mount_copy(const struct lab *l, const char *dir, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the lab's run directory");
	auto_free char *options =
		xasprintf("size=%um,nr_inodes=%u,mode=700,uid=%u,gid=%u", SCRIPTS_COPY_MB,
			  SCRIPTS_COPY_FILES, l->owner.uid, l->owner.gid);

	if (fs_mkdirs(l->dir, 0755, err) < 0 || fs_mkdirs(dir, 0700, err) < 0 ||
	    fault_point("mount", err) < 0)
		return -1;
	if (mount("labctl", dir, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
		return err_set(err, ERR_ENV, errno, "cannot mount a tmpfs at '%s'", dir);
	return 0;
}

static bool is_full(const char *dir)
{
	auto_file_rights as_root = file_rights_root("the lab's run directory");
	struct statvfs fs;

	return statvfs(dir, &fs) == 0 && (fs.f_bfree == 0 || fs.f_ffree == 0);
}

static int copy_stage(const struct lab *l, struct err *err)
{
	auto_free char *parent = lab_path(l, "stage");
	auto_free char *copy = copy_dir(l);
	const char *const argv[] = { "cp", "-a", "--", l->stage->dir, copy, NULL };
	const struct proc_spec spec = { .argv = argv,
					.out = PROC_OUT_STDERR,
					.child = { .as = &l->owner } };
	pid_t pid;
	int code;

	/* Copied by the owner: with root's rights it would copy what he may not read. */
	if (mount_copy(l, parent, err) < 0)
		return -1;
	if (proc_spawn(&spec, &pid, NULL, err) < 0 || proc_wait(pid, &code, err) < 0)
		return -1;
	if (code == 0)
		return 0;
	if (!is_full(parent))
		return err_set(err, ERR_ENV, 0, "cannot copy '%s'", l->stage->dir);
	err_set(err, ERR_STAGE, 0, "'%s' has more than %u MB or %u files", l->stage->dir,
		SCRIPTS_COPY_MB, SCRIPTS_COPY_FILES);
	return err_hint(err, "a stage of scripts is copied when it starts: keep large files "
			     "elsewhere");
}

static int drop_copy(const struct lab *l, struct err *err)
{
	auto_free char *parent = lab_path(l, "stage");
	const char *const argv[] = { "rm", "-rf", "--one-file-system", "--", parent, NULL };
	const struct proc_spec spec = { .argv = argv, .out = PROC_OUT_STDERR };
	pid_t pid;
	int code;

	if (srcmount_is_mounted(parent))
		return srcmount_remove(parent, err);
	/* Earlier versions copied into a plain directory. */
	if (proc_spawn(&spec, &pid, NULL, err) < 0 || proc_wait(pid, &code, err) < 0)
		return -1;
	return 0;
}

static int start_scripts(const struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	int code;

	if (copy_stage(l, err) < 0 ||
	    run_script(ctx, l, l->stage->dir, "up.sh", NULL, PROC_OUT_STDERR, &code, err) < 0)
		return -1;
	if (interrupt_pending())
		return err_set(err, ERR_INTERRUPTED, 0, "interrupted: stage '%s' is not started",
			       l->stage->name);
	if (code != 0)
		return err_set(err, ERR_FAILED, 0, "up.sh of stage '%s' ended with exit code %d",
			       l->stage->name, code);
	if (lab_publish_files(l, err) < 0 || lab_publish_stage(l, err) < 0)
		return -1;
	return lab_save(l, LAB_RUNNING, err);
}

int scripts_up(struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	struct err e = { 0 };

	if (claim_take(ctx, l, err) < 0 || lab_save(l, LAB_STARTING, err) < 0)
		return -1;
	interrupt_hold(true);
	if (start_scripts(ctx, l, err) == 0) {
		interrupt_hold(false);
		return 0;
	}
	if (scripts_down(ctx, l, &e) < 0)
		err_hint(err, "what it made may be left: %.300s", e.msg);
	if (lab_down(ctx, l, &e) < 0)
		log_debug("roll-back: %s", e.msg);
	interrupt_hold(false);
	return -1;
}

int scripts_down(const struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	auto_free char *own = script_path(l->stage->dir, "down.sh");
	auto_free char *copy = copy_dir(l);
	const char *dir = fs_is_executable(own) ? l->stage->dir : copy;
	int code = 0;

	if (!fs_is_dir(dir)) {
		log_warn("down.sh of stage '%s' is gone: what up.sh made must be removed by hand",
			 l->stage->name);
	} else if (run_script(ctx, l, dir, "down.sh", NULL, PROC_OUT_STDERR, &code, err) < 0) {
		return -1;
	}
	if (code != 0)
		return err_set(err, ERR_FAILED, 0, "down.sh of stage '%s' ended with exit code %d",
			       l->stage->name, code);
	return drop_copy(l, err);
}

int scripts_connect(const struct lab_ctx *ctx, const struct lab *l, const char *client,
		    int *ret_code, struct err *err)
{
	auto_free char *own = script_path(l->stage->dir, "connect.sh");

	if (!fs_is_executable(own))
		return err_set(err, ERR_NOT_FOUND, 0, "stage '%s' has no connect.sh",
			       l->stage->name);
	if (is_another_users(ctx, l)) {
		err_set(err, ERR_FAILED, 0,
			"connect.sh of lab '%s' is a program of user '%s': it does not get your "
			"terminal",
			l->name, l->owner.name);
		return err_hint(err, "as that user: labctl --lab %s connect %s", l->name, client);
	}
	return run_script(ctx, l, l->stage->dir, "connect.sh", client, PROC_OUT_INHERIT, ret_code,
			  err);
}
