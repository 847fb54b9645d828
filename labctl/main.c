/* SPDX-License-Identifier: MIT */
/* main.c - globals, dispatch, progress, errors, exit codes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/rights.h"
#include "base/str.h"
#include "cmd/command.h"

#include "base/banned.h"

#define EXIT_OWN_FAILURE 125 /* of verbs that pass on another program's code */

void print_json(json_t *doc)
{
	out_json(stdout, doc);
	json_decref(doc);
}

/* One line on a terminal, rewritten; nothing elsewhere. */
static void show_progress(void *arg, unsigned done, unsigned total, const char *text)
{
	auto_free char *count = total ? xasprintf("[%u/%u] ", done, total) : xstrdup("");
	auto_free char *line = xasprintf("%s%.200s", count, text);
	bool *shown = arg;

	*shown = *text != '\0';
	out_progress(line);
}

static void clear_progress(bool shown)
{
	if (shown)
		out_progress("");
}

static int report(const struct err *err, bool json, int code)
{
	if (json) {
		print_json(json_pack("{s:{s:s, s:s, s:s*, s:i}}", "error", "kind",
				     err_kind_name(err->kind), "message", err->msg, "hint",
				     err->hint[0] ? err->hint : NULL, "exit_code", code));
		return code;
	}
	out_message(err->msg);
	if (err->hint[0])
		out_hint(err->hint);
	return code;
}

static int check_needs(const struct cmd *cmd, const struct args *args, int argc, char **argv,
		       struct err *err)
{
	auto_str line = { 0 };

	if (command_needs(cmd->command, args, cmd->ctx) != NEEDS_ROOT || geteuid() == 0)
		return 0;
	for (int i = 1; i < argc; i++)
		str_addf(&line, " %s", argv[i]);
	err_set(err, ERR_ENV, 0, "'labctl %s' needs root", cmd->command->name);
	return err_hint(err, "run: sudo %s%.300s", cmd->ctx->exe, str_get(&line));
}

static int run_command(struct cmd *cmd, const struct caller *caller, const struct args *global,
		       const struct args *args, int argc, char **argv)
{
	struct lab_ctx ctx = { 0 };
	struct err err = { 0 };
	bool shown = false;
	int code;

	cmd->ctx = &ctx;
	if (isatty(STDERR_FILENO) && log_get_level() == LOG_NORMAL) {
		ctx.progress = show_progress;
		ctx.progress_arg = &shown;
	}
	if (lab_ctx_init(&ctx, caller, global->opt[GLOBAL_LAB], &err) < 0 ||
	    check_needs(cmd, args, argc, argv, &err) < 0 ||
	    command_check_who(cmd->command, args, &ctx, &err) < 0)
		code = -1;
	else
		code = cmd->command->run(cmd, args, &err);
	clear_progress(shown);
	lab_ctx_done(&ctx);
	if (code >= 0)
		return code;
	code = err_exit_code(err.kind);
	if (cmd->command->own_code && !err_is(&err, ERR_INTERRUPTED))
		code = cmd->failure_code ? cmd->failure_code : EXIT_OWN_FAILURE;
	return report(&err, cmd->json && !cmd->command->own_code, code);
}

static int dispatch(const struct caller *caller, int argc, char **argv)
{
	struct args global = { 0 }, args = { 0 };
	struct cmd cmd = { 0 };
	struct err err = { 0 };
	int code;

	if (command_parse(argc - 1, argv + 1, &cmd.command, &global, &args, &err) < 0) {
		code = report(&err, global.opt[GLOBAL_JSON] != NULL, err_exit_code(err.kind));
		free(args.v);
		return code;
	}
	cmd.json = global.opt[GLOBAL_JSON] != NULL;
	if (global.opt[GLOBAL_VERBOSE])
		log_set_level(LOG_DEBUG);
	if (global.opt[GLOBAL_QUIET])
		log_set_level(LOG_QUIET);
	if (global.opt[GLOBAL_VERSION]) {
		cmd.command = &cmd_version;
		code = cmd_version.run(&cmd, &args, &err);
	} else if (global.opt[GLOBAL_HELP] && cmd.command) {
		help_command(stdout, cmd.command);
		code = 0;
	} else if (global.opt[GLOBAL_HELP]) {
		help_overview(stdout);
		code = 0;
	} else if (!cmd.command) {
		help_overview(stderr);
		code = err_exit_code(ERR_USAGE);
	} else {
		code = run_command(&cmd, caller, &global, &args, argc, argv);
	}
	free(args.v);
	return code;
}

/* A result that could not be written is no result. */
static int finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	out_message("cannot write to standard output");
	return code ? code : err_exit_code(ERR_ENV);
}

int main(int argc, char **argv)
{
	struct caller caller;
	struct err err = { 0 };

	if (file_rights_adopt(&caller, &err) < 0)
		return report(&err, false, err_exit_code(err.kind));
	mem_adopt_jansson();
	interrupt_install();
	return finish(dispatch(&caller, argc, argv));
}
