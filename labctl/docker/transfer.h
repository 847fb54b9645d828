/* SPDX-License-Identifier: MIT */
/*
 * transfer.h - one request on one of curl's easy handles: what goes out, what its reply or its
 * failure means. http.c runs the handles, and is the only one to include this.
 */
#ifndef LABCTL_DOCKER_TRANSFER_H
#define LABCTL_DOCKER_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "base/err.h"
#include "docker/endpoint.h"
#include "docker/http.h"

struct transfer {
	struct transfer *next;	/* http.c's queue */
	struct http_request rq; /* its texts are these: */
	char *method, *target, *body, *content_type;
	char *name; /* "POST /containers/create" */
	CURL *easy; /* NULL until set up */
	struct curl_slist *headers;
	struct http_reply reply;
	struct err err; /* set by our own callbacks */
	uint64_t sent;
	bool headed; /* the reply's head came to its end */
	bool paused; /* the upload has nothing to give at the moment */
	char curl_text[CURL_ERROR_SIZE];
};

/* Everything in rq is copied, the fd apart. */
struct transfer *transfer_new(const struct http_request *rq);
/* Not while curl's multi handle has it. */
void transfer_free(struct transfer *t);

/* Makes the easy handle, a copy of model, whose private pointer is t. False: curl gives none. */
bool transfer_set_up(struct transfer *t, CURL *model, const struct endpoint *ep);

/* Goes on with a paused upload if there is something to send. */
void transfer_resume(struct transfer *t);

/* What came of it, when curl is done with it by code: 0, the engine answered and t->reply is
 * whole; -1, err is why not. */
int transfer_result(struct transfer *t, CURLcode code, const struct endpoint *ep, struct err *err);

/* The error that code is; sys: errno, or 0; text: curl's own words, or "". Always returns -1. */
int transfer_err(const struct endpoint *ep, CURLcode code, long sys, const char *name,
		 const char *text, struct err *err);

#endif
