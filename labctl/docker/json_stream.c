/* SPDX-License-Identifier: MIT */
/* json_stream.c - finds where each object ends, then lets jansson read it once. */
#include "docker/json_stream.h"

#include <string.h>

#include "base/banned.h"

/* True when c is the last character of the object at hand. */
static bool is_last(struct json_stream *s, char c)
{
	if (s->in_string) {
		if (s->escaped)
			s->escaped = false;
		else if (c == '\\')
			s->escaped = true;
		else if (c == '"')
			s->in_string = false;
		return false;
	}
	if (c == '"')
		s->in_string = true;
	else if (c == '{' || c == '[')
		s->depth++;
	else if (c == '}' || c == ']')
		return --s->depth == 0;
	return false;
}

static int deliver(struct json_stream *s, json_stream_fn *fn, void *arg, struct err *err)
{
	json_error_t je;
	json_auto_t *object = json_loadb(s->text.s, s->text.len, 0, &je);

	s->text.len = 0;
	if (!object)
		return err_set(err, ERR_ENV, 0, "the Docker Engine's progress report is broken: %s",
			       je.text);
	return fn(arg, object, err);
}

int json_stream_feed(struct json_stream *s, const char *data, size_t n, json_stream_fn *fn,
		     void *arg, struct err *err)
{
	for (; n; data++, n--) {
		if (!s->depth && strchr(" \t\r\n", *data) && *data)
			continue;
		if (!s->depth && *data != '{')
			return err_set(err, ERR_ENV, 0,
				       "the Docker Engine's progress report is broken: byte 0x%02x "
				       "where an object should begin",
				       (unsigned char)*data);
		if (s->text.len >= JSON_STREAM_MAX)
			return err_set(err, ERR_ENV, 0,
				       "the Docker Engine's progress report is broken: an object "
				       "over %lu KiB",
				       JSON_STREAM_MAX >> 10);
		str_addc(&s->text, *data);
		if (is_last(s, *data) && deliver(s, fn, arg, err))
			return -1;
	}
	return 0;
}

bool json_stream_at_end(const struct json_stream *s)
{
	return s->depth == 0;
}

void json_stream_done(struct json_stream *s)
{
	str_done(&s->text);
}
