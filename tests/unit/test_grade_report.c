/* SPDX-License-Identifier: MIT */
/* test_grade_report.c - the catalogue's own consistency; reports in each form; hints' ladder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "grade/hint.h"
#include "grade/memory.h"
#include "grade/report.h"

#include "base/banned.h"

static struct stage the_stage = { .name = "stage1", .title = (char[]){ "Two neighbours" } };

static struct result make(const char *id, enum verdict v, const char *reason)
{
	struct result r = { .id = xstrdup(id),
			    .check = check_find("ipv4.ttl"),
			    .verdict = v,
			    .points = v == VERDICT_PASS ? 2 : 0,
			    .max_points = 2,
			    .reason = reason ? xstrdup(reason) : NULL,
			    .ms = 1.234,
			    .selected = true };

	return r;
}

static void fill(struct results *r)
{
	*r = (struct results){ .passed = 1,
			       .failed = 1,
			       .errors = 1,
			       .pending = 1,
			       .score = 2,
			       .max_score = 8,
			       .seed = 42,
			       .ms = 1500 };
	*array_push(r->v, r->n) = make("ipv4.ttl#1", VERDICT_PASS, NULL);
	*array_push(r->v, r->n) =
		make("ipv4.ttl#2", VERDICT_FAIL, "the TTL <62> is \"wrong\" & so on");
	*array_push(r->v, r->n) = make("x.error", VERDICT_ERROR, "no wire");
	*array_push(r->v, r->n) =
		make("x.wait", VERDICT_PENDING, "not tried, because x.error did not pass");
	*array_push(r->v, r->n) = make("x.hidden", VERDICT_PENDING, NULL);
	r->v[4].selected = false;
	r->v[1].expected = json_pack("{s:s}", "ipv4.ttl", "63");
	r->v[1].seen = json_pack("{s:s}", "ipv4.ttl", "62");
	r->v[1].sent = xstrdup("on net1: 1.1.1.2 > 2.2.2.2 UDP 4000 > 9, ttl 64, 32 bytes");
	r->v[1].story = xstrdup("your program sent it on to net2 with TTL 62");
	r->v[1].fault_hint = fault_hint(F_IPV4_TTL, NULL, NULL);
	r->v[3].waits_for = "x.error";
}

static struct report report_of(const struct results *r)
{
	return (struct report){ .stage = &the_stage, .lab = "ann", .results = r };
}

static void test_catalogue(void **state)
{
	const struct check *c;

	(void)state;
	for (size_t i = 0; (c = check_at(i)); i++) {
		assert_ptr_equal(check_find(c->id), c); /* no id twice */
		assert_non_null(c->title);
		assert_true(str_starts(c->rfc, "RFC "));
		assert_non_null(c->explain);
		assert_non_null(c->run);
		assert_in_range(c->points, 1, 10);
		assert_true(strlen(c->title) <= 58);
		for (size_t h = 0; h < HINTS; h++)
			assert_non_null(c->hints[h]);
		for (const char *p = c->needs; p && *p;) {
			size_t len = strcspn(p, " ");
			auto_free char *id = xstrndup(p, len);

			assert_non_null(check_find(id));
			p += len + strspn(p + len, " ");
		}
	}
	assert_true(check_needs(check_find("arp.queue"), "arp.resolve"));
	assert_false(check_needs(check_find("arp.reply.other"), "arp"));
}

static void test_lookup(void **state)
{
	const struct check *c;
	struct err e = { 0 };
	json_auto_t *args =
		json_pack("{s:s, s:i, s:s}", "use", "ipv4.ttl", "points", 3, "form", "x");

	(void)state;
	assert_int_equal(check_lookup("ipv4.tll", &c, &e), -1);
	assert_string_equal(e.msg, "there is no check 'ipv4.tll'");
	assert_string_equal(e.hint, "did you mean 'ipv4.ttl'?");
	assert_int_equal(check_args_valid(check_find("ipv4.ttl"), args, &e), -1);
	assert_string_equal(e.msg, "check 'ipv4.ttl' has no key 'form'");
	assert_string_equal(e.hint, "its keys are: use points from to");
	json_object_del(args, "form");
	assert_int_equal(check_args_valid(check_find("ipv4.ttl"), args, &e), 0);
}

