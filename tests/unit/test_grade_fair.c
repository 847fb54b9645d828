/* SPDX-License-Identifier: MIT */
/*
 * test_grade_fair.c - the kernel, or somebody else, does the router's work: verdict error, with
 * the reason; and what becomes of programs that do not start, die, or never answer.
 */
#include <signal.h>
#include <sys/wait.h>

#include "base/str.h"
#include "grade/fair.h"
#include "grade_arena.h"

#include "base/banned.h"

#define REFERENCE "exec python3 tests/routers/stage1_reference.py"

static int open_arena(void **state)
{
	(void)state;
	return open_the_arena("stages/stage1");
}

static int shell_here(void *arg, struct err *err)
{
	(void)err;
	return system(arg) == 0 ? 0 : -1;
}

static void in_seat(const char *command)
{
	char *line = xstrdup(command);

	if (netns_run(the_arena.arena.seat_ns, shell_here, line, ERR_IGNORED) < 0)
		fail_msg("failed: %s", command);
	free(line);
}

static void grade_it(const char *command, const char *only, struct results *ret)
{
	struct runner_spec program = { .command = command,
				       .become = arena_become,
				       .arg = &the_arena };
	struct grader_options o = { .seed = 7, .only = only, .program = command ? &program : NULL };

	ok(grade(&the_arena.arena, &o, ret, err));
}

static void assert_all(const struct results *r, enum verdict v, const char *words)
{
	for (size_t i = 0; i < r->n; i++) {
		if (!r->v[i].selected)
			continue;
		assert_string_equal(verdict_name(r->v[i].verdict), verdict_name(v));
		assert_int_equal(r->v[i].points, 0);
		assert_non_null(r->v[i].reason);
		if (!strstr(r->v[i].reason, words))
			fail_msg("'%s' does not say '%s'", r->v[i].reason, words);
	}
}

static const struct {
	const char *arrange, *undo, *words;
} ways[] = {
	{ "sysctl -qw net.ipv4.conf.net1.forwarding=1",
	  "sysctl -qw net.ipv4.conf.net1.forwarding=0",
	  "the kernel forwards what arrives on net1" },
	{ "ip addr add 1.1.1.1/24 dev net1", "ip addr del 1.1.1.1/24 dev net1",
	  "the address 1.1.1.1 is the kernel's own: it answers ARP and ping in your program's "
	  "place (it takes its addresses back when a link was down and up) (mend it: labctl "
	  "repair)" },
	{ "ip addr add 2.2.2.1/32 dev lo", "ip addr del 2.2.2.1/32 dev lo",
	  "the address 2.2.2.1 is the kernel's own: it answers ARP and ping in your program's "
	  "place (a local address or route on interface 'lo' says so: remove it there)" },
	{ "ip link add br9 type bridge && ip link set net2 master br9", "ip link del br9",
	  "the interface net2 is a port of a bridge" },
	{ "tc qdisc add dev net1 clsact", "tc qdisc del dev net1 clsact",
	  "a tc filter point (clsact) sits on net1" },
	{ "tc qdisc add dev net2 ingress", "tc qdisc del dev net2 ingress",
	  "a tc filter point (ingress) sits on net2" },
	{ "nft add table netdev evil && nft add chain netdev evil c "
	  "'{ type filter hook ingress device net1 priority -600; }'",
	  "nft delete table netdev evil", "an nftables chain of table 'evil' sits on net1" },
	{ "ip link set net1 down", "ip link set net1 up",
	  "the interface net1 is down (mend it: labctl repair)" },
	{ "nft list ruleset >/tmp/labctl-fair-rules && nft flush ruleset",
	  "nft -f /tmp/labctl-fair-rules; rm /tmp/labctl-fair-rules",
	  "the guard that keeps the kernel away from net1 is gone" },
};

static void test_ways(void **state)
{
	(void)state;
	need_root();
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		auto_results r = { 0 }, after = { 0 };

		in_seat(ways[i].arrange);
		grade_it(REFERENCE, "arp.reply", &r);
		in_seat(ways[i].undo);
		assert_all(&r, VERDICT_ERROR, ways[i].words);
		assert_int_equal(r.errors, 1);
		grade_it(REFERENCE, "arp.reply", &after);
		if (after.errors)
			fail_msg("way %zu: %s", i, after.v[0].reason);
		assert_int_equal(after.passed, 1);
	}
}

