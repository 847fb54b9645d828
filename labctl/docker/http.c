/* SPDX-License-Identifier: MIT */
/* http.c - one curl multi handle and a queue before it. */
#include "docker/http.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/socket.h>

#include <curl/curl.h>

#include "base/log.h"
#include "base/mem.h"
#include "docker/endpoint.h"
#include "docker/engine.h"

#include "base/banned.h"

#define CONNECT_TIMEOUT_MS 10000L
/* A signal between the look at the flag and the wait is noticed this late at most. */
#define SIGNAL_WAIT_MS 200

struct transfer {
	struct transfer *next; /* in the queue */
	struct http *h;
	struct http_request rq; /* its texts are these: */
	char *method, *target, *body, *content_type;
	char *name; /* "POST /containers/create" */
	CURL *easy; /* NULL while queued */
	struct curl_slist *headers;
	struct http_reply reply;
	struct err err; /* set by our own callbacks */
	uint64_t sent;
	bool headed; /* the reply's head came to its end */
	bool paused; /* the upload has nothing to give at the moment */
	char curl_text[CURL_ERROR_SIZE];
};

struct http {
	struct endpoint ep;
	CURLM *multi;
	CURL *model; /* what every request has in common */
	struct transfer *active[ENGINE_CONNECTIONS];
	struct transfer *queue, **queue_end;
	unsigned busy; /* active and queued */
};

struct http_conn {
	struct http *h;
	CURL *easy;
	int fd;
};

/* ---- open and close ---- */

static void model_set_tls(CURL *c, const struct endpoint *ep)
{
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(c, CURLOPT_CAINFO, ep->ca);
	curl_easy_setopt(c, CURLOPT_SSLCERT, ep->cert);
	curl_easy_setopt(c, CURLOPT_SSLKEY, ep->key);
}

static CURL *model_new(const struct endpoint *ep)
{
	CURL *c = curl_easy_init();

	if (!c)
		return NULL;
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	/* http_proxy in the environment is meant for the web, not for the engine */
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "labctl");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	if (ep->socket)
		curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, ep->socket);
	if (ep->tls)
		model_set_tls(c, ep);
	return c;
}

int http_open(const char *host, struct http **ret, struct err *err)
{
	struct http *h = xcalloc(1, sizeof(*h));

	h->queue_end = &h->queue;
	if (endpoint_parse(host, &h->ep, err)) {
		free(h);
		return -1;
	}
	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		endpoint_done(&h->ep);
		free(h);
		return err_set(err, ERR_INTERNAL, 0, "libcurl does not start");
	}
	h->multi = curl_multi_init();
	h->model = model_new(&h->ep);
	if (!h->multi || !h->model) {
		http_free(h);
		return err_set(err, ERR_INTERNAL, 0, "libcurl gives no handle");
	}
	curl_multi_setopt(h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)ENGINE_CONNECTIONS);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)ENGINE_CONNECTIONS);
	*ret = h;
	return 0;
}

static void transfer_free(struct transfer *t)
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

/* Takes it out of curl's hands and of the lists; the transfer itself lives on. */
static void transfer_detach(struct transfer *t)
{
	struct http *h = t->h;

	if (t->easy)
		curl_multi_remove_handle(h->multi, t->easy);
	for (size_t i = 0; i < ENGINE_CONNECTIONS; i++)
		if (h->active[i] == t)
			h->active[i] = NULL;
	h->busy--;
}

static struct transfer *queue_pop(struct http *h)
{
	struct transfer *t = h->queue;

	if (!t)
		return NULL;
	h->queue = t->next;
	if (!h->queue)
		h->queue_end = &h->queue;
	t->next = NULL;
	return t;
}

void http_free(struct http *h)
{
	struct transfer *t;

	if (!h)
		return;
	for (size_t i = 0; i < ENGINE_CONNECTIONS; i++) {
		t = h->active[i];
		if (t) {
			transfer_detach(t);
			transfer_free(t);
		}
	}
	while ((t = queue_pop(h)))
		transfer_free(t);
	curl_easy_cleanup(h->model);
	curl_multi_cleanup(h->multi);
	curl_global_cleanup();
	endpoint_done(&h->ep);
	free(h);
}

const char *http_host(const struct http *h)
{
	return h->ep.text;
}

bool http_is_local(const struct http *h)
{
	return h->ep.socket != NULL;
}

char *http_escape(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";
	struct str s = { 0 };

	for (; *text; text++) {
		if (strchr(plain, *text))
			str_addc(&s, *text);
		else
			str_addf(&s, "%%%02X", (unsigned char)*text);
	}
	return str_steal(&s);
}

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

/* ---- one request's life ---- */

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