static void test_json(void **state)
{
	static const char want[] =
		"{\"stage\":\"stage1\",\"lab\":\"ann\",\"seed\":42,\"notice\":\"Does it run?\","
		"\"passed\":1,\"failed\":1,\"errors\":1,\"pending\":1,\"score\":2,\"max_score\":8,"
		"\"checks\":[";
	static const char failed[] =
		"{\"id\":\"ipv4.ttl#2\",\"title\":\"decrements TTL by exactly one\","
		"\"status\":\"fail\",\"points\":0,\"max_points\":2,"
		"\"reason\":\"the TTL <62> is \\\"wrong\\\" & so on\","
		"\"fault_hint\":\"What you forward has the TTL it came with minus one, counted "
		"down "
		"exactly once. What you send yourself begins with a TTL of its own, such as 64.\","
		"\"hint\":\"What keeps a packet from circling for ever?\","
		"\"rfc\":\"RFC 1812 5.3.1\","
		"\"sent\":\"on net1: 1.1.1.2 > 2.2.2.2 UDP 4000 > 9, ttl 64, 32 bytes\","
		"\"expected\":{\"ipv4.ttl\":\"63\"},"
		"\"seen\":{\"ipv4.ttl\":\"62\"},"
		"\"story\":\"your program sent it on to net2 with TTL "
		"62\",\"ladder\":null,\"output\":null,\"ms\":1.23}";
	auto_results r = { 0 };
	struct report rep = report_of(&r);
	json_auto_t *doc = NULL;
	auto_free char *text = NULL, *one = NULL;

	(void)state;
	fill(&r);
	r.notice = xstrdup("Does it run?");
	doc = report_json(&rep);
	text = json_dumps(doc, JSON_COMPACT | JSON_REAL_PRECISION(4));
	assert_int_equal(strncmp(text, want, strlen(want)), 0);
	assert_int_equal(json_array_size(json_object_get(doc, "checks")), 4);
	one = json_dumps(json_array_get(json_object_get(doc, "checks"), 1),
			 JSON_COMPACT | JSON_REAL_PRECISION(4));
	assert_string_equal(one, failed);
	assert_int_equal(report_exit_code(&r), 3);
	r.errors = 0;
	assert_int_equal(report_exit_code(&r), 1);
	r.failed = r.pending = 0;
	assert_int_equal(report_exit_code(&r), 0);
}

/* What a program prints may be no text at all. */
static void test_json_output(void **state)
{
	auto_results r = { 0 };
	struct report rep = report_of(&r);
	json_auto_t *doc = NULL;
	const json_t *checks;

	(void)state;
	fill(&r);
	r.v[0].prints = xstrdup("fine\n");
	r.v[1].output = xstrdup("\377\033[2J");
	doc = report_json(&rep);
	checks = json_object_get(doc, "checks");
	assert_string_equal(json_string_value(json_object_get(json_array_get(checks, 0), "output")),
			    "fine\n");
	assert_string_equal(json_string_value(json_object_get(json_array_get(checks, 1), "output")),
			    "??[2J");
}

static void test_junit_tap(void **state)
{
	auto_results r = { 0 };
	struct report rep = report_of(&r);
	auto_str junit = { 0 }, tap = { 0 };

	(void)state;
	fill(&r);
	r.notice = xstrdup("Does it run?");
	report_junit(&rep, &junit);
	assert_non_null(strstr(junit.s, "<testsuite name=\"stage1\" tests=\"4\" failures=\"1\" "
					"errors=\"1\" skipped=\"1\" time=\"1.500\">"));
	assert_non_null(strstr(junit.s,
			       "<failure message=\"the TTL &lt;62&gt; is &quot;wrong&quot; "
			       "&amp; so on\">sent: on net1: 1.1.1.2 &gt; 2.2.2.2 UDP 4000 &gt; 9, "
			       "ttl 64, 32 bytes\nipv4.ttl: expected 63, seen 62\nyour program "
			       "sent it on to net2 with TTL 62\nhint: What you forward"));
	assert_null(strstr(junit.s, "x.hidden"));
	report_tap(&rep, &tap);
	assert_non_null(
		strstr(tap.s,
		       "\n1..4\n# seed 42\n# Does it run?\nok 1 - ipv4.ttl#1: decrements TTL by "
		       "exactly one\nnot ok 2 - ipv4.ttl#2: "));
	assert_non_null(strstr(tap.s, "# pending: not tried, because x.error did not pass\n"));
	assert_non_null(strstr(tap.s, "# score 2 of 8\n"));
}

