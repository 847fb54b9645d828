/* SPDX-License-Identifier: MIT */
/* netport_run.c - the verb netport run: a command with ports of its own. */
#include "cmd/netport.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"

#include "base/banned.h"

enum {
	RUN_PORT,
	RUN_OWNER,
	RUN_NOTE,
};

static const struct option options[] = {
	[RUN_PORT] = { 'p', "port", "NAME[=RANGE]",
		       "a free port, in the environment as NAME; may be repeated",
		       COMPLETE_NOTHING },
	[RUN_OWNER] = { 'o', "owner", "NAME", "who holds it (default: your user name)",
			COMPLETE_NOTHING },
	[RUN_NOTE] = { 'n', "note", "TEXT", "what it is for (default: the command)",
		       COMPLETE_NOTHING },
	{ 0 },
};

enum {
	EXIT_CANNOT_EXEC = 126,
	EXIT_NOT_THERE = 127,
};

static bool is_variable(const char *text, size_t len)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

	return len && strchr(letters, text[0]) && strspn(text, all) == len;
}

/* "NAME" or "NAME=RANGE"; the name is heap text. */
static int split(const char *text, char **ret_name, const char **ret_range, struct err *err)
{
	size_t len = strcspn(text, "=");

	if (!is_variable(text, len)) {
		err_set(err, ERR_USAGE, 0, "'%.64s' does not begin with a variable's name", text);
		return err_hint(err, "use --port NAME=RANGE, for example --port "
				     "PORT=20000-29999");
	}
	*ret_name = xstrndup(text, len);
	*ret_range = text[len] ? text + len + 1 : NULL;
	return 0;
}

static int check_ports(const struct args *args, struct err *err)
{
	auto_strv names = { 0 };

	if (!args->n_many) {
		err_set(err, ERR_USAGE, 0, "'labctl netport run' needs a port");
		return err_hint(err, "use --port NAME=RANGE");
	}
	for (int i = 0; i < args->n_many; i++) {
		auto_free char *name = NULL;
		auto_pool pool = { 0 };
		const char *range;

		if (split(args->many[i], &name, &range, err) < 0 ||
		    (range && pool_parse("PORT", range, &pool, err) < 0))
			return -1;
		if (strv_has(&names, name))
			return err_set(err, ERR_USAGE, 0, "'%.64s' names two ports", name);
		strv_add(&names, name);
	}
	return 0;
}

/* Adds "NAME=PORT" to *vars. */
static int take_port(struct store *s, const struct lease_request *req, struct hostview *view,
		     const char *text, struct strv *vars, struct err *err)
{
	auto_free char *name = NULL;
	auto_pool pool = { 0 };
	auto_lease l = { 0 };
	const char *range;

	if (split(text, &name, &range, err) < 0)
		return -1;
	if (range ? pool_parse("PORT", range, &pool, err) < 0 : pool_get(s, "PORT", &pool, err) < 0)
		return -1;
	if (lease_acquire_any(s, req, &pool, NULL, hostview_usable, view, &l, err) < 0)
		return -1;
	strv_addf(vars, "%s=%s", name, l.value);
	return 0;
}

/* The leases are bound to this process, which is about to become the command: whatever ends it,
 * they end with it. */
static int take_ports(struct cmd *cmd, const struct args *args, struct strv *vars, struct err *err)
{
	struct lease_request req;
	auto_hostview view = { 0 };
	auto_store s = NULL;

	if (netport_request(cmd, "PORT", args->opt[RUN_OWNER], &req, err) < 0 ||
	    hostview_add(&view, "PORT", -1, err) < 0 || netport_open(cmd, STORE_WRITE, &s, err) < 0)
		return -1;
	req.note = args->opt[RUN_NOTE] ? args->opt[RUN_NOTE] : args->v[0];
	req.bound = LEASE_BOUND_PROCESS;
	req.pid = getpid();
	for (int i = 0; i < args->n_many; i++) {
		if (take_port(s, &req, &view, args->many[i], vars, err) < 0)
			return -1;
	}
	return 0;
}

/* Returns only on failure. */
static int become_command(struct cmd *cmd, const struct args *args, const sigset_t *mask,
			  struct err *err)
{
	struct child child = { .as = &cmd->ctx->caller, .env = CHILD_ENV_CALLER };
	auto_strv vars = { 0 };

	if (take_ports(cmd, args, &vars, err) < 0)
		return -1;
	child.vars = (const char *const *)vars.v;
	if (child_prepare(&child, err) < 0)
		return -1;
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(args->v[0], args->v);
	cmd->failure_code = errno == ENOENT ? EXIT_NOT_THERE : EXIT_CANNOT_EXEC;
	return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_ENV, errno, "cannot run '%s'",
		       args->v[0]);
}

/* Waits for the command and hands on the signals that were sent to us alone; those of the
 * terminal reach it by themselves. */
static int wait_for(pid_t pid, const sigset_t *set)
{
	siginfo_t info;
	int status;

	for (;;) {
		int sig = sigwaitinfo(set, &info);

		if (sig > 0 && sig != SIGCHLD && info.si_code <= 0)
			kill(pid, sig);
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
}

/* Nobody sees the leases as held any more; this takes them out of the book. */
static void tidy(const struct cmd *cmd)
{
	struct err err = { 0 };
	auto_store s = NULL;

	if (netport_open(cmd, STORE_WRITE, &s, &err) < 0 || lease_sweep(s, NULL, &err) < 0)
		log_debug("%s", err.msg);
}

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	static const int passed[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	sigset_t set, before;
	pid_t pid;
	int code;

	if (check_ports(args, err) < 0)
		return -1;
	fflush(NULL);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		sigaddset(&set, passed[i]);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would take the exit code with it */
	sigprocmask(SIG_BLOCK, &set, &before);
	pid = fork();
	if (pid < 0)
		return err_set(err, ERR_ENV, errno, "cannot start '%s'", args->v[0]);
	if (pid == 0)
		return become_command(cmd, args, &before, err);
	code = wait_for(pid, &set);
	tidy(cmd);
	return code;
}

const struct command cmd_netport_run = {
	.name = "netport run",
	.synopsis = "-- COMMAND [ARGUMENT]...",
	.summary = "run a command with leased ports, given back when it ends",
	.details = "The exit code is the command's. 125: labctl itself failed; 126, 127: the "
		   "command cannot\n"
		   "be run, is not there.\n\n"
		   "  labctl netport run --port WEB=20000-20999 -- sh -c 'python3 -m http.server "
		   "$WEB'",
	.options = options,
	.min_args = 1,
	.max_args = -1,
	.stop_at_first = true,
	.own_code = true,
	.needs = NEEDS_BOOK,
	.many = 1u << RUN_PORT,
	.complete = COMPLETE_COMMAND,
	.run = run,
};
