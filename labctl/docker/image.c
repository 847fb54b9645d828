/* SPDX-License-Identifier: MIT */
/* image.c - images: inspect, import, build, remove. */
#include "docker/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "docker/engine_raw.h"
#include "docker/json_stream.h"
#include "docker/text.h"

#include "base/banned.h"

#define PROGRESS_MS  250
#define LINE_MAX_LEN 4096 /* of the engine's output that is passed on as one line */

/* ---- inspect, remove ---- */

int image_inspect(struct engine *e, const char *ref, struct image_info *ret, struct err *err)
{
	auto_free char *escaped = engine_escape(e, ref);
	auto_free char *path = xasprintf("/images/%s/json", escaped);
	json_auto_t *reply = NULL;
	struct image_info info = { 0 };
	const char *id, *created;

	if (engine_call(e, "GET", path, NULL, &reply, err)) {
		if (err_is(err, ERR_NOT_FOUND))
			err_set(err, ERR_NOT_FOUND, 0, "the Docker Engine has no image '%s'", ref);
		return -1;
	}
	id = json_string_value(json_object_get(reply, "Id"));
	created = json_string_value(json_object_get(reply, "Created"));
	if (!id || !str_copy(info.id, sizeof(info.id), id) ||
	    !str_copy(info.created, sizeof(info.created), created ? created : ""))
		return err_set(err, ERR_ENV, 0,
			       "the Docker Engine's reply to 'GET %s' is not what the API says",
			       path);
	info.size = json_integer_value(json_object_get(reply, "Size"));
	*ret = info;
	return 0;
}

int image_remove(struct engine *e, const char *ref, struct err *err)
{
	auto_free char *escaped = engine_escape(e, ref);
	auto_free char *path = xasprintf("/images/%s", escaped);

	if (engine_call(e, "DELETE", path, NULL, NULL, err) == 0)
		return 0;
	if (err_is(err, ERR_NOT_FOUND))
		return err_set(err, ERR_NOT_FOUND, 0, "the Docker Engine has no image '%s'", ref);
	return -1;
}

/* ---- uploads with a report ---- */

