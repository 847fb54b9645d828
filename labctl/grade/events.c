/* SPDX-License-Identifier: MIT */
/* events.c - the journal in order, without copies. */
#include "grade/events.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

/* Of the frames before it a copy is one of the last few, or of the last moment. */
#define COPY_FRAMES 64
#define COPY_NS	    (20 * NS_PER_MS)

const struct place *place_of_port(const struct trial *t, unsigned port)
{
	for (size_t i = 0; i < t->g->n_places; i++) {
		if (t->g->places[i].port == port)
			return &t->g->places[i];
	}
	return NULL;
}

/* A router's frame for another client, or one that another client has received as well. */
static bool is_copy_of(const struct event *e, const struct event *before)
{
	return before->at != e->at && before->at->network == e->at->network &&
	       before->s->len == e->s->len &&
	       (before->by != BY_ROUTER || e->s->ns - before->s->ns < COPY_NS) &&
	       memcmp(before->s->bytes, e->s->bytes, e->s->len) == 0;
}

static bool is_copy(const struct trial *t, const struct event *v, size_t n, const struct event *e)
{
	for (size_t i = 0; i < t->g->n_places; i++) {
		const struct place *other = &t->g->places[i];

		if (other != e->at && other->network == e->at->network &&
		    macaddr_equal(&other->mac, &e->s->f.eth.dst))
			return true;
	}
	for (size_t i = n; i-- > 0 && n - i <= COPY_FRAMES;) {
		if (is_copy_of(e, &v[i]))
			return true;
	}
	return false;
}

struct event *events_of(const struct trial *t, size_t end, size_t *ret_n)
{
	size_t n_all, n = 0;
	auto_free const struct seen **all = probe_timeline(t->g->probe, end, &n_all);
	struct event *v = xcalloc(n_all + 1, sizeof(*v));

	for (size_t i = 0; i < n_all; i++) {
		const struct seen *s = all[i];
		struct event e = { .s = s, .at = place_of_port(t, s->port) };

		e.by = s->sent ? BY_GRADER : s->kernel ? BY_KERNEL : BY_ROUTER;
		if (e.at && (e.by != BY_ROUTER || !is_copy(t, v, n, &e)))
			v[n++] = e;
	}
	*ret_n = n;
	return v;
}