/* Arranged by the program itself, once it runs. */
static void test_arranged_later(void **state)
{
	auto_results r = { 0 };

	(void)state;
	need_root();
	grade_it("sysctl -qw net.ipv4.conf.net2.forwarding=1; " REFERENCE, "arp.reply", &r);
	in_seat("sysctl -qw net.ipv4.conf.net2.forwarding=0");
	assert_all(&r, VERDICT_ERROR, "the kernel forwards what arrives on net2");
}

/* For a moment only, and undone before anybody looks. */
static const struct {
	const char *change, *words;
} moments[] = {
	{ "sysctl -qw net.ipv4.ip_forward=1; sleep 0.1; sysctl -qw net.ipv4.ip_forward=0",
	  "during the check, IPv4 forwarding was switched on for all interfaces" },
	{ "sysctl -qw net.ipv4.conf.net1.forwarding=1; sysctl -qw net.ipv4.conf.net1.forwarding=0",
	  "during the check, IPv4 forwarding was switched on for net1; IPv4 forwarding was "
	  "switched off for net1" },
	{ "sysctl -qw net.ipv4.conf.net2.proxy_arp=1; sysctl -qw net.ipv4.conf.net2.proxy_arp=0",
	  "IPv4 proxy ARP was switched on for net2" },
	{ "ip addr add 1.1.1.1/24 dev net1; ip addr del 1.1.1.1/24 dev net1",
	  "the address 1.1.1.1/24 was added on net1" },
	{ "ip route add 9.9.9.0/24 dev net2; ip route del 9.9.9.0/24 dev net2",
	  "a route to 9.9.9.0/24 was added; a route to 9.9.9.0/24 was removed" },
	{ "ip rule add from 9.9.9.9 lookup 9; ip rule del from 9.9.9.9 lookup 9",
	  "a routing rule was added" },
	{ "ip link add br9 type bridge; ip link set net1 master br9; ip link del br9",
	  "interface net1 became a port of a bridge; interface net1 left its bridge" },
	{ "ip link add mv9 link net1 type macvlan mode passthru; ip link del mv9",
	  "interface 'mv9' was put on top of net1" },
	{ "ip link add d9 type bridge; ip link set d9 up; ip link del d9",
	  "interface 'd9' appeared in the seat" },
	{ "tc qdisc add dev net1 clsact; tc qdisc del dev net1 clsact",
	  "a tc filter point on net1 was added or removed" },
	{ "nft add table ip evil; nft delete table ip evil",
	  "the nftables table 'evil' was changed" },
	{ "nft list ruleset >/tmp/labctl-fair-rules; nft flush ruleset; "
	  "nft -f /tmp/labctl-fair-rules; rm /tmp/labctl-fair-rules",
	  "the nftables table 'labctl_test' was changed" },
	{ "ip link set net1 down; ip link set net1 up",
	  "interface net1 was set down; interface net1 was set up" },
};

static void test_moments(void **state)
{
	(void)state;
	need_root();
	for (size_t i = 0; i < ARRAY_SIZE(moments); i++) {
		auto_free char *line = xasprintf("{ %s; } 2>&1; " REFERENCE, moments[i].change);
		auto_results r = { 0 };

		grade_it(line, NULL, &r);
		if (!r.errors)
			fail_msg("not noticed: %s", moments[i].change);
		assert_all(&r, VERDICT_ERROR, moments[i].words);
		assert_int_equal(r.score, 0);
		assert_int_equal(r.errors, r.n);
	}
}

/* What a program does that listens as it should is no change. */
static void test_promiscuous(void **state)
{
	auto_results r = { 0 };

	(void)state;
	need_root();
	grade_it("tcpdump -n -i net1 -w /dev/null >/dev/null 2>&1 & ip link set net2 promisc on; "
		 "exec python3 tests/routers/stage1_reference.py",
		 "arp", &r);
	in_seat("ip link set net2 promisc off");
	assert_int_equal(r.errors, 0);
	assert_int_equal(r.failed, 0);
}