void http_submit(struct http *h, const struct http_request *rq)
{
	struct transfer *t = xcalloc(1, sizeof(*t));

	t->h = h;
	t->rq = *rq;
	t->rq.method = t->method = copy(rq->method);
	t->rq.target = t->target = copy(rq->target);
	t->rq.body = t->body = copy(rq->body);
	t->rq.content_type = t->content_type = copy(rq->content_type);
	t->name = transfer_name(rq);
	*h->queue_end = t;
	h->queue_end = &t->next;
	h->busy++;
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

static bool transfer_start(struct transfer *t)
{
	struct http *h = t->h;
	auto_free char *url = xasprintf("%s%s", h->ep.base, t->rq.target);
	CURL *c = curl_easy_duphandle(h->model);

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
	return curl_multi_add_handle(h->multi, c) == CURLM_OK;
}

static int err_connection_lost(const struct http *h, const char *name, struct err *err)
{
	err_set(err, ERR_ENV, 0, "the Docker Engine at %s closed the connection during '%s'",
		h->ep.text, name);
	return err_hint(err, "the engine's log tells more: 'journalctl -u docker', or the log of "
			     "the dockerd that was started by hand");
}

static int err_from_curl(const struct http *h, CURLcode code, long sys, const char *name,
			 const char *text, struct err *err)
{
	if (!*text)
		text = curl_easy_strerror(code);
	switch ((int)code) {
	case CURLE_COULDNT_CONNECT:
		return endpoint_unreachable(&h->ep, (int)sys, err);
	case CURLE_COULDNT_RESOLVE_HOST:
		err_set(err, ERR_ENV, 0, "the Docker Engine's host in %s is not known", h->ep.text);
		return err_hint(err, "DOCKER_HOST says where the engine is");
	case CURLE_OPERATION_TIMEDOUT:
		err_set(err, ERR_ENV, 0, "the Docker Engine at %s did not answer '%s' in time",
			h->ep.text, name);
		return err_hint(err, "it accepts connections but is stuck or overloaded");
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
		return err_connection_lost(h, name, err);
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		return err_set(err, ERR_ENV, 0, "what answers at %s does not speak HTTP (%s)",
			       h->ep.text, text);
	default:
		return err_set(err, ERR_ENV, 0, "'%s' at %s failed: %s", name, h->ep.text, text);
	}
}

/* Ends the request: done is called, everything of it is freed. err: NULL, the engine answered. */
static void transfer_end(struct transfer *t, const struct err *err)
{
	t->rq.done(t->rq.done_arg, &t->reply, err);
	transfer_free(t);
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

static void transfer_complete(struct transfer *t, CURLcode code)
{
	struct err err = { 0 };
	long sys = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->reply.status);
	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &sys);
	transfer_log(t);
	transfer_detach(t);
	/* It answered before it had read all that we had to say, then closed: the answer counts. */
	if ((code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR) && t->reply.status >= 400)
		code = CURLE_OK;
	/* a connection that is closed within the head is a whole reply to curl */
	if (code == CURLE_OK && !t->headed)
		code = CURLE_PARTIAL_FILE;
	if (code == CURLE_OK) {
		transfer_end(t, NULL);
		return;
	}
	if (t->err.kind == ERR_NONE)
		err_from_curl(t->h, code, sys, t->name, t->curl_text, &err);
	else
		err = t->err;
	transfer_end(t, &err);
}

/* ---- the loop ---- */

static void start_queued(struct http *h)
{
	for (size_t i = 0; i < ENGINE_CONNECTIONS && h->queue; i++) {
		struct err err = { 0 };
		struct transfer *t;

		if (h->active[i])
			continue;
		t = queue_pop(h);
		h->active[i] = t;
		if (transfer_start(t))
			continue;
		err_set(&err, ERR_INTERNAL, 0, "libcurl does not take '%s'", t->name);
		transfer_detach(t);
		transfer_end(t, &err);
	}
}

/* True when at least one has ended. */
static bool complete_finished(struct http *h)
{
	bool some = false;
	CURLMsg *m;
	int left;

	/* done() may run the loop itself: nothing of the message is used after it */
	while ((m = curl_multi_info_read(h->multi, &left))) {
		char *p = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &p);
		transfer_complete((struct transfer *)(void *)p, code);
		some = true;
	}
	return some;
}

static void wait_for_data(struct http *h, struct pollfd *fds, size_t n_fds, int timeout_ms)
{
	struct curl_waitfd *extra = xcalloc(n_fds + ENGINE_CONNECTIONS, sizeof(*extra));
	unsigned n = 0;

	for (size_t i = 0; i < n_fds; i++) {
		if (fds[i].fd < 0)
			continue;
		extra[n].fd = fds[i].fd;
		extra[n++].events = (short)((fds[i].events & POLLIN ? CURL_WAIT_POLLIN : 0) |
					    (fds[i].events & POLLOUT ? CURL_WAIT_POLLOUT : 0));
	}
	for (size_t i = 0; i < ENGINE_CONNECTIONS; i++) {
		if (!h->active[i] || !h->active[i]->paused)
			continue;
		extra[n].fd = h->active[i]->rq.upload_fd;
		extra[n++].events = CURL_WAIT_POLLIN;
	}
	curl_multi_poll(h->multi, extra, n, timeout_ms, NULL);
	free(extra);
	/* curl does not hand on POLLHUP and POLLERR: ask again, without waiting */
	if (n_fds)
		poll(fds, n_fds, 0);
	for (size_t i = 0; i < ENGINE_CONNECTIONS; i++) {
		struct transfer *t = h->active[i];
		struct pollfd p = { .events = POLLIN };

		if (!t || !t->paused)
			continue;
		p.fd = t->rq.upload_fd;
		if (poll(&p, 1, 0) > 0) {
			t->paused = false;
			curl_easy_pause(t->easy, CURLPAUSE_CONT);
		}
	}
}

