/* SPDX-License-Identifier: MIT */
/*
 * fuzz_docker_streams.c - any bytes from the engine, cut anywhere: frames, JSON objects, text.
 *
 * The first byte says how long the pieces are. However the bytes are cut, the result is the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "docker/demux.h"
#include "docker/json_stream.h"
#include "docker/text.h"

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROMISE(x)                                                                                 \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "broken promise: %s\n", #x);                               \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static int add_frame(void *arg, enum demux_stream stream, const char *data, size_t n)
{
	PROMISE(stream > DEMUX_STDIN && stream < DEMUX_STREAM_MAX && n > 0);
	str_addn((struct str *)arg + stream, data, n);
	return 0;
}

static int add_object(void *arg, json_t *object, struct err *err)
{
	(void)err;
	PROMISE(json_is_object(object));
	++*(size_t *)arg;
	return 0;
}

/* Both readers on the same bytes in pieces; what came is left in frames and *objects. */
static void read_all(const char *data, size_t n, size_t piece, struct str *frames, size_t *objects,
		     int result[2])
{
	struct demux d = { 0 };
	struct json_stream s = { 0 };
	struct err err = { 0 };

	result[0] = result[1] = 0;
	for (size_t at = 0; at < n; at += piece) {
		size_t len = n - at < piece ? n - at : piece;

		if (result[0] == 0)
			result[0] = demux_feed(&d, data + at, len, add_frame, frames, &err);
		if (result[1] == 0)
			result[1] = json_stream_feed(&s, data + at, len, add_object, objects, &err);
	}
	if (result[0] || result[1])
		PROMISE(err.kind == ERR_ENV && err.msg[0]);
	json_stream_done(&s);
}

static void check_text(const char *data, size_t n)
{
	auto_free char *text = text_clean(data, n, 64);
	json_auto_t *json = json_string(text);

	PROMISE(strlen(text) <= 64 && json);
	for (const char *c = text; *c; c++)
		PROMISE((unsigned char)*c >= 0x20 || *c == '\n' || *c == '\t');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str whole[DEMUX_STREAM_MAX] = { 0 }, cut[DEMUX_STREAM_MAX] = { 0 };
	const char *text = (const char *)data + 1;
	size_t objects[2] = { 0 };
	int result[2][2];

	if (size < 2)
		return 0;
	read_all(text, size - 1, size, whole, &objects[0], result[0]);
	read_all(text, size - 1, 1U + data[0] % 16, cut, &objects[1], result[1]);
	PROMISE(memcmp(result[0], result[1], sizeof(result[0])) == 0 && objects[0] == objects[1]);
	for (size_t i = 0; i < DEMUX_STREAM_MAX; i++) {
		PROMISE(whole[i].len == cut[i].len &&
			memcmp(str_get(&whole[i]), str_get(&cut[i]), cut[i].len) == 0);
		str_done(&whole[i]);
		str_done(&cut[i]);
	}
	check_text(text, size - 1);
	return 0;
}
