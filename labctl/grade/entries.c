/* SPDX-License-Identifier: MIT */
/* entries.c - a stage's checks against the catalogue. */
#include "grade/entries.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"
#include "grade/check.h"

#include "base/banned.h"

static struct stage_problem *add(struct stage_problems *p, const struct stage *s, size_t check,
				 const char *key)
{
	struct stage_problem *q = array_push(p->v, p->n);

	q->line = s->checks[check].line;
	snprintf(q->path, sizeof(q->path), "checks[%zu].%.64s", check, key);
	return q;
}

static void explain(struct stage_problem *q, const struct err *e)
{
	snprintf(q->text, sizeof(q->text), "%.255s", e->msg);
	snprintf(q->hint, sizeof(q->hint), "%.159s", e->hint);
}

static void no_client(struct stage_problem *q, const struct stage *s, const char *name)
{
	auto_strv names = { 0 };
	const char *near;

	for (size_t i = 0; i < s->n_clients; i++)
		strv_add(&names, s->clients[i].name);
	near = nearest_name(name, names.v, names.n);
	snprintf(q->text, sizeof(q->text), "there is no client '%.64s'", name);
	if (near)
		snprintf(q->hint, sizeof(q->hint), "did you mean '%.64s'?", near);
}

static void validate_value(const struct stage *s, size_t check, const char *key, const json_t *v,
			   struct stage_problems *p)
{
	bool client = strcmp(key, "from") == 0 || strcmp(key, "to") == 0 || strcmp(key, "on") == 0;
	struct stage_problem *q;

	if (strcmp(key, "use") == 0 || strcmp(key, "points") == 0)
		return; /* every check has them: read with the file */
	if (client && json_is_string(v) && stage_find_client(s, json_string_value(v)))
		return;
	if (!client && json_is_integer(v))
		return;
	q = add(p, s, check, key);
	if (client && json_is_string(v))
		no_client(q, s, json_string_value(v));
	else
		snprintf(q->text, sizeof(q->text), "expected %s",
			 client ? "the name of a client" : "a whole number");
}

void entries_validate(const struct stage *s, struct stage_problems *p)
{
	for (size_t i = 0; i < s->n_checks; i++) {
		const struct stage_check *e = &s->checks[i];
		const struct check *c;
		struct err err = { 0 };
		const char *key;
		json_t *v;

		if (check_lookup(e->use, &c, &err) < 0) {
			explain(add(p, s, i, "use"), &err);
			continue;
		}
		if (check_args_valid(c, e->args, &err) < 0) {
			explain(add(p, s, i, "use"), &err);
			continue;
		}
		json_object_foreach (e->args, key, v)
			validate_value(s, i, key, v, p);
	}
}
