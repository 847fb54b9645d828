/* SPDX-License-Identifier: MIT */
/* transfer.c - checks with real TCP and UDP between the clients' own kernels. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "grade/trial.h"
#include "net/netns.h"

#include "base/banned.h"

#define PATTERN	      65521 /* a prime: what is shifted or repeated is found */
#define CHUNK	      65536
#define STREAMS_MAX   64
#define EVENTS	      32
#define STALL_MS      6000 /* no byte for so long: TCP tries again after 1, 3, 7 seconds */
#define LOST_MS	      400  /* a datagram that has not come by then is lost */
#define WINDOW_BYTES  12000
#define JOURNAL_KEEP  20000
#define IP_HEADERS    28
#define SEQUENCE_SIZE 4

/* The stage's clients, whether or not they are the router's neighbours. */

static const struct place *client_place(struct trial *t, const char *key)
{
	const char *name = json_string_value(json_object_get(t->args, key));

	for (size_t i = 0; name && i < t->g->n_places; i++) {
		if (strcmp(t->g->places[i].client->name, name) == 0)
			return &t->g->places[i];
	}
	return NULL;
}

/* The i-th ordered pair of clients on different networks of the router's, round and round. */
static bool pair_at(const struct trial *t, size_t i, struct path *ret)
{
	const struct grader *g = t->g;

	for (size_t n = 0, round = 0; round <= i; round++) {
		for (size_t k = 0; k < g->n_places * g->n_places; k++) {
			const struct place *from = &g->places[k / g->n_places];
			/* Neighbours in the list come first with another: all take part early. */
			const struct place *to =
				&g->places[(k / g->n_places + 1 + k % g->n_places) % g->n_places];

			if (!from->router_ip || !to->router_ip || from->network == to->network)
				continue;
			if (n++ == i) {
				*ret = (struct path){ from, to };
				return true;
			}
		}
		if (n == 0)
			return false;
	}
	return false;
}

static bool stream_path(struct trial *t, size_t i, struct path *ret)
{
	bool named = json_object_get(t->args, "from") || json_object_get(t->args, "to");

	if (!named)
		return pair_at(t, i, ret) ||
		       trial_stage_error(t, "it needs clients on two of the router's networks");
	ret->from = client_place(t, "from");
	ret->to = client_place(t, "to");
	if (!ret->from || !ret->to || ret->from->client == ret->to->client)
		return trial_stage_error(t, "'from' and 'to' must name two clients");
	return true;
}

/* Sockets */

struct socket_open {
	int type;
	int fd;
};

static int socket_open(void *arg, struct err *err)
{
	struct socket_open *o = arg;

	o->fd = socket(AF_INET, o->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return o->fd < 0 ? err_set(err, ERR_ENV, errno, "cannot open a socket in a client") : 0;
}

static int client_socket(struct trial *t, const struct place *p, int type, struct err *err)
{
	size_t client = (size_t)(p->client - t->g->stage->clients);
	struct socket_open o = { type, -1 };

	if (netns_run(t->g->arena->client_ns[client], socket_open, &o, err) < 0)
		return -1;
	return o.fd;
}

static struct sockaddr_in address_of(uint32_t ip, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(ip) };
}

static int bind_any_port(int fd, uint32_t ip, struct sockaddr_in *ret, struct err *err)
{
	socklen_t len = sizeof(*ret);

	*ret = address_of(ip, 0);
	if (bind(fd, (const struct sockaddr *)ret, sizeof(*ret)) < 0 ||
	    getsockname(fd, (struct sockaddr *)ret, &len) < 0)
		return err_set(err, ERR_ENV, errno, "cannot bind a socket in a client");
	return 0;
}

/* TCP */

struct stream {
	struct path p;
	int listener, sender, receiver;
	size_t sent, got;
	bool connected, closed, wrong;
};

