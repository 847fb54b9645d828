/* SPDX-License-Identifier: MIT */
/* grade_one.c - the hidden verb grade-one: labctl grade runs one of it for each submission. */
#include "cmd/command.h"

#include "grade/request.h"

#include "base/banned.h"

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	auto_free char *text = NULL;
	struct grading g;

	(void)args;
	if (request_read(&g, &text, err) < 0)
		return -1;
	return grading_run(cmd->ctx, &g, err);
}

const struct command cmd_grade_one = {
	.name = "grade-one",
	.synopsis = "<REQUEST",
	.summary = "grade one submission in a lab of its own, as standard input says",
	.hidden = true,
	.needs = NEEDS_ROOT,
	.run = run,
};