void http_step(struct http *h, struct pollfd *fds, size_t n_fds, int timeout_ms)
{
	int running;

	for (size_t i = 0; i < n_fds; i++)
		fds[i].revents = 0;
	start_queued(h);
	curl_multi_perform(h->multi, &running);
	if (complete_finished(h))
		timeout_ms = 0;
	if ((timeout_ms && h->busy) || n_fds)
		wait_for_data(h, fds, n_fds, timeout_ms);
}

static void abort_all(struct http *h, const struct err *err)
{
	for (size_t i = 0; i < ENGINE_CONNECTIONS; i++) {
		struct transfer *t = h->active[i];

		if (!t)
			continue;
		transfer_detach(t);
		transfer_end(t, err);
	}
	for (struct transfer *t = queue_pop(h); t; t = queue_pop(h)) {
		transfer_detach(t);
		transfer_end(t, err);
	}
}

static int run(struct http *h, const bool *until, struct err *err)
{
	while (h->busy && !(until && *until)) {
		struct err stop = { 0 };

		if (err_if_interrupted(&stop)) {
			abort_all(h, &stop);
			if (err)
				*err = stop;
			return -1;
		}
		http_step(h, NULL, 0, SIGNAL_WAIT_MS);
	}
	return 0;
}

int http_run(struct http *h, const bool *until, struct err *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	int r;

	if (!h->ep.tls)
		return run(h, until, err);
	/* OpenSSL writes without MSG_NOSIGNAL */
	sigaction(SIGPIPE, &ignore, &old);
	r = run(h, until, err);
	sigaction(SIGPIPE, &old, NULL);
	return r;
}

void http_cancel(struct http *h, const void *done_arg)
{
	struct transfer **link = &h->queue;

	for (size_t i = 0; i < ENGINE_CONNECTIONS; i++) {
		struct transfer *t = h->active[i];

		if (!t || t->rq.done_arg != done_arg)
			continue;
		transfer_detach(t);
		transfer_free(t);
	}
	while (*link) {
		struct transfer *t = *link;

		if (t->rq.done_arg != done_arg) {
			link = &t->next;
			continue;
		}
		*link = t->next;
		transfer_detach(t);
		transfer_free(t);
	}
	h->queue_end = link;
}

/* ---- a connection of its own ---- */

static int on_connect_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)arg, (void)a, (void)b, (void)c, (void)d;
	return interrupt_seen();
}

int http_conn_open(struct http *h, struct http_conn **ret, struct err *err)
{
	auto_http_conn c = xcalloc(1, sizeof(*c));
	char text[CURL_ERROR_SIZE] = "";
	curl_socket_t fd = CURL_SOCKET_BAD;
	CURLcode code;
	long sys = 0;

	c->h = h;
	c->easy = curl_easy_duphandle(h->model);
	if (!c->easy)
		return err_set(err, ERR_INTERNAL, 0, "libcurl gives no handle");
	curl_easy_setopt(c->easy, CURLOPT_URL, h->ep.base);
	curl_easy_setopt(c->easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, text);
	curl_easy_setopt(c->easy, CURLOPT_XFERINFOFUNCTION, on_connect_progress);
	curl_easy_setopt(c->easy, CURLOPT_NOPROGRESS, 0L);
	code = curl_easy_perform(c->easy);
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, NULL);
	if (code == CURLE_OK)
		code = curl_easy_getinfo(c->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (err_if_interrupted(err))
		return -1;
	if (code != CURLE_OK || fd == CURL_SOCKET_BAD) {
		curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &sys);
		return err_from_curl(h, code, sys, "CONNECT", text, err);
	}
	c->fd = fd;
	*ret = steal_ptr(&c);
	return 0;
}

void http_conn_free(struct http_conn *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->easy);
	free(c);
}

int http_conn_fd(const struct http_conn *c)
{
	return c->fd;
}

const char *http_conn_authority(const struct http_conn *c)
{
	return c->h->ep.authority;
}

static ssize_t conn_result(struct http_conn *c, CURLcode code, size_t n)
{
	long sys = 0;

	if (code == CURLE_OK)
		return (ssize_t)n;
	curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &sys);
	errno = code == CURLE_AGAIN ? EAGAIN : sys ? (int)sys : EIO;
	return -1;
}

ssize_t http_conn_send(struct http_conn *c, const void *data, size_t n)
{
	size_t done = 0;
	CURLcode code = curl_easy_send(c->easy, data, n, &done);

	return conn_result(c, code, done);
}

ssize_t http_conn_recv(struct http_conn *c, void *buf, size_t n)
{
	size_t done = 0;
	CURLcode code = curl_easy_recv(c->easy, buf, n, &done);

	return conn_result(c, code, done);
}

void http_conn_shutdown(struct http_conn *c)
{
	shutdown(c->fd, SHUT_WR);
}
