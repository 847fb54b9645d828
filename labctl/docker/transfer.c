/* SPDX-License-Identifier: MIT */
/* transfer.c - what goes out for a request, and what its reply or its failure means. */
#include "docker/transfer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#include "base/banned.h"

/* ---- curl's callbacks ---- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	long status = 0;

	n *= size;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (t->rq.sink && status >= 200 && status < 300)
		return t->rq.sink(t->rq.io_arg, data, n, &t->err) ? 0 : n;
	if (n > HTTP_BODY_MAX - t->reply.body.len) {
		err_set(&t->err, ERR_ENV, 0, "the Docker Engine's reply to '%s' is over %lu MiB",
			t->name, HTTP_BODY_MAX >> 20);
		return 0;
	}
	str_addn(&t->reply.body, data, n);
	return n;
}

/* Value of header `name` in one raw line, cut to size. */
static void take_header(const char *line, size_t n, const char *name, char *dst, size_t size)
{
	size_t skip = strlen(name);

	if (n <= skip || strncasecmp(line, name, skip) != 0 || line[skip] != ':')
		return;
	line += skip + 1;
	n -= skip + 1;
	for (; n && (*line == ' ' || *line == '\t'); n--)
		line++;
	while (n && (line[n - 1] == '\r' || line[n - 1] == '\n' || line[n - 1] == ' '))
		n--;
	if (n >= size)
		n = size - 1;
	memcpy(dst, line, n);
	dst[n] = '\0';
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	struct http_reply *r = &t->reply;

	n *= size;
	if (n >= 5 && memcmp(data, "HTTP/", 5) == 0)
		t->headed = false;
	else if (n > 0 && (*data == '\r' || *data == '\n'))
		t->headed = true;
	take_header(data, n, "Api-Version", r->api_version, sizeof(r->api_version));
	take_header(data, n, "Content-Type", r->content_type, sizeof(r->content_type));
	return n;
}

static size_t on_upload(char *buf, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	struct pollfd p = { .fd = t->rq.upload_fd, .events = POLLIN };
	ssize_t got;

	if (poll(&p, 1, 0) <= 0) {
		t->paused = true;
		return CURL_READFUNC_PAUSE;
	}
	got = read(t->rq.upload_fd, buf, size * n);
	if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
		t->paused = true;
		return CURL_READFUNC_PAUSE;
	}
	if (got < 0) {
		err_set(&t->err, ERR_ENV, errno, "cannot read what is to be sent by '%s'", t->name);
		return CURL_READFUNC_ABORT;
	}
	t->sent += (uint64_t)got;
	if (t->rq.sent)
		t->rq.sent(t->rq.io_arg, t->sent);
	return (size_t)got;
}

/* ---- the request ---- */

static char *copy(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

/* "/v1.41/containers/x?all=1" is called "/containers/x". */
static char *transfer_name(const struct http_request *rq)
{
	const char *path = rq->target;

	if (str_starts(path, "/v1."))
		path += strcspn(path + 1, "/") + 1;
	return xasprintf("%s %.*s", rq->method, (int)strcspn(path, "?"), path);
}

struct transfer *transfer_new(const struct http_request *rq)
{
	struct transfer *t = xcalloc(1, sizeof(*t));

	t->rq = *rq;
	t->rq.method = t->method = copy(rq->method);
	t->rq.target = t->target = copy(rq->target);
	t->rq.body = t->body = copy(rq->body);
	t->rq.content_type = t->content_type = copy(rq->content_type);
	t->name = transfer_name(rq);
	return t;
}

void transfer_free(struct transfer *t)
{
	free(t->method);
	free(t->target);
	free(t->body);
	free(t->content_type);
	free(t->name);
	str_done(&t->reply.body);
	curl_slist_free_all(t->headers);
	curl_easy_cleanup(t->easy);
	free(t);
}

static void transfer_add_header(struct transfer *t, const char *line)
{
	struct curl_slist *l = curl_slist_append(t->headers, line);

	if (l)
		t->headers = l;
}

static void transfer_set_body(struct transfer *t)
{
	const char *type = t->rq.content_type;
	/* without a type none goes out: curl's own would be that of a web form */
	auto_free char *line = xasprintf("Content-Type:%s%s", type ? " " : "", type ? type : "");
	CURL *c = t->easy;

	/* "Expect: 100-continue" would cost a round trip, or a second where it is not known */
	transfer_add_header(t, "Expect:");
	transfer_add_header(t, line);
	curl_easy_setopt(c, CURLOPT_POST, 1L);
	if (t->rq.upload) {
		transfer_add_header(t, "Transfer-Encoding: chunked");
		curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(c, CURLOPT_READDATA, t);
	} else {
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)(t->rq.body ? strlen(t->rq.body) : 0));
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, t->rq.body ? t->rq.body : "");
	}
}

