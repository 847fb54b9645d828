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

#define WORD_ENDS " \t;&|<>()"

static bool is_missing(const char *file)
{
	return !fs_access(file, F_OK) && errno == ENOENT;
}

static bool is_not_executable(const char *file)
{
	return fs_access(file, F_OK) && !fs_access(file, X_OK) && !fs_is_dir(file);
}

/* The file of the command line that its shell or interpreter complained about, if that is so; heap
 * text or NULL. */
static char *file_at_fault(const char *command, const char *complaint,
			   bool (*is_so)(const char *file))
{
	auto_free char *words = xstrdup(command);
	char *save = NULL;

	if (strpbrk(words, "\"'`$\\"))
		return NULL; /* more than words */
	for (char *w = strtok_r(words, WORD_ENDS, &save); w; w = strtok_r(NULL, WORD_ENDS, &save)) {
		if (strcmp(w, "cd") == 0)
			return NULL; /* who knows where it was by then */
		if (strpbrk(w, "/.") && strstr(complaint, w) && is_so(w))
			return xstrdup(w);
	}
	return NULL;
}

static const char *base_name(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash ? slash + 1 : file;
}

static const char *extension(const char *file)
{
	const char *dot = strrchr(base_name(file), '.');

	return dot ? dot : "";
}

/* It stands in src/, or it was never begun. */
static int hint_missing(const char *file, struct err *err)
{
	auto_free char *in_src = xasprintf("src/%s", file);
	auto_free char *starter =
		xasprintf("%.*sstarter%s", (int)(base_name(file) - file), file, extension(file));

	if (*file != '/' && fs_access(in_src, F_OK))
		return err_hint(err, "did you mean '%s'?", in_src);
	if (fs_access(starter, F_OK))
		return err_hint(err, "begin with the starter: cp %s %s", starter, file);
	return -1;
}

static int explain_start(const struct grader *g, const char *complaint, struct err *err)
{
	const struct runner_spec *spec = g->options->program;
	auto_free char *missing =
		spec->dir ? file_at_fault(spec->command, complaint, is_missing) : NULL;
	auto_free char *closed = NULL;

	if (missing) {
		err_set(err, ERR_ENV, 0, "there is no file '%s'%s%s%s", missing,
			*missing == '/' ? "" : " in '", *missing == '/' ? "" : spec->dir,
			*missing == '/' ? "" : "'");
		return hint_missing(missing, err);
	}
	if (!runner_was_never(g->runner))
		return 0;
	err_set(err, ERR_ENV, 0, "your program could not be started: %s", complaint);
	closed = spec->dir ? file_at_fault(spec->command, complaint, is_not_executable) : NULL;
	if (closed) {
		bool is_python = strcmp(extension(closed), ".py") == 0;

		return err_hint(err, "it is not executable: chmod +x %s%s%s", closed,
				is_python ? ", or python3 " : "", is_python ? closed : "");
	}
	return strstr(complaint, spec->command)
		       ? -1
		       : err_hint(err, "the command was: %.300s", spec->command);
}

/* What stands before a command in a terminal, and is --run's own work here. */
static int refuse_prefix(const struct runner_spec *spec, struct err *err)
{
	const char *word = spec->command + strspn(spec->command, WORD_ENDS);
	size_t len = strcspn(word, WORD_ENDS);
	auto_free char *first = xasprintf("%.*s", (int)len, word);
	const char *name = base_name(first);

	if (!spec->dir)
		return 0;
	if (strcmp(name, "sudo") == 0)
		return err_set(err, ERR_USAGE, 0,
			       "leave 'sudo' out of --run: labctl gives your program the right to "
			       "packet sockets");
	if (strcmp(name, "labctl") == 0)
		return err_set(err, ERR_USAGE, 0,
			       "leave 'labctl run --' out of --run: that is what --run does");
	return 0;
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

	if (refuse_prefix(g->options->program, err) < 0 ||
	    runner_start(g->options->program, g->probe, &g->runner, err) < 0 ||
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
	text = runner_end_text(g->runner, " before this could be tried");
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
