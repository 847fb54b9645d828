/* SPDX-License-Identifier: MIT */
/* stage_validate.c - the verb stage-validate. */
#include "cmd/command.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "cmd/problems.h"
#include "stage/load.h"

#include "base/banned.h"

/* All that is wrong, with the checks of a stage that could be read in part only, too. */
static int validate(const char *dir, struct stage **ret, struct stage_problems *problems,
		    struct err *err)
{
	if (stage_load(dir, ret, problems, err) == 0)
		return problems_of_checks(*ret, problems, err);
	return problems->partial ? problems_of_checks(problems->partial, problems, err) : -1;
}

static void print_valid(const struct stage *s)
{
	if (s->kind == STAGE_SCRIPTS)
		out_printf(stdout, "'%s' is a stage of scripts: up.sh and down.sh are executable\n",
			   s->name);
	else
		out_printf(stdout, "'%s' is valid: %zu networks, %zu clients, %zu checks\n",
			   s->name, s->n_networks, s->n_clients, s->n_checks);
}

/* What is wrong with a stage is this verb's result: it goes to stdout. */
static void print_problems(const struct stage_problems *problems, const struct err *err)
{
	problems_print(stdout, problems);
	out_printf(stdout, "%s\n", err->msg);
	if (!problems->n && err->hint[0])
		out_printf(stdout, "    hint: %s\n", err->hint);
}

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	auto_stage_problems problems = { 0 };
	auto_free char *dir = NULL;
	auto_stage s = NULL;
	int r;

	if (stage_find(cmd->ctx->stages_dir, args->v[0], &dir, err) < 0)
		return -1;
	r = validate(dir, &s, &problems, err);
	if (cmd->json)
		print_json(json_pack("{s:s, s:b, s:o}", "directory", dir, "valid", r == 0,
				     "problems", problems_json(&problems)));
	else if (r == 0)
		print_valid(s);
	else if (err_is(err, ERR_STAGE))
		print_problems(&problems, err);
	else
		return -1;
	return r == 0 ? 0 : err_exit_code(err->kind);
}

const struct command cmd_stage_validate = {
	.name = "stage-validate",
	.synopsis = "STAGE",
	.summary = "read a stage file and report all its problems",
	.details = "STAGE is a name, or the path of a stage's directory or of its stage.json. Exit "
		   "code 0:\n"
		   "it is valid; 4: it has problems, which are printed on stdout.",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_STAGE,
	.run = run,
};
