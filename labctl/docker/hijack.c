/* SPDX-License-Identifier: MIT */
/* hijack.c - the upgrade request, written and read by hand: curl has no word for it. */
#include "docker/hijack.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "docker/engine_raw.h"

#include "base/banned.h"

#define HEAD_MAX    16384
#define ERROR_MAX   65536 /* of a refusal's body */
#define SIGNAL_WAIT 200	  /* ms, see http.c */

static int conn_wait(struct http_conn *c, short events, struct err *err)
{
	struct pollfd p = { .fd = http_conn_fd(c), .events = events };

	if (err_if_interrupted(err))
		return -1;
	poll(&p, 1, SIGNAL_WAIT);
	return 0;
}

static int lost(struct engine *e, const char *call, int sys, struct err *err)
{
	return err_set(err, ERR_ENV, sys,
		       "the Docker Engine at %s closed the connection during '%s'", engine_host(e),
		       call);
}

static int send_all(struct engine *e, struct http_conn *c, const char *call, const struct str *text,
		    struct err *err)
{
	size_t done = 0;

	while (done < text->len) {
		ssize_t n = http_conn_send(c, text->s + done, text->len - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EAGAIN)
			return lost(e, call, errno, err);
		else if (conn_wait(c, POLLOUT, err))
			return -1;
	}
	return 0;
}

/* One piece more at the end of buf: 1, end of stream: 0. */
static int receive_some(struct engine *e, struct http_conn *c, const char *call, struct str *buf,
			struct err *err)
{
	char piece[4096];

	for (;;) {
		ssize_t n = http_conn_recv(c, piece, sizeof(piece));

		if (n > 0) {
			str_addn(buf, piece, (size_t)n);
			return 1;
		}
		if (n == 0)
			return 0;
		if (errno != EAGAIN)
			return lost(e, call, errno, err);
		if (conn_wait(c, POLLIN, err))
			return -1;
	}
}

/* Reads up to the empty line; its end in *ret_end. */
static int receive_head(struct engine *e, struct http_conn *c, const char *call, struct str *buf,
			size_t *ret_end, struct err *err)
{
	for (;;) {
		const char *end = buf->len ? memmem(buf->s, buf->len, "\r\n\r\n", 4) : NULL;
		int r;

		if (end) {
			*ret_end = (size_t)(end - buf->s) + 4;
			return 0;
		}
		if (buf->len > HEAD_MAX)
			return err_set(err, ERR_ENV, 0,
				       "what answers '%s' at %s does not speak HTTP", call,
				       engine_host(e));
		r = receive_some(e, c, call, buf, err);
		if (r < 0)
			return -1;
		if (r == 0)
			return lost(e, call, 0, err);
	}
}

/* "HTTP/1.1 101 UPGRADED" -> 101, 0 when it is no status line. */
static long status_of(const struct str *buf)
{
	auto_free char *digits = NULL;
	uint32_t status = 0;

	if (buf->len < 12 || !str_starts(buf->s, "HTTP/1.") || buf->s[8] != ' ')
		return 0;
	digits = xstrndup(buf->s + 9, 3);
	return parse_u32(digits, 100, 599, &status, ERR_IGNORED) ? 0 : (long)status;
}

/* Value of Content-Length, or -1. */
static long length_of(const struct str *buf, size_t head_end)
{
	auto_free char *head = xstrndup(buf->s, head_end);
	const char *at = strcasestr(head, "\r\nContent-Length:");
	auto_free char *digits = NULL;
	uint32_t n;

	if (!at)
		return -1;
	at += strlen("\r\nContent-Length:");
	at += strspn(at, " \t");
	digits = xstrndup(at, strspn(at, "0123456789"));
	return parse_u32(digits, 0, ERROR_MAX, &n, ERR_IGNORED) ? -1 : (long)n;
}

static int refused(struct engine *e, struct http_conn *c, const char *call, long status,
		   struct str *buf, size_t head_end, struct err *err)
{
	long want = length_of(buf, head_end);

	/* without a length the end cannot be told: what is there by now must do */
	while (want >= 0 && buf->len < head_end + (size_t)want) {
		if (receive_some(e, c, call, buf, ERR_IGNORED) <= 0)
			break;
	}
	return engine_err_from_reply(call, status, buf->s + head_end, buf->len - head_end, err);
}

static void write_request(struct engine *e, struct http_conn *c, const char *path, const char *body,
			  struct str *out)
{
	auto_free char *target = engine_target(e, path);

	str_addf(out,
		 "POST %s HTTP/1.1\r\n"
		 "Host: %s\r\n"
		 "User-Agent: labctl\r\n"
		 "Content-Type: application/json\r\n"
		 "Content-Length: %zu\r\n"
		 "Connection: Upgrade\r\n"
		 "Upgrade: tcp\r\n"
		 "\r\n"
		 "%s",
		 target, http_conn_authority(c), strlen(body), body);
}

int hijack_open(struct engine *e, const char *path, const char *body, struct http_conn **ret,
		struct str *ret_rest, struct err *err)
{
	auto_free char *call = xasprintf("POST %s", path);
	auto_http_conn c = NULL;
	auto_str out = { 0 };
	auto_str in = { 0 };
	size_t end = 0;
	long status;

	if (engine_negotiate(e, err) || http_conn_open(engine_http(e), &c, err))
		return -1;
	write_request(e, c, path, body, &out);
	if (send_all(e, c, call, &out, err) || receive_head(e, c, call, &in, &end, err))
		return -1;
	status = status_of(&in);
	log_debug("engine: %s: %ld", call, status);
	if (!status)
		return err_set(err, ERR_ENV, 0, "what answers '%s' at %s does not speak HTTP", call,
			       engine_host(e));
	if (status != 101 && status != 200)
		return refused(e, c, call, status, &in, end, err);
	str_addn(ret_rest, in.s + end, in.len - end);
	*ret = steal_ptr(&c);
	return 0;
}
