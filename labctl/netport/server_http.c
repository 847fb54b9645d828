/* SPDX-License-Identifier: MIT */
/* server_http.c - HTTP: the only file that knows libmicrohttpd. */
#include <microhttpd.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "netport/server_internal.h"

#include "base/banned.h"

#define PEM_MAX	    (1 << 20)
#define DISCARD_MAX (1 << 20) /* of a body that is not wanted */

/* ---- connections ---- */

static void link_last(struct server *s, struct connection *c)
{
	c->prev = s->last;
	c->next = NULL;
	*(s->last ? &s->last->next : &s->first) = c;
	s->last = c;
}

static void unlink_one(struct server *s, struct connection *c)
{
	*(c->prev ? &c->prev->next : &s->first) = c->next;
	*(c->next ? &c->next->prev : &s->last) = c->prev;
}

static void touch(struct server *s, struct connection *c)
{
	c->since_ms = server_now_ms();
	unlink_one(s, c);
	link_last(s, c);
}

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct server *s = arg;
	struct connection *c = *context;
	const union MHD_ConnectionInfo *info;
	struct err err = { 0 };

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (c) {
			explicit_bzero(c->token, sizeof(c->token));
			unlink_one(s, c);
			s->n_connections--;
			free(c);
		}
		*context = NULL;
		return;
	}
	c = xcalloc(1, sizeof(*c));
	info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	c->fd = info ? info->connect_fd : -1;
	if (s->arriving && s->arriving->fd == c->fd)
		*c = *s->arriving;
	else if (who_connects(s, c, &err) < 0)
		log_debug("netport: %s", err.msg);
	c->since_ms = server_now_ms();
	link_last(s, c);
	s->n_connections++;
	*context = c;
}

void web_adopt(struct server *s, const struct connection *c, const struct sockaddr *addr,
	       socklen_t len)
{
	s->arriving = c;
	if (MHD_add_connection(c->tls ? s->secure : s->plain, c->fd, addr, len) != MHD_YES)
		log_debug("netport: a connection was refused");
	s->arriving = NULL;
}

/* ---- exchanges ---- */

static void exchange_free(struct exchange *x)
{
	call_done(&x->call);
	url_done(&x->request.url);
	str_done(&x->body);
	free(x->target);
	free(x);
}

/* Called with the request line, before anything else of a request. */
static void *on_target(void *arg, const char *target, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct exchange *x = xcalloc(1, sizeof(*x));

	x->server = arg;
	x->mhd = mhd;
	x->connection = info ? info->socket_context : NULL;
	x->target = xstrdup(target);
	x->began_us = server_now_us();
	x->child.fd = -1;
	if (x->connection)
		x->connection->idle_turn = 0;
	return x;
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **context,
			 enum MHD_RequestTerminationCode code)
{
	struct server *s = arg;
	struct exchange *x = *context;

	(void)mhd;
	(void)code;
	if (!x)
		return;
	if (x->state == EXCHANGE_WAITS)
		server_gone(s, x);
	if (x->connection) {
		touch(s, x->connection);
		x->connection->idle_turn = x->connection->tls ? 0 : s->turn;
		s->any_idle = true;
	}
	exchange_free(x);
	*context = NULL;
}

static const char *header(struct MHD_Connection *mhd, const char *name)
{
	return MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, name);
}