static void test_table(void **state)
{
	auto_results r = { 0 };
	struct report rep = report_of(&r);
	auto_str plain = { 0 }, colour = { 0 };

	(void)state;
	fill(&r);
	report_checks(&rep, &plain);
	report_sum(&rep, &plain);
	assert_null(strchr(plain.s, '\033'));
	assert_non_null(strstr(
		plain.s,
		"        The TTL <62> is \"wrong\" & so on\n"
		"          sent      on net1: 1.1.1.2 > 2.2.2.2 UDP 4000 > 9, ttl 64, 32 bytes\n"
		"          expected  ipv4.ttl 63\n"
		"          seen      ipv4.ttl 62\n"
		"        Your program sent it on to net2 with TTL 62.\n"
		"        Hint: What you forward has the TTL"));
	assert_non_null(strstr(plain.s, "  FAIL  ipv4.ttl#2 "));
	assert_null(strstr(plain.s, "Hint 1"));
	assert_non_null(strstr(plain.s, "such as 64.\n"
					"        Read: RFC 1812 5.3.1. More: --hint; the whole "
					"story: --explain ipv4.ttl\n"));
	assert_non_null(strstr(plain.s,
			       "1 of 4 passed, 2 of 8 points, 1 could not be graded, 1 not "
			       "tried (1.5 s)\n"));
	assert_null(strstr(plain.s, "printed nothing"));
	r.v[1].output = xstrdup("");
	r.notice = xstrdup("Does it run?");
	str_done(&plain);
	report_head(&rep, &plain);
	report_checks(&rep, &plain);
	assert_non_null(strstr(plain.s, "seed 42)\n\n  Does it run?\n\n  pass"));
	assert_non_null(strstr(plain.s, "        Your program printed nothing.\n"));
	assert_null(strstr(plain.s, "Hint 1"));
	rep.colour = true;
	report_checks(&rep, &colour);
	assert_non_null(strstr(colour.s, "\033[32mpass \033[0m"));
}

/* The fault's hint stands alone unless more is asked for, the sockets' diagnosis before all. */
static void test_hints(void **state)
{
	auto_results r = { 0 };
	struct report rep = report_of(&r);
	auto_str text = { 0 };

	(void)state;
	fill(&r);
	rep.more_hints = true;
	report_checks(&rep, &text);
	assert_non_null(strstr(text.s, "        Hint: What you forward"));
	assert_non_null(strstr(text.s, "        Hint 1: What keeps a packet from circling for "
				       "ever?\n        Read: RFC 1812 5.3.1. More: --hint;"));
	rep.more_hints = false;
	r.v[1].fault_hint = NULL;
	str_done(&text);
	report_checks(&rep, &text);
	assert_non_null(strstr(text.s, "        Hint 1: What keeps"));
	r.wrong_sockets = true;
	str_done(&text);
	report_checks(&rep, &text);
	assert_null(strstr(text.s, "Hint"));
	assert_non_null(strstr(text.s, "        Read: RFC 1812 5.3.1. The whole story: --explain "
				       "ipv4.ttl\n"));
}

/* An error that all have is told once. */
static void test_same_error(void **state)
{
	auto_results r = { 0 };
	struct report rep = report_of(&r);
	auto_str text = { 0 }, tap = { 0 };

	(void)state;
	for (int i = 0; i < 18; i++)
		*array_push(r.v, r.n) = make(i ? "x.more" : "x.one", VERDICT_ERROR, "who is it");
	*array_push(r.v, r.n) = make("x.other", VERDICT_ERROR, "no wire");
	report_checks(&rep, &text);
	assert_true(str_starts(text.s, "  ERROR x.one "));
	assert_non_null(strstr(text.s, "        Who is it\n  ERROR 17 more checks: the same\n"
				       "  ERROR x.other "));
	assert_null(strstr(text.s, "x.more"));
	report_tap(&rep, &tap);
	assert_non_null(strstr(tap.s, "\nnot ok 18 - x.more: "));
}

