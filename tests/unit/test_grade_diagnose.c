/* SPDX-License-Identifier: MIT */
/* test_grade_diagnose.c - first mistakes that are recognised by more than frames. */
#include <signal.h>
#include <sys/wait.h>

#include "base/str.h"
#include "grade/diagnose.h"
#include "grade_arena.h"

#include "base/banned.h"

static int open_arena(void **state)
{
	(void)state;
	return open_the_arena("stages/stage1");
}

/* A program with these sockets, each "PROTOCOL" or "PROTOCOL INTERFACE"; "D" before: SOCK_DGRAM. */
static pid_t start(const char *sockets)
{
	static const char program[] =
		"import socket, sys, time\n"
		"open = []\n"
		"for word in sys.argv[1].split(','):\n"
		"    protocol, _, name = word.partition(' ')\n"
		"    kind = socket.SOCK_DGRAM if word[0] == 'D' else socket.SOCK_RAW\n"
		"    s = socket.socket(socket.AF_PACKET, kind, int(protocol.lstrip('D'), 16))\n"
		"    if name:\n"
		"        s.bind((name, 0))\n"
		"    open.append(s)\n"
		"print('ready', flush=True)\n"
		"time.sleep(100)\n";
	char *argv[] = { xstrdup("python3"), xstrdup("-c"), xstrdup(program), xstrdup(sockets),
			 NULL };
	int out[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		_exit(arena_become(&the_arena, argv, ERR_IGNORED));
	}
	close(out[1]);
	assert_int_equal(read(out[0], &byte, 1), 1);
	close(out[0]);
	for (size_t i = 0; argv[i]; i++)
		free(argv[i]);
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void assert_said(const char *sockets, const char *words)
{
	struct grader g = { .arena = &the_arena.arena, .stage = the_arena.stage };
	auto_free char *text = NULL;
	bool about_sockets = false, deaf;
	pid_t pid;

	need_root();
	diagnose_begin(&g);
	pid = start(sockets);
	text = diagnose_program(&g, &about_sockets);
	deaf = diagnose_is_deaf(&g);
	stop(pid);
	free(g.earlier);
	assert_int_equal(about_sockets, words != NULL);
	assert_int_equal(deaf, words && !strstr(sockets, "300"));
	if (!words && text)
		fail_msg("'%s': %s", sockets, text);
	if (words && (!text || !strstr(text, words)))
		fail_msg("'%s' lacks '%s': %s", sockets, words, text ? text : "nothing");
}

/* Protocols are given as socket() gets them, on a little-endian host. */
static void test_sockets(void **state)
{
	(void)state;
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		skip();
	assert_said("300", NULL);
	assert_said("300 net1,300 net2", NULL);
	assert_said("300 net1,300 net2,8", NULL);
	assert_said("8", "Your socket on net1, net2 is open for protocol 0x0800 (IPv4) only");
	assert_said("608 net1,300 net2",
		    "Your socket on net1 is open for protocol 0x0806 (ARP) only");
	assert_said("8,608", "is open for protocol 0x0800 (IPv4) only");
	assert_said("3", "has its bytes in the wrong order");
	assert_said("800 net1,300 net2",
		    "The protocol of your socket on net1 has its bytes in the wrong");
	assert_said("0", "is open for protocol 0, and gets nothing");
	assert_said("dd86", "gets neither ARP nor IPv4");
	assert_said("D300 net1,300 net2", "Your socket on net1 is of type SOCK_DGRAM");
	assert_said("D300 net1,300", NULL);
	assert_said("300 net2", "Your program has no packet socket that listens on net1.");
}

/* What is there before the program is not the program's: a capture, for example. */
static void test_earlier(void **state)
{
	pid_t capture;

	(void)state;
	need_root();
	capture = start("300");
	assert_said("8", "is open for protocol 0x0800 (IPv4) only");
	stop(capture);
}

static void test_listener(void **state)
{
	struct grader g = { .arena = &the_arena.arena, .stage = the_arena.stage };
	auto_free char *name = NULL, *expected = NULL;
	pid_t pid, listens = 0;

	(void)state;
	need_root();
	assert_null(diagnose_listener(&g, &listens));
	pid = start("300 net2");
	name = diagnose_listener(&g, &listens);
	stop(pid);
	expected = xasprintf("process %d (", (int)pid);
	assert_non_null(name);
	assert_int_equal(listens, pid);
	assert_true(str_starts(name, expected));
	assert_non_null(strstr(name, "python3 -c import socket"));
}

static void grade_it(const char *command, const char *only, struct results *ret)
{
	struct runner_spec program = { .command = command,
				       .become = arena_become,
				       .arg = &the_arena };
	struct grader_options o = { .seed = 7, .only = only, .program = &program };

	ok(grade(&the_arena.arena, &o, ret, err));
}

static void test_hears_itself(void **state)
{
	auto_results r = { 0 }, fine = { 0 }, many = { 0 };

	(void)state;
	need_root();
	grade_it("exec python3 tests/routers/stage1_mutants.py ipv4-forward-hears-itself",
		 "ipv4.forward", &r);
	assert_int_equal(r.failed, 1);
	assert_non_null(r.notice);
	assert_true(str_starts(r.notice, "Your program takes frames that it has sent itself"));
	assert_false(r.wrong_sockets);
	grade_it("exec python3 tests/routers/stage1_mutants.py ipv4-ttl-kept", NULL, &fine);
	assert_int_equal(fine.failed, 1);
	assert_null(fine.notice);
	/* Of the many datagrams that it sends on, some have the same identification, 0. */
	grade_it("exec python3 tests/routers/stage1_mutants.py eth-rewrite-to-frame-source", NULL,
		 &many);
	assert_true(many.failed > 0);
	assert_null(many.notice);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_earlier),
		cmocka_unit_test(test_listener),
		cmocka_unit_test(test_hears_itself),
	};

	mem_adopt_jansson();
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