struct upload {
	struct json_stream stream;
	struct str line; /* of "stream" texts: lines come in pieces too */
	struct err engine_error;
	image_progress_fn *progress;
	void *arg;
	int64_t next_ms;
	uint64_t sent;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void tell(struct upload *u, const char *text, size_t n)
{
	auto_free char *clean = text_clean(text, n, LINE_MAX_LEN);

	if (u->progress && *clean)
		u->progress(u->arg, clean);
}

static void tell_sent(struct upload *u)
{
	auto_free char *text = xasprintf("%llu MiB sent", (unsigned long long)(u->sent >> 20));

	tell(u, text, strlen(text));
}

static void on_sent(void *arg, uint64_t bytes)
{
	struct upload *u = arg;
	int64_t now = now_ms();
	bool end = bytes == u->sent; /* nothing came any more */

	u->sent = bytes;
	if (!(bytes >> 20) || (now < u->next_ms && !end))
		return;
	u->next_ms = now + PROGRESS_MS;
	tell_sent(u);
}

static void add_output(struct upload *u, const char *text)
{
	for (; *text; text++) {
		if (*text != '\n' && u->line.len < LINE_MAX_LEN) {
			str_addc(&u->line, *text);
			continue;
		}
		tell(u, str_get(&u->line), u->line.len);
		u->line.len = 0;
		if (*text != '\n')
			str_addc(&u->line, *text);
	}
}

/* One of {"stream": ...}, {"status": ...}, {"error": ..., "errorDetail": ...}, {"aux": ...}. */
static int on_report(void *arg, json_t *object, struct err *err)
{
	struct upload *u = arg;
	const char *error = json_string_value(json_object_get(object, "error"));
	const char *stream = json_string_value(json_object_get(object, "stream"));
	const char *status = json_string_value(json_object_get(object, "status"));

	(void)err;
	if (error && !u->engine_error.kind) {
		auto_free char *clean = text_clean(error, strlen(error), 700);

		err_set(&u->engine_error, ERR_ENV, 0, "%s", clean);
	}
	if (stream)
		add_output(u, stream);
	else if (status && !str_starts(status, "sha256:"))
		tell(u, status, strlen(status));
	return 0;
}

static int on_reply_bytes(void *arg, const char *data, size_t n, struct err *err)
{
	struct upload *u = arg;

	return json_stream_feed(&u->stream, data, n, on_report, u, err);
}

/* Posts fd's bytes to path and reads the report. An error in the report wins over a connection
 * that the engine closed for that reason. */
static int upload_run(struct engine *e, const char *path, int fd, image_progress_fn *progress,
		      void *arg, struct err *err)
{
	struct upload u = { .progress = progress, .arg = arg, .next_ms = now_ms() + PROGRESS_MS };
	struct http_request rq = {
		.method = "POST",
		.target = path,
		.content_type = "application/x-tar",
		.upload = true,
		.upload_fd = fd,
		.sent = on_sent,
		.sink = on_reply_bytes,
		.io_arg = &u,
	};
	int r = engine_stream(e, &rq, err);

	if (u.line.len)
		tell(&u, u.line.s, u.line.len);
	if (u.engine_error.kind && !err_is(err, ERR_INTERRUPTED)) {
		*err = u.engine_error;
		r = -1;
	} else if (r == 0 && !json_stream_at_end(&u.stream)) {
		r = err_set(err, ERR_ENV, 0, "the Docker Engine's progress report breaks off");
	}
	json_stream_done(&u.stream);
	str_done(&u.line);
	return r;
}

/* "name:tag" -> escaped halves; the tag is "latest" where there is none. */
static void split_ref(struct engine *e, const char *ref, char **ret_name, char **ret_tag)
{
	const char *slash = strrchr(ref, '/');
	const char *colon = strchr(slash ? slash : ref, ':');
	auto_free char *name = xstrndup(ref, colon ? (size_t)(colon - ref) : strlen(ref));

	*ret_name = engine_escape(e, name);
	*ret_tag = engine_escape(e, colon ? colon + 1 : "latest");
}

int image_import(struct engine *e, int fd, const char *ref, const char *const *changes,
		 image_progress_fn *progress, void *arg, struct err *err)
{
	auto_free char *name = NULL;
	auto_free char *tag = NULL;
	auto_str path = { 0 };

	split_ref(e, ref, &name, &tag);
	str_addf(&path, "/images/create?fromSrc=-&repo=%s&tag=%s", name, tag);
	for (; changes && *changes; changes++) {
		auto_free char *escaped = engine_escape(e, *changes);

		str_addf(&path, "&changes=%s", escaped);
	}
	if (upload_run(e, path.s, fd, progress, arg, err))
		return err_wrap(err, "importing image '%s'", ref);
	return 0;
}

/* {"K": "V"} from "K=V"; a value may hold '='. */
static json_t *build_args(const char *const *args)
{
	json_t *object = json_object();

	for (; args && *args; args++) {
		size_t n = strcspn(*args, "=");
		auto_free char *key = xstrndup(*args, n);

		json_object_set_new(object, key, json_string((*args)[n] ? *args + n + 1 : ""));
	}
	return object;
}

int image_build(struct engine *e, int fd, const char *ref, const char *dockerfile,
		const char *const *args, image_progress_fn *progress, void *arg, struct err *err)
{
	json_auto_t *arg_object = build_args(args);
	auto_free char *arg_text = json_dumps(arg_object, JSON_COMPACT);
	auto_free char *arg_escaped = engine_escape(e, arg_text);
	auto_free char *name = engine_escape(e, ref);
	auto_free char *file = engine_escape(e, dockerfile);
	auto_free char *path = xasprintf("/build?t=%s&dockerfile=%s&buildargs=%s&rm=1&forcerm=1",
					 name, file, arg_escaped);

	if (upload_run(e, path, fd, progress, arg, err))
		return err_wrap(err, "building image '%s'", ref);
	return 0;
}
