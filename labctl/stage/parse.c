/* SPDX-License-Identifier: MIT */
/* parse.c - the text of a stage file to a model. */
#include "stage/parse.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

#define FILE_MAX   (1024 * 1024)
#define TITLE_MAX  200
#define ID_MAX	   64
#define POINTS_MAX 1000

static void read_title(void *ctx, const struct node *n, void *target)
{
	struct stage *s = target;
	struct parse *p = ctx;
	const char *text;

	if (!parse_line(p->r, n, TITLE_MAX, &text))
		return;
	free(s->title);
	s->title = xstrdup(text);
}

static void read_schema(void *ctx, const struct node *n, void *target)
{
	struct parse *p = ctx;
	const char *text;

	(void)target;
	node_string(p->r, n, &text);
}

static void read_networks(void *ctx, const struct node *n, void *target)
{
	struct stage *s = target;
	struct parse *p = ctx;

	if (!node_object(p->r, n))
		return;
	p->networks = n;
	if (n->n_kids == 0) {
		reader_add(p->r, n, "a stage needs at least one network");
		reader_hint(
			p->r,
			"as in \"net1\": { \"subnet\": \"1.1.1.0/24\", \"router\": \"1.1.1.1\" }");
		return;
	}
	s->n_networks = parse_count(p->r, n, STAGE_NETWORKS_MAX);
	s->networks = xcalloc(s->n_networks, sizeof(*s->networks));
	for (size_t i = 0; i < s->n_networks; i++)
		parse_network(p, n->kids[i], &s->networks[i]);
}

static void read_clients(void *ctx, const struct node *n, void *target)
{
	struct stage *s = target;
	struct parse *p = ctx;

	if (!node_object(p->r, n))
		return;
	p->clients = n;
	if (n->n_kids == 0) {
		reader_add(p->r, n, "a stage needs at least one client");
		return;
	}
	s->n_clients = parse_count(p->r, n, STAGE_CLIENTS_MAX);
	s->clients = xcalloc(s->n_clients, sizeof(*s->clients));
	for (size_t i = 0; i < s->n_clients; i++)
		parse_client(p, n->kids[i], &s->clients[i]);
}

static void read_use(struct parse *p, const struct node *n, struct stage_check *c)
{
	const char *text;
	char quoted[QUOTE_TEXT];
	size_t len;

	if (!node_string(p->r, n, &text))
		return;
	len = strlen(text);
	if (len == 0 || len > ID_MAX ||
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") != len) {
		reader_add(p->r, n, "'%s' is no check's id", node_quote(text, quoted));
		reader_hint(p->r, "lower-case letters, digits, '.' and '-', as in arp.reply");
		return;
	}
	c->use = xstrdup(text);
}

/* Which keys a check has is the grader's business; here only those that all have. */
static void read_check(struct parse *p, const struct node *n, struct stage_check *c)
{
	const struct node *use = node_get(n, "use"), *points = node_get(n, "points");
	long long v;

	c->points = 1;
	c->line = n->line;
	if (!node_object(p->r, n))
		return;
	c->args = json_incref(n->value);
	if (use)
		read_use(p, use, c);
	else
		reader_add(p->r, n, "the key 'use' is missing");
	if (points && node_integer(p->r, points, 1, POINTS_MAX, &v))
		c->points = (unsigned)v;
}

static void read_checks(void *ctx, const struct node *n, void *target)
{
	struct stage *s = target;
	struct parse *p = ctx;

	if (!node_array(p->r, n))
		return;
	s->n_checks = parse_count(p->r, n, STAGE_LIST_MAX);
	s->checks = xcalloc(s->n_checks, sizeof(*s->checks));
	for (size_t i = 0; i < s->n_checks; i++)
		read_check(p, n->kids[i], &s->checks[i]);
}

static void read_routes(void *ctx, const struct node *n, void *target)
{
	(void)target;
	parse_table(ctx, n);
}

static void parse_root(struct reader *r, const struct node *root, struct stage *s)
{
	/* Networks come first whatever the file's order: the clients refer to them. */
	static const struct field fields[] = {
		{ "$schema", false, read_schema },   { "title", true, read_title },
		{ "networks", true, read_networks }, { "clients", true, read_clients },
		{ "routes", false, read_routes },    { "checks", false, read_checks },
	};
	struct parse p = { .r = r, .stage = s };

	if (node_fields(r, root, fields, ARRAY_SIZE(fields), &p, s))
		validate_stage(&p);
}

static void parse_text(const char *text, size_t len, struct reader *r, struct stage *s)
{
	auto_tree tree = { 0 };

	if (len > FILE_MAX) {
		reader_add_at(r, NULL, 0, 0, "the file has %zu bytes, at most %d are allowed", len,
			      FILE_MAX);
		return;
	}
	if (tree_parse(&tree, text, len, r) == 0)
		parse_root(r, tree.root, s);
}

void stage_problem_format(const char *file, const struct stage_problem *p, struct str *out)
{
	str_add(out, file);
	if (p->line)
		str_addf(out, ":%u", p->line);
	if (*p->path)
		str_addf(out, ": %s", p->path);
	str_addf(out, ": %s", p->text);
}

static int problems_to_err(const struct stage_problems *problems, size_t total, struct err *err)
{
	auto_str first = { 0 };

	stage_problem_format(problems->file, &problems->v[0], &first);
	if (total == 1)
		err_set(err, ERR_STAGE, 0, "%s", str_get(&first));
	else
		err_set(err, ERR_STAGE, 0, "%zu problems, the first: %s", total, str_get(&first));
	if (*problems->v[0].hint)
		err_hint(err, "%s", problems->v[0].hint);
	return -1;
}

int stage_parse(const char *text, size_t len, const char *file, const char *name,
		struct stage **ret, struct stage_problems *problems, struct err *err)
{
	auto_stage s = xcalloc(1, sizeof(*s));
	auto_stage_problems found = { 0 };
	auto_reader r = { 0 };
	size_t total;
	int result = 0;

	s->kind = STAGE_JSON;
	s->title = xstrdup(name);
	s->dir = xstrdup("");
	if (!str_copy(s->name, sizeof(s->name), name))
		return err_set(err, ERR_STAGE, 0, "the stage's name '%.64s' is longer than %d",
			       name, STAGE_NAME_MAX);
	parse_text(text, len, &r, s);
	total = r.n + r.dropped;
	reader_steal(&r, file, &found);
	if (total) {
		result = problems_to_err(&found, total, err);
		found.partial = steal_ptr(&s);
	} else {
		*ret = steal_ptr(&s);
	}
	if (problems) {
		stage_problems_done(problems);
		*problems = found;
		found = (struct stage_problems){ 0 };
	}
	return result;
}
