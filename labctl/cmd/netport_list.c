/* SPDX-License-Identifier: MIT */
/* netport_list.c - the verbs netport list, who and pool. */
#include "cmd/netport.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

#include "base/banned.h"

#define LIST_COLUMNS 6

static void print_rows(const struct strv *cells, size_t columns)
{
	int width[LIST_COLUMNS] = { 0 };

	for (size_t i = 0; i < cells->n; i++) {
		int len = (int)strlen(cells->v[i]);

		if (len > width[i % columns])
			width[i % columns] = len;
	}
	for (size_t i = 0; i < cells->n; i++) {
		if (i % columns == columns - 1)
			out_printf(stdout, "%s\n", cells->v[i]);
		else
			out_printf(stdout, "%-*s  ", width[i % columns], cells->v[i]);
	}
}

enum {
	LIST_OWNER,
	LIST_MATCH,
	LIST_MINE,
};

static const struct option list_options[] = {
	[LIST_OWNER] = { 'o', "owner", "NAME", "only leases of this owner", COMPLETE_NOTHING },
	[LIST_MATCH] = { 'm', "match", "REGEX",
			 "only values that begin with a match of this regular expression",
			 COMPLETE_NOTHING },
	[LIST_MINE] = { 0, "mine", NULL, "only leases that you took", COMPLETE_NOTHING },
	{ 0 },
};

/* "-", "17:30", "17:30, process 4711" */
static void add_end(struct strv *cells, const struct lease *l)
{
	auto_str text = { 0 };
	char buf[LEASE_TIME_TEXT];

	if (l->expires)
		str_add(&text, lease_time_text(l->expires, buf));
	if (l->bound)
		str_add(&text, l->expires ? ", " : "");
	if (l->bound == LEASE_BOUND_PROCESS)
		str_addf(&text, "process %d", (int)l->pid);
	if (l->bound == LEASE_BOUND_BOOT)
		str_add(&text, "reboot");
	strv_add(cells, text.len ? str_get(&text) : "-");
}

static void print_leases(const struct lease_list *l)
{
	static const char *const head[LIST_COLUMNS] = { "RESOURCE", "VALUE", "OWNER",
							"SINCE",    "ENDS",  "NOTE" };
	auto_strv cells = { 0 };
	char since[LEASE_TIME_TEXT];

	for (size_t i = 0; l->n && i < LIST_COLUMNS; i++)
		strv_add(&cells, head[i]);
	for (size_t i = 0; i < l->n; i++) {
		strv_add(&cells, l->v[i].resource);
		strv_add(&cells, l->v[i].value);
		strv_add(&cells, l->v[i].owner);
		strv_add(&cells, lease_time_text(l->v[i].created, since));
		add_end(&cells, &l->v[i]);
		strv_add(&cells, l->v[i].note);
	}
	print_rows(&cells, LIST_COLUMNS);
}

static int list_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	const struct lease_filter filter = {
		.resource = args->n ? args->v[0] : NULL,
		.owner = args->opt[LIST_OWNER],
		.value_re = args->opt[LIST_MATCH],
		.uid = args->opt[LIST_MINE] ? cmd->ctx->caller.uid : LEASE_ANY_UID,
	};
	auto_lease_list l = { 0 };
	enum resource r;
	auto_store s = NULL;

	if ((filter.resource && resource_parse(filter.resource, &r, err) < 0) ||
	    netport_open(cmd, STORE_READ, &s, err) < 0 || lease_list(s, &filter, &l, err) < 0)
		return -1;
	if (cmd->json)
		print_json(netport_leases_json(&l));
	else
		print_leases(&l);
	return 0;
}

const struct command cmd_netport_list = {
	.name = "netport list",
	.synopsis = "[RESOURCE]",
	.summary = "show what is leased, to whom, until when",
	.options = list_options,
	.max_args = 1,
	.complete = COMPLETE_RESOURCE,
	.run = list_run,
};

static int who_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	auto_lease_list l = { 0 };
	auto_store s = NULL;

	if (netport_open(cmd, STORE_READ, &s, err) < 0 ||
	    lease_who(s, args->n > 1 ? args->v[0] : NULL, args->v[args->n - 1], &l, err) < 0)
		return -1;
	if (cmd->json) {
		print_json(netport_leases_json(&l));
		return 0;
	}
	for (size_t i = 0; i < l.n; i++) {
		auto_free char *who = lease_holder_text(&l.v[i]);
		char since[LEASE_TIME_TEXT], until[LEASE_TIME_TEXT];

		out_printf(stdout, "%s '%s' is leased to %s since %s%s%s\n",
			   resource_noun(l.v[i].resource), l.v[i].value, who,
			   lease_time_text(l.v[i].created, since), l.v[i].expires ? " until " : "",
			   l.v[i].expires ? lease_time_text(l.v[i].expires, until) : "");
	}
	return 0;
}

