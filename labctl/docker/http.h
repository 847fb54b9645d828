/* SPDX-License-Identifier: MIT */
/*
 * http.h - HTTP to the engine: many requests on one bounded set of kept connections, without
 * threads. It and transfer.c alone know libcurl. Internal to docker/.
 *
 * A status is no error here: what 404 means is engine.c's business. Errors are those of the
 * transport (ERR_ENV, with a hint where the user can act) and ERR_INTERRUPTED.
 */
#ifndef LABCTL_DOCKER_HTTP_H
#define LABCTL_DOCKER_HTTP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

#define HTTP_BODY_MAX (64UL << 20) /* what is kept of one reply; more is an error */

struct http;

/* host as in engine_open(). Does not connect. */
int http_open(const char *host, struct http **ret, struct err *err) MUST_CHECK;
void http_free(struct http *h);

const char *http_host(const struct http *h);
/* On this machine: its process ids are ours. */
bool http_is_local(const struct http *h);
char *http_escape(const char *text); /* heap text */

struct http_reply {
	long status;
	char api_version[16];
	char content_type[64];
	struct str body; /* empty where a sink took it */
};

/* Takes a piece of a 2xx body as it comes. -1 with err set ends the request with that error. */
typedef int http_sink_fn(void *arg, const char *data, size_t n, struct err *err);
/* Called after each piece that was read for the upload, with the count so far. */
typedef void http_sent_fn(void *arg, uint64_t bytes);
/* Called once; err is NULL when the engine answered. May submit and run further requests.
 * The reply is borrowed. */
typedef void http_done_fn(void *arg, const struct http_reply *reply, const struct err *err);

struct http_request {
	const char *method;
	const char *target;	  /* "/v1.41/containers/json?all=1" */
	const char *body;	  /* NULL: none */
	const char *content_type; /* of the body or upload */
	bool upload;		  /* the body is what upload_fd gives until its end, chunked */
	int upload_fd;		  /* borrowed until done; may block, may be a pipe */
	http_sent_fn *sent;	  /* may be NULL */
	http_sink_fn *sink;	  /* NULL: the body is kept in the reply */
	void *io_arg;		  /* for sent and sink, which must not use the http */
	long timeout_ms;	  /* for the whole of it; 0: none, as most calls may last */
	http_done_fn *done;
	void *done_arg;
};

/* Queues a request; everything in it is copied, the fd apart. */
void http_submit(struct http *h, const struct http_request *rq);

/* Forgets the requests with this done_arg; their done is not called. */
void http_cancel(struct http *h, const void *done_arg);

/* One turn: starts what is queued, moves data, calls done for what has ended, and if nothing
 * has, waits at most timeout_ms for that or for one of fds (revents are filled in; may be
 * NULL), or for a signal. */
void http_step(struct http *h, struct pollfd *fds, size_t n_fds, int timeout_ms);

/* Steps until *until (when not NULL) or until no request is left. When interrupted: every
 * request ends with ERR_INTERRUPTED, and so does this. */
int http_run(struct http *h, const bool *until, struct err *err) MUST_CHECK;

/* A connection of its own, for the protocol after an upgrade. */
struct http_conn;
int http_conn_open(struct http *h, struct http_conn **ret, struct err *err) MUST_CHECK;
void http_conn_free(struct http_conn *c);
DEFINE_AUTO(http_conn, struct http_conn *, http_conn_free, NULL)
#define auto_http_conn auto_cleanup(http_conn) struct http_conn *

/* For poll(2). Under TLS data can wait inside: receive until EAGAIN before polling. */
int http_conn_fd(const struct http_conn *c);
/* What goes into a request's Host header. */
const char *http_conn_authority(const struct http_conn *c);
/* As send(2) and recv(2) on a non-blocking socket: -1 and errno (EAGAIN, EPIPE, EIO). */
ssize_t http_conn_send(struct http_conn *c, const void *data, size_t n);
ssize_t http_conn_recv(struct http_conn *c, void *buf, size_t n);
/* Nothing more will be sent; receiving goes on. */
void http_conn_shutdown(struct http_conn *c);

#endif
