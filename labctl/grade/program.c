/* SPDX-License-Identifier: MIT */
/* program.c - the program that is graded: started, watched, started again. */
#include "grade/program.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "grade/diagnose.h"
#include "grade/family.h"
#include "grade/neighbour.h"
#include "grade/trial.h"

#include "base/banned.h"

#define READY_NS    (PROGRAM_READY_S * NS_PER_S)
#define IDLE_NS	    NS_PER_S
#define STILL_MS    3000 /* a program that answers nothing for so long hangs */
#define STILL_TURNS 4	 /* so often, if it sends something else meanwhile */
#define HUNG_MS	    300	 /* ... and one that has hung before */

/* The file of the command line that is not there, as its shell or interpreter complained; heap text
 * or NULL. */
static char *missing_file(const char *command, const char *complaint)
{
	auto_free char *words = xstrdup(command);
	char *save = NULL;

	if (strpbrk(words, "\"'`$\\"))
		return NULL; /* more than words */
	for (char *w = strtok_r(words, " \t;&|<>()", &save); w;
	     w = strtok_r(NULL, " \t;&|<>()", &save)) {
		if (strcmp(w, "cd") == 0)
			return NULL; /* who knows where it was by then */
		if (strpbrk(w, "/.") && strstr(complaint, w) && !fs_access(w, F_OK) &&
		    errno == ENOENT)
			return xstrdup(w);
	}
	return NULL;
}

static int explain_start(const struct grader *g, const char *complaint, struct err *err)
{
	const struct runner_spec *spec = g->options->program;
	auto_free char *file = spec->dir ? missing_file(spec->command, complaint) : NULL;

	if (file)
		return err_set(err, ERR_ENV, 0, "there is no file '%s'%s%s%s", file,
			       *file == '/' ? "" : " in '", *file == '/' ? "" : spec->dir,
			       *file == '/' ? "" : "'");
	if (!runner_was_never(g->runner))
		return 0;
	err_set(err, ERR_ENV, 0, "your program could not be started: %s", complaint);
	return strstr(complaint, spec->command)
		       ? -1
		       : err_hint(err, "the command was: %.300s", spec->command);
}

static bool is_stuck(void *arg)
{
	return family_is_stuck(arg, clock_mono_ns(), READY_NS, IDLE_NS);
}

int program_start(struct grader *g, size_t *ret_alive, struct err *err)
{
	const struct meeting_limit first = { .ns = READY_NS };
	struct family_work work = { 0 };
	const struct meeting_limit more = {
		.ns = (uint64_t)((double)READY_NS * (g->slowness - 1)),
		.in_vain = is_stuck,
		.arg = &work,
	};
	char line[200];

	if (runner_start(g->options->program, g->probe, &g->runner, err) < 0 ||
	    neighbours_meet(g, &first, ret_alive, err) < 0)
		return -1;
	work.root = runner_pid(g->runner);
	/* On a busy computer it may take longer; but not if its sockets can hear nothing, and not
	 * if it is something else that it waits for. */
	if (!*ret_alive && runner_alive(g->runner) && more.ns && !diagnose_is_deaf(g) &&
	    neighbours_meet(g, &more, ret_alive, err) < 0)
		return -1;
	if (*ret_alive || runner_alive(g->runner))
		return 0;
	runner_last_line(g->runner, line, sizeof(line));
	return explain_start(g, line, err);
}

int program_revive(struct grader *g, struct trial *t, struct err *err)
{
	auto_free char *text = NULL;
	struct err e = { 0 };
	size_t alive;

	if (!g->runner || (runner_alive(g->runner) && !g->restart))
		return 0;
	g->restart = false;
	runner_stop(steal_ptr(&g->runner));
	if (program_start(g, &alive, &e) < 0) {
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

/* What did not come did not come because it hangs, whatever is special about it. */
static void note_hang(struct grader *g, struct trial *t)
{
	if (t->verdict == VERDICT_FAIL && t->evidence.missing_at && !t->evidence.seen)
		free(steal_ptr(&t->reason));
	if (t->reason)
		add_lesson(t, "your program answers nothing any more: does it wait for something, "
			      "or loop for ever?");
	else
		trial_fail(t, "while this was tried, your program stopped answering: does it wait "
			      "for something, or loop for ever?");
	g->restart = true;
	if (++g->hangs >= PROGRAM_HANGS && g->answer_ns > HUNG_MS * NS_PER_MS)
		g->answer_ns = HUNG_MS * NS_PER_MS;
}

/* Where it answered when it was started; NULL: nowhere. */
static const struct place *greeter(const struct grader *g)
{
	for (size_t i = 0; i < g->n_places; i++) {
		if (g->places[i].life != LIFE_NONE)
			return &g->places[i];
	}
	return NULL;
}

/* What was waited for in vain, if it is in the journal by now. */
static const struct seen *latecomer(const struct trial *t, const struct want *w,
				    const struct place *at)
{
	for (size_t i = t->evidence.end; w && i < probe_count(t->g->probe); i++) {
		const struct seen *s = probe_get(t->g->probe, i);

		if ((!at || s->port == at->port) && want_means(w, s) && !trial_is_flooded(t, s))
			return s;
	}
	return NULL;
}

static bool sent_something(const struct trial *t, size_t from)
{
	for (size_t i = from; i < probe_count(t->g->probe); i++) {
		const struct seen *s = probe_get(t->g->probe, i);

		if (!s->sent && !trial_is_flooded(t, s))
			return true;
	}
	return false;
}

/* Does it still answer? Who is busy with what was sent before gets more time. */
static bool answers_yet(struct trial *t, const struct place *at)
{
	for (int i = 0; i < STILL_TURNS; i++) {
		size_t from = probe_count(t->g->probe);

		if (trial_life(t, at, t->g->hangs < PROGRAM_HANGS ? STILL_MS : HUNG_MS) ||
		    t->verdict == VERDICT_ERROR)
			return true;
		if (!runner_alive(t->g->runner) || !sent_something(t, from))
			return false;
	}
	return false;
}

/* False: it hangs. */
static bool look_for_life(struct trial *t, const struct place *at)
{
	auto_free struct want *missed = steal_ptr(&t->unanswered);
	const struct place *where = t->unanswered_at;
	uint64_t since = t->unanswered_ns;
	bool answers = answers_yet(t, at);
	const struct seen *s;

	if (t->verdict != VERDICT_FAIL || !t->evidence.missing_at ||
	    t->evidence.missing_at != where)
		return answers;
	s = latecomer(t, missed, where);
	if (s && s->ns > since) {
		auto_free char *before = steal_ptr(&t->reason);

		trial_fail(t, "%s; what was missing came too late: after %.1f s", before,
			   (double)(s->ns - since) / 1e9);
		t->late = true;
	}
	return answers || t->late;
}

void program_note_end(struct grader *g, struct trial *t)
{
	bool ended = !runner_alive(g->runner);
	auto_free char *text = NULL;

	/* What failed because of that has said so. */
	if (t->verdict == VERDICT_ERROR || (ended && t->verdict == VERDICT_FAIL) || g->restart)
		return;
	if (!ended) {
		const struct place *at = greeter(g);

		if (!at || look_for_life(t, at))
			return;
	}
	if (runner_alive(g->runner)) {
		note_hang(g, t);
		return;
	}
	text = runner_end_text(g->runner, "");
	add_lesson(t, text);
}
