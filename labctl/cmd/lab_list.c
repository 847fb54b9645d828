/* SPDX-License-Identifier: MIT */
/* lab_list.c - the verb lab-list. */
#include "cmd/command.h"

#include <string.h>
#include <time.h>

#include "base/log.h"
#include "lab/containers.h"

#include "base/banned.h"

#define ROW	    "%-16s %-12s %-12s %-9s %-9s %-16s %s\n"
#define PATIENCE_MS 2000

/* Clients of the lab whose containers run. */
static int count_running(const struct lab *l, const struct container_list *all)
{
	int n = 0;

	for (size_t i = 0; i < l->stage->n_clients; i++) {
		auto_free char *name = lab_container_name(l, l->stage->clients[i].name);

		for (size_t k = 0; k < all->n; k++)
			n += strcmp(all->v[k].name, name) == 0 &&
			     strcmp(all->v[k].state, "running") == 0;
	}
	return n;
}

/* all NULL: the engine did not tell. */
static json_t *row(const struct lab_ctx *ctx, const char *name, const struct container_list *all)
{
	auto_lab l = NULL;
	struct err err = { 0 };
	json_t *r;

	if (lab_load(ctx, name, &l, &err) < 0)
		return json_pack("{s:s, s:s}", "lab", name, "error", err.msg);
	r = json_pack("{s:s, s:s, s:s, s:s, s:s?, s:I, s:i}", "lab", name, "stage", l->stage->name,
		      "owner", l->owner.name, "state",
		      lab_is_before_boot(l) ? "stopped" : lab_state_name(l->state), "seat",
		      l->isolated ? l->seat_ns : NULL, "since", (json_int_t)l->since, "clients",
		      (int)l->stage->n_clients);
	if (all)
		json_object_set_new(r, "clients_running", json_integer(count_running(l, all)));
	return r;
}

static const char *text(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "-";
}

static const char *clients_text(json_t *r, char buf[static 32])
{
	int n = (int)json_integer_value(json_object_get(r, "clients"));
	json_t *running = json_object_get(r, "clients_running");
	int up = (int)json_integer_value(running);

	snprintf(buf, 32, "%d", n);
	if (running && up < n)
		snprintf(buf, 32, "%d of %d", up, n);
	return buf;
}

static void print_row(json_t *r)
{
	time_t since = (time_t)json_integer_value(json_object_get(r, "since"));
	char when[32], clients[32];
	struct tm tm;

	localtime_r(&since, &tm);
	strftime(when, sizeof(when), "%F %H:%M", &tm);
	if (json_object_get(r, "error"))
		out_printf(stdout, "%-16s %s\n", text(r, "lab"), text(r, "error"));
	else
		out_printf(stdout, ROW, text(r, "lab"), text(r, "stage"), text(r, "owner"),
			   text(r, "state"), clients_text(r, clients), when,
			   json_is_string(json_object_get(r, "seat")) ? text(r, "seat")
								      : "this host");
}

/* Everyone may see the list, and not everyone may ask the engine. */
static bool ask_engine(struct lab_ctx *ctx, struct container_list *ret)
{
	struct err err = { 0 };
	struct engine *e;

	if (lab_ctx_engine(ctx, &e, &err) == 0) {
		engine_set_patience(e, PATIENCE_MS);
		if (lab_containers(ctx, NULL, ret, &err) == 0)
			return true;
	}
	log_debug("%s", err.msg);
	return false;
}

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	auto_container_list containers = { 0 };
	json_auto_t *all = json_array();
	auto_strv names = { 0 };
	bool known;
	json_t *r;
	size_t i;

	(void)args;
	if (lab_names(cmd->ctx, &names, err) < 0)
		return -1;
	known = names.n && ask_engine(cmd->ctx, &containers);
	for (i = 0; i < names.n; i++)
		json_array_append_new(all, row(cmd->ctx, names.v[i], known ? &containers : NULL));
	if (cmd->json) {
		print_json(json_incref(all));
		return 0;
	}
	if (!names.n) {
		out_text(stdout, "no labs\n");
		return 0;
	}
	out_printf(stdout, ROW, "LAB", "STAGE", "OWNER", "STATE", "CLIENTS", "SINCE", "SEAT");
	json_array_foreach (all, i, r)
		print_row(r);
	return 0;
}

const struct command cmd_lab_list = {
	.name = "lab-list",
	.synopsis = "",
	.summary = "list all labs of all users",
	.details =
		"CLIENTS is '1 of 2' when one of two does not run: 'labctl --lab LAB status' tells "
		"more.",
	.run = run,
};