const struct command cmd_netport_who = {
	.name = "netport who",
	.synopsis = "[RESOURCE] VALUE",
	.summary = "tell who holds a value (an address: also its subnet)",
	.min_args = 1,
	.max_args = 2,
	.run = who_run,
};

enum {
	POOL_RESET,
};

static const struct option pool_options[] = {
	[POOL_RESET] = { 0, "reset", NULL, "back to the built-in range", COMPLETE_NOTHING },
	{ 0 },
};

/* Held values that lie in the pool. */
static int count_leased(struct store *s, const struct pool *pool, size_t *ret, struct err *err)
{
	const struct lease_filter filter = { .resource = pool->resource, .uid = LEASE_ANY_UID };
	auto_lease_list l = { 0 };

	if (lease_list(s, &filter, &l, err) < 0)
		return -1;
	*ret = 0;
	for (size_t i = 0; i < l.n; i++) {
		auto_resource_value v = { 0 };

		if (resource_value_parse(pool->resource, l.v[i].value, &v, ERR_IGNORED) == 0)
			*ret += pool_contains(pool, &v);
	}
	return 0;
}

static int add_pool(struct store *s, const char *resource, json_t *all, struct err *err)
{
	auto_pool pool = { 0 };
	size_t leased;

	if (pool_get(s, resource, &pool, err) < 0 || count_leased(s, &pool, &leased, err) < 0)
		return -1;
	json_array_append_new(all, json_pack("{s:s, s:s, s:I, s:I}", "resource", resource, "range",
					     pool.text, "size", (json_int_t)pool_size(&pool),
					     "leased", (json_int_t)leased));
	return 0;
}

static void print_pools(const json_t *all)
{
	static const char *const head[] = { "RESOURCE", "RANGE", "SIZE", "LEASED" };
	auto_strv cells = { 0 };
	json_t *row;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(head); i++)
		strv_add(&cells, head[i]);
	json_array_foreach (all, i, row) {
		strv_add(&cells, json_string_value(json_object_get(row, "resource")));
		strv_add(&cells, json_string_value(json_object_get(row, "range")));
		strv_addf(&cells, "%lld",
			  (long long)json_integer_value(json_object_get(row, "size")));
		strv_addf(&cells, "%lld",
			  (long long)json_integer_value(json_object_get(row, "leased")));
	}
	print_rows(&cells, ARRAY_SIZE(head));
}

static int show_pools(struct cmd *cmd, const char *resource, struct err *err)
{
	json_auto_t *all = json_array();
	auto_store s = NULL;

	if (netport_open(cmd, STORE_READ, &s, err) < 0)
		return -1;
	for (int r = 0; !resource && r < RESOURCE_OTHER; r++) {
		const char *name = resource_name((enum resource)r);

		if (add_pool(s, name, all, err) < 0 && !err_is(err, ERR_NOT_FOUND))
			return -1;
	}
	if (resource && add_pool(s, resource, all, err) < 0)
		return -1;
	if (cmd->json)
		print_json(json_incref(all));
	else
		print_pools(all);
	return 0;
}

static int pool_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	bool reset = args->opt[POOL_RESET];
	auto_store s = NULL;

	if (args->n < 2 && !reset)
		return show_pools(cmd, args->n ? args->v[0] : NULL, err);
	if (args->n != (reset ? 1 : 2)) {
		err_set(err, ERR_USAGE, 0, "give a range, or --reset");
		return err_hint(err, "usage: labctl netport pool RESOURCE RANGE|--reset");
	}
	/* Everyone may look at the pools; they are the administrator's to change. */
	if (command_check_administrator(cmd->command, cmd->ctx, err) < 0)
		return err_wrap(err, "changing pools");
	if (netport_open(cmd, STORE_WRITE, &s, err) < 0)
		return -1;
	return pool_set(s, args->v[0], reset ? NULL : args->v[1], err);
}

const struct command cmd_netport_pool = {
	.name = "netport pool",
	.synopsis = "[RESOURCE [RANGE]]",
	.summary = "show the ranges that values come from, or set one",
	.details = "Ranges: PORT and VNI 20000-29999; SUBNET 10.192.0.0/12:24 (the /24 networks of "
		   "it);\n"
		   "MAC 02:6c:61 (addresses that begin so); others net{1-99}, or red,green,blue.",
	.options = pool_options,
	.max_args = 2,
	.complete = COMPLETE_RESOURCE,
	.run = pool_run,
};
