/* SPDX-License-Identifier: MIT */
/* table.c - the verbs, in the order in which --help shows them. */
#include "cmd/command.h"

#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"

#include "base/banned.h"

const struct command *const command_table[] = {
	&cmd_stage_list,     &cmd_stage_start, &cmd_stage_stop, &cmd_status,
	&cmd_connect,	     &cmd_exec,	       &cmd_run,	&cmd_check,
	&cmd_shell,	     &cmd_lab_list,    &cmd_repair,	&cmd_gc,
	&cmd_doctor,	     &cmd_image_build, &cmd_netport,	&cmd_stage_new,
	&cmd_stage_validate, &cmd_grade,       &cmd_completion, &cmd_version,
	&cmd_help,	     &cmd_complete,    &cmd_needs_root, &cmd_forward,
	&cmd_grade_one,
};
const size_t command_count = ARRAY_SIZE(command_table);

const struct option global_options[] = {
	[GLOBAL_LAB] = { 0, "lab", "NAME", "the lab (default: called after the user)",
			 COMPLETE_LAB },
	[GLOBAL_JSON] = { 0, "json", NULL, "print the result as JSON", COMPLETE_NOTHING },
	[GLOBAL_VERBOSE] = { 'v', "verbose", NULL, "tell every step", COMPLETE_NOTHING },
	[GLOBAL_QUIET] = { 'q', "quiet", NULL, "no progress, no warnings", COMPLETE_NOTHING },
	[GLOBAL_HELP] = { 'h', "help", NULL, "show help", COMPLETE_NOTHING },
	[GLOBAL_VERSION] = { 0, "version", NULL, "show the version", COMPLETE_NOTHING },
	{ 0 },
};

/* The words of a name: "stage" and "start". */
static void split(const char *name, struct strv *ret)
{
	for (size_t n; *name; name += n + (name[n] == '-')) {
		auto_free char *word = NULL;

		n = strcspn(name, "-");
		word = xstrndup(name, n);
		strv_add(ret, word);
	}
}

/* The verb whose name is near, else all that have such a word: "start" is in "stage-start". */
static void suggest(const char *word, const struct command *const *table, size_t n, struct err *err)
{
	auto_strv names = { 0 }, words = { 0 };
	auto_str found = { 0 };
	const char *name, *part;

	for (size_t i = 0; i < n; i++) {
		if (table[i]->hidden)
			continue;
		strv_add(&names, command_word(table[i]));
		split(command_word(table[i]), &words);
	}
	part = nearest_name(word, words.v, words.n);
	name = part && strcmp(part, word) == 0 ? NULL : nearest_name(word, names.v, names.n);
	for (size_t i = 0; i < n; i++) {
		auto_strv own = { 0 };

		split(command_word(table[i]), &own);
		if (!table[i]->hidden && (name ? strcmp(name, command_word(table[i])) == 0
					       : part && strv_has(&own, part)))
			str_addf(&found, "%s'labctl %s'", found.len ? " or " : "", table[i]->name);
	}
	if (found.len)
		err_hint(err, "did you mean %s?", str_get(&found));
}

const char *command_word(const struct command *c)
{
	const char *space = strrchr(c->name, ' ');

	return space ? space + 1 : c->name;
}

int command_find_verb(const struct command *group, const char *word, const struct command **ret,
		      struct err *err)
{
	size_t n = 0;

	for (; group->verbs[n]; n++) {
		if (strcmp(command_word(group->verbs[n]), word) == 0) {
			*ret = group->verbs[n];
			return 0;
		}
	}
	err_set(err, ERR_USAGE, 0, "'labctl %s' has no verb '%.64s'", group->name, word);
	err_hint(err, "'labctl help %s' lists them", group->name);
	suggest(word, group->verbs, n, err);
	return -1;
}

int command_find(const char *name, const struct command **ret, struct err *err)
{
	for (size_t i = 0; i < command_count; i++) {
		if (strcmp(command_table[i]->name, name) == 0) {
			*ret = command_table[i];
			return 0;
		}
	}
	err_set(err, ERR_USAGE, 0, "there is no verb '%.64s'", name);
	err_hint(err, "'labctl help' lists the verbs");
	suggest(name, command_table, command_count, err);
	return -1;
}
