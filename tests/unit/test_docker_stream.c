/* SPDX-License-Identifier: MIT */
/* test_docker_stream.c - what comes in pieces: frames, JSON objects, foreign text, outputs. */
#include "docker/demux.h"

#include <sys/socket.h>

#include "docker/json_stream.h"
#include "docker/output.h"
#include "docker/text.h"
#include "fake_engine.h"

/* ---- frames ---- */

struct streams {
	struct str of[DEMUX_STREAM_MAX];
	bool refuse;
};

static int collect(void *arg, enum demux_stream stream, const char *data, size_t n)
{
	struct streams *s = arg;

	str_addn(&s->of[stream], data, n);
	return s->refuse ? -1 : 0;
}

static void streams_done(struct streams *s)
{
	for (size_t i = 0; i < DEMUX_STREAM_MAX; i++)
		str_done(&s->of[i]);
}

#define FRAMES                                                                                     \
	"\1\0\0\0\0\0\0\5hello"                                                                    \
	"\2\0\0\0\0\0\0\0"                                                                         \
	"\2\0\0\0\0\0\0\3err"                                                                      \
	"\0\0\0\0\0\0\0\1!"                                                                        \
	"\3\0\0\0\0\0\0\4oops"

static void frames_cut_anywhere(void **state)
{
	const size_t n = sizeof(FRAMES) - 1;

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		struct demux d = { 0 };
		struct streams s = { 0 };

		ok(demux_feed(&d, FRAMES, cut, collect, &s, err));
		ok(demux_feed(&d, FRAMES + cut, n - cut, collect, &s, err));
		assert_true(demux_at_end(&d));
		assert_string_equal(str_get(&s.of[DEMUX_STDOUT]), "hello!");
		assert_string_equal(str_get(&s.of[DEMUX_STDERR]), "err");
		assert_string_equal(str_get(&s.of[DEMUX_SYSTEM]), "oops");
		assert_int_equal(s.of[DEMUX_STDIN].len, 0);
		streams_done(&s);
	}
}

static void frames_a_byte_each(void **state)
{
	struct demux d = { 0 };
	struct streams s = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(FRAMES) - 1; i++)
		ok(demux_feed(&d, &FRAMES[i], 1, collect, &s, err));
	assert_true(demux_at_end(&d));
	assert_string_equal(str_get(&s.of[DEMUX_STDOUT]), "hello!");
	assert_string_equal(str_get(&s.of[DEMUX_SYSTEM]), "oops");
	streams_done(&s);
}

static void no_frames(void **state)
{
	struct demux d = { 0 }, e = { 0 }, half = { 0 };
	struct streams s = { 0 };

	(void)state;
	fails_with_hint(demux_feed(&d, "\4\0\0\0\0\0\0\1x", 9, collect, &s, err), ERR_ENV,
			"the Docker Engine's output stream is broken (frame 04000000)", "");
	fails_with_hint(demux_feed(&e, "\1\0\1\0\0\0\0\1x", 9, collect, &s, err), ERR_ENV,
			"the Docker Engine's output stream is broken (frame 01000100)", "");
	ok(demux_feed(&half, "\1\0\0\0\0\0\0\5he", 10, collect, &s, err));
	assert_false(demux_at_end(&half));
	streams_done(&s);
}

static void frames_refused(void **state)
{
	struct demux d = { 0 };
	struct streams s = { .refuse = true };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(demux_feed(&d, FRAMES, sizeof(FRAMES) - 1, collect, &s, &err), -1);
	assert_int_equal(err.kind, ERR_NONE);
	streams_done(&s);
}

/* ---- JSON objects ---- */

static int append(void *arg, json_t *object, struct err *err)
{
	(void)err;
	return json_array_append(arg, object);
}

#define OBJECTS                                                                                    \
	" {\"a\":\"}\\\"{\\\\\"}\r\n{\"b\":[{},[1,2]]}{}\n\n{\"c\":\"\xc3\xa4\",\"d\":null}\r\n "

static void objects_cut_anywhere(void **state)
{
	const size_t n = sizeof(OBJECTS) - 1;

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		struct json_stream s = { 0 };
		json_t *all = json_array();

		ok(json_stream_feed(&s, OBJECTS, cut, append, all, err));
		ok(json_stream_feed(&s, OBJECTS + cut, n - cut, append, all, err));
		assert_true(json_stream_at_end(&s));
		assert_int_equal(json_array_size(all), 4);
		assert_string_equal(fake_text(json_array_get(all, 0), "a"), "}\"{\\");
		assert_string_equal(fake_text(json_array_get(all, 3), "c"), "\xc3\xa4");
		json_decref(all);
		json_stream_done(&s);
	}
}

static int refuse(void *arg, json_t *object, struct err *err)
{
	(void)arg, (void)object;
	return err_set(err, ERR_FAILED, 0, "not wanted");
}

static void no_objects(void **state)
{
	static const struct {
		const char *text, *msg;
	} bad[] = {
		{ "x", "byte 0x78 where an object should begin" },
		{ "[1]", "byte 0x5b where an object should begin" },
		{ "{\"a\":1}}", "byte 0x7d where an object should begin" },
		{ "{\"a\" 1}", "':' expected near '1'" },
		{ "{]", "string or '}' expected near ']'" },
	};
	json_t *all = json_array();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct json_stream s = { 0 };
		char msg[128];

		snprintf(msg, sizeof(msg), "the Docker Engine's progress report is broken: %s",
			 bad[i].msg);
		fails_with_hint(json_stream_feed(&s, bad[i].text, strlen(bad[i].text), append, all,
						 err),
				ERR_ENV, msg, "");
		json_stream_done(&s);
	}
	json_decref(all);
}

