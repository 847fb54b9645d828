/* SPDX-License-Identifier: MIT */
/*
 * grade_matrix.h - is a check a check? A stage's reference router passes everything; each broken
 * one fails exactly the checks about its fault, with the words that name it.
 *
 * Included by one test for each stage, which defines STAGE ("stage1"). Arguments: names of mutants
 * ("reference" too) to try only these, with the whole result shown; or K/N, the K-th of N parts.
 */
#ifndef TESTS_UNIT_GRADE_MATRIX_H
#define TESTS_UNIT_GRADE_MATRIX_H

#include <time.h>

#include "base/str.h"
#include "grade_arena.h"

#include "base/banned.h"

#define ROUTERS	  "tests/routers/"
#define REFERENCE ROUTERS STAGE "_reference.py"
#ifdef MANNERS /* correct routers instead, which fail nothing but what is listed for them */
#define MUTANTS ROUTERS "manners.py " STAGE
#else
#define MUTANTS ROUTERS STAGE "_mutants.py"
#endif

struct mutant {
	char *name, *checks, *words;
};

static bool verbose;

static void show(const struct results *r)
{
	for (size_t i = 0; i < r->n; i++) {
		auto_free char *e = r->v[i].expected ? json_dumps(r->v[i].expected, 0) : NULL;
		auto_free char *s = r->v[i].seen ? json_dumps(r->v[i].seen, 0) : NULL;

		print_message("# %-8s %-18s %6.1f ms  %s\n", verdict_name(r->v[i].verdict),
			      r->v[i].id, r->v[i].ms, r->v[i].reason ? r->v[i].reason : "");
		if (r->v[i].sent)
			print_message("#     sent     %s\n", r->v[i].sent);
		if (e)
			print_message("#     expected %s\n#     seen     %s\n", e, s ? s : "");
		if (r->v[i].fault_hint)
			print_message("#     hint     %s\n", r->v[i].fault_hint);
		if (r->v[i].story)
			print_message("#     story    %s\n", r->v[i].story);
		if (r->v[i].output && *r->v[i].output)
			print_message("#     output: %s\n", r->v[i].output);
	}
	print_message("# %u passed, %u failed, %u errors, %u pending, %u of %u points, %.0f ms\n",
		      r->passed, r->failed, r->errors, r->pending, r->score, r->max_score, r->ms);
}

static void grade_router(struct test_arena *t, const char *name, struct results *ret)
{
	auto_free char *command = strcmp(name, "reference") == 0
					  ? xstrdup("exec python3 " REFERENCE)
					  : xasprintf("exec python3 " MUTANTS " %s", name);
	struct runner_spec program = { .command = command, .become = arena_become, .arg = t };
	struct timespec now;
	struct grader_options o = { .program = &program };

	clock_gettime(CLOCK_REALTIME, &now);
	o.seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0)
				: (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 20;
	ok(grade(&t->arena, &o, ret, err));
	if (verbose)
		show(ret);
}

static void test_reference(void **state)
{
	struct test_arena *t = *state;
	auto_results r = { 0 };

	grade_router(t, "reference", &r);
	if (r.passed != r.n || r.score != r.max_score)
		show(&r);
	assert_int_equal(r.passed, t->stage->n_checks);
	assert_int_equal(r.score, r.max_score);
}

static bool word_in(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += n) {
		if ((p == list || p[-1] == ' ') && (!p[n] || p[n] == ' '))
			return true;
	}
	return false;
}

/* Of a check that the stage uses more than once, one use has to fail. */
static bool fails_some_use(const struct results *r, const char *id)
{
	for (size_t i = 0; i < r->n; i++) {
		if (r->v[i].verdict == VERDICT_FAIL && strcmp(r->v[i].check->id, id) == 0)
			return true;
	}
	return false;
}