static void test_somebody_else(void **state)
{
	auto_results r = { 0 }, running = { 0 };
	char *argv[] = { (char[]){ "python3" }, (char[]){ "tests/routers/stage1_reference.py" },
			 NULL };
	auto_free char *words = NULL;
	int out[2];
	char byte;
	pid_t pid;

	(void)state;
	need_root();
	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		_exit(arena_become(&the_arena, argv, ERR_IGNORED));
	}
	close(out[1]);
	assert_int_equal(read(out[0], &byte, 1), 1); /* "routing between ..." */
	grade_it(REFERENCE, "arp.reply", &r);
	grade_it(NULL, NULL, &running);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	close(out[0]);
	words = xasprintf("kill %d), then check again", (int)pid);
	assert_all(&r, VERDICT_ERROR,
		   "without your program: is your program, or another router, "
		   "still running?");
	assert_all(&r, VERDICT_ERROR, "; it listens here: process ");
	assert_all(&r, VERDICT_ERROR,
		   "python3 tests/routers/stage1_reference.py); end it (Ctrl-C "
		   "there, or kill ");
	assert_all(&r, VERDICT_ERROR, words);
	assert_int_equal(running.passed, running.n);
	assert_null(running.notice);
}

static void test_no_program(void **state)
{
	auto_results r = { 0 };

	(void)state;
	need_root();
	grade_it(NULL, NULL, &r);
	assert_int_equal(r.failed, 1);
	assert_int_equal(r.pending, r.n - 1);
	assert_string_equal(r.v[0].reason, "the router did not answer who-has for its own address");
	assert_string_equal(r.notice, "Nobody answers anything. Does your program run? Start it by "
				      "'labctl run -- COMMAND', or here by --run COMMAND.");
}

static void test_never_answers(void **state)
{
	auto_results r = { 0 };

	(void)state;
	need_root();
	grade_it("exec sleep 100", "arp.reply", &r);
	assert_int_equal(r.failed, 1);
	assert_string_equal(
		r.notice, "Your program has no packet socket that listens on net1, net2. Open one "
			  "for each, and bind() it to the interface: socket(AF_PACKET, SOCK_RAW, "
			  "htons(ETH_P_ALL)).");
}

static void test_ends_at_once(void **state)
{
	auto_results r = { 0 };

	(void)state;
	need_root();
	grade_it("echo no reason at all", NULL, &r);
	assert_int_equal(r.failed, 1);
	assert_string_equal(r.v[0].reason,
			    "your program ended (exit code 0) before it answered anything (a "
			    "router never ends: it waits for frames in a loop, see "
			    "src/starter.py)");
}

static void test_dies_at_once(void **state)
{
	auto_results r = { 0 };

	(void)state;
	need_root();
	grade_it("echo one; echo 'no such luck' >&2; exit 3", NULL, &r);
	assert_int_equal(r.failed, 1);
	assert_int_equal(r.pending, r.n - 1);
	assert_string_equal(r.v[0].reason, "your program ended (exit code 3) before it answered "
					   "anything: no such luck");
	assert_string_equal(r.v[0].output, "one\nno such luck\n");
	assert_string_equal(r.v[1].reason, "not tried, because your program ended");
}

static void test_dies_of_sockets(void **state)
{
	auto_results nowhere = { 0 }, unbound = { 0 };

	(void)state;
	need_root();
	grade_it("echo 'OSError: [Errno 19] No such device' >&2; exit 1", "arp.reply", &nowhere);
	assert_non_null(strstr(nowhere.v[0].reason, "(labctl status names the interfaces)"));
	grade_it("echo 'OSError: [Errno 6] No such device or address' >&2; exit 1", "arp.reply",
		 &unbound);
	assert_non_null(strstr(unbound.v[0].reason, "bound to: bind() each)"));
}

#define ENOUGH "/tmp/labctl-fair-enough"

static void say_enough(void *arg, const struct result *r, size_t i, size_t n, bool after)
{
	(void)arg, (void)r, (void)n;
	if (i == 1 && !after)
		assert_int_equal(system(">" ENOUGH), 0);
}

