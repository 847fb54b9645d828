/* SPDX-License-Identifier: MIT */
/* scripts.c - stages of the old kind. */
#include "lab/scripts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rights.h"
#include "lab/claim.h"
#include "lab/down.h"
#include "lab/publish.h"

#include "base/banned.h"

static char *script_path(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

/* The copy keeps the directory's name: docker-compose calls its project after it. */
static char *copy_dir(const struct lab *l)
{
	return xasprintf("%s/stage/%s", l->dir, l->stage->name);
}

static int run_script(const struct lab *l, const char *dir, const char *script, const char *arg,
		      enum proc_out out, int *ret_code, struct err *err)
{
	auto_free char *path = script_path(dir, script);
	auto_free char *stages = xstrdup(l->stage->dir);
	auto_free char *root = NULL;
	auto_strv env = { 0 };
	const char *const argv[] = { path, arg, NULL };
	const struct proc_spec spec = { argv, dir, NULL, &l->owner, out };
	struct proc_spec with_env = spec;
	pid_t pid;

	*strrchr(stages, '/') = '\0';
	root = xstrdup(stages);
	if (strrchr(root, '/') != root)
		*strrchr(root, '/') = '\0';
	strv_addf(&env, "PYROUTE_ENV=%s", root);
	strv_addf(&env, "PYROUTE_SRC_DIR=%s/src", root);
	strv_addf(&env, "PYROUTE_STAGE_DIR=%s", stages);
	strv_addf(&env, "PYROUTE_STAGE_FILE=%s/.stage", root);
	strv_addf(&env, "HOME=%s", l->owner.home);
	with_env.env = (const char *const *)env.v;
	if (proc_spawn(&with_env, &pid, NULL, err) < 0)
		return -1;
	return proc_wait(pid, ret_code, err);
}

static int make_owned_dir(const struct lab *l, const char *dir, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the lab's run directory");

	/* What is copied there may come from a place that others cannot enter. */
	if (fs_mkdirs(l->dir, 0755, err) < 0 || fs_mkdirs(dir, 0700, err) < 0)
		return -1;
	if (chown(dir, l->owner.uid, l->owner.gid) < 0)
		return err_set(err, ERR_ENV, errno, "cannot give '%s' to user '%s'", dir,
			       l->owner.name);
	return 0;
}

static int copy_stage(const struct lab *l, struct err *err)
{
	auto_free char *parent = lab_path(l, "stage");
	auto_free char *copy = copy_dir(l);
	const char *const argv[] = { "cp", "-a", "--", l->stage->dir, copy, NULL };
	const struct proc_spec spec = { argv, NULL, NULL, &l->owner, PROC_OUT_STDERR };
	pid_t pid;
	int code;

	/* Copied by the owner: with root's rights it would copy what he may not read. */
	if (make_owned_dir(l, parent, err) < 0)
		return -1;
	if (proc_spawn(&spec, &pid, NULL, err) < 0 || proc_wait(pid, &code, err) < 0)
		return -1;
	return code == 0 ? 0 : err_set(err, ERR_ENV, 0, "cannot copy '%s'", l->stage->dir);
}

static int drop_copy(const struct lab *l, struct err *err)
{
	auto_free char *parent = lab_path(l, "stage");
	const char *const argv[] = { "rm", "-rf", "--", parent, NULL };
	const struct proc_spec spec = { argv, NULL, NULL, NULL, PROC_OUT_STDERR };
	pid_t pid;
	int code;

	if (proc_spawn(&spec, &pid, NULL, err) < 0 || proc_wait(pid, &code, err) < 0)
		return -1;
	return 0;
}

static int start_scripts(struct lab *l, struct err *err)
{
	int code;

	if (copy_stage(l, err) < 0 ||
	    run_script(l, l->stage->dir, "up.sh", NULL, PROC_OUT_STDERR, &code, err) < 0)
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
	if (start_scripts(l, err) == 0) {
		interrupt_hold(false);
		return 0;
	}
	if (scripts_down(l, &e) < 0)
		err_hint(err, "what it made may be left: %.300s", e.msg);
	if (lab_down(ctx, l, &e) < 0)
		log_debug("roll-back: %s", e.msg);
	interrupt_hold(false);
	return -1;
}

int scripts_down(struct lab *l, struct err *err)
{
	auto_free char *own = script_path(l->stage->dir, "down.sh");
	auto_free char *copy = copy_dir(l);
	const char *dir = fs_is_executable(own) ? l->stage->dir : copy;
	int code = 0;

	if (!fs_is_dir(dir)) {
		log_warn("down.sh of stage '%s' is gone: what up.sh made must be removed by hand",
			 l->stage->name);
	} else if (run_script(l, dir, "down.sh", NULL, PROC_OUT_STDERR, &code, err) < 0) {
		return -1;
	}
	if (code != 0)
		return err_set(err, ERR_FAILED, 0, "down.sh of stage '%s' ended with exit code %d",
			       l->stage->name, code);
	return drop_copy(l, err);
}

int scripts_connect(const struct lab *l, const char *client, int *ret_code, struct err *err)
{
	auto_free char *own = script_path(l->stage->dir, "connect.sh");

	if (!fs_is_executable(own))
		return err_set(err, ERR_NOT_FOUND, 0, "stage '%s' has no connect.sh",
			       l->stage->name);
	return run_script(l, l->stage->dir, "connect.sh", client, PROC_OUT_INHERIT, ret_code, err);
}
