/* SPDX-License-Identifier: MIT */
/* stage_start.c - the verb stage-start. */
#include "cmd/command.h"

#include <stdlib.h>

#include "base/caller.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/problems.h"
#include "lab/plan.h"
#include "lab/publish.h"
#include "lab/session.h"
#include "lab/starter.h"

#include "base/banned.h"

enum {
	OPT_DRY_RUN,
	OPT_ISOLATED,
	OPT_SRC
};

static const struct option options[] = {
	[OPT_DRY_RUN] = { 'n', "dry-run", NULL, "print the plan, do nothing", COMPLETE_NOTHING },
	[OPT_ISOLATED] = { 0, "isolated", NULL, "a private namespace instead of the host's own",
			   COMPLETE_NOTHING },
	[OPT_SRC] = { 0, "src", "DIR", "the directory to mount at /~/src in the clients",
		      COMPLETE_DIR },
	{ 0 },
};

static void print_plan(const struct cmd *cmd, const struct lab *l)
{
	auto_plan plan = { 0 };
	json_t *all = json_array();

	plan_make(l, &plan);
	for (size_t i = 0; i < plan.n; i++) {
		auto_str text = { 0 };

		step_describe(l, &plan.steps[i], &text);
		if (!cmd->json)
			out_printf(stdout, "%3zu  %-9s  %s\n", i + 1, step_name(plan.steps[i].kind),
				   str_get(&text));
		json_array_append_new(all,
				      json_pack("{s:s, s:s}", "step", step_name(plan.steps[i].kind),
						"text", str_get(&text)));
	}
	if (cmd->json)
		print_json(json_pack("{s:s, s:s, s:o}", "lab", l->name, "stage", l->stage->name,
				     "plan", all));
	else
		json_decref(all);
}

/* Whoever has no host seat did not ask for a private one: say so. */
static void print_seat(const struct cmd *cmd, const struct lab *l)
{
	struct err why = { 0 };

	if (l->isolated && !l->isolated_by_choice &&
	    caller_check_host_seat(&cmd->ctx->caller, &why) < 0)
		out_printf(stdout,
			   "the seat is private, and '%s run' and '%s shell' enter it: %s\n",
			   cmd->ctx->labctl, cmd->ctx->labctl, why.msg);
}

static void print_started(const struct cmd *cmd, const struct lab *l)
{
	const struct stage *s = l->stage;
	const char *sep = "";

	if (cmd->json) {
		print_json(lab_describe(l));
		return;
	}
	out_printf(stdout, "stage '%s' is running in lab '%s'", s->name, l->name);
	if (s->kind == STAGE_JSON) {
		out_printf(stdout, ": %zu clients; ", s->n_clients);
		for (size_t i = 0; i < s->n_networks; i++) {
			char addr[IPADDR_TEXT];

			if (!l->networks[i].ifname[0])
				continue;
			out_printf(stdout, "%s%s %s/%u", sep, l->networks[i].ifname,
				   ipaddr_format(&s->networks[i].router, addr),
				   s->networks[i].subnet.prefix);
			sep = ", ";
		}
		if (l->isolated)
			out_printf(stdout, " (isolated: '%s shell' enters)", cmd->ctx->labctl);
	}
	out_text(stdout, "\n");
	print_seat(cmd, l);
}

/* A lab without a starter is a lab all the same. */
static void place_starters(const struct cmd *cmd, const struct lab *l)
{
	auto_strv names = { 0 };
	struct err err = { 0 };

	if (starter_place(cmd->ctx, l, &names, &err) < 0)
		log_warn("%s", err.msg);
	for (size_t i = 0; i < names.n && !cmd->json; i++)
		out_printf(stdout, "%s/%s is there to begin with\n", l->src_dir, names.v[i]);
}

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	auto_stage_problems problems = { 0 };
	auto_lab l = NULL;

	if (args->opt[OPT_SRC]) {
		free(cmd->ctx->src_dir);
		cmd->ctx->src_dir = xstrdup(args->opt[OPT_SRC]);
	}
	if (session_prepare(cmd->ctx, args->v[0], args->opt[OPT_ISOLATED] != NULL, &problems, &l,
			    err) < 0) {
		problems_explain(&problems, err);
		return -1;
	}
	if (args->opt[OPT_DRY_RUN]) {
		print_plan(cmd, l);
		return 0;
	}
	if (session_start(cmd->ctx, l, err) < 0)
		return -1;
	lab_ctx_progress_end(cmd->ctx);
	print_started(cmd, l);
	place_starters(cmd, l);
	return 0;
}

const struct command cmd_stage_start = {
	.name = "stage-start",
	.synopsis = "STAGE",
	.summary = "start a stage (stops the lab's running one first)",
	.details =
		"STAGE is a name from 'labctl stage-list', or the path of a stage's directory.\n"
		"An empty src gets starter.py and starter.c, which print every frame that arrives.",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.needs = NEEDS_ROOT,
	.who = WHO_OWNER,
	.waived_by = 1u << OPT_DRY_RUN,
	.complete = COMPLETE_STAGE,
	.run = run,
};
