/* SPDX-License-Identifier: MIT */
/* stage_validate.c - the verb stage-validate. */
#include "cmd/command.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "cmd/problems.h"
#include "stage/load.h"

#include "base/banned.h"

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	auto_stage_problems problems = { 0 };
	auto_free char *dir = NULL;
	auto_stage s = NULL;
	int r;

	if (stage_find(cmd->ctx->stages_dir, args->v[0], &dir, err) < 0)
		return -1;
	r = stage_load(dir, &s, &problems, err);
	if (r == 0)
		r = problems_of_checks(s, &problems, err);
	if (cmd->json) {
		print_json(json_pack("{s:s, s:b, s:o}", "directory", dir, "valid", r == 0,
				     "problems", problems_json(&problems)));
		return r == 0 ? 0 : err_exit_code(err->kind);
	}
	if (r < 0) {
		problems_explain(&problems, err);
		return -1;
	}
	if (s->kind == STAGE_SCRIPTS)
		out_printf(stdout, "'%s' is a stage of scripts: up.sh and down.sh are executable\n",
			   s->name);
	else
		out_printf(stdout, "'%s' is valid: %zu networks, %zu clients, %zu checks\n",
			   s->name, s->n_networks, s->n_clients, s->n_checks);
	return 0;
}

const struct command cmd_stage_validate = {
	.name = "stage-validate",
	.synopsis = "STAGE",
	.summary = "read a stage file and report all its problems",
	.details = "STAGE is a name, or the path of a stage's directory. Exit code 4: it has "
		   "problems.",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_STAGE,
	.run = run,
};
