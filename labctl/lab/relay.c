/* SPDX-License-Identifier: MIT */
/* relay.c - ports of this computer into network namespaces: one epoll loop, bounded. */
#include "lab/relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/netns.h"

#include "base/banned.h"

#define FLOWS_MAX      512 /* connections and UDP peers at once */
#define FLOW_BUF       65536
#define UDP_IDLE_S     60
#define TICK_MS	       1000
#define LISTEN_BACKLOG 64

/* One direction of a TCP flow. */
struct half {
	char *buf;
	size_t len, off;
	bool eof;  /* the reading side has ended */
	bool shut; /* and that was passed on */
};

enum source_kind {
	SOURCE_LISTEN,
	SOURCE_OUTER,
	SOURCE_INNER,
};

/* What an epoll event is about. */
struct source {
	enum source_kind kind;
	struct flow *flow;
	struct listener *listener;
};

struct listener {
	struct relay_port port;
	struct source source;
	int fd;
};

struct flow {
	struct flow *next;
	struct listener *from;
	struct source outer_source, inner_source;
	int outer, inner;	 /* UDP: outer is the listener's socket */
	struct half in, out;	 /* outer -> inner, inner -> outer */
	struct sockaddr_in peer; /* UDP */
	time_t used;
	bool dead;
};

struct relay {
	int epoll;
	struct listener *listeners;
	size_t n_listeners;
	struct flow *flows;
	size_t n_flows;
};

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int watch(struct relay *r, int fd, struct source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	if (epoll_ctl(r->epoll, EPOLL_CTL_MOD, fd, &ev) == 0)
		return 0;
	return errno == ENOENT ? epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &ev) : -1;
}

struct connecting {
	const struct relay_port *port;
	int fd;
};

