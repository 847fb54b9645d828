/* SPDX-License-Identifier: MIT */
/* connect.c - the verbs connect and exec: a shell or a command in a client. */
#include "cmd/command.h"

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "docker/exec.h"
#include "lab/scripts.h"
#include "lab/session.h"

#include "base/banned.h"

static int in_scripts_client(const struct lab_ctx *ctx, const struct lab *l, const char *client,
			     bool login_shell, struct err *err)
{
	int code;

	if (!login_shell) {
		err_set(err, ERR_USAGE, 0, "stage '%s' has scripts of its own: it has no 'exec'",
			l->stage->name);
		return err_hint(err, "%s connect %s", ctx->labctl, client);
	}
	return scripts_connect(ctx, l, client, &code, err) < 0 ? -1 : code;
}

/* A client that was removed, stopped or paused by somebody else, in words for who wants in. */
static int explain(const struct lab_ctx *ctx, const char *client, struct err *failed,
		   struct err *err)
{
	const char *state = err_is(failed, ERR_NOT_FOUND)	    ? "gone"
			    : strstr(failed->msg, "is paused")	    ? "paused"
			    : strstr(failed->msg, "is not running") ? "not running"
								    : NULL;

	if (!state) {
		err_wrap(failed, "client '%s'", client);
		return err_pass(err, failed);
	}
	log_debug("%s", failed->msg);
	err_set(err, ERR_CONFLICT, 0, "client '%s' is %s", client, state);
	return err_hint(err, "bring it back: %s repair", ctx->labctl);
}

/* argv NULL: a login shell. */
static int in_client(struct cmd *cmd, const char *client, char *const *argv, bool want_tty,
		     struct err *err)
{
	static const char *const login_argv[] = {
		"sh", "-c", "command -v bash >/dev/null && exec bash -l; exec sh -l", NULL
	};
	const bool login_shell = !argv;
	auto_free char *container = NULL;
	auto_lab l = NULL;
	struct err failed = { 0 };
	struct engine *e;
	int code;
	struct exec_spec spec = {
		.argv = login_shell ? login_argv : (const char *const *)argv,
		.tty = want_tty,
		.stdin_open = true,
		.stdin_fd = STDIN_FILENO,
		.stdout_fd = STDOUT_FILENO,
		.stderr_fd = STDERR_FILENO,
	};

	if (session_running(cmd->ctx, &l, err) < 0)
		return -1;
	if (l->stage->kind == STAGE_SCRIPTS)
		return in_scripts_client(cmd->ctx, l, client, login_shell, err);
	if (session_container(l, client, &container, err) < 0 ||
	    lab_ctx_engine(cmd->ctx, &e, err) < 0)
		return -1;
	spec.container = container;
	if (exec_run(e, &spec, &code, &failed) < 0)
		return explain(cmd->ctx, client, &failed, err);
	return code;
}

static int connect_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	return in_client(cmd, args->v[0], NULL, isatty(STDIN_FILENO), err);
}

const struct command cmd_connect = {
	.name = "connect",
	.synopsis = "CLIENT",
	.summary = "a shell on a client",
	.details =
		"Ctrl-D or 'exit' leaves it; the exit code is the shell's. Without a terminal the\n"
		"shell reads commands from standard input.",
	.min_args = 1,
	.max_args = 1,
	.own_code = true,
	.needs = NEEDS_ENGINE,
	.who = WHO_OWNER,
	.complete = COMPLETE_CLIENT,
	.run = connect_run,
};

enum {
	OPT_TTY
};

static const struct option exec_options[] = {
	[OPT_TTY] = { 't', "tty", NULL, "give the command a terminal", COMPLETE_NOTHING },
	{ 0 },
};

static int exec_run_verb(struct cmd *cmd, const struct args *args, struct err *err)
{
	bool tty = args->opt[OPT_TTY] != NULL;

	if (tty && !isatty(STDIN_FILENO))
		return err_set(err, ERR_USAGE, 0, "--tty: standard input is no terminal");
	return in_client(cmd, args->v[0], args->v + 1, tty, err);
}

const struct command cmd_exec = {
	.name = "exec",
	.synopsis = "CLIENT -- COMMAND [ARGUMENT]...",
	.summary = "run one command on a client; its exit code is passed on",
	.details = "Standard input is piped to it; standard output and error stay apart.\n"
		   "125: labctl itself failed; 126, 127: the command cannot be run, is not there.",
	.options = exec_options,
	.min_args = 2,
	.max_args = -1,
	.stop_at_first = true,
	.own_code = true,
	.needs = NEEDS_ENGINE,
	.who = WHO_OWNER,
	.complete = COMPLETE_CLIENT,
	.run = exec_run_verb,
};
