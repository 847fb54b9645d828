/* SPDX-License-Identifier: MIT */
/* lab_list.c - the verb lab-list. */
#include "cmd/command.h"

#include <time.h>

#include "lab/lab.h"

#include "base/banned.h"

static json_t *row(const struct lab_ctx *ctx, const char *name)
{
	auto_lab l = NULL;
	struct err err = { 0 };

	if (lab_load(ctx, name, &l, &err) < 0)
		return json_pack("{s:s, s:s}", "lab", name, "error", err.msg);
	return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:I, s:i}", "lab", name, "stage",
			 l->stage->name, "owner", l->owner.name, "state",
			 lab_is_before_boot(l) ? "stopped" : lab_state_name(l->state), "seat",
			 l->isolated ? l->seat_ns : NULL, "since", (json_int_t)l->since, "clients",
			 (int)l->stage->n_clients);
}

static const char *text(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "-";
}

static void print_row(json_t *r)
{
	time_t since = (time_t)json_integer_value(json_object_get(r, "since"));
	char when[32];
	struct tm tm;

	localtime_r(&since, &tm);
	strftime(when, sizeof(when), "%F %H:%M", &tm);
	if (json_object_get(r, "error"))
		out_printf(stdout, "%-16s %s\n", text(r, "lab"), text(r, "error"));
	else
		out_printf(stdout, "%-16s %-12s %-12s %-9s %-16s %s\n", text(r, "lab"),
			   text(r, "stage"), text(r, "owner"), text(r, "state"), when,
			   json_is_string(json_object_get(r, "seat")) ? text(r, "seat")
								      : "this computer");
}

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	json_auto_t *all = json_array();
	auto_strv names = { 0 };
	json_t *r;
	size_t i;

	(void)args;
	if (lab_names(cmd->ctx, &names, err) < 0)
		return -1;
	for (i = 0; i < names.n; i++)
		json_array_append_new(all, row(cmd->ctx, names.v[i]));
	if (cmd->json) {
		print_json(json_incref(all));
		return 0;
	}
	if (!names.n) {
		out_text(stdout, "no labs\n");
		return 0;
	}
	out_printf(stdout, "%-16s %-12s %-12s %-9s %-16s %s\n", "LAB", "STAGE", "OWNER", "STATE",
		   "SINCE", "SEAT");
	json_array_foreach (all, i, r)
		print_row(r);
	return 0;
}

const struct command cmd_lab_list = {
	.name = "lab-list",
	.synopsis = "",
	.summary = "list all labs of all users",
	.run = run,
};
