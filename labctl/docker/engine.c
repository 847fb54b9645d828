/* SPDX-License-Identifier: MIT */
/* engine.c - Engine API calls: version negotiation, JSON in and out, the engine's errors. */
#include "docker/engine.h"

#include <stdlib.h>
#include <string.h>

#include <sys/queue.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"
#include "docker/engine_raw.h"
#include "docker/text.h"

#include "base/banned.h"

/* Long enough for a machine that swaps, short enough for somebody who waits. */
#define PATIENCE_MS 20000
#define QUOTE_MAX   400 /* of a foreign error text */

struct request {
	TAILQ_ENTRY(request) link; /* in waiting or sent */
	struct engine *e;
	bool sent;
	char *method, *path, *body; /* method NULL: only waits for the version */
	engine_done_fn *done;
	void *arg;
};

TAILQ_HEAD(request_list, request);

struct engine {
	struct http *http;
	char api[16]; /* "" until negotiated */
	unsigned api_minor;
	bool pinging;
	long patience_ms;
	struct request_list waiting, sent; /* waiting: until the version is settled */
};

int engine_open(const char *host, struct engine **ret, struct err *err)
{
	struct engine *e = xcalloc(1, sizeof(*e));

	e->patience_ms = PATIENCE_MS;
	TAILQ_INIT(&e->waiting);
	TAILQ_INIT(&e->sent);
	if (http_open(host, &e->http, err)) {
		free(e);
		return -1;
	}
	*ret = e;
	return 0;
}

void engine_set_patience(struct engine *e, long ms)
{
	e->patience_ms = ms;
}

static void request_free(struct request *r)
{
	TAILQ_REMOVE(r->sent ? &r->e->sent : &r->e->waiting, r, link);
	free(r->method);
	free(r->path);
	free(r->body);
	free(r);
}

static void request_cancel(struct request *r)
{
	http_cancel(r->e->http, r);
	request_free(r);
}

static void cancel_in(struct request_list *list, const void *arg)
{
	for (struct request *r = TAILQ_FIRST(list), *next; r; r = next) {
		next = TAILQ_NEXT(r, link);
		if (r->arg == arg)
			request_cancel(r);
	}
}

void engine_cancel(struct engine *e, const void *arg)
{
	cancel_in(&e->waiting, arg);
	cancel_in(&e->sent, arg);
}

void engine_free(struct engine *e)
{
	struct request *r;

	if (!e)
		return;
	while ((r = TAILQ_FIRST(&e->waiting)) || (r = TAILQ_FIRST(&e->sent)))
		request_cancel(r);
	http_free(e->http);
	free(e);
}

const char *engine_host(const struct engine *e)
{
	return http_host(e->http);
}

const char *engine_api_version(const struct engine *e)
{
	return e->api;
}

struct http *engine_http(struct engine *e)
{
	return e->http;
}

char *engine_escape(const struct engine *e, const char *text)
{
	(void)e;
	return http_escape(text);
}

/* ---- replies ---- */

static int reply_parse(const char *call, const struct http_reply *reply, json_t **ret,
		       struct err *err)
{
	const char *type = reply->content_type;
	json_error_t je;

	*ret = NULL;
	if (!reply->body.len || (*type && !str_starts(type, "application/json")))
		return 0;
	*ret = json_loadb(reply->body.s, reply->body.len, JSON_DECODE_ANY, &je);
	if (!*ret)
		return err_set(err, ERR_ENV, 0,
			       "the Docker Engine's reply to '%s' is broken JSON (line %d, column "
			       "%d: %s)",
			       call, je.line, je.column, je.text);
	return 0;
}

static enum err_kind kind_of_status(long status)
{
	switch (status) {
	case 404:
		return ERR_NOT_FOUND;
	case 409:
		return ERR_CONFLICT;
	default:
		return ERR_ENV;
	}
}

/* The engine's {"message"}, or whatever it wrote instead; heap text, "" when nothing. */
static char *reply_message(const char *body, size_t len)
{
	json_t *root = json_loadb(body, len, 0, NULL);
	const char *message = json_string_value(json_object_get(root, "message"));
	char *text;
	size_t n;

	if (message)
		text = text_clean(message, strlen(message), QUOTE_MAX);
	else
		text = text_clean(body, len, QUOTE_MAX);
	json_decref(root);
	n = strlen(text);
	while (n && strchr(" \t\n", text[n - 1]))
		text[--n] = '\0';
	return text;
}