/* A program that ends by the same fault in several checks says so in full once. */
static void test_same_words(void **state)
{
	static const char trace[] = "Traceback (most recent call last):\n"
				    "  File \"router.py\", line 7, in receive\n"
				    "    op = data[6]\n"
				    "         ~~~~^^^\n"
				    "IndexError: index out of range\n";
	auto_results r = { 0 };
	struct report rep = report_of(&r);
	auto_str text = { 0 };

	(void)state;
	*array_push(r.v, r.n) = make("x.one", VERDICT_FAIL, "your program ended");
	*array_push(r.v, r.n) = make("x.two", VERDICT_FAIL, "your program ended");
	*array_push(r.v, r.n) = make("x.three", VERDICT_FAIL, "your program ended");
	r.v[0].output = xasprintf("packet 1\n%s", trace);
	r.v[1].output = xasprintf("packet 2\n%s", trace);
	r.v[2].output = xstrdup("Traceback (most recent call last):\n"
				"  File \"router.py\", line 9, in receive\n"
				"    op = data[6]\n"
				"         ~~~~^^^\n"
				"IndexError: index out of range\n");
	report_checks(&rep, &text);
	assert_non_null(strstr(text.s, "          | packet 1\n"));
	assert_null(strstr(text.s, "packet 2"));
	assert_non_null(strstr(text.s, "        Your program ended\n"
				       "        Your program said last: as under x.one\n"));
	assert_non_null(strstr(text.s, "line 9, in receive\n"));
}

/* What waits for the same check shares a line, behind all that was tried. */
static void test_waiting(void **state)
{
	auto_results r = { 0 };
	struct report rep = report_of(&r);
	auto_str text = { 0 };

	(void)state;
	fill(&r);
	report_checks(&rep, &text);
	assert_non_null(strstr(text.s, "  wait  x.wait             waits for x.error\n"));
	*array_push(r.v, r.n) = make("x.late", VERDICT_PASS, NULL);
	for (int i = 0; i < 16; i++) {
		struct result *c = array_push(r.v, r.n);

		*c = make("x.more", VERDICT_PENDING, "not tried, because x.wait was not tried");
		c->waits_for = "x.error";
	}
	*array_push(r.v, r.n) = make("x.rest", VERDICT_PENDING, "not tried, because it is late");
	str_done(&text);
	report_checks(&rep, &text);
	assert_non_null(strstr(text.s,
			       "2/2\n  wait  17 more checks wait for x.error\n"
			       "  wait  x.rest             not tried, because it is late\n"));
	assert_null(strstr(text.s, "x.more"));
	assert_null(strstr(text.s, "x.hidden"));
}

/* What comes next is told when the whole stage is passed, and only then. */
static void test_next(void **state)
{
	auto_results r = { 0 };
	struct report rep = report_of(&r);
	auto_str text = { 0 };

	(void)state;
	*array_push(r.v, r.n) = make("ipv4.ttl#1", VERDICT_PASS, NULL);
	*array_push(r.v, r.n) = make("ipv4.ttl#2", VERDICT_PASS, NULL);
	rep.next = "labctl --lab ann stage-start stage2";
	r.passed = 1;
	report_sum(&rep, &text);
	assert_null(strstr(text.s, "next:"));
	r.passed = 2;
	report_sum(&rep, &text);
	assert_non_null(strstr(text.s, " s)\nnext: labctl --lab ann stage-start stage2\n"));
}

static void rung(struct ladder *l, double ms, const char *from, const char *to, const char *frame,
		 enum rung_kind kind)
{
	*array_push(l->v, l->n) =
		(struct rung){ ms, xstrdup(from), xstrdup(to), xstrdup(frame), kind, false };
}

