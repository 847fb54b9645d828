/* SPDX-License-Identifier: MIT */
/*
 * test_grade_loss.c - a router that loses packets fails the checks that are about that, and says
 * so; no other check takes what is special about its own packet for the reason.
 */
#include "base/str.h"
#include "grade_arena.h"

#include "base/banned.h"

#define MUTANTS "exec python3 tests/routers/stage1_mutants.py --losing "

#define DATAGRAMS "the router loses datagrams: of "
#define ECHOES	  "the router loses packets: of "

static const struct {
	const char *router;
	struct {
		const char *check, *words;
	} failed[2];
} losers[] = {
	{ "second", { { "ipv4.forward", DATAGRAMS } } },
	{ "third", { { "ipv4.forward", DATAGRAMS } } },
	{ "tenth", { { "ipv4.forward", DATAGRAMS } } },
	{ "fifth-at-random", { { "ipv4.forward", DATAGRAMS } } },
	{ "third-of-all", { { "icmp.echo", ECHOES }, { "ipv4.forward", DATAGRAMS } } },
	/* What never arrives is missing for a reason of its own. */
	{ "third-and-ttl-2",
	  { { "ipv4.forward", DATAGRAMS },
	    { "ipv4.ttl", "the router did not deliver a datagram with TTL 2" } } },
};

static int open_arena(void **state)
{
	(void)state;
	return open_the_arena("stages/stage1");
}

static const char *words_of(size_t k, const char *check)
{
	for (size_t i = 0; i < ARRAY_SIZE(losers[k].failed); i++) {
		if (losers[k].failed[i].check && strcmp(losers[k].failed[i].check, check) == 0)
			return losers[k].failed[i].words;
	}
	return NULL;
}

static void assert_blamed_rightly(size_t k, const struct result *c)
{
	const char *words = words_of(k, c->id);

	if (words && (c->verdict != VERDICT_FAIL || !strstr(c->reason, words)))
		fail_msg("router '%s', %s: %s (%s), and not '%s'", losers[k].router, c->id,
			 verdict_name(c->verdict), c->reason ? c->reason : "", words);
	if (words || c->verdict == VERDICT_PASS)
		return;
	if (c->verdict != VERDICT_PENDING || !words_of(k, c->waits_for))
		fail_msg("router '%s', %s: %s: %s", losers[k].router, c->id,
			 verdict_name(c->verdict), c->reason);
}

static void test_losers(void **state)
{
	struct runner_spec program = { .become = arena_become, .arg = &the_arena };
	struct grader_options o = { .program = &program, .seed = 7 };

	(void)state;
	need_root();
	for (size_t k = 0; k < ARRAY_SIZE(losers); k++) {
		auto_free char *command = xasprintf(MUTANTS "%s", losers[k].router);
		auto_results r = { 0 };

		program.command = command;
		ok(grade(&the_arena.arena, &o, &r, err));
		for (size_t i = 0; i < r.n; i++)
			assert_blamed_rightly(k, &r.v[i]);
	}
}

/* Nobody else says it when ipv4.forward is not asked for. */
static void test_alone(void **state)
{
	struct runner_spec program = { .command = MUTANTS "second",
				       .become = arena_become,
				       .arg = &the_arena };
	struct grader_options o = { .program = &program, .seed = 7, .only = "arp.queue" };
	auto_results r = { 0 };

	(void)state;
	need_root();
	ok(grade(&the_arena.arena, &o, &r, err));
	assert_int_equal(r.failed, 1);
	for (size_t i = 0; i < r.n; i++) {
		if (r.v[i].selected)
			assert_non_null(strstr(r.v[i].reason, DATAGRAMS));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_losers),
		cmocka_unit_test(test_alone),
	};

	mem_adopt_jansson();
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
