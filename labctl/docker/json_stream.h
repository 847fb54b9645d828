/* SPDX-License-Identifier: MIT */
/* json_stream.h - a sequence of JSON objects that arrives in any pieces. Internal to docker/. */
#ifndef LABCTL_DOCKER_JSON_STREAM_H
#define LABCTL_DOCKER_JSON_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

#define JSON_STREAM_MAX (1UL << 20) /* of one object */

/* Zero-initialised: at the beginning. */
struct json_stream {
	struct str text; /* of the object at hand */
	unsigned depth;	 /* of braces and brackets */
	bool in_string, escaped;
};

/* Gets each object; it is borrowed. -1 with err set ends json_stream_feed(). */
typedef int json_stream_fn(void *arg, json_t *object, struct err *err);

/* Takes n bytes. ERR_ENV for what is no sequence of objects. */
int json_stream_feed(struct json_stream *s, const char *data, size_t n, json_stream_fn *fn,
		     void *arg, struct err *err) MUST_CHECK;

/* False: the stream ended inside an object. */
bool json_stream_at_end(const struct json_stream *s);
void json_stream_done(struct json_stream *s);

#endif
