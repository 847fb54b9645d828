/* SPDX-License-Identifier: MIT */
/* test_grade_patience.c - how long is waited, on an idle computer and on a slow one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "grade/family.h"
#include "grade/trial.h"

#include "base/banned.h"

static uint64_t patience_ms(double slowness, unsigned ms)
{
	struct grader g = { .slowness = slowness,
			    .answer_ns = (uint64_t)((double)NS_PER_S * slowness) };
	struct trial t = { .g = &g };

	return trial_patience_ns(&t, ms) / NS_PER_MS;
}

static void test_idle(void **state)
{
	(void)state;
	assert_int_equal(patience_ms(1, 0), 1000);
	assert_int_equal(patience_ms(1, 250), 250);
	assert_int_equal(patience_ms(1, 8000), 8000);
}

static void test_answers_stretch(void **state)
{
	(void)state;
	assert_int_equal(patience_ms(8, 0), 8000);
	assert_int_equal(patience_ms(8, 1), 8);
	assert_int_equal(patience_ms(8, 1000), 8000);
	assert_int_equal(patience_ms(1.5, 8000), 9500);
}

/* Who never says host unreachable is not waited for a minute. */
static void test_timers_keep_the_pace(void **state)
{
	(void)state;
	assert_int_equal(patience_ms(2, 8000), 10000);
	assert_int_equal(patience_ms(8, 8000), 16000);
	assert_int_equal(patience_ms(8, 3000), 11000);
}

static pid_t start(bool works)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(20);
		for (;;) {
			if (!works)
				pause();
		}
	}
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* On a busy computer a program is waited for longer only while it has something to do. */
static void test_sleeps(void **state)
{
	struct family_work w = { .root = start(false) };
	bool early, later;

	(void)state;
	family_is_stuck(&w, 1, NS_PER_S, 100);
	usleep(50000); /* it has come to its pause */
	family_is_stuck(&w, 2, NS_PER_S, 100);
	early = family_is_stuck(&w, 50, NS_PER_S, 100);
	later = family_is_stuck(&w, 200, NS_PER_S, 100);
	stop(w.root);
	assert_false(early);
	assert_true(later);
}

static void test_works(void **state)
{
	struct family_work w = { .root = start(true) };
	bool early = family_is_stuck(&w, 1, 100 * NS_PER_MS, 100);
	bool idle = family_is_stuck(&w, 200, 100 * NS_PER_MS, 100);

	(void)state;
	/* The alarm ends it if that takes too long. */
	while (!family_is_stuck(&w, 201, 100 * NS_PER_MS, 100) && kill(w.root, 0) == 0)
		usleep(10000);
	stop(w.root);
	assert_false(early);
	assert_false(idle);
	assert_true(w.cpu_ns >= 100 * NS_PER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_answers_stretch),
		cmocka_unit_test(test_timers_keep_the_pace),
		cmocka_unit_test(test_sleeps),
		cmocka_unit_test(test_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
