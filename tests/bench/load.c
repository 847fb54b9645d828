/* SPDX-License-Identifier: MIT */
/*
 * load.c - a load of HTTP requests in a closed loop, and how long each took.
 *
 * load ADDRESS:PORT CONNECTIONS SECONDS METHOD TARGET [BODY] [HEADER]
 *
 * A "#" in target or body is replaced by a number that goes up by one. Prints one JSON object:
 * requests, errors (anything but a 2xx reply), rate, and latencies in microseconds.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

#include "base/banned.h"

enum {
	CONNECTIONS_MAX = 1024,
	REPLY_MAX = 1 << 20,
};

struct connection {
	int fd;
	int64_t sent;
	char *buf;
	size_t len;
};

struct load {
	struct sockaddr_in to;
	const char *method, *target, *body, *header;
	uint64_t counter, done, errors;
	uint32_t *took; /* microseconds */
	size_t n_took, room;
};

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ll + ts.tv_nsec / 1000;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void add_numbered(struct str *out, const char *text, uint64_t n)
{
	for (; *text; text++) {
		if (*text == '#')
			str_addf(out, "%llu", (unsigned long long)n);
		else
			str_addc(out, *text);
	}
}

static void send_one(struct load *l, struct connection *c)
{
	auto_str text = { 0 };
	auto_str body = { 0 };
	uint64_t n = l->counter++;

	str_addf(&text, "%s ", l->method);
	add_numbered(&text, l->target, n);
	str_add(&text, " HTTP/1.1\r\nHost: localhost\r\n");
	if (l->header)
		str_addf(&text, "%s\r\n", l->header);
	if (l->body) {
		add_numbered(&body, l->body, n);
		str_addf(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
			 body.len);
	}
	str_add(&text, "\r\n");
	str_add(&text, str_get(&body));
	c->len = 0;
	c->sent = now_us();
	if (send(c->fd, text.s, text.len, MSG_NOSIGNAL) != (ssize_t)text.len)
		fail("send");
}

static void open_one(struct load *l, struct connection *c)
{
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&l->to, sizeof(l->to)) < 0)
		fail("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* The whole reply's length, 0 when it is not there yet. */
static size_t reply_length(const struct connection *c)
{
	const char *end = memmem(c->buf, c->len, "\r\n\r\n", 4), *at;
	size_t head, body = 0;

	if (!end)
		return 0;
	head = (size_t)(end - c->buf) + 4;
	at = strcasestr(c->buf, "content-length:");
	if (at && at < end)
		body = strtoul(at + strlen("content-length:"), NULL, 10);
	return c->len >= head + body ? head + body : 0;
}

static void note(struct load *l, const struct connection *c)
{
	if (l->n_took == l->room) {
		l->room = l->room ? 2 * l->room : 1 << 16;
		l->took = xreallocarray(l->took, l->room, sizeof(*l->took));
	}
	l->took[l->n_took++] = (uint32_t)(now_us() - c->sent);
	l->done++;
	if (strncmp(c->buf, "HTTP/1.1 2", 10) != 0)
		l->errors++;
}

static void take(struct load *l, struct connection *c)
{
	ssize_t n = recv(c->fd, c->buf + c->len, REPLY_MAX - c->len - 1, 0);

	if (n <= 0)
		fail("recv");
	c->len += (size_t)n;
	c->buf[c->len] = '\0';
	if (!reply_length(c))
		return;
	note(l, c);
	send_one(l, c);
}

static int by_time(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint32_t quantile(const struct load *l, double q)
{
	return l->n_took ? l->took[(size_t)((double)(l->n_took - 1) * q)] : 0;
}

static void report(struct load *l, double seconds)
{
	qsort(l->took, l->n_took, sizeof(*l->took), by_time);
	printf("{\"requests\": %llu, \"errors\": %llu, \"rate\": %.0f, \"p50_us\": %u, "
	       "\"p99_us\": %u, \"max_us\": %u}\n",
	       (unsigned long long)l->done, (unsigned long long)l->errors,
	       (double)l->done / seconds, quantile(l, 0.5), quantile(l, 0.99), quantile(l, 1));
}

static void run(struct load *l, struct connection *all, int n, double seconds)
{
	int set = epoll_create1(EPOLL_CLOEXEC);
	int64_t began = now_us(), until = began + (int64_t)(seconds * 1e6);

	for (int i = 0; i < n; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &all[i] };

		open_one(l, &all[i]);
		all[i].buf = xmalloc(REPLY_MAX);
		epoll_ctl(set, EPOLL_CTL_ADD, all[i].fd, &ev);
		send_one(l, &all[i]);
	}
	while (now_us() < until) {
		struct epoll_event ev[64];
		int ready = epoll_wait(set, ev, 64, 1000);

		for (int i = 0; i < ready; i++)
			take(l, ev[i].data.ptr);
	}
	report(l, (double)(now_us() - began) / 1e6);
	for (int i = 0; i < n; i++) {
		close(all[i].fd);
		free(all[i].buf);
	}
	close(set);
	free(l->took);
}

int main(int argc, char **argv)
{
	static struct connection all[CONNECTIONS_MAX];
	struct load l = { .to.sin_family = AF_INET };
	char host[64];
	int n;

	if (argc < 6 || sscanf(argv[1], "%63[^:]:%d", host, &n) != 2 ||
	    inet_pton(AF_INET, host, &l.to.sin_addr) != 1) {
		fputs("usage: load ADDRESS:PORT CONNECTIONS SECONDS METHOD TARGET [BODY] "
		      "[HEADER]\n",
		      stderr);
		return 2;
	}
	l.to.sin_port = htons((uint16_t)n);
	l.method = argv[4];
	l.target = argv[5];
	l.body = argc > 6 && *argv[6] ? argv[6] : NULL;
	l.header = argc > 7 ? argv[7] : NULL;
	n = (int)strtol(argv[2], NULL, 10);
	if (n < 1 || n > CONNECTIONS_MAX)
		return 2;
	run(&l, all, n, strtod(argv[3], NULL));
	return 0;
}