static void add_headers(struct MHD_Response *response, const struct reply *reply)
{
	MHD_add_response_header(response, "Content-Type",
				reply->type ? reply->type : "application/json");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	if (reply->type) {
		MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
		MHD_add_response_header(
			response, "Content-Security-Policy",
			"default-src 'none'; style-src 'unsafe-inline'; script-src "
			"'unsafe-inline'; connect-src 'self'; img-src data:; "
			"frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
	}
	if (reply->allow[0])
		MHD_add_response_header(response, "Allow", reply->allow);
	if (reply->status == 401)
		MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
	if (reply->retry)
		MHD_add_response_header(response, "Retry-After", "1");
}

/* See let_ended_go(); but TLS has an end of its own, which only libmicrohttpd can say. */
static bool tls_has_ended(const struct connection *c)
{
	char byte;

	return c && c->tls && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static enum MHD_Result send_reply(struct exchange *x)
{
	struct reply *reply = &x->call.reply;
	size_t len = reply->body.len;
	unsigned status = reply->status;
	char *text = len ? str_steal(&reply->body) : NULL;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(len, text ? text : (char[]){ "" },
						text ? MHD_RESPMEM_MUST_FREE
						     : MHD_RESPMEM_PERSISTENT);
	enum MHD_Result rc;

	if (!response) {
		free(text);
		return MHD_NO;
	}
	add_headers(response, reply);
	if (tls_has_ended(x->connection))
		MHD_add_response_header(response, "Connection", "close");
	x->state = EXCHANGE_SENT;
	stats_request(x, status, len);
	rc = MHD_queue_response(x->mhd, status, response);
	MHD_destroy_response(response);
	return rc;
}

/* False: enough of it. */
static bool take_body(struct exchange *x, const char *data, size_t size)
{
	x->body_seen += size;
	if (x->body_seen > API_BODY_MAX)
		x->too_large = true;
	if (!x->too_large && !x->refused)
		str_addn(&x->body, data, size);
	return x->body_seen <= DISCARD_MAX;
}

/* The head is there. False: the reply is made. */
static bool take_head(struct exchange *x, const char *method)
{
	const struct origin from = {
		.host = header(x->mhd, "Host"),
		.origin = header(x->mhd, "Origin"),
		.referer = header(x->mhd, "Referer"),
		.site = header(x->mhd, "Sec-Fetch-Site"),
		.agent = header(x->mhd, "User-Agent"),
	};
	struct err err = { 0 };

	x->request.method = str_copy(x->method, sizeof(x->method), method) ? x->method : "UNKNOWN";
	x->call.api = &x->server->api;
	x->call.req = &x->request;
	if (url_parse(x->target, &x->request.url, &err) < 0) {
		api_fail(&x->call, 400, "%s", err.msg);
		return false;
	}
	api_route(&x->call);
	if (!x->call.route || !who_calls(x, header(x->mhd, "Authorization")) ||
	    !origin_may(x, &from))
		return false;
	return api_allows(&x->call);
}

static size_t announced(struct MHD_Connection *mhd)
{
	const char *length = header(mhd, "Content-Length");

	return length ? strtoull(length, NULL, 10) : 0;
}

static void refuse_size(struct exchange *x)
{
	api_fail(&x->call, 413, "a body has at most %d bytes", API_BODY_MAX);
}

/* Whatever the reply is, the body is read before it: a client that is still sending could lose it
 * to the end of the connection. Unless that would be too much. */
static enum MHD_Result begin(struct exchange *x, const char *method)
{
	x->state = EXCHANGE_BODY;
	x->refused = !take_head(x, method);
	if (announced(x->mhd) <= DISCARD_MAX)
		return MHD_YES;
	if (!x->refused)
		refuse_size(x);
	return send_reply(x);
}

static enum MHD_Result finish(struct exchange *x)
{
	if (x->connection)
		touch(x->server, x->connection);
	if (x->too_large && !x->refused)
		refuse_size(x);
	if (x->too_large || x->refused)
		return send_reply(x);
	x->request.body = str_get(&x->body);
	x->request.body_len = x->body.len;
	x->request.content_type = header(x->mhd, "Content-Type");
	x->request.idempotency_key = header(x->mhd, "Idempotency-Key");
	if (!server_take(x))
		return send_reply(x);
	x->state = EXCHANGE_WAITS;
	/* What waits for the batch is asked for again in the same turn: to be suspended and resumed
	 * would cost it four more system calls. */
	if (x->child.fd >= 0) {
		x->suspended = true;
		MHD_suspend_connection(x->mhd);
	}
	return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *mhd, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **context)
{
	struct exchange *x = *context;

	(void)arg;
	(void)mhd;
	(void)url;
	(void)version;
	switch (x->state) {
	case EXCHANGE_HEAD:
		return begin(x, method);
	case EXCHANGE_BODY:
		if (!*upload_size)
			return finish(x);
		if (!take_body(x, upload, *upload_size))
			return MHD_NO;
		*upload_size = 0;
		return MHD_YES;
	case EXCHANGE_READY:
		return send_reply(x);
	case EXCHANGE_WAITS:
	case EXCHANGE_SENT:
		*upload_size = 0;
		return MHD_YES;
	}
	return MHD_NO;
}

void web_resume(struct exchange *x)
{
	x->state = EXCHANGE_READY;
	if (x->suspended)
		MHD_resume_connection(x->mhd);
	x->suspended = false;
}

/* ---- the daemons ---- */

__attribute__((format(printf, 2, 0))) static void on_log(void *arg, const char *fmt, va_list ap)
{
	char text[512];

	(void)arg;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_debug("netport: %s", text);
}

static struct MHD_Daemon *start_daemon(struct server *s, unsigned flags, const char *key,
				       const char *cert)
{
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key },
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)cert },
		{ MHD_OPTION_END, 0, NULL },
	};
	struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };

	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
					MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | flags,
				0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log,
				NULL, MHD_OPTION_URI_LOG_CALLBACK, on_target, s,
				MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
				MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_MAX,
				MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, key ? tls : none,
				MHD_OPTION_END);
}

