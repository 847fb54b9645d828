/* SPDX-License-Identifier: MIT */
/* needs_root.c - the hidden verb needs-root: env.sh asks whether to put sudo in front. */
#include "cmd/command.h"

#include <stdlib.h>

#include "base/banned.h"

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	struct args global = { 0 }, own = { 0 };
	const struct command *c = NULL;

	(void)err;
	bool needs = command_parse(args->n, args->v, &c, &global, &own, ERR_IGNORED) == 0 && c &&
		     !global.opt[GLOBAL_HELP] && command_needs(c, &own, cmd->ctx) != NEEDS_NOTHING;
	free(own.v);
	return needs ? 0 : 1;
}

const struct command cmd_needs_root = {
	.name = "needs-root",
	.synopsis = "[ARGUMENT]...",
	.summary = "exit code 0: that command line needs root",
	.max_args = -1,
	.stop_at_first = true,
	.hidden = true,
	.run = run,
};
