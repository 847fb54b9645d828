/* SPDX-License-Identifier: MIT */
/* ladder.c - frames as arrows between stations. */
#include "grade/ladder.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/printable.h"
#include "grade/events.h"
#include "grade/special.h"

#include "base/banned.h"

#define ROUTER	     "router"
#define COLUMNS_MAX  8
#define COLUMN_WIDTH 12 /* from one station's line to the next */
#define GAPS_MAX     4	/* rows of what is not shown */

static const char *const kind_names[] = { "sent", "kernel", "router", "missing", "more" };

void ladder_done(struct ladder *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].from);
		free(l->v[i].to);
		free(l->v[i].frame);
	}
	free(l->v);
	*l = (struct ladder){ 0 };
}

/* Whom a client's frame is for: another client of its network, or else the router. */
static const char *receiver(const struct trial *t, const struct event *e)
{
	for (size_t i = 0; i < t->g->n_places; i++) {
		const struct place *p = &t->g->places[i];

		if (p != e->at && p->network == e->at->network &&
		    macaddr_equal(&p->mac, &e->s->f.eth.dst))
			return p->client->name;
	}
	return ROUTER;
}

static void add_rung(struct ladder *l, double ms, const char *from, const char *to, char *frame,
		     enum rung_kind kind)
{
	*array_push(l->v, l->n) =
		(struct rung){ ms, xstrdup(from), xstrdup(to), frame, kind, false };
}

static void add_event(struct ladder *l, const struct trial *t, const struct event *e, double ms)
{
	static const enum rung_kind kinds[] = { RUNG_SENT, RUNG_KERNEL, RUNG_ROUTER };
	const struct macaddr *mac = e->at->router_ip ? &e->at->router_mac : NULL;
	const char *client = e->at->client->name;
	auto_str text = { 0 };

	frame_line(&e->s->f, e->by == BY_GRADER ? mac : NULL, &text);
	if (e->by == BY_ROUTER)
		add_rung(l, ms, ROUTER, client, str_steal(&text), kinds[e->by]);
	else
		add_rung(l, ms, client, receiver(t, e), str_steal(&text), kinds[e->by]);
}

static void add_missing(struct ladder *l, const struct trial *t, double ms)
{
	const struct place *at = t->evidence.missing_at;
	const char *frame = json_string_value(json_object_get(t->expected, "frame"));

	if (at)
		add_rung(l, ms, ROUTER, at->client->name,
			 xasprintf("missing: %s", frame ? frame : "an answer"), RUNG_MISSING);
}

static double ms_since(uint64_t ns, uint64_t first)
{
	return (double)(long)((double)(ns - first) / 1e4) / 100;
}

/* Which frames are shown. */
struct choice {
	bool *shown;
	size_t n, room;
};

static void show(struct choice *c, size_t from, size_t to)
{
	for (size_t i = from; i < to && i < c->n && c->room; i++) {
		c->room -= !c->shown[i];
		c->shown[i] = true;
	}
}

/* What the lesson is about with what came before and after it, how it ended, how it began. */
static void choose(const struct trial *t, const struct event *v, struct choice *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (v[i].s == t->evidence.about || v[i].s == t->evidence.seen)
			show(c, i < 2 ? 0 : i - 2, i + 4);
	}
	show(c, c->n < 6 ? 0 : c->n - 6, c->n);
	show(c, 0, c->n);
}

void ladder_make(const struct trial *t, struct ladder *ret)
{
	size_t n, hidden = 0;
	auto_free struct event *v = events_of(t, t->evidence.end, &n);
	auto_free bool *shown = xcalloc(n + 1, sizeof(*shown));
	struct choice c = { shown, n, LADDER_ROWS - (t->evidence.missing_at ? 1 : 0) };
	uint64_t first = n ? v[0].s->ns : 0;
	struct ladder l = { 0 };

	if (n > c.room)
		c.room -= GAPS_MAX;
	choose(t, v, &c);
	for (size_t i = 0; i < n; i++) {
		double ms = ms_since(v[i].s->ns, first);

		hidden += !shown[i];
		if (hidden && (shown[i] || i + 1 == n)) {
			add_rung(&l, ms, "", "",
				 xasprintf("%zu more frame%s", hidden, hidden == 1 ? "" : "s"),
				 RUNG_MORE);
			hidden = 0;
		}
		if (shown[i]) {
			add_event(&l, t, &v[i], ms);
			l.v[l.n - 1].meant = v[i].s == t->evidence.seen;
		}
	}
	add_missing(&l, t, ms_since(t->evidence.end_ns, first));
	*ret = l;
}