bool transfer_set_up(struct transfer *t, CURL *model, const struct endpoint *ep)
{
	auto_free char *url = xasprintf("%s%s", ep->base, t->rq.target);
	CURL *c = curl_easy_duphandle(model);

	if (!c)
		return false;
	t->easy = c;
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PRIVATE, t);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->curl_text);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, t->rq.timeout_ms);
	if (t->rq.upload || t->rq.body || strcmp(t->rq.method, "POST") == 0)
		transfer_set_body(t);
	if (strcmp(t->rq.method, "HEAD") == 0)
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, t->rq.method);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers);
	return true;
}

void transfer_resume(struct transfer *t)
{
	struct pollfd p = { .fd = t->rq.upload_fd, .events = POLLIN };

	if (!t->paused || poll(&p, 1, 0) <= 0)
		return;
	t->paused = false;
	curl_easy_pause(t->easy, CURLPAUSE_CONT);
}

/* ---- what came of it ---- */

static int err_connection_lost(const struct endpoint *ep, const char *name, struct err *err)
{
	err_set(err, ERR_ENV, 0, "the Docker Engine at %s closed the connection during '%s'",
		ep->text, name);
	return err_hint(err, "the engine's log tells more: 'journalctl -u docker', or the log of "
			     "the dockerd that was started by hand");
}

int transfer_err(const struct endpoint *ep, CURLcode code, long sys, const char *name,
		 const char *text, struct err *err)
{
	if (!*text)
		text = curl_easy_strerror(code);
	switch ((int)code) {
	case CURLE_COULDNT_CONNECT:
		return endpoint_unreachable(ep, (int)sys, err);
	case CURLE_COULDNT_RESOLVE_HOST:
		err_set(err, ERR_ENV, 0, "the Docker Engine's host in %s is not known", ep->text);
		return err_hint(err, "DOCKER_HOST says where the engine is");
	case CURLE_OPERATION_TIMEDOUT:
		err_set(err, ERR_ENV, 0, "the Docker Engine at %s did not answer '%s' in time",
			ep->text, name);
		return err_hint(err, "it accepts connections but is stuck or overloaded");
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
		return err_connection_lost(ep, name, err);
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		return err_set(err, ERR_ENV, 0, "what answers at %s does not speak HTTP (%s)",
			       ep->text, text);
	default:
		return err_set(err, ERR_ENV, 0, "'%s' at %s failed: %s", name, ep->text, text);
	}
}

static void transfer_log(const struct transfer *t)
{
	curl_off_t us = 0;

	if (log_get_level() < LOG_DEBUG)
		return;
	curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &us);
	log_debug("engine: %s %s: %ld, %.1f ms", t->rq.method, t->rq.target, t->reply.status,
		  (double)us / 1000);
}

int transfer_result(struct transfer *t, CURLcode code, const struct endpoint *ep, struct err *err)
{
	long sys = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->reply.status);
	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &sys);
	transfer_log(t);
	/* It answered before it had read all that we had to say, then closed: the answer counts. */
	if ((code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR) && t->reply.status >= 400)
		code = CURLE_OK;
	/* a connection that is closed within the head is a whole reply to curl */
	if (code == CURLE_OK && !t->headed)
		code = CURLE_PARTIAL_FILE;
	if (code == CURLE_OK)
		return 0;
	if (t->err.kind == ERR_NONE)
		return transfer_err(ep, code, sys, t->name, t->curl_text, err);
	*err = t->err;
	return -1;
}
