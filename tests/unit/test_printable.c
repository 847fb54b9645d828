/* SPDX-License-Identifier: MIT */
/* test_printable.c - strangers' text: what passes, what becomes '?', and formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/printable.h"

#include "base/banned.h"

static void assert_line(const char *text, const char *want)
{
	auto_free char *copy = xstrdup(text);

	printable_line(copy);
	assert_string_equal(copy, want);
}

static void assert_text(const char *text, const char *want)
{
	auto_free char *copy = xstrdup(text);

	printable_text(copy);
	assert_string_equal(copy, want);
}

static void test_passes(void **state)
{
	static const char *const good[] = { "", "plain", "Grüße, 路由器 Ω 🐧",
					    "\u00a0\u2027\u202f\u2065\u206a",
					    "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_line(good[i], good[i]);
		assert_text(good[i], good[i]);
	}
}

static void test_terminal_codes(void **state)
{
	(void)state;
	assert_line("a\033]0;title\007b", "a?]0;title?b");
	assert_line("\033[2J\033[1;1H", "?[2J?[1;1H");
	assert_line("a\177\010\015", "a???");
	assert_line("\xc2\x9b"
		    "31m\xc2\x80\xc2\x9f",
		    "??31m????");
	assert_line("a\x9b"
		    "31m",
		    "a?31m");
	assert_line("a\u202egpj.exe\u202c", "a???gpj.exe???");
	assert_line("\u2066\u2069\u202a\u2028\u2029", "???????????????");
}

static void test_not_utf8(void **state)
{
	(void)state;
	assert_line("\xc0\xaf", "??");		 /* too long */
	assert_line("\xe0\x80\xaf", "???");	 /* too long */
	assert_line("\xed\xa0\x80", "???");	 /* a surrogate */
	assert_line("\xf4\x90\x80\x80", "????"); /* beyond the last */
	assert_line("\xff\xfe", "??");
	assert_line("\xe2\x82", "??"); /* cut */
	assert_line("\xe2\x82"
		    "b",
		    "??b"); /* what follows is seen */
	assert_line("\xe4\033", "??");
	assert_line("\xc3", "?");
}

static void test_lines(void **state)
{
	(void)state;
	assert_line("a\nb\tc", "a?b?c");
	assert_text("a\nb\tc\r\nd\re\r", "a\nb\tc \nd?e?");
}

/* Any cut of a text into two pieces comes to the same. */
static void test_chunks(void **state)
{
	static const char text[] = "ä路🐧\xc2\x9b\xe2\x82"
				   "x\033\xf0\x9f\x90";
	const size_t n = sizeof(text) - 1;
	auto_free char *whole = xstrdup(text);

	(void)state;
	printable_text(whole);
	for (size_t cut = 0; cut <= n; cut++) {
		char piece[64];
		size_t done, rest;

		memcpy(piece, text, cut);
		done = printable_chunk(piece, cut);
		assert_in_range(cut - done, 0, 3);
		assert_memory_equal(piece, whole, done);
		rest = n - done;
		memmove(piece, piece + done, cut - done);
		memcpy(piece + (cut - done), text + cut, n - cut);
		assert_int_equal(printable_chunk(piece, rest),
				 rest - 3); /* the text's end is cut, too */
		assert_memory_equal(piece, whole + done, rest - 3);
	}
}

#define assert_format(want, ...)                                                                   \
	do {                                                                                       \
		auto_str got_ = { 0 };                                                             \
		printable_addf(&got_, __VA_ARGS__);                                                \
		assert_string_equal(str_get(&got_), want);                                         \
	} while (0)

static void test_formats(void **state)
{
	(void)state;
	assert_format("100% a", "%d%% %s", 100, "a");
	assert_format("[a?b][a?b  ][  a?b]", "[%s][%-5s][%5s]", "a\nb", "a\033b", "a\nb");
	assert_format("[ab][ab   ][   ab]", "[%.2s][%-*.2s][%*.*s]", "abc", 5, "abc", 5, 2, "abc");
	assert_format("[ab   ]", "[%*s]", -5, "ab");
	assert_format("[?x]", "[%c%c]", '\033', 'x');
	assert_format("-1 4294967295 0x1f 007 +3", "%d %u %#x %03d %+d", -1, UINT32_MAX, 0x1f, 7,
		      3);
	assert_format("-1 18446744073709551615 9223372036854775807 12", "%lld %llu %ld %zu", -1LL,
		      UINT64_MAX + 0ULL, INT64_MAX + 0L, (size_t)12);
	assert_format("255 3", "%hhu %hd", (unsigned char)255, (short)3);
	assert_format("[  1.5][2.00]", "[%5.1f][%.2f]", 1.5, 2.0);
	assert_format("[7   ][   7]", "[%-4d][%*d]", 7, 4, 7);
}

/* Programs read the same, terminals nothing that they obey. */
static void test_json(void **state)
{
	static const char text[] = "ü\033\xc2\x9b\u202e\177\n\"\\";
	json_auto_t *doc = json_pack("{s:s}", "a", text);
	auto_free char *dumped = printable_json(doc, 0);
	json_auto_t *again = json_loads(dumped, 0, NULL);

	(void)state;
	assert_string_equal(dumped, "{\"a\": \"ü\\u001B\\u009B\\u202E\\u007F\\n\\\"\\\\\"}");
	assert_true(json_equal(doc, again));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passes),	 cmocka_unit_test(test_terminal_codes),
		cmocka_unit_test(test_not_utf8), cmocka_unit_test(test_lines),
		cmocka_unit_test(test_chunks),	 cmocka_unit_test(test_formats),
		cmocka_unit_test(test_json),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