/* Started again it may have answered, or not: that is not said. */
static void test_dies_again(void **state)
{
	struct runner_spec program = { .command = "if test -e " ENOUGH
						  "; then echo 'no more' >&2; exit 4; fi; "
						  "python3 tests/routers/stage1_reference.py & "
						  "until test -e " ENOUGH
						  "; do sleep 0.01; done; kill $!; exit 3",
				       .become = arena_become,
				       .arg = &the_arena };
	struct grader_options o = { .seed = 1, .program = &program, .progress = say_enough };
	auto_results r = { 0 };
	bool told = false;

	(void)state;
	need_root();
	unlink(ENOUGH);
	ok(grade(&the_arena.arena, &o, &r, err));
	unlink(ENOUGH);
	for (size_t i = 0; i < r.n; i++)
		told |= r.v[i].reason &&
			strcmp(r.v[i].reason, "your program ended (exit code 4) before this could "
					      "be tried: no more") == 0;
	assert_true(told);
}

static void note_progress(void *arg, const struct result *r, size_t i, size_t n, bool after)
{
	struct str *said = arg;

	str_addf(said, "%s %zu of %zu%s\n", r->id, i + after, n, after ? "" : "...");
}

static void test_progress(void **state)
{
	auto_str said = { 0 };
	struct grader_options o = { .only = "ipv4.ttl",
				    .progress = note_progress,
				    .progress_arg = &said };
	auto_results r = { 0 };

	(void)state;
	need_root();
	assert_int_equal(grade(&the_arena.arena, &o, &r, ERR_IGNORED), 0);
	/* With those that it needs. */
	assert_string_equal(said.s, "arp.reply 0 of 4...\narp.reply 1 of 4\n"
				    "arp.resolve 1 of 4...\narp.resolve 2 of 4\n"
				    "ipv4.forward 2 of 4...\nipv4.forward 3 of 4\n"
				    "ipv4.ttl 3 of 4...\nipv4.ttl 4 of 4\n");
}

static const struct result *result_of(const struct results *r, const char *id)
{
	for (size_t i = 0; i < r->n; i++) {
		if (strcmp(r->v[i].id, id) == 0)
			return &r->v[i];
	}
	fail_msg("no result of %s", id);
	return NULL;
}

/* What a chosen check needs is tried with it; it is in the report if it was not passed. */
static void test_only_with_needs(void **state)
{
	auto_results good = { 0 }, usable = { 0 }, bad = { 0 };

	(void)state;
	need_root();
	grade_it(REFERENCE, "arp.queue", &good);
	assert_int_equal(good.passed, 1);
	assert_int_equal(good.max_score, result_of(&good, "arp.queue")->max_points);
	assert_int_equal(result_of(&good, "arp.resolve")->verdict, VERDICT_PASS);
	assert_false(result_of(&good, "arp.resolve")->selected);
	assert_int_equal(result_of(&good, "ipv4.ttl")->verdict, VERDICT_PENDING);
	assert_false(result_of(&good, "ipv4.ttl")->needed);

	/* What does not stand in the way is no part of the report. */
	grade_it("exec python3 tests/routers/stage1_mutants.py arp-reply-not-unicast", "ipv4.ttl",
		 &usable);
	assert_int_equal(usable.passed, 1);
	assert_int_equal(result_of(&usable, "arp.reply")->verdict, VERDICT_FAIL);
	assert_false(result_of(&usable, "arp.reply")->selected);

	grade_it("exec python3 tests/routers/stage1_mutants.py ipv4-forward-not", "ipv4.ttl", &bad);
	assert_int_equal(bad.failed, 1);
	assert_int_equal(bad.pending, 2);
	assert_int_equal(result_of(&bad, "arp.resolve")->verdict, VERDICT_FAIL);
	assert_true(result_of(&bad, "arp.resolve")->selected);
	assert_string_equal(result_of(&bad, "ipv4.forward")->reason,
			    "not tried, because arp.resolve did not pass");
	assert_string_equal(result_of(&bad, "ipv4.ttl")->reason,
			    "not tried, because ipv4.forward was not tried");
	assert_string_equal(result_of(&bad, "ipv4.ttl")->waits_for, "arp.resolve");
	assert_false(result_of(&bad, "icmp.echo")->selected);
}

/* The questions that were asked while it started stand before those of the first check. */
static void test_slow_program(void **state)
{
	auto_results r = { 0 };

	(void)state;
	need_root();
	grade_it("exec python3 -c \"import sys, time; sys.path.insert(0, 'tests/routers')\n"
		 "import stage1_reference as ref, json, os\n"
		 "old = ref.Router.receive\n"
		 "ref.Router.receive = lambda *args: (time.sleep(0.1), old(*args))\n"
		 "ref.Router(json.load(open(os.environ['LAB_FILE']))).run()\"",
		 "arp.reply", &r);
	assert_int_equal(r.passed, 1);
}

