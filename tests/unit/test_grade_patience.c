/* SPDX-License-Identifier: MIT */
/* test_grade_patience.c - how long is waited, on an idle computer and on a slow one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_answers_stretch),
		cmocka_unit_test(test_timers_keep_the_pace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