static bool mutant_is_found_out(struct test_arena *t, const struct mutant *m)
{
	auto_results r = { 0 };
	bool said = !*m->words, right = true;

	grade_router(t, m->name, &r);
	for (size_t i = 0; i < r.n; i++) {
		const struct result *c = &r.v[i];
		bool meant = word_in(m->checks, c->check->id);

		right = right && c->verdict != VERDICT_ERROR &&
			(c->verdict != VERDICT_FAIL || meant) &&
			(!meant || fails_some_use(&r, c->check->id));
		said = said || (meant && ((c->reason && strstr(c->reason, m->words)) ||
					  (c->fault_hint && strstr(c->fault_hint, m->words))));
	}
	if (!right || !said)
		show(&r);
	return right && said;
}

/* The suite loads the machine, and a broken router may be slow as well as wrong: a verdict that
 * is not the expected one is asked for once more. A correct router has no second try. */
static void test_mutant(struct test_arena *t, const struct mutant *m)
{
	bool second = *m->words;

	if (!mutant_is_found_out(t, m) && (!second || !mutant_is_found_out(t, m)))
		fail_msg("mutant '%s' must fail '%s' and nothing else, saying '%s'", m->name,
			 m->checks, m->words);
}

static int open_arena(void **state)
{
	(void)state;
	return open_the_arena("stages/" STAGE);
}

static void run_reference(void **state)
{
	need_root();
	test_reference(state);
}

/* What a router before it has taught the switches must not reach the next. */
static void run_mutant(void **state)
{
	need_root();
	arena_close(&the_arena);
	arena_open(&the_arena, "stages/" STAGE);
	test_mutant(&the_arena, *state);
}

static char *next_field(char **line)
{
	char *field = strsep(line, "\t\n");

	assert_non_null(field);
	return xstrdup(field);
}

static size_t read_mutants(struct mutant **ret)
{
	FILE *f = popen("PYTHONDONTWRITEBYTECODE=1 python3 " MUTANTS " --list", "r");
	struct mutant *v = NULL;
	size_t n = 0, size = 0;
	char *line = NULL;

	while (f && getline(&line, &size, f) > 0) {
		char *p = line;
		struct mutant *m = array_push(v, n);

		m->name = next_field(&p);
		m->checks = next_field(&p);
		m->words = next_field(&p);
	}
	free(line);
	if (f)
		pclose(f);
	*ret = v;
	return n;
}

static void free_mutants(struct mutant *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].name);
		free(v[i].checks);
		free(v[i].words);
	}
	free(v);
}

#ifndef MANNERS
/* Every check that the stage uses is killed by some mutant. */
static void test_all_killed(void **state)
{
	auto_stage s = NULL;
	struct mutant *v;
	size_t n = read_mutants(&v);

	(void)state;
	ok(stage_load("stages/" STAGE, &s, NULL, err));
	for (size_t i = 0; i < s->n_checks; i++) {
		const char *id = s->checks[i].use;
		bool killed = false;

		for (size_t k = 0; k < n; k++)
			killed = killed || word_in(v[k].checks, id);
		if (!killed)
			fail_msg("no broken router for check '%s'", id);
	}
	free_mutants(v, n);
}
#endif

int main(int argc, char **argv)
{
	struct CMUnitTest *tests = NULL;
	struct mutant *mutants;
	size_t n = 0, n_mutants = read_mutants(&mutants);
	unsigned part = 1, parts = 1;
	int failed;

	mem_adopt_jansson();
	if (argc == 2 && sscanf(argv[1], "%u/%u", &part, &parts) == 2)
		argc = 1;
	verbose = argc > 1;
	for (size_t i = 0; i <= n_mutants; i++) {
		const char *name = i ? mutants[i - 1].name : "reference";
		bool asked = argc == 1 && i % parts == part - 1;

		for (int k = 1; k < argc; k++)
			asked = asked || strcmp(argv[k], name) == 0;
		if (!asked)
			continue;
		*array_push(tests, n) =
			(struct CMUnitTest){ .name = name,
					     .test_func = i ? run_mutant : run_reference,
					     .initial_state = i ? (void *)&mutants[i - 1]
								: (void *)&the_arena };
	}
#ifndef MANNERS
	*array_push(tests, n) = (struct CMUnitTest){ .name = "every check is killed",
						     .test_func = test_all_killed };
#endif
	failed = _cmocka_run_group_tests("matrix", tests, n, open_arena, close_arena);
	free_mutants(mutants, n_mutants);
	free(tests);
	return failed;
}

#endif