int engine_err_from_reply(const char *call, long status, const char *body, size_t len,
			  struct err *err)
{
	auto_free char *message = reply_message(body, len);

	if (!*message)
		return err_set(err, kind_of_status(status), 0,
			       "the Docker Engine answers '%s' with status %ld and no reason", call,
			       status);
	err_set(err, kind_of_status(status), 0, "the Docker Engine refuses '%s' (%ld): %s", call,
		status, message);
	if (status == 400 && strstr(message, "is too old"))
		return err_hint(err,
				"this labctl speaks API %s at most, and the engine is newer: "
				"update labctl",
				ENGINE_API_MAX);
	return -1;
}

/* ---- submitted requests ---- */

/* The request is gone when its callback runs: that may submit, run or cancel as it likes. */
static void request_end(struct request *r, json_t *reply, const struct err *err)
{
	engine_done_fn *done = r->done;
	void *arg = r->arg;

	request_free(r);
	done(arg, reply, err);
}

static void on_reply(void *arg, const struct http_reply *reply, const struct err *err)
{
	struct request *r = arg;
	auto_free char *call = xasprintf("%s %.*s", r->method, (int)strcspn(r->path, "?"), r->path);
	struct err own = { 0 };
	json_t *root = NULL;

	if (err) {
		request_end(r, NULL, err);
		return;
	}
	/* 304: started or stopped already */
	if (reply->status >= 300 && reply->status != 304)
		engine_err_from_reply(call, reply->status, str_get(&reply->body), reply->body.len,
				      &own);
	else if (reply_parse(call, reply, &root, &own))
		root = NULL;
	request_end(r, root, own.kind ? &own : NULL);
	json_decref(root);
}

char *engine_target(const struct engine *e, const char *path)
{
	return xasprintf("/v%s%s", e->api, path);
}

static void request_send(struct request *r)
{
	struct engine *e = r->e;
	auto_free char *target = engine_target(e, r->path);
	struct http_request rq = {
		.method = r->method,
		.target = target,
		.body = r->body,
		.content_type = r->body ? "application/json" : NULL,
		.done = on_reply,
		.done_arg = r,
	};
	struct err err = { 0 };

	if (fault_point("engine request", &err) < 0) {
		request_end(r, NULL, &err);
		return;
	}
	TAILQ_REMOVE(&e->waiting, r, link);
	TAILQ_INSERT_TAIL(&e->sent, r, link);
	r->sent = true;
	http_submit(e->http, &rq);
}

/* ---- version ---- */

/* "1.41" -> 41. Major versions other than 1 there are none. */
static bool version_minor(const char *text, unsigned *ret)
{
	uint32_t minor;

	if (!str_starts(text, "1.") || parse_u32(text + 2, 0, 9999, &minor, ERR_IGNORED))
		return false;
	*ret = minor;
	return true;
}

static int settle_version(struct engine *e, const struct http_reply *reply, struct err *err)
{
	unsigned theirs, ours_min = 0, ours_max = 0;

	if (reply->status != 200) {
		engine_err_from_reply("GET /_ping", reply->status, str_get(&reply->body),
				      reply->body.len, err);
		/* a proxy's 404 is no "no such container" */
		err->kind = ERR_ENV;
		return -1;
	}
	if (!version_minor(reply->api_version, &theirs))
		return err_set(err, ERR_ENV, 0,
			       "what answers at %s is no Docker Engine: it names no API version",
			       engine_host(e));
	if (!version_minor(ENGINE_API_MIN, &ours_min) || !version_minor(ENGINE_API_MAX, &ours_max))
		return err_set(err, ERR_INTERNAL, 0, "ENGINE_API_MIN or ENGINE_API_MAX is wrong");
	if (theirs < ours_min) {
		err_set(err, ERR_ENV, 0,
			"the Docker Engine at %s is too old: its API is %s, labctl needs %s",
			engine_host(e), reply->api_version, ENGINE_API_MIN);
		return err_hint(err, "install Docker Engine 20.10 or newer");
	}
	e->api_minor = theirs < ours_max ? theirs : ours_max;
	snprintf(e->api, sizeof(e->api), "1.%u", e->api_minor);
	log_debug("engine: %s, API %s (it offers %s)", engine_host(e), e->api, reply->api_version);
	return 0;
}