static int watch_daemon(struct server *s, struct MHD_Daemon *daemon, struct watch *w,
			struct err *err)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);

	if (!info)
		return err_set(err, ERR_INTERNAL, 0, "libmicrohttpd has no epoll descriptor");
	*w = (struct watch){ WATCH_HTTP, info->epoll_fd, daemon };
	return server_watch(s, w, err);
}

int server_files_begin(const struct server *s, struct file_rights *ret, struct err *err)
{
	*ret = (struct file_rights){ 0 };
	return s->config->files_of ? file_rights_of(s->config->files_of, ret, err) : 0;
}

static int read_pem(const struct server *s, char **ret_cert, char **ret_key, struct err *err)
{
	auto_file_rights of_caller = { 0 };

	if (server_files_begin(s, &of_caller, err) < 0 ||
	    fs_read(s->config->tls_cert, PEM_MAX, ret_cert, NULL, err) < 0)
		return -1;
	return fs_read(s->config->tls_key, PEM_MAX, ret_key, NULL, err);
}

static int start_tls(struct server *s, struct err *err)
{
	auto_free char *cert = NULL;
	auto_free char *key = NULL;

	if (!s->config->tls_cert)
		return 0;
	if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
		return err_set(err, ERR_ENV, 0, "this libmicrohttpd was built without TLS");
	if (read_pem(s, &cert, &key, err) < 0)
		return -1;
	s->secure = start_daemon(s, MHD_USE_TLS, key, cert);
	explicit_bzero(key, strlen(key));
	if (!s->secure)
		return err_set(err, ERR_ENV, 0, "TLS does not begin with '%s' and '%s'",
			       s->config->tls_cert, s->config->tls_key);
	return watch_daemon(s, s->secure, &s->secure_watch, err);
}

int web_start(struct server *s, struct err *err)
{
	s->plain = start_daemon(s, 0, NULL, NULL);
	if (!s->plain)
		return err_set(err, ERR_ENV, 0, "libmicrohttpd does not start");
	if (watch_daemon(s, s->plain, &s->plain_watch, err) < 0)
		return -1;
	return start_tls(s, err);
}

void web_stop(struct server *s)
{
	if (s->plain)
		MHD_stop_daemon(s->plain);
	if (s->secure)
		MHD_stop_daemon(s->secure);
	s->plain = s->secure = NULL;
}

void web_run(struct server *s)
{
	if (s->plain)
		MHD_run(s->plain);
	if (s->secure)
		MHD_run(s->secure);
}

static bool is_due(struct MHD_Daemon *daemon)
{
	MHD_UNSIGNED_LONG_LONG ms;

	return daemon && MHD_get_timeout(daemon, &ms) == MHD_YES && ms == 0;
}

bool web_is_due(const struct server *s)
{
	return is_due(s->plain) || is_due(s->secure);
}
