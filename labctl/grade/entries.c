/* SPDX-License-Identifier: MIT */
/* entries.c - a stage's checks against the catalogue. */
#include "grade/entries.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"
#include "grade/fit.h"

#include "base/banned.h"

/* In file order, behind what was found before in the same line. */
static struct stage_problem *add(struct stage_problems *p, const struct stage *s, size_t check,
				 const char *key)
{
	const unsigned line = s->checks[check].line;
	size_t at = 0;

	array_push(p->v, p->n);
	while (at + 1 < p->n && p->v[at].line && p->v[at].line <= line)
		at++;
	memmove(&p->v[at + 1], &p->v[at], (p->n - 1 - at) * sizeof(*p->v));
	p->v[at] = (struct stage_problem){ .line = line };
	snprintf(p->v[at].path, sizeof(p->v[at].path), "checks[%zu].%.64s", check, key);
	return &p->v[at];
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

static bool is_client(const char *key)
{
	return strcmp(key, "from") == 0 || strcmp(key, "to") == 0 || strcmp(key, "on") == 0;
}

/* c is NULL for a check that does not exist: its clients are looked at all the same. */
static void validate_value(const struct stage *s, size_t check, const struct check *c,
			   const char *key, const json_t *v, struct stage_problems *p)
{
	bool client = is_client(key);
	struct stage_problem *q;

	if (strcmp(key, "use") == 0 || strcmp(key, "points") == 0)
		return; /* every check has them: read with the file */
	if (c && !check_has_key(c, key)) {
		q = add(p, s, check, key);
		snprintf(q->text, sizeof(q->text), "check '%s' has no key '%.64s'", c->id, key);
		snprintf(q->hint, sizeof(q->hint), "its keys are: use points%s%s",
			 c->args ? " " : "", c->args ? c->args : "");
		return;
	}
	if (client ? json_is_string(v) && (!s->n_clients || /* that has been told */
					   stage_find_client(s, json_string_value(v)))
		   : !c || json_is_integer(v))
		return;
	q = add(p, s, check, key);
	if (client && json_is_string(v))
		no_client(q, s, json_string_value(v));
	else
		snprintf(q->text, sizeof(q->text), "expected %s",
			 client ? "the name of a client" : "a whole number");
}

/* Were networks, clients and routes read, and is all well with them? */
static bool is_topology_known(const struct stage *s, const struct stage_problems *p)
{
	static const char *const parts[] = { "networks", "clients", "routes" };

	for (size_t i = 0; i < p->n; i++) {
		if (!p->v[i].path[0])
			return false;
		for (size_t k = 0; k < ARRAY_SIZE(parts); k++) {
			if (str_starts(p->v[i].path, parts[k]))
				return false;
		}
	}
	return s->n_networks && s->n_clients;
}

void entries_validate(const struct stage *s, struct stage_problems *p)
{
	bool topology = is_topology_known(s, p);

	for (size_t i = 0; i < s->n_checks; i++) {
		const struct stage_check *e = &s->checks[i];
		const struct check *c = NULL;
		struct err err = { 0 };
		size_t before = p->n;
		const char *key;
		json_t *v;

		if (e->use && check_lookup(e->use, &c, &err) < 0)
			explain(add(p, s, i, "use"), &err);
		json_object_foreach (e->args, key, v)
			validate_value(s, i, c, key, v, p);
		if (c && topology && p->n == before && fit_check(c, s, e->args, &err) < 0)
			explain(add(p, s, i, "use"), &err);
	}
}
