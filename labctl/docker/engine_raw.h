/* SPDX-License-Identifier: MIT */
/* engine_raw.h - calls whose bodies are not one JSON text: logs, uploads, upgraded connections.
 * Internal to docker/. */
#ifndef LABCTL_DOCKER_ENGINE_RAW_H
#define LABCTL_DOCKER_ENGINE_RAW_H

#include "docker/engine.h"
#include "docker/http.h"

struct http *engine_http(struct engine *e);

/* Forgets the submitted requests with this arg; their callbacks are not called. */
void engine_cancel(struct engine *e, const void *arg);

/* Settles the API version unless that was done before. */
int engine_negotiate(struct engine *e, struct err *err) MUST_CHECK;
/* True once negotiated to at least 1.minor. */
bool engine_api_at_least(const struct engine *e, unsigned minor);

/* "/v1.41" before the path; heap text. After engine_negotiate(). */
char *engine_target(const struct engine *e, const char *path);

/* The error that a reply of status 300 and more is; `call` names it ("POST /build"). -1. */
int engine_err_from_reply(const char *call, long status, const char *body, size_t len,
			  struct err *err);

/* One call by its own sink and upload. rq's target is a path without version; done, done_arg
 * are not used. */
int engine_stream(struct engine *e, const struct http_request *rq, struct err *err) MUST_CHECK;

#endif
