/* SPDX-License-Identifier: MIT */
/* options.c - command lines against option tables. */
#include "cmd/command.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/caller.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"
#include "lab/lab.h"
#include "netport/store.h"

#include "base/banned.h"

struct parser {
	char **argv;
	int argc;
	int at;
	const struct command *command; /* NULL before the verb */
	struct args *global;
	struct args *args;
};

static bool is_end(const struct option *o)
{
	return !o->name;
}

/* Index in a table, or -1. `len` limits a long name ("--lab=x"). */
static int find_long(const struct option *table, const char *name, size_t len)
{
	for (int i = 0; table && !is_end(&table[i]); i++) {
		if (strlen(table[i].name) == len && memcmp(table[i].name, name, len) == 0)
			return i;
	}
	return -1;
}

static int find_letter(const struct option *table, char letter)
{
	for (int i = 0; table && !is_end(&table[i]); i++) {
		if (table[i].letter == letter)
			return i;
	}
	return -1;
}

static int unknown_option(const struct parser *p, const char *text, struct err *err)
{
	const struct option *tables[] = { p->command ? p->command->options : NULL, global_options };
	auto_strv names = { 0 };
	auto_free char *word = xstrdup(text);
	const char *near;

	word[strcspn(word, "=")] = '\0';
	for (size_t t = 0; t < 2; t++) {
		for (int i = 0; tables[t] && !is_end(&tables[t][i]); i++)
			strv_addf(&names, "--%s", tables[t][i].name);
	}
	near = nearest_name(word, names.v, names.n);
	err_set(err, ERR_USAGE, 0, "there is no option '%.64s'%s%s", word,
		p->command ? " for " : "", p->command ? p->command->name : "");
	if (near)
		err_hint(err, "did you mean '%s'?", near);
	else
		err_hint(err, "see 'labctl %s%s--help'", p->command ? p->command->name : "",
			 p->command ? " " : "");
	return -1;
}

/* Stores one option; value is what stood after '=', or NULL. */
static int store(struct parser *p, const struct option *o, struct args *into, int index,
		 const char *value, struct err *err)
{
	if (!o->arg && value)
		return err_set(err, ERR_USAGE, 0, "option '--%s' takes no value", o->name);
	if (o->arg && !value) {
		if (p->at >= p->argc)
			return err_set(err, ERR_USAGE, 0, "option '--%s' needs a value: %s",
				       o->name, o->arg);
		value = p->argv[p->at++];
	}
	into->opt[index] = value ? value : "";
	if (into == p->args && p->command && p->command->many >> index & 1)
		into->many[into->n_many++] = (char *)(uintptr_t)value;
	return 0;
}

static int take_long(struct parser *p, const char *text, struct err *err)
{
	const char *name = text + 2, *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	const struct option *own = p->command ? p->command->options : NULL;
	int i = find_long(own, name, len);

	if (i >= 0)
		return store(p, &own[i], p->args, i, eq ? eq + 1 : NULL, err);
	i = find_long(global_options, name, len);
	if (i >= 0)
		return store(p, &global_options[i], p->global, i, eq ? eq + 1 : NULL, err);
	return unknown_option(p, text, err);
}

static int take_letters(struct parser *p, const char *text, struct err *err)
{
	for (const char *c = text + 1; *c; c++) {
		const struct option *table = p->command ? p->command->options : NULL;
		struct args *into = p->args;
		int i = find_letter(table, *c);

		if (i < 0) {
			table = global_options;
			into = p->global;
			i = find_letter(table, *c);
		}
		if (i < 0)
			return unknown_option(p, text, err);
		/* "-xVALUE": the rest of the word is the value. */
		if (table[i].arg && c[1])
			return store(p, &table[i], into, i, c + 1, err);
		if (store(p, &table[i], into, i, NULL, err) < 0)
			return -1;
	}
	return 0;
}

static int parse_words(struct parser *p, struct err *err)
{
	while (p->at < p->argc) {
		char *word = p->argv[p->at];

		if (strcmp(word, "--") == 0) {
			p->at++;
			while (p->command && p->at < p->argc)
				p->args->v[p->args->n++] = p->argv[p->at++];
			return 0;
		}
		if (word[0] != '-' || !word[1]) {
			if (!p->command || p->command->verbs)
				return 0; /* the verb */
			p->args->v[p->args->n++] = word;
			p->at++;
			if (!p->command->stop_at_first)
				continue;
			if (p->at < p->argc && strcmp(p->argv[p->at], "--") == 0)
				p->at++;
			while (p->at < p->argc)
				p->args->v[p->args->n++] = p->argv[p->at++];
			return 0;
		}
		p->at++;
		if ((word[1] == '-' ? take_long(p, word, err) : take_letters(p, word, err)) < 0)
			return -1;
	}
	return 0;
}

