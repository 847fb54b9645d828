/* SPDX-License-Identifier: MIT */
/* status.c - the verb status. */
#include "cmd/command.h"

#include <string.h>
#include <time.h>

#include "lab/status.h"

#include "base/banned.h"

static const char *text(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "-";
}

static void print_head(json_t *doc)
{
	time_t since = (time_t)json_integer_value(json_object_get(doc, "since"));
	json_t *src = json_object_get(doc, "src");
	char when[32];
	struct tm tm;

	localtime_r(&since, &tm);
	strftime(when, sizeof(when), "%F %H:%M", &tm);
	out_printf(stdout, "stage    %s (%s), %s since %s\n", text(doc, "stage"),
		   text(doc, "title"), text(doc, "state"), when);
	out_printf(stdout, "lab      %s, owner %s, seat %s (%s)\n", text(doc, "lab"),
		   text(doc, "owner"),
		   json_is_true(json_object_get(doc, "isolated")) ? text(doc, "seat") : "this host",
		   text(doc, "seat_why"));
	if (json_object_get(src, "why"))
		out_printf(stdout, "src      not mounted: %s\n", text(src, "why"));
	else if (strcmp(text(src, "mode"), "none") != 0)
		out_printf(stdout, "src      %s at /~/src in the clients (%s)\n",
			   text(src, "directory"), text(src, "mode"));
}

static void print_networks(json_t *doc)
{
	json_t *n;
	size_t i;

	out_printf(stdout, "\n%-10s %-18s %-10s %-15s %-17s %5s  %-8s %s\n", "NETWORK", "SUBNET",
		   "INTERFACE", "ADDRESS", "MAC", "MTU", "STATE", "GUARD");
	json_array_foreach (json_object_get(doc, "networks"), i, n)
		out_printf(stdout, "%-10s %-18s %-10s %-15s %-17s %5d  %-8s %s\n", text(n, "name"),
			   text(n, "subnet"), text(n, "interface"), text(n, "address"),
			   text(n, "mac"), (int)json_integer_value(json_object_get(n, "mtu")),
			   text(n, "state"), text(n, "guard"));
}

static void print_clients(json_t *doc)
{
	json_t *c, *f;
	size_t i, k;

	out_printf(stdout, "\n%-12s %-9s %-10s %-10s %-18s %s\n", "CLIENT", "STATE", "INTERFACE",
		   "NETWORK", "ADDRESS", "MAC");
	json_array_foreach (json_object_get(doc, "clients"), i, c) {
		json_array_foreach (json_object_get(c, "interfaces"), k, f)
			out_printf(stdout, "%-12s %-9s %-10s %-10s %-18s %s\n",
				   k ? "" : text(c, "name"), k ? "" : text(c, "state"),
				   text(f, "name"), text(f, "network"), text(f, "address"),
				   text(f, "mac"));
	}
}

static void print_ports(json_t *doc)
{
	json_t *p;
	size_t i;

	if (json_array_size(json_object_get(doc, "ports")))
		out_printf(stdout, "\n%-12s %-10s %-10s %s\n", "PORT OF", "NAME", "PORT",
			   "REACHED AT");
	json_array_foreach (json_object_get(doc, "ports"), i, p)
		out_printf(stdout, "%-12s %-10s %5d/%-4s 127.0.0.1:%d\n", text(p, "client"),
			   text(p, "name"), (int)json_integer_value(json_object_get(p, "port")),
			   text(p, "protocol"),
			   (int)json_integer_value(json_object_get(p, "host_port")));
}

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	json_auto_t *doc = NULL;
	json_t *drift;
	int code;

	(void)args;
	if (lab_status(cmd->ctx, &doc, err) < 0)
		return -1;
	drift = json_object_get(doc, "drift");
	code = json_array_size(drift) ? err_exit_code(ERR_FAILED) : 0;
	if (cmd->json) {
		print_json(json_incref(doc));
		return code;
	}
	print_head(doc);
	if (json_array_size(json_object_get(doc, "networks"))) {
		print_networks(doc);
		print_clients(doc);
		print_ports(doc);
	}
	if (strcmp(text(doc, "engine"), "ok") != 0)
		out_printf(stdout, "\nengine   %s\n", text(doc, "engine"));
	if (json_object_get(doc, "engine_remedy"))
		out_printf(stdout, "         look as root: %s\n", text(doc, "engine_remedy"));
	if (code)
		out_text(stdout, "\n");
	drift_print("not as it should be:", drift);
	return code;
}

const struct command cmd_status = {
	.name = "status",
	.synopsis = "",
	.summary = "show the lab: clients, networks, and what is not as it should be",
	.details = "Below each fault stands what mends it. Without root some facts are not known "
		   "and left out.\n"
		   "Exit code 0: all is as it should be; 1: something is not; 6: nothing runs.",
	.run = run,
};
