/* SPDX-License-Identifier: MIT */
/* stage_list.c - the verb stage-list. */
#include "cmd/command.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "lab/lab.h"
#include "stage/load.h"

#include "base/banned.h"

static json_t *stage_row(const char *root, const char *name, const char *running)
{
	auto_free char *dir = xasprintf("%s/%s", root, name);
	auto_stage s = NULL;
	struct err err = { 0 };

	if (stage_load(dir, &s, NULL, &err) < 0)
		return json_pack("{s:s, s:s, s:b}", "name", name, "error", err.msg, "running", 0);
	return json_pack("{s:s, s:s, s:i, s:i, s:b, s:s}", "name", name, "title", s->title,
			 "clients", (int)s->n_clients, "networks", (int)s->n_networks, "running",
			 running && strcmp(running, name) == 0, "kind",
			 s->kind == STAGE_SCRIPTS ? "scripts" : "json");
}

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	json_auto_t *all = json_array();
	auto_strv names = { 0 };
	auto_lab l = NULL;
	struct err e = { 0 };
	json_t *row;
	size_t i;

	(void)args;
	if (stage_list(cmd->ctx->stages_dir, &names, err) < 0)
		return -1;
	if (lab_load(cmd->ctx, cmd->ctx->lab, &l, &e) < 0 && !err_is(&e, ERR_NOT_FOUND))
		log_warn("%s (%s)", e.msg, e.hint);
	for (i = 0; i < names.n; i++)
		json_array_append_new(all, stage_row(cmd->ctx->stages_dir, names.v[i],
						     l ? l->stage->name : NULL));
	if (cmd->json) {
		print_json(json_incref(all));
		return 0;
	}
	json_array_foreach (all, i, row) {
		const char *title = json_string_value(json_object_get(row, "title"));

		out_printf(stdout, "%-16s  %s%s\n", json_string_value(json_object_get(row, "name")),
			   title ? title : "(broken: see 'labctl stage-validate')",
			   json_is_true(json_object_get(row, "running")) ? "  [running]" : "");
	}
	return 0;
}

const struct command cmd_stage_list = {
	.name = "stage-list",
	.synopsis = "",
	.summary = "list the stages",
	.run = run,
};