static void test_ladder(void **state)
{
	static const char unicode[] =
		"        ms   client1  router      client2\n"
		"      0.00   │──────────→│           │  who-has\n"
		"      0.25   │           │←──────────│  (own kernel) is-at\n"
		"             … 212 more frames …\n"
		"      1.50   │←──────────│           │  wrong ? here  <-- this one\n"
		"   1000.00   │           │╌╌╌╌╌╌╌╌╌╌→│  missing: it\n";
	auto_results r = { 0 };
	struct report rep = report_of(&r);
	struct ladder *l;
	auto_str text = { 0 }, ascii = { 0 }, tap = { 0 };
	json_auto_t *doc = NULL;
	auto_free char *json = NULL;

	(void)state;
	fill(&r);
	l = &r.v[1].ladder;
	ladder_draw(l, true, "", &text);
	assert_string_equal(str_get(&text), "");
	rung(l, 0, "client1", "router", "who-has", RUNG_SENT);
	rung(l, 0.25, "client2", "router", "is-at", RUNG_KERNEL);
	rung(l, 0.3, "", "", "212 more frames", RUNG_MORE);
	rung(l, 1.5, "router", "client1", "wrong \033 here", RUNG_ROUTER);
	l->v[3].meant = true;
	rung(l, 1000, "router", "client2", "missing: it", RUNG_MISSING);
	ladder_draw(l, true, " ", &text);
	assert_string_equal(text.s, unicode);
	ladder_draw(l, false, "", &ascii);
	assert_non_null(strstr(ascii.s, "0.25   |           |<----------|  (own kernel) is-at\n"));
	assert_non_null(strstr(ascii.s, "|           |..........>|  missing: it\n"));
	doc = ladder_json(l);
	json = json_dumps(json_array_get(doc, 4), JSON_COMPACT | JSON_REAL_PRECISION(6));
	assert_string_equal(json, "{\"ms\":1000.0,\"from\":\"router\",\"to\":\"client2\","
				  "\"frame\":\"missing: it\",\"kind\":\"missing\"}");
	str_done(&text);
	report_checks(&rep, &text);
	assert_null(strstr(text.s, "who-has"));
	rep.ladders = rep.ascii = true;
	report_checks(&rep, &text);
	assert_non_null(strstr(text.s, "             0.00   |---------->|"));
	report_tap(&rep, &tap);
	assert_non_null(strstr(tap.s, "\n#        0.00   |---------->|           |  who-has\n"));
}

static void test_memory(void **state)
{
	char dir[] = "/tmp/labctl-memory-XXXXXX";
	auto_memory m = { 0 }, again = { 0 }, other = { 0 };
	auto_free char *file = NULL, *sub = NULL;
	auto_results r = { 0 };
	auto_strv failed = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	fill(&r);
	memory_load(&m, dir, "ann", "stage1");
	assert_int_equal(memory_hints(&m, "ipv4.ttl#2"), 1);
	memory_update(&m, &r, true); /* the first failure: the first hint */
	assert_int_equal(memory_hints(&m, "ipv4.ttl#2"), 1);
	for (unsigned i = 0; i < 4; i++) {
		memory_update(&m, &r, true);
		assert_int_equal(memory_hints(&m, "ipv4.ttl#2"), i < 2 ? i + 2 : HINTS);
	}
	memory_update(&m, &r, false);
	assert_int_equal(memory_save(&m, ERR_IGNORED), 0);
	memory_load(&again, dir, "ann", "stage1");
	assert_int_equal(memory_hints(&again, "ipv4.ttl#2"), HINTS);
	memory_failed(&again, &failed);
	assert_int_equal(failed.n, 3);
	assert_string_equal(failed.v[0], "ipv4.ttl#2");
	memory_load(&other, dir, "ann", "stage2");
	assert_int_equal(memory_hints(&other, "ipv4.ttl#2"), 1);
	file = xstrdup(m.path);
	sub = xasprintf("%s/grade", dir);
	unlink(file);
	rmdir(sub);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_catalogue),  cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_json),	   cmocka_unit_test(test_json_output),
		cmocka_unit_test(test_junit_tap),  cmocka_unit_test(test_table),
		cmocka_unit_test(test_hints),	   cmocka_unit_test(test_same_error),
		cmocka_unit_test(test_same_words), cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_next),	   cmocka_unit_test(test_ladder),
		cmocka_unit_test(test_memory),
	};

	mem_adopt_jansson();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
