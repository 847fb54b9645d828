/* SPDX-License-Identifier: MIT */
/* tcp.c - a check with real TCP connections between the clients' own kernels. */
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "grade/clients.h"
#include "grade/fit.h"

#include "base/banned.h"

#define PATTERN	    65521 /* a prime: what is shifted or repeated is found */
#define CHUNK	    65536
#define STREAMS_MAX 64
#define EVENTS	    32
#define CRAWL_S	    10	  /* after so many seconds ... */
#define CRAWL_RATE  20000 /* ... fewer bytes a second are not waited for */
#define STALL_MS    6000  /* no byte for so long: TCP tries again after 1, 3, 7 seconds */

struct stream {
	struct path p;
	int listener, sender, receiver;
	size_t sent, got;
	bool connected, broken, closed, wrong;
};

struct transfer {
	struct trial *t;
	int epoll;
	uint8_t *pattern; /* PATTERN bytes, twice */
	size_t bytes;	  /* of each stream */
	struct stream *streams;
	size_t n;
	uint64_t begin_ns, progress_ns; /* when something last went on */
	bool crawls;
	uint8_t chunk[CHUNK];
};

static void transfer_done(struct transfer *x)
{
	for (size_t i = 0; i < x->n; i++) {
		const int fds[] = { x->streams[i].listener, x->streams[i].sender,
				    x->streams[i].receiver };

		for (size_t k = 0; k < ARRAY_SIZE(fds); k++) {
			if (fds[k] >= 0)
				close(fds[k]);
		}
	}
	if (x->epoll >= 0) {
		probe_unwatch(x->t->g->probe, x->epoll);
		close(x->epoll);
	}
	free(x->streams);
	free(x->pattern);
	free(x);
}
DEFINE_AUTO(transfer, struct transfer *, transfer_done, NULL)
#define auto_transfer auto_cleanup(transfer) struct transfer *

/* epoll tells the stream and which of its sockets. */
enum role {
	ROLE_LISTENER,
	ROLE_SENDER,
	ROLE_RECEIVER,
	ROLES
};

