/* SPDX-License-Identifier: MIT */
/*
 * takers.c - many processes that take ports at the same time, from the book or by HTTP.
 *
 * takers PROCESSES EACH book STORE-URL RANGE
 * takers PROCESSES EACH http ADDRESS:PORT TARGET
 *
 * From the book as `labctl netport acquire` does: each time with a look at the ports in use. By
 * HTTP on one connection a process. Prints one JSON object: asked, got, none (answers without a
 * port), duplicates, rate, and latencies in microseconds.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "netport/hostview.h"
#include "netport/lease.h"

#include "base/banned.h"

enum {
	PORTS = 65536,
	PROCESSES_MAX = 1024,
};

struct taken {
	uint32_t port; /* 0: none */
	uint32_t us;
};

/* Whom a process asks. */
struct giver {
	struct store *store; /* or, when NULL, by HTTP: */
	struct pool pool;
	int fd;
	const char *request;
};

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ll + ts.tv_nsec / 1000;
}

static uint32_t from_book(struct giver *g, struct err *err)
{
	const struct lease_request req = {
		.resource = "PORT", .owner = "takers", .uid = getuid(), .quota = LEASE_NO_QUOTA
	};
	auto_hostview view = { 0 };
	auto_lease l = { 0 };

	if (hostview_add(&view, "PORT", -1, err) < 0)
		return 0;
	if (lease_acquire_any(g->store, &req, &g->pool, NULL, hostview_usable, &view, &l, err) < 0)
		return 0;
	return (uint32_t)strtoul(l.value, NULL, 10);
}

/* The reply's body, once all of it is there. */
static const char *body_of(const char *text, size_t len)
{
	const char *end = strstr(text, "\r\n\r\n"), *at = strcasestr(text, "content-length:");

	if (!end || !at || at > end)
		return NULL;
	end += 4;
	return len - (size_t)(end - text) >= strtoul(at + strlen("content-length:"), NULL, 10)
		       ? end
		       : NULL;
}

static uint32_t by_http(struct giver *g, struct err *err)
{
	const char *body = NULL, *at;
	char text[8192] = "";
	size_t len = 0;

	if (send(g->fd, g->request, strlen(g->request), MSG_NOSIGNAL) < 0) {
		err_set(err, ERR_ENV, errno, "send");
		return 0;
	}
	while (!body) {
		ssize_t n = recv(g->fd, text + len, sizeof(text) - 1 - len, 0);

		if (n <= 0) {
			err_set(err, ERR_ENV, errno, "recv");
			return 0;
		}
		len += (size_t)n;
		text[len] = '\0';
		body = body_of(text, len);
	}
	if (strncmp(text, "HTTP/1.1 200", 12) != 0)
		err_set(err, ERR_ENV, 0, "the reply: %.300s", text);
	at = strstr(body, "\"port\":");
	return at ? (uint32_t)strtoul(at + strlen("\"port\":"), NULL, 10) : 0;
}

static int connect_to(const char *address, int *ret_fd, struct err *err)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	char host[64];
	int port, one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sscanf(address, "%63[^:]:%d", host, &port) != 2 ||
	    inet_pton(AF_INET, host, &to.sin_addr) != 1)
		return err_set(err, ERR_USAGE, 0, "no address: '%s'", address);
	to.sin_port = htons((uint16_t)port);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return err_set(err, ERR_ENV, errno, "connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*ret_fd = fd;
	return 0;
}

static int open_giver(char **how, struct giver *g, struct err *err)
{
	if (strcmp(how[0], "http") == 0)
		return connect_to(how[1], &g->fd, err);
	if (pool_parse("PORT", how[2], &g->pool, err) < 0)
		return -1;
	return store_open(how[1], STORE_WRITE, &g->store, err);
}

/* One of the processes. It begins when `go` is closed. */
static int take(char **how, int each, int out, int go, struct err *err)
{
	auto_free char *request = xasprintf("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", how[2]);
	struct giver g = { .fd = -1, .request = request };
	char c;

	if (open_giver(how, &g, err) < 0)
		return -1;
	if (read(go, &c, 1) != 0)
		return err_set(err, ERR_ENV, errno, "read");
	for (int i = 0; i < each; i++) {
		int64_t began = now_us();
		struct taken t = { .port = g.store ? from_book(&g, err) : by_http(&g, err) };

		t.us = (uint32_t)(now_us() - began);
		if (err->kind != ERR_NONE)
			return -1;
		if (write(out, &t, sizeof(t)) != sizeof(t))
			return err_set(err, ERR_ENV, errno, "write");
	}
	return 0;
}

static _Noreturn void be_taker(char **how, int each, int out, int go)
{
	struct err err = { 0 };

	if (take(how, each, out, go, &err) == 0)
		_exit(0);
	fprintf(stderr, "takers: %s\n", err.msg);
	_exit(1);
}

static int by_time(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void report(int in, size_t asked)
{
	auto_free uint32_t *us = xcalloc(asked, sizeof(*us));
	auto_free bool *seen = xcalloc(PORTS, sizeof(*seen));
	size_t n = 0, none = 0, twice = 0;
	int64_t began = now_us(), took;
	struct taken t;

	while (n < asked && read(in, &t, sizeof(t)) == sizeof(t)) {
		us[n++] = t.us;
		none += t.port == 0;
		twice += t.port && seen[t.port % PORTS];
		seen[t.port % PORTS] = true;
	}
	took = now_us() - began;
	qsort(us, n, sizeof(*us), by_time);
	printf("{\"asked\": %zu, \"got\": %zu, \"none\": %zu, \"duplicates\": %zu, \"rate\": %.0f, "
	       "\"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u}\n",
	       asked, n - none, none, twice, (double)n * 1e6 / (double)(took ? took : 1),
	       n ? us[n / 2] : 0, n ? us[(n - 1) * 99 / 100] : 0, n ? us[n - 1] : 0);
}

int main(int argc, char **argv)
{
	int n = argc == 6 ? (int)strtol(argv[1], NULL, 10) : 0;
	int each = argc == 6 ? (int)strtol(argv[2], NULL, 10) : 0;
	int out[2], go[2], status, failed = 0;

	if (n < 1 || n > PROCESSES_MAX || each < 1) {
		fputs("usage: takers PROCESSES EACH book STORE-URL RANGE | http ADDRESS:PORT "
		      "TARGET\n",
		      stderr);
		return 2;
	}
	if (pipe(out) < 0 || pipe(go) < 0)
		return 1;
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 1;
		if (pid == 0) {
			close(go[1]);
			be_taker(argv + 3, each, out[1], go[0]);
		}
	}
	close(out[1]);
	close(go[0]);
	close(go[1]);
	report(out[0], (size_t)n * (size_t)each);
	for (int i = 0; i < n; i++) {
		if (wait(&status) < 0 || status != 0)
			failed = 1;
	}
	return failed;
}
