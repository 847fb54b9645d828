/* SPDX-License-Identifier: MIT */
/*
 * engine.h - the Docker Engine's API as calls that take and give JSON.
 *
 * The room docker/ knows the Engine API and nothing of stages, labs or links. One engine value
 * owns one curl multi handle with at most ENGINE_CONNECTIONS connections; no threads. Calls are
 * either submitted with a callback and driven by engine_run(), or made one at a time with
 * engine_call(). Both negotiate the API version on first use (/_ping: the smaller of the
 * engine's version and ENGINE_API_MAX, never below ENGINE_API_MIN).
 *
 * Errors: engine not reachable, permission on the socket, broken reply: ERR_ENV with a hint.
 * The engine's own {"message"} is brought along. Status 404 is ERR_NOT_FOUND, 409 ERR_CONFLICT,
 * 304 success, other 4xx and 5xx ERR_ENV.
 */
#ifndef LABCTL_DOCKER_ENGINE_H
#define LABCTL_DOCKER_ENGINE_H

#include <stddef.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/err.h"

#define ENGINE_CONNECTIONS 16
#define ENGINE_API_MIN	   "1.25"
#define ENGINE_API_MAX	   "1.51"

struct engine;

/* host: "unix:///path", "tcp://host:port" (TLS when DOCKER_TLS_VERIFY is set, certificates
 * from DOCKER_CERT_PATH), or NULL for DOCKER_HOST, else unix:///var/run/docker.sock. Does not
 * connect. A host that cannot be understood is ERR_USAGE. */
int engine_open(const char *host, struct engine **ret, struct err *err) MUST_CHECK;
void engine_free(struct engine *e);
DEFINE_AUTO(engine, struct engine *, engine_free, NULL)
#define auto_engine auto_cleanup(engine) struct engine *

/* How long an engine may take to say that it is there, 20 s where nobody says otherwise; before the
 * first call. */
void engine_set_patience(struct engine *e, long ms);

/* The endpoint as text, for messages: "unix:///var/run/docker.sock". */
const char *engine_host(const struct engine *e);
/* The negotiated version ("1.41"), after the first successful call; "" before. */
const char *engine_api_version(const struct engine *e);

/* Called once a submitted request ended. err is NULL on success; reply is borrowed and may be
 * NULL when the engine sent no JSON body. May submit further requests. */
typedef void engine_done_fn(void *arg, json_t *reply, const struct err *err);

/* Queues one request. path starts after the version: "/containers/%s/start"; escape what comes
 * from outside with engine_escape(). body (stolen, also on failure) may be NULL. Errors of every
 * kind arrive through the callback. */
void engine_submit(struct engine *e, const char *method, const char *path, json_t *body,
		   engine_done_fn *done, void *arg);

/* Drives all submitted requests until none is left. Returns -1 only when interrupted
 * (ERR_INTERRUPTED, see base/log.h): the requests in flight are then aborted and their
 * callbacks called with that error. */
int engine_run(struct engine *e, struct err *err) MUST_CHECK;

/* One request, one reply. ret_reply (owned by the caller; NULL when there was no JSON body)
 * may be NULL. */
int engine_call(struct engine *e, const char *method, const char *path, json_t *body,
		json_t **ret_reply, struct err *err) MUST_CHECK;

/* Heap text, percent-encoded for one path segment or query value. */
char *engine_escape(const struct engine *e, const char *text);

#endif
