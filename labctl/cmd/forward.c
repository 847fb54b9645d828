/* SPDX-License-Identifier: MIT */
/* forward.c - the hidden verb forward: the process behind the clients' ports. */
#include "cmd/command.h"

#include "base/parse.h"
#include "lab/forward.h"

#include "base/banned.h"

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	uint32_t fd;

	if (parse_u32(args->v[0], 3, 65535, &fd, err) < 0)
		return -1;
	return forward_serve(cmd->ctx, (int)fd, err);
}

const struct command cmd_forward = {
	.name = "forward",
	.synopsis = "READY-FD",
	.summary = "carry the clients' ports (started by stage-start)",
	.min_args = 1,
	.max_args = 1,
	.hidden = true,
	.needs = NEEDS_ROOT,
	.who = WHO_OWNER,
	.run = run,
};