static int check_arity(const struct command *c, const struct args *a, struct err *err)
{
	if (c->verbs) {
		err_set(err, ERR_USAGE, 0, "'labctl %s' needs a verb", c->name);
		return err_hint(err, "see 'labctl help %s'", c->name);
	}
	if (a->n >= c->min_args && (c->max_args < 0 || a->n <= c->max_args))
		return 0;
	if (a->n < c->min_args)
		err_set(err, ERR_USAGE, 0, "'labctl %s' needs %s", c->name, c->synopsis);
	else
		err_set(err, ERR_USAGE, 0, "'labctl %s' does not take '%.64s'", c->name,
			a->v[c->max_args]);
	return err_hint(err, "usage: labctl %s %s", c->name, c->synopsis);
}

/* Before any of them is stored: args.opt has a place for each option of a table. */
static int check_table(const struct command *c, struct err *err)
{
	int n = 0;

	while (c->options && !is_end(&c->options[n]))
		n++;
	if (n <= OPTIONS_MAX)
		return 0;
	return err_set(err, ERR_INTERNAL, 0, "'labctl %s' has %d options, there is room for %d",
		       c->name, n, OPTIONS_MAX);
}

int command_parse(int argc, char **argv, const struct command **ret_command,
		  struct args *ret_global, struct args *ret_args, struct err *err)
{
	struct parser p = { .argv = argv, .argc = argc, .global = ret_global, .args = ret_args };

	/* Room for every word, twice; lives as long as the process, like argv. */
	ret_args->v = xcalloc((size_t)argc * 2 + 2, sizeof(*ret_args->v));
	ret_args->many = ret_args->v + argc + 1;
	if (parse_words(&p, err) < 0)
		return -1;
	if (p.at >= argc) {
		*ret_command = NULL;
		return 0;
	}
	if (command_find(argv[p.at++], &p.command, err) < 0)
		return -1;
	*ret_command = p.command; /* also on failure: its usage is shown */
	if (check_table(p.command, err) < 0 || parse_words(&p, err) < 0)
		return -1;
	if (p.command->verbs && p.at < argc) {
		if (command_find_verb(p.command, argv[p.at++], &p.command, err) < 0)
			return -1;
		*ret_command = p.command;
		if (check_table(p.command, err) < 0 || parse_words(&p, err) < 0)
			return -1;
	}
	return ret_global->opt[GLOBAL_HELP] ? 0 : check_arity(p.command, ret_args, err);
}

static bool is_waived(const struct command *c, const struct args *args)
{
	for (unsigned i = 0; i < OPTIONS_MAX; i++) {
		if (args->opt[i] && c->waived_by >> i & 1)
			return true;
	}
	return false;
}

const char *command_who_name(enum command_who who)
{
	static const char *const names[] = {
		[WHO_EVERYONE] = "everyone",
		[WHO_OWNER] = "owner",
		[WHO_ADMINISTRATOR] = "administrator",
	};
	_Static_assert(ARRAY_SIZE(names) == WHO_MAX, "a name is missing");

	return names[who];
}

int command_check_who(const struct command *c, const struct args *args, const struct lab_ctx *ctx,
		      struct err *err)
{
	if (is_waived(c, args))
		return 0;
	if (c->who == WHO_OWNER)
		return lab_check_caller(ctx, err);
	return c->who == WHO_ADMINISTRATOR ? command_check_administrator(c, ctx, err) : 0;
}

int command_check_administrator(const struct command *c, const struct lab_ctx *ctx, struct err *err)
{
	/* Without root's rights the files themselves decide. */
	if (geteuid() != 0 || caller_is_administrator(&ctx->caller))
		return 0;
	err_set(err, ERR_ENV, 0, "'labctl %s' is for administrators of this host, not for '%s'",
		c->name, ctx->caller.name);
	return err_hint(err, "administrators are root and the users listed in '%s'",
			caller_host_seat_file());
}

enum command_needs command_needs(const struct command *c, const struct args *args,
				 const struct lab_ctx *ctx)
{
	if (is_waived(c, args))
		return NEEDS_NOTHING;
	if (c->needs != NEEDS_BOOK)
		return c->needs;
	return store_default_is_writable(ctx->state_dir) ? NEEDS_NOTHING : NEEDS_ROOT;
}
