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

int replay_pause(struct grader *g, struct err *err)
{
	const struct replay *o = g->options->replay;

	if (!o || !g->trial || !probe_count(g->probe))
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