static int watch(struct transfer *x, size_t stream, enum role role, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = stream * ROLES + role };

	return epoll_ctl(x->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static void send_some(struct transfer *x, struct stream *s)
{
	while (s->sent < x->bytes) {
		size_t n = x->bytes - s->sent;
		ssize_t r;

		n = n > PATTERN ? PATTERN : n;
		r = send(s->sender, x->pattern + s->sent % PATTERN, n, MSG_NOSIGNAL);
		if (r < 0 && errno != EAGAIN && errno != EINTR) {
			s->broken = true; /* a router's word, a reset */
			epoll_ctl(x->epoll, EPOLL_CTL_DEL, s->sender, NULL);
		}
		if (r <= 0)
			return;
		s->connected = true;
		s->sent += (size_t)r;
		x->progress_ns = clock_mono_ns();
	}
	/* Nothing more to do there; its end tells the receiver that this is all. */
	shutdown(s->sender, SHUT_WR);
	epoll_ctl(x->epoll, EPOLL_CTL_DEL, s->sender, NULL);
}

static void receive_some(struct transfer *x, struct stream *s)
{
	ssize_t r;

	while ((r = recv(s->receiver, x->chunk, CHUNK, 0)) > 0) {
		for (size_t at = 0; at < (size_t)r && !s->wrong; at++, s->got++)
			s->wrong =
				s->got >= x->bytes || x->chunk[at] != x->pattern[s->got % PATTERN];
		x->progress_ns = clock_mono_ns();
		if (s->wrong)
			return;
	}
	if (r == 0 || (errno != EAGAIN && errno != EINTR)) {
		s->closed = true;
		epoll_ctl(x->epoll, EPOLL_CTL_DEL, s->receiver, NULL);
	}
}

static void accept_one(struct transfer *x, size_t i)
{
	struct stream *s = &x->streams[i];

	if (s->receiver >= 0)
		return;
	s->receiver = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (s->receiver >= 0)
		watch(x, i, ROLE_RECEIVER, s->receiver, EPOLLIN);
}

static void on_ready(void *arg)
{
	struct epoll_event evs[EVENTS];
	struct transfer *x = arg;
	int n = epoll_wait(x->epoll, evs, EVENTS, 0);

	for (int i = 0; i < n; i++) {
		size_t stream = (size_t)(evs[i].data.u64 / ROLES);

		switch ((enum role)(evs[i].data.u64 % ROLES)) {
		case ROLE_LISTENER:
			accept_one(x, stream);
			break;
		case ROLE_SENDER:
			send_some(x, &x->streams[stream]);
			break;
		default:
			receive_some(x, &x->streams[stream]);
		}
	}
}

static int stream_open(struct transfer *x, size_t i, struct err *err)
{
	struct stream *s = &x->streams[i];
	struct sockaddr_in to;

	s->listener = client_socket(x->t, s->p.to, SOCK_STREAM, err);
	if (s->listener < 0 || client_bind(s->listener, s->p.to->ip, &to, err) < 0)
		return -1;
	s->sender = client_socket(x->t, s->p.from, SOCK_STREAM, err);
	if (s->sender < 0)
		return -1;
	if (listen(s->listener, 1) < 0 || watch(x, i, ROLE_LISTENER, s->listener, EPOLLIN) < 0 ||
	    (connect(s->sender, (const struct sockaddr *)&to, sizeof(to)) < 0 &&
	     errno != EINPROGRESS) ||
	    watch(x, i, ROLE_SENDER, s->sender, EPOLLOUT) < 0)
		return err_set(err, ERR_ENV, errno, "cannot begin a TCP connection from %s to %s",
			       s->p.from->client->name, s->p.to->client->name);
	return 0;
}

static bool stream_is_over(const struct stream *s)
{
	return s->wrong || s->closed || s->broken;
}

/* All streams together: a few packets a second, and there is no end in sight. */
static bool crawls(const struct transfer *x)
{
	double seconds = (double)(clock_mono_ns() - x->begin_ns) / (double)NS_PER_S;
	double slowness = x->t->g->slowness, got = 0;

	for (size_t i = 0; i < x->n; i++)
		got += (double)x->streams[i].got;
	return seconds > CRAWL_S * slowness && got * slowness < CRAWL_RATE * seconds;
}

static bool transfer_is_over(void *arg)
{
	struct transfer *x = arg;
	uint64_t patience = trial_patience_ns(x->t, STALL_MS);
	bool all = true;

	for (size_t i = 0; i < x->n; i++) {
		if (x->streams[i].wrong)
			return true;
		all = all && stream_is_over(&x->streams[i]);
	}
	x->crawls = crawls(x);
	return all || x->crawls || clock_mono_ns() - x->progress_ns > patience ||
	       (x->t->g->runner && !runner_alive(x->t->g->runner));
}

static bool run_transfer(struct transfer *x)
{
	struct err e = { 0 };
	int r;

	x->begin_ns = x->progress_ns = clock_mono_ns();
	if (probe_watch(x->t->g->probe, x->epoll, on_ready, x, &e) < 0)
		return trial_error(x->t, &e);
	do {
		r = probe_wait(x->t->g->probe, 100 * NS_PER_MS, transfer_is_over, x, &e);
		if (r < 0)
			return trial_error(x->t, &e);
		if (!clients_keep_journal_short(x->t))
			return false;
	} while (r == 0);
	return true;
}

static bool judge_stream(struct transfer *x, const struct stream *s)
{
	const char *from = s->p.from->client->name, *to = s->p.to->client->name;
	struct path near = s->p;

	if (!s->wrong && s->closed && s->got == x->bytes)
		return true;
	if (s->wrong)
		return trial_fail(
			x->t,
			"the TCP transfer from %s to %s is damaged: byte %zu is not what was "
			"sent",
			from, to, s->got);
	if (near.from->router_ip && !trial_alive(x->t, &near))
		return false;
	if (!s->connected)
		return trial_fail(x->t,
				  "%s cannot connect to %s by TCP: do packets pass in both "
				  "directions, of all sizes, with their checksums right?",
				  from, to);
	if (!s->closed && !s->broken && x->crawls)
		return trial_fail(x->t,
				  "the TCP transfer from %s to %s crawls: %zu of %zu bytes came in "
				  "%.0f seconds",
				  from, to, s->got, x->bytes,
				  (double)(clock_mono_ns() - x->begin_ns) / (double)NS_PER_S);
	if (!s->closed && !s->broken)
		return trial_fail(
			x->t,
			"the TCP transfer from %s to %s has stopped: %zu of %zu bytes came, "
			"and then nothing for %d seconds",
			from, to, s->got, x->bytes, STALL_MS / 1000);
	return trial_fail(x->t, "the TCP transfer from %s to %s broke off after %zu of %zu bytes",
			  from, to, s->got, x->bytes);
}

static bool make_transfer(struct trial *t, size_t streams, size_t bytes, struct transfer **ret)
{
	auto_transfer x = xcalloc(1, sizeof(*x));
	struct err e = { 0 };

	x->t = t;
	x->bytes = bytes;
	x->pattern = xmalloc(PATTERN * 2);
	rng_fill(&t->rng, x->pattern, PATTERN);
	memcpy(x->pattern + PATTERN, x->pattern, PATTERN);
	x->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < streams; i++) {
		struct path p;

		if (!clients_path(t, i, &p))
			return false;
		*array_push(x->streams, x->n) =
			(struct stream){ .p = p, .listener = -1, .sender = -1, .receiver = -1 };
	}
	for (size_t i = 0; i < streams; i++) {
		if (stream_open(x, i, &e) < 0)
			return trial_error(t, &e);
	}
	*ret = steal_ptr(&x);
	return true;
}

static bool tcp_transfer(struct trial *t)
{
	long long bytes = 200000, streams = 1;
	auto_transfer x = NULL;

	if (!trial_number(t, "bytes", 1, 1000000000, &bytes) ||
	    !trial_number(t, "streams", 1, STREAMS_MAX, &streams) ||
	    !make_transfer(t, (size_t)streams, (size_t)bytes, &x) || !run_transfer(x))
		return false;
	for (size_t i = 0; i < x->n; i++) {
		if (!judge_stream(x, &x->streams[i]))
			return clients_fail(t);
	}
	return true;
}

const struct check checks_tcp[] = {
	{
		.id = "tcp.transfer",
		.title = "carries TCP transfers, every byte as it was",
		.rfc = "RFC 1812 5.2",
		.needs = "ipv4.forward lpm.match frag.forward frag.refragment frag.df",
		.args = "from to bytes streams",
		.args_fit = fit_clients,
		.points = 2,
		.hints = { "Ping works: what is different about a transfer?",
			   "Packets are as large as the network takes, many come right after each "
			   "other, and both directions are busy. Look with tcpdump on both sides: "
			   "which packet does not come out?",
			   "Common: a receive buffer smaller than 1514 bytes, the padding or a "
			   "wrong length sent along, packets kept in a queue that is emptied in "
			   "the "
			   "wrong order, errors of send() not caught, DF packets dropped in "
			   "silence." },
		.explain =
			"TCP numbers every byte, and sends again what is not acknowledged. A "
			"router that loses, shuffles or\n"
			"repeats packets makes it slow; one that loses all large packets makes it "
			"hang. The data are compared\n"
			"byte by byte at the far end.",
		.run = tcp_transfer,
	},
	{ 0 },
};