struct transfer {
	struct trial *t;
	int epoll;
	uint8_t *pattern; /* PATTERN bytes, twice */
	size_t bytes;	  /* of each stream */
	struct stream *streams;
	size_t n;
	uint64_t progress_ns; /* when something last went on */
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
	if (s->listener < 0 || bind_any_port(s->listener, s->p.to->ip, &to, err) < 0)
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

static bool stream_is_over(const struct transfer *x, const struct stream *s)
{
	return s->wrong || s->closed || s->got > x->bytes;
}

static bool transfer_is_over(void *arg)
{
	const struct transfer *x = arg;
	uint64_t patience = (uint64_t)(STALL_MS * NS_PER_MS * x->t->g->slowness);
	bool all = true;

	for (size_t i = 0; i < x->n; i++) {
		if (x->streams[i].wrong)
			return true;
		all = all && stream_is_over(x, &x->streams[i]);
	}
	return all || clock_mono_ns() - x->progress_ns > patience ||
	       (x->t->g->runner && !runner_alive(x->t->g->runner));
}

/* Frames of a long transfer are not worth keeping all. */
static bool keep_journal_short(struct trial *t)
{
	struct err e = { 0 };

	if (probe_count(t->g->probe) < JOURNAL_KEEP)
		return true;
	t->since = 0;
	return probe_forget(t->g->probe, &e) == 0 ? true : trial_error(t, &e);
}

static bool run_transfer(struct transfer *x)
{
	struct err e = { 0 };
	int r;

	x->progress_ns = clock_mono_ns();
	if (probe_watch(x->t->g->probe, x->epoll, on_ready, x, &e) < 0)
		return trial_error(x->t, &e);
	do {
		r = probe_wait(x->t->g->probe, 100 * NS_PER_MS, transfer_is_over, x, &e);
		if (r < 0)
			return trial_error(x->t, &e);
		if (!keep_journal_short(x->t))
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
	if (!s->closed)
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

		if (!stream_path(t, i, &p))
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
			return false;
	}
	return true;
}

/* UDP */

struct datagrams {
	struct trial *t;
	struct path p;
	int sender, receiver;
	size_t size, n;
	uint8_t *pattern;
	bool *came;
	size_t sent, got, lost; /* of those sent, so many came or are given up */
	size_t first_lost;
	bool wrong, twice;
	size_t at; /* which one is wrong */
	uint8_t buf[WINDOW_BYTES + CHUNK];
};

static void datagrams_done(struct datagrams *d)
{
	if (d->receiver >= 0) {
		probe_unwatch(d->t->g->probe, d->receiver);
		close(d->receiver);
	}
	if (d->sender >= 0)
		close(d->sender);
	free(d->pattern);
	free(d->came);
	free(d);
}
DEFINE_AUTO(datagrams, struct datagrams *, datagrams_done, NULL)
#define auto_datagrams auto_cleanup(datagrams) struct datagrams *

/* What datagram i carries: its number, then bytes of the pattern from a place of its own. */
static void fill(const struct datagrams *d, size_t i, uint8_t *buf)
{
	for (int k = 0; k < SEQUENCE_SIZE; k++)
		buf[k] = (uint8_t)(i >> (24 - 8 * k));
	for (size_t k = SEQUENCE_SIZE; k < d->size; k++)
		buf[k] = d->pattern[(i * 131 + k) % PATTERN];
}

static bool is_intact(struct datagrams *d, const uint8_t *buf, size_t n, size_t *ret_i)
{
	auto_free uint8_t *want = xmalloc(d->size);
	size_t i = 0;

	for (int k = 0; k < SEQUENCE_SIZE && n > SEQUENCE_SIZE; k++)
		i = i << 8 | buf[k];
	*ret_i = i;
	if (n != d->size || i >= d->sent)
		return false;
	fill(d, i, want);
	return memcmp(want, buf, n) == 0;
}

static void take(void *arg)
{
	struct datagrams *d = arg;
	ssize_t n;

	while ((n = recv(d->receiver, d->buf, sizeof(d->buf), 0)) >= 0) {
		size_t i;

		if (!is_intact(d, d->buf, (size_t)n, &i)) {
			d->wrong = true;
			d->at = i;
			return;
		}
		/* The first was perhaps sent several times. */
		if (d->came[i] && i == 0)
			continue;
		if (d->came[i]) {
			d->twice = true;
			d->at = i;
			return;
		}
		d->came[i] = true;
		d->got++;
	}
}

static bool window_is_open(void *arg)
{
	const struct datagrams *d = arg;
	size_t on_the_way = d->sent - d->got - d->lost;

	return d->wrong || d->twice || on_the_way == 0 ||
	       (d->sent < d->n && (on_the_way + 1) * (d->size + IP_HEADERS) <= WINDOW_BYTES) ||
	       (d->t->g->runner && !runner_alive(d->t->g->runner));
}

static bool open_datagrams(struct datagrams *d)
{
	const int dont = IP_PMTUDISC_DONT; /* cut it, if need be */
	struct sockaddr_in to;
	struct err e = { 0 };

	d->receiver = client_socket(d->t, d->p.to, SOCK_DGRAM, &e);
	if (d->receiver < 0 || bind_any_port(d->receiver, d->p.to->ip, &to, &e) < 0)
		return trial_error(d->t, &e);
	d->sender = client_socket(d->t, d->p.from, SOCK_DGRAM, &e);
	if (d->sender < 0)
		return trial_error(d->t, &e);
	if (setsockopt(d->sender, IPPROTO_IP, IP_MTU_DISCOVER, &dont, sizeof(dont)) < 0 ||
	    connect(d->sender, (const struct sockaddr *)&to, sizeof(to)) < 0) {
		err_set(&e, ERR_ENV, errno, "cannot send UDP from %s", d->p.from->client->name);
		return trial_error(d->t, &e);
	}
	return probe_watch(d->t->g->probe, d->receiver, take, d, &e) == 0 ? true
									  : trial_error(d->t, &e);
}

static bool udp_fail(struct datagrams *d)
{
	const char *from = d->p.from->client->name, *to = d->p.to->client->name;

	if (d->p.from->router_ip && !trial_alive(d->t, &d->p))
		return false;
	if (d->wrong)
		return trial_fail(d->t, "datagram %zu from %s to %s is damaged", d->at, from, to);
	if (d->twice)
		return trial_fail(d->t, "datagram %zu from %s to %s came twice", d->at, from, to);
	if (!d->got)
		return trial_fail(d->t, "no datagram of %zu bytes from %s reaches %s", d->size,
				  from, to);
	return trial_fail(d->t,
			  "%zu of %zu datagrams of %zu bytes from %s to %s got lost, though there "
			  "was time for each of them",
			  d->lost, d->n, d->size, from, to);
}

/* Sends them, a few at a time; what does not come for a while counts as lost. */
static bool run_datagrams(struct datagrams *d)
{
	uint64_t patience = (uint64_t)(LOST_MS * NS_PER_MS * d->t->g->slowness);
	auto_free uint8_t *buf = xmalloc(d->size);
	struct err e = { 0 };

	while (d->got + d->lost < d->n && !d->wrong && !d->twice) {
		int r;

		/* sent counts it before it can arrive. */
		if (d->sent < d->n) {
			fill(d, d->sent++, buf);
			if (send(d->sender, buf, d->size, 0) < 0 && errno != ECONNREFUSED)
				return udp_fail(d);
		}
		r = probe_wait(d->t->g->probe, patience, window_is_open, d, &e);
		if (r < 0)
			return trial_error(d->t, &e);
		if (r == 0)
			d->lost = d->sent - d->got;
		if (d->t->g->runner && !runner_alive(d->t->g->runner))
			return udp_fail(d);
		if (!keep_journal_short(d->t))
			return false;
	}
	return true;
}

static bool udp_transfer(struct trial *t)
{
	auto_datagrams d = xcalloc(1, sizeof(*d));
	long long n = 100, size = 1400;

	d->t = t;
	d->sender = d->receiver = -1;
	if (!trial_number(t, "datagrams", 1, 1000000, &n) ||
	    !trial_number(t, "size", 16, WINDOW_BYTES - IP_HEADERS, &size) ||
	    !stream_path(t, 0, &d->p))
		return false;
	d->n = (size_t)n;
	d->size = (size_t)size;
	d->pattern = xmalloc(PATTERN);
	d->came = xcalloc(d->n, sizeof(*d->came));
	rng_fill(&t->rng, d->pattern, PATTERN);
	if (!open_datagrams(d))
		return false;
	/* The first may be lost while the router asks for neighbours: that is another check's. */
	for (int i = 0; i < 3 && !d->got; i++) {
		size_t all = d->n;

		d->n = 1;
		d->sent = d->got = d->lost = 0;
		d->came[0] = false;
		if (!run_datagrams(d))
			return false;
		d->n = all;
	}
	if (!d->got || !run_datagrams(d))
		return d->got ? false : udp_fail(d);
	return d->wrong || d->twice || d->lost ? udp_fail(d) : true;
}

const struct check checks_transfer[] = {
	{
		.id = "tcp.transfer",
		.title = "carries TCP transfers, every byte as it was",
		.rfc = "RFC 1812 5.2",
		.needs = "ipv4.forward lpm.match frag.forward frag.refragment frag.df",
		.args = "from to bytes streams",
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
	{
		.id = "udp.transfer",
		.title = "carries UDP datagrams, each one once",
		.rfc = "RFC 1812 5.2",
		.needs = "ipv4.forward lpm.match frag.forward frag.refragment frag.df",
		.args = "from to datagrams size",
		.points = 2,
		.hints = { "UDP does not send again. Which datagrams are missing?",
			   "Only a few are on their way at a time, so no buffer overflows: what is "
			   "lost was lost by your program.",
			   "Compare what you receive with what you send: every packet that is "
			   "valid goes out once. Datagrams larger than the MTU come as fragments: "
			   "all of them count." },
		.explain = "Each datagram carries its number and bytes of its own; all must "
			   "arrive, once, and as they were.",
		.run = udp_transfer,
	},
	{ 0 },
};
