/* SPDX-License-Identifier: MIT */
/* help.c - help from the tables; and the verbs help and version. */
#include "cmd/command.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "version.h"

#include "base/banned.h"

static void print_options(FILE *out, const struct option *o)
{
	for (; o && o->name; o++) {
		char left[64];
		int n = snprintf(left, sizeof(left), "%s%c%s--%s%s%s", o->letter ? "-" : " ",
				 o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
				 o->arg ? " " : "", o->arg ? o->arg : "");

		out_printf(out, "  %-*s  %s\n", n > 24 ? n : 24, left, o->help);
	}
}

void help_overview(FILE *out)
{
	out_text(out,
		 "labctl - a training lab for computer networks: clients in containers, wired to "
		 "your\n"
		 "computer's net1, net2, ...; you write the router between them.\n\n"
		 "usage: labctl [OPTION]... VERB [ARGUMENT]...\n\nverbs:\n");
	for (size_t i = 0; i < command_count; i++) {
		const struct command *c = command_table[i];

		if (!c->hidden)
			out_printf(out, "  %-16s  %s\n", c->name, c->summary);
	}
	out_text(out, "\noptions for every verb:\n");
	print_options(out, global_options);
	out_text(out,
		 "\n'labctl help VERB' tells more. First steps: labctl stage-start stage1; labctl "
		 "status;\n"
		 "labctl connect client1; labctl run -- python3 src/starter.py\n\n"
		 "exit codes: 0 ok, 1 the work said no, 2 usage, 3 environment (engine, "
		 "privileges,\n"
		 "kernel), 4 bad stage file, 5 conflict or busy, 6 not found, 70 internal, 130 "
		 "interrupted\n");
}

void help_usage(FILE *out, const struct command *c)
{
	out_printf(out, "usage: labctl %s%s%s%s\n", c->name, c->options ? " [OPTION]..." : "",
		   *c->synopsis ? " " : "", c->synopsis);
}

static const char *const who_text[] = {
	[WHO_EVERYONE] = "everyone",
	[WHO_OWNER] = "the lab's owner, and root",
	[WHO_ADMINISTRATOR] = "root, and whom /etc/labctl/host-seat lists",
};
_Static_assert(ARRAY_SIZE(who_text) == WHO_MAX, "a text is missing");

void help_command(FILE *out, const struct command *c)
{
	help_usage(out, c);
	out_printf(out, "\n%s\n", c->summary);
	if (c->details) {
		out_text(out, "\n");
		out_text(out, c->details);
		out_text(out, "\n");
	}
	if (c->verbs) {
		out_text(out, "\nverbs:\n");
		for (size_t i = 0; c->verbs[i]; i++)
			out_printf(out, "  %-16s  %s\n", command_word(c->verbs[i]),
				   c->verbs[i]->summary);
	}
	if (c->who != WHO_EVERYONE)
		out_printf(out, "\nmay be called through sudo by: %s\n", who_text[c->who]);
	if (c->options) {
		out_text(out, "\noptions:\n");
		print_options(out, c->options);
	}
	out_text(out, "\noptions for every verb:\n");
	print_options(out, global_options);
}

static json_t *options_json(const struct option *o)
{
	json_t *all = json_array();

	for (; o && o->name; o++)
		json_array_append_new(all, json_pack("{s:s, s:s*, s:s}", "name", o->name,
						     "argument", o->arg, "help", o->help));
	return all;
}

static json_t *command_json(const struct command *c)
{
	json_t *doc = json_pack("{s:s, s:s, s:s, s:b, s:s, s:b, s:o}", "name", c->name, "synopsis",
				c->synopsis, "summary", c->summary, "needs_root",
				c->needs == NEEDS_ROOT || c->needs == NEEDS_BOOK, "who",
				command_who_name(c->who), "hidden", c->hidden, "options",
				options_json(c->options));
	json_t *verbs = c->verbs ? json_array() : NULL;

	for (size_t i = 0; verbs && c->verbs[i]; i++)
		json_array_append_new(verbs, command_json(c->verbs[i]));
	if (verbs)
		json_object_set_new(doc, "verbs", verbs);
	return doc;
}

static int help_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	const struct command *c = NULL;

	if (args->n && command_find(args->v[0], &c, err) < 0)
		return -1;
	if (args->n > 1 && !c->verbs)
		return err_set(err, ERR_USAGE, 0, "'labctl %s' has no verbs of its own", c->name);
	if (args->n > 1 && command_find_verb(c, args->v[1], &c, err) < 0)
		return -1;
	if (cmd->json && args->n > 1) {
		print_json(command_json(c));
	} else if (cmd->json) {
		json_t *all = json_array();

		for (size_t i = 0; i < command_count; i++) {
			if (!c || c == command_table[i])
				json_array_append_new(all, command_json(command_table[i]));
		}
		print_json(json_pack("{s:o, s:o}", "verbs", all, "options",
				     options_json(global_options)));
	} else if (c) {
		help_command(stdout, c);
	} else {
		help_overview(stdout);
	}
	return 0;
}

const struct command cmd_help = {
	.name = "help",
	.synopsis = "[VERB [VERB]]",
	.summary = "show help, of all or of one verb",
	.max_args = 2,
	.complete = COMPLETE_VERB,
	.run = help_run,
};

static int version_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	(void)args;
	(void)err;
	if (cmd->json)
		print_json(json_pack("{s:s}", "version", LABCTL_VERSION));
	else
		out_text(stdout, "labctl " LABCTL_VERSION "\n");
	return 0;
}

const struct command cmd_version = {
	.name = "version",
	.synopsis = "",
	.summary = "show the version",
	.run = version_run,
};
