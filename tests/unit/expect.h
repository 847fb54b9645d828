/* SPDX-License-Identifier: MIT */
/* expect.h - what all unit tests share: calls that must succeed, errors that must be exact,
 * skips that strict mode forbids. */
#ifndef TESTS_UNIT_EXPECT_H
#define TESTS_UNIT_EXPECT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"

/* The call succeeds, or the test fails with the error's message. */
#define ok(call)                                                                                   \
	do {                                                                                       \
		struct err ok_err_ = { 0 };                                                        \
		struct err *err = &ok_err_;                                                        \
                                                                                                   \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, ok_err_.msg);                                    \
	} while (0)

/* The call fails with this kind and exactly this message. */
#define fails(call, want_kind, want_msg)                                                           \
	do {                                                                                       \
		struct err fails_err_ = { 0 };                                                     \
		struct err *err = &fails_err_;                                                     \
                                                                                                   \
		assert_int_equal((call), -1);                                                      \
		assert_string_equal(fails_err_.msg, want_msg);                                     \
		assert_string_equal(err_kind_name(fails_err_.kind), err_kind_name(want_kind));     \
	} while (0)

/* The same, and exactly this hint. */
#define fails_with_hint(call, want_kind, want_msg, want_hint)                                      \
	do {                                                                                       \
		struct err fails_err_ = { 0 };                                                     \
		struct err *err = &fails_err_;                                                     \
                                                                                                   \
		assert_int_equal((call), -1);                                                      \
		assert_string_equal(fails_err_.msg, want_msg);                                     \
		assert_string_equal(err_kind_name(fails_err_.kind), err_kind_name(want_kind));     \
		assert_string_equal(fails_err_.hint, want_hint);                                   \
	} while (0)

#define skip_because(why)                                                                          \
	do {                                                                                       \
		if (getenv("LABCTL_TEST_STRICT"))                                                  \
			fail_msg("%s", why);                                                       \
		print_message("# skipped: %s\n", why);                                             \
		skip();                                                                            \
	} while (0)

#define need_root()                                                                                \
	do {                                                                                       \
		if (geteuid() != 0)                                                                \
			skip_because("needs root");                                                \
	} while (0)

#endif
