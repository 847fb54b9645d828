/* SPDX-License-Identifier: MIT */
/* replay.c - the rounds of one check. */
#include "grade/replay.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/log.h"
#include "grade/events.h"
#include "grade/results.h"
#include "grade/story.h"

#include "base/banned.h"

#define ASKING_NS (2 * NS_PER_S)

#define TAKEN_MAX 100 /* guests, before their addresses are used again */

/* All that has passed and was not shown yet. */
static void show_frames(struct grader *g)
{
	const struct replay *o = g->options->replay;
	struct ladder all = { 0 };

	ladder_make_all(g->trial, probe_count(g->probe), &all);
	for (; g->replayed < all.n; g->replayed++) {
		const struct rung *r = &all.v[g->replayed];
		auto_free char *line =
			xasprintf("%9.2f ms  %s > %s: %s%s", r->ms, r->from, r->to,
				  r->kind == RUNG_KERNEL ? "(own kernel) " : "", r->frame);

		o->frame(o->arg, line);
	}
	ladder_done(&all);
}

static bool is_client(const struct grader *g, uint32_t ip)
{
	for (size_t i = 0; i < g->n_places; i++) {
		if (g->places[i].ip == ip)
			return true;
	}
	return false;
}

static bool is_answered(const struct grader *g, size_t question)
{
	const struct seen *q = probe_get(g->probe, question);

	for (size_t i = question + 1; i < probe_count(g->probe); i++) {
		const struct seen *s = probe_get(g->probe, i);

		if (s->sent && s->f.has & LAYER_ARP && s->f.arp.spa == q->f.arp.tpa)
			return true;
	}
	return false;
}

/* A router that waits for the MAC of a station that the check plays has given up in a few seconds. */
static bool is_asking(const struct grader *g)
{
	uint64_t now = clock_real_ns();

	for (size_t i = 0; i < probe_count(g->probe); i++) {
		const struct seen *s = probe_get(g->probe, i);

		if (!s->sent && s->f.has & LAYER_ARP && s->f.arp.op == ARP_REQUEST &&
		    s->ns + ASKING_NS > now && !is_client(g, s->f.arp.tpa) && !is_answered(g, i))
			return true;
	}
	return false;
}

int replay_pause(struct grader *g, struct err *err)
{
	const struct replay *o = g->options->replay;

	if (!o || !g->trial || !probe_count(g->probe) || is_asking(g))
		return 0;
	if (probe_wait(g->probe, o->pause_ms * NS_PER_MS, NULL, NULL, err) < 0)
		return -1;
	show_frames(g);
	return 0;
}

static int one_round(struct grader *g, struct result *r, struct err *err)
{
	struct trial t = { .g = g, .check = r->check, .args = r->args };
	int done = probe_forget(g->probe, err);

	result_forget_lesson(r);
	g->replayed = 0;
	g->n_taken = g->n_taken > TAKEN_MAX ? 0 : g->n_taken;
	t.rng = rng_for(g->options->seed, r->id);
	g->trial = &t;
	if (done == 0 && r->check->run(&t))
		t.verdict = VERDICT_PASS;
	if (done == 0)
		done = err_if_interrupted(err);
	story_close(&t);
	if (done == 0)
		show_frames(g);
	g->trial = NULL;
	r->verdict = t.verdict;
	grader_note_lesson(&t, r);
	r->reason = steal_ptr(&t.reason);
	r->expected = steal_ptr(&t.expected);
	r->seen = steal_ptr(&t.seen);
	trial_done(&t);
	return done;
}

static struct result *selected(struct results *all)
{
	for (size_t i = 0; i < all->n; i++) {
		if (all->v[i].selected)
			return &all->v[i];
	}
	return NULL;
}

int replay_run(struct grader *g, struct results *all, struct err *err)
{
	const struct replay *o = g->options->replay;
	struct result *r = selected(all);

	for (unsigned i = 1; r && (!o->rounds || i <= o->rounds); i++) {
		if (one_round(g, r, err) < 0)
			return -1;
		o->round(o->arg, i, r);
		if (probe_wait(g->probe, o->pause_ms * NS_PER_MS, NULL, NULL, err) < 0)
			return -1;
	}
	return 0;
}