void ladder_make_all(const struct trial *t, size_t end, struct ladder *ret)
{
	size_t n;
	auto_free struct event *v = events_of(t, end, &n);
	struct ladder l = { 0 };

	for (size_t i = 0; i < n; i++)
		add_event(&l, t, &v[i], ms_since(v[i].s->ns, v[0].s->ns));
	*ret = l;
}

json_t *ladder_json(const struct ladder *l)
{
	json_t *all = l->n ? json_array() : json_null();

	for (size_t i = 0; i < l->n; i++) {
		const struct rung *r = &l->v[i];

		json_array_append_new(all, json_pack("{s:f, s:s, s:s, s:s, s:s}", "ms", r->ms,
						     "from", r->from, "to", r->to, "frame",
						     r->frame, "kind", kind_names[r->kind]));
	}
	return all;
}

/* The picture */

struct strokes {
	const char *line, *right, *left, *dash, *full, *ellipsis;
};

struct picture {
	const char *columns[COLUMNS_MAX];
	int n;
	const struct strokes *s;
	const char *indent;
	struct str *out;
};

static int column_of(const struct picture *p, const char *name)
{
	for (int i = 0; i < p->n; i++) {
		if (strcmp(p->columns[i], name) == 0)
			return i;
	}
	return -1;
}

static void add_column(struct picture *p, const char *name)
{
	if (*name && p->n < COLUMNS_MAX && column_of(p, name) < 0)
		p->columns[p->n++] = name;
}

/* The first client that takes part, the router, then the others. */
static void choose_columns(const struct ladder *l, struct picture *p)
{
	for (size_t i = 0; i < l->n && !p->n; i++)
		add_column(p, strcmp(l->v[i].from, ROUTER) != 0 ? l->v[i].from : l->v[i].to);
	add_column(p, ROUTER);
	for (size_t i = 0; i < l->n; i++) {
		add_column(p, l->v[i].from);
		add_column(p, l->v[i].to);
	}
}

/* A name stands over its line; longer ones are cut. */
static void draw_head(const struct picture *p)
{
	int at = 0;

	printable_addf(p->out, "%s%9s   ", p->indent, "ms");
	for (int i = 0; i < p->n; i++) {
		int len = (int)strnlen(p->columns[i], COLUMN_WIDTH - 1);
		int start = i * COLUMN_WIDTH + (i ? -(len / 2) : 0);

		printable_addf(p->out, "%*s%.*s", start - at, "", len, p->columns[i]);
		at = start + len;
	}
	printable_add(p->out, "\n");
}

/* Between two stations, or past one. */
static void draw_stroke(const struct picture *p, const char *stroke, int n)
{
	for (int i = 0; i < n; i++)
		printable_add(p->out, stroke);
}

static void draw_rung(const struct picture *p, const struct rung *r)
{
	int from = column_of(p, r->from), to = column_of(p, r->to);
	int low = from < to ? from : to, high = from < to ? to : from;
	const char *stroke = r->kind == RUNG_MISSING ? p->s->dash : p->s->full;

	printable_addf(p->out, "%s%9.2f   ", p->indent, r->ms);
	for (int i = 0; i < p->n; i++) {
		bool arrow = low >= 0 && i >= low && i < high;
		bool head_here = arrow && to < from && i == to;
		bool head_there = arrow && to > from && i + 1 == to;

		printable_add(p->out, p->s->line);
		if (i + 1 == p->n)
			break;
		if (head_here)
			printable_add(p->out, p->s->left);
		draw_stroke(p, arrow ? stroke : " ",
			    COLUMN_WIDTH - 1 - (head_here || head_there ? 1 : 0));
		if (head_there)
			printable_add(p->out, p->s->right);
	}
	printable_addf(p->out, "  %s%s%s\n", r->kind == RUNG_KERNEL ? "(own kernel) " : "",
		       r->frame, r->meant ? "  <-- this one" : "");
}

void ladder_draw(const struct ladder *l, bool utf8, const char *indent, struct str *out)
{
	static const struct strokes unicode = { "│", "→", "←", "╌", "─", "…" };
	static const struct strokes ascii = { "|", ">", "<", ".", "-", "..." };
	struct picture p = { .s = utf8 ? &unicode : &ascii, .indent = indent, .out = out };

	if (!l->n)
		return;
	choose_columns(l, &p);
	draw_head(&p);
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].kind == RUNG_MORE)
			printable_addf(out, "%s%12s%s %s %s\n", indent, "", p.s->ellipsis,
				       l->v[i].frame, p.s->ellipsis);
		else
			draw_rung(&p, &l->v[i]);
	}
}
