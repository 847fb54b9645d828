/* SPDX-License-Identifier: MIT */
/* test_grade_lasting.c - robust.minute, in a hurry: routers that work at first and then no more. */
#include <sys/stat.h>

#include "base/str.h"
#include "grade_arena.h"

#include "base/banned.h"

static const char stage[] =
	"{ \"title\": \"A few seconds\",\n"
	"  \"networks\": { \"net1\": { \"subnet\": \"1.1.1.0/24\", \"router\": \"1.1.1.1\" },\n"
	"                \"net2\": { \"subnet\": \"2.2.2.0/24\", \"router\": \"2.2.2.1\" } },\n"
	"  \"clients\": { \"client1\": { \"interfaces\": { \"eth0\": { \"network\": \"net1\",\n"
	"                 \"address\": \"1.1.1.2\" } }, \"gateway\": \"1.1.1.1\" },\n"
	"               \"client2\": { \"interfaces\": { \"eth0\": { \"network\": \"net2\",\n"
	"                 \"address\": \"2.2.2.2\" } }, \"gateway\": \"2.2.2.1\" } },\n"
	"  \"checks\": [ { \"use\": \"ipv4.forward\" },\n"
	"              { \"use\": \"robust.minute\", \"seconds\": 5 } ] }\n";

static char parent[64] = "/tmp/labctl-test-XXXXXX";

static int open_arena(void **state)
{
	auto_free char *dir = NULL, *path = NULL;

	(void)state;
	if (geteuid() != 0)
		return 0;
	assert_non_null(mkdtemp(parent));
	dir = xasprintf("%s/seconds", parent);
	path = xasprintf("%s/stage.json", dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	ok(fs_write(path, stage, strlen(stage), 0644, false, err));
	arena_open(&the_arena, dir);
	return 0;
}

static int close_and_remove(void **state)
{
	auto_free char *dir = xasprintf("%s/seconds", parent);
	auto_free char *path = xasprintf("%s/stage.json", dir);

	if (!the_arena.stage)
		return 0;
	close_arena(state);
	unlink(path);
	rmdir(dir);
	rmdir(parent);
	return 0;
}

static void grade_it(const char *router, struct results *ret)
{
	struct runner_spec program = { .become = arena_become, .arg = &the_arena };
	auto_free char *command = xasprintf("exec python3 tests/routers/%s", router);
	struct grader_options o = { .seed = 7, .program = &program };

	program.command = command;
	ok(grade(&the_arena.arena, &o, ret, err));
	assert_int_equal(ret->v[0].verdict, VERDICT_PASS);
}

static void test_reference(void **state)
{
	auto_results r = { 0 };

	(void)state;
	need_root();
	grade_it("stage1_reference.py", &r);
	assert_int_equal(r.passed, 2);
	assert_true(r.v[1].ms > 5000);
}

static void assert_noticed(const char *router, const char *words)
{
	auto_results r = { 0 };

	need_root();
	grade_it(router, &r);
	assert_int_equal(r.v[1].verdict, VERDICT_FAIL);
	if (!strstr(r.v[1].reason, words))
		fail_msg("%s", r.v[1].reason);
}

static void test_stops_forwarding(void **state)
{
	(void)state;
	assert_noticed("stage1_mutants.py --later stops-after-seconds",
		       "seconds of little traffic the router no longer delivers");
}

static void test_dies_when_it_gives_up(void **state)
{
	(void)state;
	assert_noticed("stage1_mutants.py --later dies-when-it-gives-up",
		       "your program ended (exit code 1) while this was tried: AttributeError");
}

static void test_never_asks_again(void **state)
{
	(void)state;
	assert_noticed("stage1_mutants.py --later never-asks-again", "the router does not deliver");
}

static void test_gives_up_for_ever(void **state)
{
	(void)state;
	assert_noticed("stage1_mutants.py --later gives-up-for-ever",
		       "the router does not deliver");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_stops_forwarding),
		cmocka_unit_test(test_dies_when_it_gives_up),
		cmocka_unit_test(test_never_asks_again),
		cmocka_unit_test(test_gives_up_for_ever),
	};

	mem_adopt_jansson();
	return cmocka_run_group_tests(tests, open_arena, close_and_remove);
}
