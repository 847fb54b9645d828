/* SPDX-License-Identifier: MIT */
/* grade_one.c - the hidden verb grade-one: labctl grade runs one of it for each submission. */
#include "cmd/command.h"

#include "base/parse.h"
#include "grade/grading.h"

#include "base/banned.h"

enum {
	OPT_RUN,
	OPT_SEED,
	OPT_TIMEOUT,
};

static const struct option options[] = {
	[OPT_RUN] = { 0, "run", "COMMAND", "what starts the program", COMPLETE_COMMAND },
	[OPT_SEED] = { 0, "seed", "N", "the addresses and values", COMPLETE_NOTHING },
	[OPT_TIMEOUT] = { 0, "timeout", "SECONDS", "of processor time", COMPLETE_NOTHING },
	{ 0 },
};

static int number(const char *text, uint32_t otherwise, uint32_t *ret, struct err *err)
{
	*ret = otherwise;
	return text ? parse_u32(text, 0, UINT32_MAX, ret, err) : 0;
}

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	struct grading g = { .stage = args->v[0],
			     .dir = args->v[1],
			     .out = args->v[2],
			     .command = args->opt[OPT_RUN] };
	uint32_t seed, timeout;

	if (number(args->opt[OPT_SEED], 1, &seed, err) < 0 ||
	    number(args->opt[OPT_TIMEOUT], 120, &timeout, err) < 0)
		return -1;
	g.seed = seed;
	g.timeout_s = timeout;
	return grading_run(cmd->ctx, &g, err);
}

const struct command cmd_grade_one = {
	.name = "grade-one",
	.synopsis = "STAGE SUBMISSION OUT",
	.summary = "grade one submission in a lab of its own",
	.options = options,
	.min_args = 3,
	.max_args = 3,
	.hidden = true,
	.needs = NEEDS_ROOT,
	.run = run,
};
