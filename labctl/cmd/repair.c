/* SPDX-License-Identifier: MIT */
/* repair.c - the verbs repair and gc. */
#include "cmd/command.h"

#include <string.h>

#include "lab/leftovers.h"
#include "lab/session.h"

#include "base/banned.h"

/* Faults that mend by the same command, one after the other, have it once. */
void drift_print(const char *head, json_t *drift)
{
	json_t *d;
	size_t i;

	if (json_array_size(drift))
		out_printf(stdout, "%s\n", head);
	json_array_foreach (drift, i, d) {
		const char *remedy = json_string_value(json_object_get(d, "remedy"));
		const char *next =
			json_string_value(json_object_get(json_array_get(drift, i + 1), "remedy"));

		out_printf(stdout, "  * %s\n", json_string_value(json_object_get(d, "text")));
		if (remedy && (!next || strcmp(remedy, next) != 0))
			out_printf(stdout, "      %s%s\n",
				   str_starts(remedy, "labctl ") ? "mend it: " : "", remedy);
	}
}

/* "client 'a' is gone", "client 'b' is paused (...)": it is so no more. */
static void print_mended(json_t *mended)
{
	json_t *t;
	size_t i;

	if (json_array_size(mended))
		out_text(stdout, "mended:\n");
	json_array_foreach (mended, i, t) {
		const char *text = json_string_value(t);
		const char *detail = strstr(text, " (");
		const char *word = detail ? detail : text + strlen(text);
		int before;

		while (word > text && *--word != ' ')
			;
		before = (int)(word - text) - 3;
		if (before > 0 && strncmp(text + before, " is ", 4) == 0)
			out_printf(stdout, "  * %.*s was%s\n", before, text, word);
		else
			out_printf(stdout, "  * %s\n", text);
	}
}

/* "client 'a' was made anew" tells nothing beside "client 'a' was gone". */
static bool is_told(json_t *mended, const char *made)
{
	size_t len = strlen(made), end = strlen(" was made anew");
	json_t *t;
	size_t i;

	if (len < end || strcmp(made + len - end, " was made anew") != 0)
		return false;
	json_array_foreach (mended, i, t) {
		const char *text = json_string_value(t);

		if (strncmp(text, made, len - end) == 0 &&
		    strcmp(text + len - end, " is gone") == 0)
			return true;
	}
	return false;
}

static void print_made(json_t *made, json_t *mended)
{
	bool first = true;
	json_t *t;
	size_t i;

	json_array_foreach (made, i, t) {
		if (is_told(mended, json_string_value(t)))
			continue;
		if (first)
			out_text(stdout, "made anew:\n");
		out_printf(stdout, "  * %s\n", json_string_value(t));
		first = false;
	}
}

static int repair_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	json_auto_t *report = NULL;
	json_t *left;

	(void)args;
	if (session_repair(cmd->ctx, &report, err) < 0)
		return -1;
	lab_ctx_progress_end(cmd->ctx);
	left = json_object_get(report, "left");
	if (cmd->json) {
		print_json(json_incref(report));
	} else {
		print_mended(json_object_get(report, "mended"));
		print_made(json_object_get(report, "made"), json_object_get(report, "mended"));
		drift_print("still not as it should be:", left);
		if (!json_array_size(left))
			out_printf(stdout,
				   "lab '%s' is as its record says; each link carries frames both "
				   "ways\n",
				   cmd->ctx->lab);
	}
	return json_array_size(left) ? err_exit_code(ERR_FAILED) : 0;
}

const struct command cmd_repair = {
	.name = "repair",
	.synopsis = "",
	.summary = "bring the lab back to what it should be",
	.details =
		"Makes clients, links, addresses, guard and offloads anew where they are gone or\n"
		"wrong, leaves alone what is right, and proves each link by a frame both ways.\n"
		"Works after a reboot, too. Exit code 0: all is as it should be; 1: something "
		"could "
		"not be\nmended.",
	.needs = NEEDS_ROOT,
	.who = WHO_OWNER,
	.run = repair_run,
};

static int gc_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	auto_leftovers all = { 0 };
	auto_strv done = { 0 };
	int r;

	(void)args;
	if (leftovers_find(cmd->ctx, &all, err) < 0)
		return -1;
	r = leftovers_remove(cmd->ctx, &all, &done, err);
	if (cmd->json) {
		json_t *removed = json_array();

		for (size_t i = 0; i < done.n; i++)
			json_array_append_new(removed, json_string(done.v[i]));
		print_json(json_pack("{s:o}", "removed", removed));
		return r < 0 ? err_exit_code(err->kind) : 0;
	}
	for (size_t i = 0; i < done.n; i++)
		out_printf(stdout, "removed: %s\n", done.v[i]);
	if (!done.n && r == 0)
		out_text(stdout, "nothing to remove\n");
	return r < 0 ? -1 : 0;
}

const struct command cmd_gc = {
	.name = "gc",
	.synopsis = "",
	.summary = "remove what dead labs left behind",
	.details = "Only things that carry labctl's mark and belong to no lab; 'labctl doctor' "
		   "lists them.",
	.needs = NEEDS_ROOT,
	.run = gc_run,
};
