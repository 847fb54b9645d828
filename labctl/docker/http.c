/* SPDX-License-Identifier: MIT */
/* http.c - one curl multi handle, a queue before it, and connections for upgrades. */
#include "docker/http.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>

#include <curl/curl.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rights.h"
#include "docker/endpoint.h"
#include "docker/engine.h"
#include "docker/transfer.h"

#include "base/banned.h"

#define CONNECT_TIMEOUT_MS 10000L
/* A signal between the look at the flag and the wait is noticed this late at most. */
#define SIGNAL_WAIT_MS 200

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

/* libcurl 7.88 opens its sockets without it, and the engine's would be every child's. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	(void)arg, (void)purpose;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static CURL *model_new(const struct endpoint *ep)
{
	CURL *c = curl_easy_init();

	if (!c)
		return NULL;
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
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

/* Takes it out of curl's hands and of the lists; the transfer itself lives on. */
static void detach(struct http *h, struct transfer *t)
{
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
			detach(h, t);
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

/* libcurl connects while it performs. The engine's socket is root's; certificates of an engine
 * elsewhere are the caller's. Callbacks open no files. */
static struct file_rights rights_to_connect(const struct http *h)
{
	return h->ep.socket ? file_rights_root("the engine's socket") : (struct file_rights){ 0 };
}

/* ---- the queue ---- */

void http_submit(struct http *h, const struct http_request *rq)
{
	struct transfer *t = transfer_new(rq);

	*h->queue_end = t;
	h->queue_end = &t->next;
	h->busy++;
}

void http_cancel(struct http *h, const void *done_arg)
{
	struct transfer **link = &h->queue;

	for (size_t i = 0; i < ENGINE_CONNECTIONS; i++) {
		struct transfer *t = h->active[i];

		if (!t || t->rq.done_arg != done_arg)
			continue;
		detach(h, t);
		transfer_free(t);
	}
	while (*link) {
		struct transfer *t = *link;

		if (t->rq.done_arg != done_arg) {
			link = &t->next;
			continue;
		}
		*link = t->next;
		detach(h, t);
		transfer_free(t);
	}
	h->queue_end = link;
}

/* ---- the loop ---- */

static bool start(struct http *h, struct transfer *t)
{
	return transfer_set_up(t, h->model, &h->ep) &&
	       curl_multi_add_handle(h->multi, t->easy) == CURLM_OK;
}

/* done is called, everything of the request is freed. err: NULL, the engine answered. */
static void transfer_end(struct transfer *t, const struct err *err)
{
	t->rq.done(t->rq.done_arg, &t->reply, err);
	transfer_free(t);
}

static void complete(struct http *h, struct transfer *t, CURLcode code)
{
	struct err err = { 0 };
	int r = transfer_result(t, code, &h->ep, &err);

	detach(h, t);
	transfer_end(t, r ? &err : NULL);
}

static void start_queued(struct http *h)
{
	for (size_t i = 0; i < ENGINE_CONNECTIONS && h->queue; i++) {
		struct err err = { 0 };
		struct transfer *t;

		if (h->active[i])
			continue;
		t = queue_pop(h);
		h->active[i] = t;
		if (start(h, t))
			continue;
		err_set(&err, ERR_INTERNAL, 0, "libcurl does not take '%s'", t->name);
		detach(h, t);
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
		complete(h, (struct transfer *)(void *)p, code);
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
	for (size_t i = 0; i < ENGINE_CONNECTIONS; i++)
		if (h->active[i])
			transfer_resume(h->active[i]);
}

static void perform(struct http *h)
{
	auto_file_rights as_root = rights_to_connect(h);
	int running;

	curl_multi_perform(h->multi, &running);
}

void http_step(struct http *h, struct pollfd *fds, size_t n_fds, int timeout_ms)
{
	for (size_t i = 0; i < n_fds; i++)
		fds[i].revents = 0;
	start_queued(h);
	perform(h);
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
		detach(h, t);
		transfer_end(t, err);
	}
	for (struct transfer *t = queue_pop(h); t; t = queue_pop(h)) {
		detach(h, t);
		transfer_end(t, err);
	}
}

static int run(struct http *h, const bool *until, struct err *err)
{
	while (h->busy && !(until && *until)) {
		struct err stop = { 0 };

		if (err_if_interrupted(&stop)) {
			abort_all(h, &stop);
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

/* ---- a connection of its own ---- */

static int on_connect_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)arg, (void)a, (void)b, (void)c, (void)d;
	return interrupt_seen();
}

static CURLcode perform_alone(struct http_conn *c)
{
	auto_file_rights as_root = rights_to_connect(c->h);

	return curl_easy_perform(c->easy);
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
	code = perform_alone(c);
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, NULL);
	if (code == CURLE_OK)
		code = curl_easy_getinfo(c->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (err_if_interrupted(err))
		return -1;
	if (code != CURLE_OK || fd == CURL_SOCKET_BAD) {
		curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &sys);
		return transfer_err(&h->ep, code, sys, "CONNECT", text, err);
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