/* Inside: a socket stays in the namespace it was made in. */
static int connect_inside(void *arg, struct err *err)
{
	struct connecting *c = arg;
	struct sockaddr_in to = loopback(c->port->port);
	int type = (c->port->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
	auto_fd fd = socket(AF_INET, type, 0);

	if (fd < 0 ||
	    (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS))
		return err_set(err, ERR_ENV, errno, "cannot reach port %u inside", c->port->port);
	c->fd = steal_fd(&fd);
	return 0;
}

static struct flow *flow_new(struct relay *r, struct listener *l)
{
	struct connecting c = { .port = &l->port, .fd = -1 };
	struct flow *f;

	if (r->n_flows >= FLOWS_MAX ||
	    netns_run(l->port.netns_fd, connect_inside, &c, ERR_IGNORED) < 0)
		return NULL;
	f = xcalloc(1, sizeof(*f));
	f->from = l;
	f->inner = c.fd;
	f->outer = -1;
	f->outer_source = (struct source){ .kind = SOURCE_OUTER, .flow = f };
	f->inner_source = (struct source){ .kind = SOURCE_INNER, .flow = f };
	f->used = seconds();
	f->next = r->flows;
	r->flows = f;
	r->n_flows++;
	return f;
}

static void flow_free(struct flow *f)
{
	close(f->inner);
	if (f->outer >= 0 && !f->from->port.udp)
		close(f->outer);
	free(f->in.buf);
	free(f->out.buf);
	free(f);
}

/* Moves what can be moved one way. False: the flow is broken. */
static bool half_move(struct half *h, int from, int to)
{
	if (!h->buf)
		h->buf = xmalloc(FLOW_BUF);
	for (;;) {
		ssize_t n;

		if (h->len == 0 && !h->eof) {
			n = recv(from, h->buf, FLOW_BUF, MSG_DONTWAIT);
			if (n < 0)
				return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
			h->eof = n == 0;
			h->off = 0;
			h->len = (size_t)n;
		}
		if (h->len == 0) {
			if (h->eof && !h->shut && shutdown(to, SHUT_WR) == 0)
				h->shut = true;
			return true;
		}
		n = send(to, h->buf + h->off, h->len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
		h->off += (size_t)n;
		h->len -= (size_t)n;
	}
}

static void tcp_move(struct relay *r, struct flow *f)
{
	uint32_t outer = 0, inner = 0;

	if (!half_move(&f->in, f->outer, f->inner) || !half_move(&f->out, f->inner, f->outer) ||
	    (f->in.shut && f->out.shut)) {
		f->dead = true;
		return;
	}
	outer |= f->in.len || f->in.eof ? 0 : EPOLLIN;
	inner |= f->out.len || f->out.eof ? 0 : EPOLLIN;
	inner |= f->in.len ? EPOLLOUT : 0;
	outer |= f->out.len ? EPOLLOUT : 0;
	if (watch(r, f->outer, &f->outer_source, outer) < 0 ||
	    watch(r, f->inner, &f->inner_source, inner) < 0)
		f->dead = true;
}

static void tcp_accept(struct relay *r, struct listener *l)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct flow *f;

	if (fd < 0)
		return;
	f = flow_new(r, l);
	if (!f) {
		close(fd);
		return;
	}
	f->outer = fd;
	/* The connection inside is still being made: its end makes it writable. */
	if (watch(r, f->outer, &f->outer_source, 0) < 0 ||
	    watch(r, f->inner, &f->inner_source, EPOLLOUT) < 0)
		f->dead = true;
}

static struct flow *udp_flow(struct relay *r, struct listener *l, const struct sockaddr_in *peer)
{
	struct flow *f;

	for (f = r->flows; f; f = f->next) {
		if (f->from == l && !f->dead && f->peer.sin_port == peer->sin_port &&
		    f->peer.sin_addr.s_addr == peer->sin_addr.s_addr)
			return f;
	}
	f = flow_new(r, l);
	if (!f)
		return NULL;
	f->outer = l->fd;
	f->peer = *peer;
	if (watch(r, f->inner, &f->inner_source, EPOLLIN) < 0)
		f->dead = true;
	return f;
}

static void udp_in(struct relay *r, struct listener *l)
{
	char buf[65536];
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	ssize_t n = recvfrom(l->fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&peer, &len);
	struct flow *f = n < 0 ? NULL : udp_flow(r, l, &peer);

	if (!f)
		return;
	f->used = seconds();
	if (send(f->inner, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("a datagram for port %u was lost", l->port.port);
}

static void udp_out(struct flow *f)
{
	char buf[65536];
	ssize_t n = recv(f->inner, buf, sizeof(buf), MSG_DONTWAIT);

	/* An error is an ICMP unreachable: nobody listens inside, now. */
	if (n < 0)
		return;
	f->used = seconds();
	if (sendto(f->outer, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&f->peer, sizeof(f->peer)) < 0)
		log_debug("a datagram of port %u was lost", f->from->port.port);
}

static void handle(struct relay *r, struct source *s, uint32_t events)
{
	if (s->kind == SOURCE_LISTEN && s->listener->port.udp)
		udp_in(r, s->listener);
	else if (s->kind == SOURCE_LISTEN)
		tcp_accept(r, s->listener);
	else if (s->flow->from->port.udp)
		udp_out(s->flow);
	else if (events & EPOLLERR)
		s->flow->dead = true;
	else if (!s->flow->dead)
		tcp_move(r, s->flow);
}

static void reap(struct relay *r)
{
	time_t now = seconds();

	for (struct flow **p = &r->flows; *p;) {
		struct flow *f = *p;

		if (!f->dead && !(f->from->port.udp && now - f->used > UDP_IDLE_S)) {
			p = &f->next;
			continue;
		}
		*p = f->next;
		r->n_flows--;
		flow_free(f);
	}
}

static int listen_on(struct relay *r, struct listener *l, struct err *err)
{
	struct sockaddr_in at = loopback(l->port.host_port);
	int one = 1;
	int type = (l->port.udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;

	l->fd = socket(AF_INET, type, 0);
	if (l->fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot make a socket");
	if (!l->port.udp)
		setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(l->fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    (!l->port.udp && listen(l->fd, LISTEN_BACKLOG) < 0))
		return err_set(err, errno == EADDRINUSE ? ERR_CONFLICT : ERR_ENV, errno,
			       "cannot listen on port %u", l->port.host_port);
	l->source = (struct source){ .kind = SOURCE_LISTEN, .listener = l };
	if (watch(r, l->fd, &l->source, EPOLLIN) < 0)
		return err_set(err, ERR_ENV, errno, "cannot watch a socket");
	return 0;
}

int relay_open(const struct relay_port *ports, size_t n, struct relay **ret, struct err *err)
{
	struct relay *r = xcalloc(1, sizeof(*r));

	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	r->listeners = xcalloc(n, sizeof(*r->listeners));
	r->n_listeners = n;
	for (size_t i = 0; i < n; i++) {
		r->listeners[i].port = ports[i];
		r->listeners[i].fd = -1;
	}
	for (size_t i = 0; i < n; i++) {
		if (listen_on(r, &r->listeners[i], err) < 0) {
			relay_free(r);
			return -1;
		}
	}
	*ret = r;
	return 0;
}

void relay_run(struct relay *r, bool (*goes_on)(void *arg), void *arg)
{
	time_t asked = seconds();

	while (!interrupt_seen()) {
		struct epoll_event ev[64];
		int n = epoll_wait(r->epoll, ev, (int)ARRAY_SIZE(ev), TICK_MS);

		for (int i = 0; i < n; i++)
			handle(r, ev[i].data.ptr, ev[i].events);
		reap(r);
		if (seconds() != asked && !goes_on(arg))
			return;
		asked = seconds();
	}
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	while (r->flows) {
		struct flow *f = r->flows;

		r->flows = f->next;
		flow_free(f);
	}
	for (size_t i = 0; i < r->n_listeners; i++) {
		if (r->listeners[i].fd >= 0)
			close(r->listeners[i].fd);
	}
	free(r->listeners);
	close(r->epoll);
	free(r);
}