/* It rests for a while: the answer comes, after the time. */
static void test_too_late(void **state)
{
	auto_results r = { 0 };

	(void)state;
	need_root();
	grade_it("exec python3 -c \"import sys, time; sys.path.insert(0, 'tests/routers')\n"
		 "import stage1_reference as ref, json, os, itertools\n"
		 "old, count = ref.Router.forward, itertools.count()\n"
		 "rest = lambda: next(count) == 40 and time.sleep(2.5)\n"
		 "ref.Router.forward = lambda *args: (rest(), old(*args))\n"
		 "ref.Router(json.load(open(os.environ['LAB_FILE']))).run()\"",
		 "ipv4.forward", &r);
	assert_int_equal(r.failed, 1);
	for (size_t i = 0; i < r.n; i++) {
		if (!r.v[i].selected)
			continue;
		assert_non_null(strstr(r.v[i].reason, "; what was missing came too late: after "));
		assert_null(strstr(r.v[i].reason, "answers nothing any more"));
		assert_null(r.v[i].story);
	}
}

static void test_cannot_start(void **state)
{
	struct runner_spec program = { .command = "/nonexistent/router",
				       .become = arena_become,
				       .arg = &the_arena };
	struct grader_options o = { .program = &program };
	struct results r;

	(void)state;
	need_root();
	fails(grade(&the_arena.arena, &o, &r, err), ERR_ENV,
	      "your program could not be started: /bin/sh: 1: /nonexistent/router: not found");
}

/* The program counts its processes in a namespace of its own: a command line tells them from here. */
static bool runs(const char *command)
{
	auto_free char *cmd = xasprintf("pgrep -fx '%s' >/dev/null", command);

	return system(cmd) == 0;
}

/* What the program started is stopped with it, also when it is in another session. */
static void test_stops_all(void **state)
{
	auto_results r = { 0 };

	(void)state;
	need_root();
	unlink("/tmp/labctl-fair-started");
	grade_it("trap '' TERM; sleep 1000.51 & setsid sleep 1000.52 & "
		 "(setsid sh -c 'sleep 1000.53 & >/tmp/labctl-fair-started; wait' &); "
		 "while [ ! -e /tmp/labctl-fair-started ]; do sleep 0.01; done; exit 1",
		 "arp.reply", &r);
	assert_int_equal(unlink("/tmp/labctl-fair-started"), 0);
	assert_false(runs("sleep 1000.51"));
	assert_false(runs("sleep 1000.52"));
	assert_false(runs("sleep 1000.53"));
}

/* SIGKILL of the grader ends the program, and what that started, too. */
static void test_killed_grader(void **state)
{
	pid_t grader;

	(void)state;
	need_root();
	grader = fork();
	if (grader == 0) {
		auto_results r = { 0 };

		grade_it("sleep 1000.61 & setsid sleep 1000.62 & wait", NULL, &r);
		_exit(0);
	}
	for (int i = 0; i < 1000 && !(runs("sleep 1000.61") && runs("sleep 1000.62")); i++)
		usleep(10000);
	assert_true(runs("sleep 1000.61") && runs("sleep 1000.62"));
	kill(grader, SIGKILL);
	waitpid(grader, NULL, 0);
	for (int i = 0; i < 1000 && (runs("sleep 1000.61") || runs("sleep 1000.62")); i++)
		usleep(10000);
	assert_false(runs("sleep 1000.61") || runs("sleep 1000.62"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_arranged_later),
		cmocka_unit_test(test_somebody_else),
		cmocka_unit_test(test_no_program),
		cmocka_unit_test(test_never_answers),
		cmocka_unit_test(test_dies_at_once),
		cmocka_unit_test(test_dies_of_sockets),
		cmocka_unit_test(test_dies_again),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_cannot_start),
		cmocka_unit_test(test_ends_at_once),
		cmocka_unit_test(test_too_late),
		cmocka_unit_test(test_stops_all),
		cmocka_unit_test(test_only_with_needs),
		cmocka_unit_test(test_slow_program),
		cmocka_unit_test(test_killed_grader),
		cmocka_unit_test(test_moments),
		cmocka_unit_test(test_promiscuous),
	};

	mem_adopt_jansson();
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
