/* SPDX-License-Identifier: MIT */
/* proc.c - who calls, and running a helper program. */
#include "base/proc.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"

#include "base/banned.h"

/* sudo(8) leaves both ids; pkexec(1) leaves one, doas(1) a name. Where that is root's, root has
 * called himself. */
static int sudo_ids(const char *uid_text, uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
	const char *gid_text = getenv("SUDO_GID");
	uint32_t uid, gid;

	if (parse_u32(uid_text, 0, UINT32_MAX - 1, &uid, err) < 0)
		return err_wrap(err, "SUDO_UID");
	gid = uid;
	if (gid_text && parse_u32(gid_text, 0, UINT32_MAX - 1, &gid, err) < 0)
		return err_wrap(err, "SUDO_GID");
	*ret_uid = uid;
	*ret_gid = gid;
	return 0;
}

static int database_ids(const char *pkexec_uid, const char *doas_user, uid_t *ret_uid,
			gid_t *ret_gid, struct err *err)
{
	struct passwd *pw;
	uint32_t uid;

	if (pkexec_uid && parse_u32(pkexec_uid, 0, UINT32_MAX - 1, &uid, err) < 0)
		return err_wrap(err, "PKEXEC_UID");
	pw = pkexec_uid ? getpwuid(uid) : getpwnam(doas_user);
	if (!pw)
		return err_set(err, ERR_ENV, 0, "there is no user '%.64s' (%s)",
			       pkexec_uid ? pkexec_uid : doas_user,
			       pkexec_uid ? "PKEXEC_UID" : "DOAS_USER");
	*ret_uid = pw->pw_uid;
	*ret_gid = pw->pw_gid;
	return 0;
}

int caller_ids(uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
	const char *sudo_uid = getenv("SUDO_UID");
	const char *pkexec_uid = getenv("PKEXEC_UID"), *doas_user = getenv("DOAS_USER");

	*ret_uid = getuid();
	*ret_gid = getgid();
	if (*ret_uid == 0 && sudo_uid && sudo_ids(sudo_uid, ret_uid, ret_gid, err) < 0)
		return -1;
	if (*ret_uid == 0 && getuid() == 0 && (pkexec_uid || doas_user))
		return database_ids(pkexec_uid, doas_user, ret_uid, ret_gid, err);
	return 0;
}

void caller_names(struct caller *c)
{
	struct passwd *pw = getpwuid(c->uid);

	if (!pw || !str_copy(c->name, sizeof(c->name), pw->pw_name))
		snprintf(c->name, sizeof(c->name), "uid%u", c->uid);
	if (!pw || !str_copy(c->home, sizeof(c->home), pw->pw_dir))
		snprintf(c->home, sizeof(c->home), "/");
}

int caller_get(struct caller *ret, struct err *err)
{
	if (caller_ids(&ret->uid, &ret->gid, err) < 0)
		return -1;
	caller_names(ret);
	return 0;
}

int caller_become(const struct caller *c, struct err *err)
{
	if (geteuid() == c->uid)
		return 0;
	if (c->name[0] ? initgroups(c->name, c->gid) < 0 && setgroups(1, &c->gid) < 0
		       : setgroups(0, NULL) < 0)
		return err_set(err, ERR_ENV, errno, "cannot take the groups of user '%s'", c->name);
	if (setresgid(c->gid, c->gid, c->gid) < 0 || setresuid(c->uid, c->uid, c->uid) < 0)
		return err_set(err, ERR_ENV, errno, "cannot become user '%s'", c->name);
	return 0;
}

static void child_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void child_exec(const struct proc_spec *spec, int out, int report)
{
	struct err err = { 0 };

	child_signals();
	if (out >= 0)
		dup2(out, STDOUT_FILENO);
	if (spec->out == PROC_OUT_BOTH || spec->out == PROC_OUT_NULL)
		dup2(out, STDERR_FILENO);
	if (child_prepare(&spec->child, &err) < 0)
		errno = err.sys;
	else if (!spec->cwd || chdir(spec->cwd) == 0)
		execvp(spec->argv[0], (char *const *)(uintptr_t)spec->argv);
	int sys = errno;
	ssize_t n = write(report, &sys, sizeof(sys));
	_exit(n > 0 ? 127 : 126);
}

int proc_spawn(const struct proc_spec *spec, pid_t *ret_pid, int *ret_out, struct err *err)
{
	int p[2] = { -1, -1 }, report[2], sys = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make a pipe");
	auto_fd report_r = report[0];
	auto_fd report_w = report[1];
	if (spec->out == PROC_OUT_NULL ? (p[1] = open("/dev/null", O_WRONLY | O_CLOEXEC)) < 0
				       : spec->out >= PROC_OUT_PIPE && pipe2(p, O_CLOEXEC) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make a pipe");
	auto_fd out_r = p[0];
	auto_fd out_w = p[1];
	pid = fork();
	if (pid < 0)
		return err_set(err, ERR_ENV, errno, "cannot start '%s'", spec->argv[0]);
	if (pid == 0)
		child_exec(spec, spec->out == PROC_OUT_STDERR ? STDERR_FILENO : out_w, report_w);
	close(steal_fd(&report_w));
	do
		n = read(report_r, &sys, sizeof(sys));
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		waitpid(pid, NULL, 0);
		return err_set(err, ERR_ENV, sys, "cannot start '%s'", spec->argv[0]);
	}
	*ret_pid = pid;
	if (ret_out)
		*ret_out = steal_fd(&out_r);
	return 0;
}

int proc_wait(pid_t pid, int *ret_code, struct err *err)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_set(err, ERR_ENV, errno, "cannot wait for process %d", (int)pid);
	}
	*ret_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return 0;
}

int proc_boot_id(char ret[static 37], struct err *err)
{
	auto_free char *text = NULL;

	if (fs_read("/proc/sys/kernel/random/boot_id", 64, &text, NULL, err) < 0)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	if (!str_copy(ret, 37, text))
		return err_set(err, ERR_INTERNAL, 0, "boot id '%s' is not 36 characters", text);
	return 0;
}
