/* SPDX-License-Identifier: MIT */
/* stage_stop.c - the verb stage-stop. */
#include "cmd/command.h"

#include "base/cleanup.h"
#include "lab/session.h"

#include "base/banned.h"

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	auto_free char *stage = NULL;

	(void)args;
	if (session_stop(cmd->ctx, &stage, err) < 0)
		return -1;
	lab_ctx_progress_end(cmd->ctx);
	if (cmd->json)
		print_json(json_pack("{s:s, s:s}", "lab", cmd->ctx->lab, "stopped", stage));
	else
		out_printf(stdout, "stage '%s' is stopped\n", stage);
	return 0;
}

const struct command cmd_stage_stop = {
	.name = "stage-stop",
	.synopsis = "",
	.summary = "stop the running stage",
	.details =
		"Also cleans up after a labctl that died half-way. Works by the lab's record: the\n"
		"stage's files are not needed.",
	.needs = NEEDS_ROOT,
	.who = WHO_OWNER,
	.run = run,
};