static void objects_without_end(void **state)
{
	struct json_stream s = { 0 };
	auto_free char *much = xmalloc(JSON_STREAM_MAX);

	(void)state;
	memset(much, '[', JSON_STREAM_MAX);
	ok(json_stream_feed(&s, "{\"a\":", 5, append, NULL, err));
	assert_false(json_stream_at_end(&s));
	fails_with_hint(json_stream_feed(&s, much, JSON_STREAM_MAX, append, NULL, err), ERR_ENV,
			"the Docker Engine's progress report is broken: an object over 1024 KiB",
			"");
	json_stream_done(&s);
}

static void objects_refused(void **state)
{
	struct json_stream s = { 0 };

	(void)state;
	fails_with_hint(json_stream_feed(&s, "{}{}", 4, refuse, NULL, err), ERR_FAILED,
			"not wanted", "");
	json_stream_done(&s);
}

/* ---- text ---- */

static void text_is_made_fit(void **state)
{
	static const struct {
		const char *in;
		size_t n, max;
		const char *want;
	} cases[] = {
		{ "plain\ttext\r\n", 12, 100, "plain\ttext\n" },
		{ "\x1b[1;31mred\x1b[0m\x1b[K", 17, 100, "red" },
		{ "\x1b]0;title\a", 10, 100, "?]0;title?" },
		{ "a\0b\x7f", 4, 100, "a?b?" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, 100,
		  "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\xff\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80\xc3", 11, 100, "???????????" },
		{ "\xc2\x9b"
		  "2J",
		  4, 100, "??2J" },
		{ "aaa\xc3\xa4", 5, 4, "aaa" },
		{ "abcdef", 6, 4, "abcd" },
		{ "", 0, 4, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		auto_free char *text = text_clean(cases[i].in, cases[i].n, cases[i].max);
		json_auto_t *json = json_string(text);

		assert_string_equal(text, cases[i].want);
		assert_non_null(json);
	}
}

/* ---- outputs ---- */

static void output_waits_for_its_reader(void **state)
{
	struct output o;
	char piece[8192];
	char big[300000];
	size_t got = 0;
	int p[2];

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	output_open(&o, p[1]);
	output_add(&o, big, sizeof(big));
	ok(output_flush(&o, err));
	assert_true(output_is_pending(&o)); /* full, and we are not blocked */
	/* the caller's own description is as it was */
	assert_int_equal(fcntl(p[1], F_GETFL) & O_NONBLOCK, 0);
	while (got < sizeof(big)) {
		ssize_t n = read(p[0], piece, sizeof(piece));

		assert_true(n > 0);
		got += (size_t)n;
		ok(output_flush(&o, err));
	}
	assert_false(output_is_pending(&o));
	output_done(&o);
	close(p[0]);
	close(p[1]);
}

static void output_without_reader(void **state)
{
	struct output o;
	int p[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	output_open(&o, p[1]);
	close(p[0]);
	output_add(&o, "x", 1);
	fails_with_hint(output_flush(&o, err), ERR_ENV, "cannot write the output: Broken pipe", "");
	/* closed: dropped from now on */
	output_add(&o, "x", 1);
	assert_false(output_is_pending(&o));
	ok(output_flush(&o, err));
	output_done(&o);
	close(p[1]);
	signal(SIGPIPE, SIG_DFL);
}

static void output_on_files_and_sockets(void **state)
{
	char path[] = "/tmp/labctl-docker-XXXXXX", text[16] = "";
	int fd = mkostemp(path, O_CLOEXEC | O_APPEND), s[2];
	struct output o;

	(void)state;
	assert_int_equal(write(fd, "before ", 7), 7);
	output_open(&o, fd);
	output_add(&o, "after", 5);
	ok(output_flush(&o, err));
	output_done(&o);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 12);
	assert_string_equal(text, "before after");
	close(fd);
	unlink(path);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	output_open(&o, s[0]);
	output_add(&o, "hello", 5);
	ok(output_flush(&o, err));
	assert_int_equal(read(s[1], text, sizeof(text)), 5);
	close(s[1]);
	output_add(&o, "x", 1);
	fails_with_hint(output_flush(&o, err), ERR_ENV, "cannot write the output: Broken pipe", "");
	output_done(&o);
	close(s[0]);

	output_open(&o, -1);
	output_add(&o, "x", 1);
	ok(output_flush(&o, err));
	output_done(&o);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_cut_anywhere),
		cmocka_unit_test(frames_a_byte_each),
		cmocka_unit_test(no_frames),
		cmocka_unit_test(frames_refused),
		cmocka_unit_test(objects_cut_anywhere),
		cmocka_unit_test(no_objects),
		cmocka_unit_test(objects_without_end),
		cmocka_unit_test(objects_refused),
		cmocka_unit_test(text_is_made_fit),
		cmocka_unit_test(output_waits_for_its_reader),
		cmocka_unit_test(output_without_reader),
		cmocka_unit_test(output_on_files_and_sockets),
	};

	return cmocka_run_group_tests_name("docker/stream", tests, NULL, NULL);
}
