/* SPDX-License-Identifier: MIT */
/* program.c - the program that is graded: started, asked until it answers, started again. */
#include "grade/program.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "grade/trial.h"

#include "base/banned.h"

#define READY_ALL_NS  (500 * NS_PER_MS) /* for the other networks, once one answered */
#define READY_ASK_NS  (20 * NS_PER_MS)
#define READY_MORE_NS (100 * NS_PER_MS) /* between questions to a program that runs */
#define BACKLOG_MS    6000		/* for the answers to all of them */
#define STILL_MS      3000		/* a program that answers nothing for so long hangs */

struct ready {
	struct grader *g;
	size_t from;
	bool *answered; /* parallel to places */
	size_t n;	/* how many */
};

static bool ask_or_ready(void *arg)
{
	struct ready *r = arg;

	for (; r->from < probe_count(r->g->probe); r->from++) {
		const struct seen *s = probe_get(r->g->probe, r->from);

		for (size_t i = 0; i < r->g->n_places; i++) {
			const struct place *p = &r->g->places[i];

			if (s->sent || s->port != p->port || !(s->f.has & LAYER_ARP) ||
			    s->f.arp.spa != p->router_ip || s->f.arp.tpa != p->ip)
				continue;
			r->n += !r->answered[i];
			r->answered[i] = true;
		}
	}
	return r->n == r->g->n_places || (r->g->runner && !runner_alive(r->g->runner));
}

static int ask_all(struct ready *r, struct err *err)
{
	for (size_t i = 0; i < r->g->n_places; i++) {
		struct station me = place_station(&r->g->places[i]);
		struct frame f = arp_ask(&me, me.at->router_ip);
		uint8_t buf[64];

		if (r->answered[i] || !me.at->router_ip)
			continue;
		if (probe_send(r->g->probe, me.at->port, buf, frame_encode(&f, buf, sizeof(buf)),
			       err) == 0)
			continue;
		/* The program may have set the link down for a moment; who watches it says so. */
		if (err->sys != ENOBUFS && err->sys != ENETDOWN)
			return -1;
		err_clear(err);
	}
	return 0;
}

/* Asks on every network until the router's addresses are answered for. A program that answers on
 * one network and not on another may be meant so: that is for the checks to say. What takes long to
 * start is asked less and less often: a slow program has to answer all that waits for it. */
static int ask_until_answered(struct ready *r, struct err *err)
{
	struct grader *g = r->g;
	size_t none = r->n;
	uint64_t now = clock_mono_ns(),
		 end = now + (uint64_t)(PROGRAM_READY_S * g->slowness * NS_PER_S);
	uint64_t pause = READY_ASK_NS;
	bool one = false;

	for (; now < end; now = clock_mono_ns()) {
		int done;

		if (ask_all(r, err) < 0)
			return -1;
		done = probe_wait(g->probe, pause, ask_or_ready, r, err);
		if (done != 0)
			return done < 0 ? -1 : 0;
		pause += pause < READY_MORE_NS ? pause / 8 : 0;
		if (!one && r->n > none) {
			one = true;
			pause = READY_MORE_NS;
			end = clock_mono_ns() + (uint64_t)(READY_ALL_NS * g->slowness);
		}
	}
	return 0;
}

/* A slow program still has questions to answer that were asked while it started, and would come to
 * those of the first check after them. The one asked here is another station's, so that its answer
 * is known. */
static int wait_idle(struct grader *g, const struct place *at, struct err *err)
{
	static const struct check nobody = { .id = "ready" };
	struct trial t = { .g = g, .check = &nobody };
	struct station asker;

	t.rng = rng_for(g->options->seed, nobody.id);
	if (trial_guest(&t, at, &asker))
		trial_greets(&t, &asker, BACKLOG_MS);
	trial_done(&t);
	return err_if_interrupted(err);
}

/* *ret_n: how many places got an answer. */
static int wait_ready(struct grader *g, size_t *ret_n, struct err *err)
{
	auto_free bool *answered = xcalloc(g->n_places, sizeof(*answered));
	struct ready r = { .g = g, .from = probe_count(g->probe), .answered = answered };

	for (size_t i = 0; i < g->n_places; i++) {
		answered[i] = !g->places[i].router_ip;
		r.n += answered[i];
	}
	if (ask_until_answered(&r, err) < 0)
		return -1;
	g->greeter = NULL;
	*ret_n = 0;
	for (size_t i = 0; i < g->n_places; i++) {
		if (!answered[i] || !g->places[i].router_ip)
			continue;
		g->greeter = g->greeter ? g->greeter : &g->places[i];
		++*ret_n;
		if (wait_idle(g, &g->places[i], err) < 0)
			return -1;
	}
	return 0;
}

int program_start(struct grader *g, size_t *ret_answered, struct err *err)
{
	char line[200];

	if (runner_start(g->options->program, g->probe, &g->runner, err) < 0 ||
	    wait_ready(g, ret_answered, err) < 0)
		return -1;
	if (!runner_was_never(g->runner))
		return 0;
	runner_last_line(g->runner, line, sizeof(line));
	err_set(err, ERR_ENV, 0, "your program could not be started: %s", line);
	return err_hint(err, "the command was: %.300s", g->options->program->command);
}

int program_revive(struct grader *g, struct trial *t, struct err *err)
{
	auto_free char *text = NULL;
	struct err e = { 0 };
	size_t answered;

	if (!g->runner || (runner_alive(g->runner) && !g->restart))
		return 0;
	g->restart = false;
	runner_stop(steal_ptr(&g->runner));
	if (program_start(g, &answered, &e) < 0) {
		if (!err_is(&e, ERR_ENV)) {
			*err = e;
			return -1;
		}
		trial_error(t, &e);
		return 0;
	}
	if (runner_alive(g->runner))
		return 0;
	text = runner_end_text(g->runner, " as soon as it was started");
	trial_fail(t, "%s", text);
	return 0;
}

/* Adds to the lesson, or makes one of what passed. */
static void add_lesson(struct trial *t, const char *text)
{
	auto_free char *before = t->verdict == VERDICT_FAIL ? steal_ptr(&t->reason) : NULL;

	trial_fail(t, "%s%s%s", before ? before : "", before ? "; after that " : "after this ",
		   text);
}

void program_note_end(struct grader *g, struct trial *t)
{
	bool ended = !runner_alive(g->runner);
	auto_free char *text = NULL;

	/* What failed because of that has said so. */
	if (t->verdict == VERDICT_ERROR || (ended && t->verdict == VERDICT_FAIL) || g->restart)
		return;
	if (!ended) {
		struct station asker;

		if (!g->greeter)
			return;
		asker = place_station(g->greeter);
		if (trial_greets(t, &asker, STILL_MS) || t->verdict == VERDICT_ERROR)
			return;
	}
	if (runner_alive(g->runner)) {
		add_lesson(t, "your program answers nothing any more: does it wait for something, "
			      "or loop for ever?");
		g->restart = true;
		return;
	}
	text = runner_end_text(g->runner, "");
	add_lesson(t, text);
}