static void on_ping(void *arg, const struct http_reply *reply, const struct err *err)
{
	struct engine *e = arg;
	struct request *r;
	struct err own = { 0 };
	bool failed = err != NULL;
	size_t n = 0;

	e->pinging = false;
	if (err)
		own = *err;
	else
		failed = settle_version(e, reply, &own);
	TAILQ_FOREACH(r, &e->waiting, link)
	n++;
	/* what callbacks submit meanwhile waits for the next answer */
	while (n-- && (r = TAILQ_FIRST(&e->waiting))) {
		if (failed || !r->method)
			request_end(r, NULL, failed ? &own : NULL);
		else
			request_send(r);
	}
}

static void start_ping(struct engine *e)
{
	struct http_request rq = {
		.method = "GET",
		.target = "/_ping",
		.timeout_ms = e->patience_ms,
		.done = on_ping,
		.done_arg = e,
	};

	if (e->pinging)
		return;
	e->pinging = true;
	http_submit(e->http, &rq);
}

static void submit(struct engine *e, const char *method, const char *path, char *body,
		   engine_done_fn *done, void *arg)
{
	struct request *r = xcalloc(1, sizeof(*r));

	*r = (struct request){
		.e = e,
		.method = method ? xstrdup(method) : NULL,
		.path = path ? xstrdup(path) : NULL,
		.body = body,
		.done = done,
		.arg = arg,
	};
	TAILQ_INSERT_TAIL(&e->waiting, r, link);
	if (*e->api)
		request_send(r);
	else
		start_ping(e);
}

void engine_submit(struct engine *e, const char *method, const char *path, json_t *body,
		   engine_done_fn *done, void *arg)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	submit(e, method, path, text, done, arg);
}

/* ---- driving ---- */

int engine_run(struct engine *e, struct err *err)
{
	return http_run(e->http, NULL, err);
}

struct call {
	bool done;
	json_t *reply;
	struct err err;
};

static void on_call_done(void *arg, json_t *reply, const struct err *err)
{
	struct call *c = arg;

	c->done = true;
	c->reply = json_incref(reply);
	if (err)
		c->err = *err;
}

static int call_wait(struct engine *e, struct call *c, struct err *err)
{
	if (http_run(e->http, &c->done, err)) {
		json_decref(c->reply);
		return -1;
	}
	if (c->err.kind)
		*err = c->err;
	return c->err.kind ? -1 : 0;
}

int engine_call(struct engine *e, const char *method, const char *path, json_t *body,
		json_t **ret_reply, struct err *err)
{
	struct call c = { 0 };

	engine_submit(e, method, path, body, on_call_done, &c);
	if (call_wait(e, &c, err))
		return -1;
	if (ret_reply)
		*ret_reply = c.reply;
	else
		json_decref(c.reply);
	return 0;
}

/* ---- raw ---- */

int engine_negotiate(struct engine *e, struct err *err)
{
	struct call c = { 0 };

	if (*e->api)
		return 0;
	submit(e, NULL, NULL, NULL, on_call_done, &c);
	return call_wait(e, &c, err);
}

bool engine_api_at_least(const struct engine *e, unsigned minor)
{
	return *e->api && e->api_minor >= minor;
}

struct stream {
	bool done;
	const char *call;
	struct err err;
};

static void on_stream_done(void *arg, const struct http_reply *reply, const struct err *err)
{
	struct stream *s = arg;

	s->done = true;
	if (err)
		s->err = *err;
	else if (reply->status >= 300)
		engine_err_from_reply(s->call, reply->status, str_get(&reply->body),
				      reply->body.len, &s->err);
}

int engine_stream(struct engine *e, const struct http_request *rq, struct err *err)
{
	struct http_request own = *rq;
	auto_free char *call = NULL;
	auto_free char *target = NULL;
	struct stream s = { 0 };

	if (engine_negotiate(e, err))
		return -1;
	call = xasprintf("%s %.*s", rq->method, (int)strcspn(rq->target, "?"), rq->target);
	target = engine_target(e, rq->target);
	s.call = call;
	own.target = target;
	own.done = on_stream_done;
	own.done_arg = &s;
	http_submit(e->http, &own);
	if (http_run(e->http, &s.done, err))
		return -1;
	if (s.err.kind)
		*err = s.err;
	return s.err.kind ? -1 : 0;
}
