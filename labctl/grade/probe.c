/* SPDX-License-Identifier: MIT */
/* probe.c - packet sockets in namespaces, one event loop, the journal. */
#include "grade/probe.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/netns.h"

#include "base/banned.h"

#define RECEIVE_BUFFER	(8 << 20)
#define BATCH		16
#define VLAN_TAG_LEN	4
#define VLAN_AT		12 /* behind the two MAC addresses */
#define EVENTS		16
#define BATCHES_AT_ONCE 64 /* then other ports get their turn */

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

struct port {
	int fd;
	char ifname[IFNAMSIZ];
};

struct watch {
	int fd;
	probe_ready_fn *fn;
	void *arg;
};

union control {
	char buf[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct cmsghdr align;
};

struct probe {
	int epoll;
	struct port *ports;
	size_t n_ports;
	struct watch *watches;
	size_t n_watches;
	struct seen **journal;
	size_t n_journal, cap_journal, journal_bytes;
	struct seen *kernel[PROBE_KERNEL_MAX];
	size_t n_kernel;
	bool kernel_ignored;
	unsigned overflowed;
	probe_frame_fn *on_frame;
	void *on_frame_arg;
	uint8_t (*buffers)[FRAME_MAX + VLAN_TAG_LEN]; /* BATCH of them */
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t clock_real_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int probe_new(struct probe **ret, struct err *err)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);
	struct probe *p;

	if (fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot make an event loop");
	p = xcalloc(1, sizeof(*p));
	p->epoll = fd;
	p->buffers = xcalloc(BATCH, sizeof(*p->buffers));
	*ret = p;
	return 0;
}

static void journal_clear(struct probe *p)
{
	for (size_t i = 0; i < p->n_journal; i++)
		free(p->journal[i]);
	for (size_t i = 0; i < p->n_kernel; i++)
		free(p->kernel[i]);
	p->n_journal = p->n_kernel = 0;
	p->journal_bytes = 0;
	p->overflowed = 0;
}

/* Are frames that the ports' own kernels send read at all? A port's own frames never are. */
static void ignore_kernel(struct probe *p, bool ignore)
{
	int value = ignore;

	if (p->kernel_ignored == ignore)
		return;
	for (size_t i = 0; i < p->n_ports; i++)
		setsockopt(p->ports[i].fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &value,
			   sizeof(value));
	p->kernel_ignored = ignore;
}

void probe_free(struct probe *p)
{
	if (!p)
		return;
	journal_clear(p);
	for (size_t i = 0; i < p->n_ports; i++)
		close(p->ports[i].fd);
	close(p->epoll);
	free(p->ports);
	free(p->watches);
	free(p->journal);
	free(p->buffers);
	free(p);
}

/* Bound last: a packet socket with a protocol receives from everywhere until it is. */
static int port_setup(int fd, const char *ifname, struct err *err)
{
	static const struct {
		int level, name, value;
		const char *text;
	} options[] = {
		{ SOL_PACKET, PACKET_IGNORE_OUTGOING, 0, "PACKET_IGNORE_OUTGOING" },
		{ SOL_PACKET, PACKET_AUXDATA, 1, "PACKET_AUXDATA" },
		{ SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS" },
		{ SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER, "SO_RCVBUFFORCE" },
		{ SOL_SOCKET, SO_SNDBUFFORCE, RECEIVE_BUFFER, "SO_SNDBUFFORCE" },
	};
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = __builtin_bswap16(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(ifname) };

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	at.sll_protocol = ETH_P_ALL;
#endif
	if (!at.sll_ifindex)
		return err_set(err, ERR_NOT_FOUND, errno, "interface '%s'", ifname);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			       sizeof(options[i].value)) < 0)
			return err_set(err, ERR_ENV, errno, "packet socket: %s", options[i].text);
	}
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return err_set(err, ERR_ENV, errno, "cannot listen on '%s'", ifname);
	return 0;
}

struct port_open {
	const char *ifname;
	int fd;
};

static int port_open(void *arg, struct err *err)
{
	struct port_open *o = arg;
	auto_fd fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot open a packet socket");
	if (port_setup(fd, o->ifname, err) < 0)
		return -1;
	o->fd = steal_fd(&fd);
	return 0;
}

int probe_add_port(struct probe *p, int netns_fd, const char *ifname, unsigned *ret_port,
		   struct err *err)
{
	struct port_open o = { .ifname = ifname, .fd = -1 };
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = p->n_ports };
	struct port *port;

	if (netns_run(netns_fd, port_open, &o, err) < 0)
		return -1;
	if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, o.fd, &ev) < 0) {
		close(o.fd);
		return err_set(err, ERR_ENV, errno, "cannot watch a packet socket");
	}
	port = array_push(p->ports, p->n_ports);
	port->fd = o.fd;
	memcpy(port->ifname, ifname, strnlen(ifname, IFNAMSIZ - 1));
	*ret_port = (unsigned)(p->n_ports - 1);
	return 0;
}

const char *probe_ifname(const struct probe *p, unsigned port)
{
	return p->ports[port].ifname;
}

static struct seen *seen_new(unsigned port, const void *bytes, size_t len)
{
	struct seen *s = xmalloc(sizeof(*s) + len);

	*s = (struct seen){ .port = port, .len = len };
	memcpy(s->bytes, bytes, len);
	frame_decode(s->bytes, len, &s->f);
	return s;
}

static struct seen *journal_add(struct probe *p, unsigned port, const void *bytes, size_t len)
{
	struct seen *s;

	if (p->n_journal >= PROBE_JOURNAL_MAX || len > PROBE_JOURNAL_BYTES - p->journal_bytes) {
		p->overflowed++;
		return NULL;
	}
	if (p->n_journal == p->cap_journal) {
		p->cap_journal = p->cap_journal ? p->cap_journal * 2 : 256;
		p->journal = xreallocarray(p->journal, p->cap_journal, sizeof(*p->journal));
	}
	s = seen_new(port, bytes, len);
	p->journal[p->n_journal++] = s;
	p->journal_bytes += len;
	return s;
}

/* In a bulk transfer the first frames tell enough. */
static void kernel_add(struct probe *p, unsigned port, const void *bytes, size_t len, uint64_t ns)
{
	if (p->n_kernel < PROBE_KERNEL_MAX) {
		struct seen *s = seen_new(port, bytes, len);

		s->kernel = true;
		s->ns = ns;
		p->kernel[p->n_kernel++] = s;
	}
	if (p->n_kernel == PROBE_KERNEL_MAX)
		ignore_kernel(p, true);
}

int probe_send(struct probe *p, unsigned port, const void *bytes, size_t len, struct err *err)
{
	struct seen *s;
	ssize_t n;

	s = journal_add(p, port, bytes, len);
	if (s) {
		s->sent = true;
		s->ns = clock_real_ns();
	}
	do
		n = send(p->ports[port].fd, bytes, len, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(err, ERR_ENV, errno, "cannot send %zu bytes on '%s'", len,
			       p->ports[port].ifname);
	return 0;
}

size_t probe_count(const struct probe *p)
{
	return p->n_journal;
}

const struct seen *probe_get(const struct probe *p, size_t i)
{
	return p->journal[i];
}

size_t probe_kernel_count(const struct probe *p)
{
	return p->n_kernel;
}

const struct seen *probe_kernel_get(const struct probe *p, size_t i)
{
	return p->kernel[i];
}

static int by_time(const void *a, const void *b)
{
	const struct seen *x = *(const struct seen *const *)a, *y = *(const struct seen *const *)b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

const struct seen **probe_timeline(const struct probe *p, size_t n, size_t *ret_n)
{
	const struct seen **v = xcalloc(n + p->n_kernel + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[i] = p->journal[i];
	for (size_t i = 0; i < p->n_kernel; i++)
		v[n + i] = p->kernel[i];
	*ret_n = n + p->n_kernel;
	qsort(v, *ret_n, sizeof(*v), by_time);
	return v;
}

void probe_on_frame(struct probe *p, probe_frame_fn *fn, void *arg)
{
	p->on_frame = fn;
	p->on_frame_arg = arg;
}

/* Reads what the kernel tells beside a frame; the tag it took out goes back in. */
static size_t apply_control(struct msghdr *msg, uint8_t *buf, size_t len, uint64_t *ret_ns)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		struct tpacket_auxdata aux;
		struct timespec ts;
		uint16_t tpid;

		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
			memcpy(&ts, CMSG_DATA(c), sizeof(ts));
			*ret_ns = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
		}
		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (!(aux.tp_status & TP_STATUS_VLAN_VALID) || len < VLAN_AT)
			continue;
		tpid = aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETH_P_8021Q;
		memmove(buf + VLAN_AT + VLAN_TAG_LEN, buf + VLAN_AT, len - VLAN_AT);
		buf[VLAN_AT] = (uint8_t)(tpid >> 8);
		buf[VLAN_AT + 1] = (uint8_t)tpid;
		buf[VLAN_AT + 2] = (uint8_t)(aux.tp_vlan_tci >> 8);
		buf[VLAN_AT + 3] = (uint8_t)aux.tp_vlan_tci;
		len += VLAN_TAG_LEN;
	}
	return len;
}

static void take_frame(struct probe *p, unsigned port, struct mmsghdr *m, uint8_t *buf, bool keep)
{
	uint64_t ns = clock_real_ns();
	size_t len = apply_control(&m->msg_hdr, buf, m->msg_len, &ns);
	const struct sockaddr_ll *from = m->msg_hdr.msg_name;
	struct seen *s;

	if (from->sll_pkttype == PACKET_OUTGOING) {
		kernel_add(p, port, buf, len, ns);
		return;
	}
	s = journal_add(p, port, buf, len);
	if (!s)
		return;
	s->ns = ns;
	if (keep && p->on_frame)
		p->on_frame(p->on_frame_arg, s);
}

/* Reads all that is there. An interface that went down says so once (ENETDOWN): no failure. */
static int port_read(struct probe *p, unsigned port, bool keep, struct err *err)
{
	union control controls[BATCH] = { 0 };
	struct sockaddr_ll from[BATCH];
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	int n, rounds = 0;

	do {
		for (int i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){ p->buffers[i], FRAME_MAX };
			msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &from[i],
								 .msg_namelen = sizeof(from[i]),
								 .msg_iov = &iov[i],
								 .msg_iovlen = 1,
								 .msg_control = controls[i].buf,
								 .msg_controllen = sizeof(
									 controls[i].buf) } };
		}
		n = recvmmsg(p->ports[port].fd, msgs, BATCH, MSG_DONTWAIT, NULL);
		if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENETDOWN)
			return err_set(err, ERR_ENV, errno, "cannot read from '%s'",
				       p->ports[port].ifname);
		for (int i = 0; i < n; i++)
			take_frame(p, port, &msgs[i], p->buffers[i], keep);
	} while (n == BATCH && ++rounds < BATCHES_AT_ONCE);
	return 0;
}

int probe_forget(struct probe *p, struct err *err)
{
	for (unsigned i = 0; i < p->n_ports; i++) {
		if (port_read(p, i, false, err) < 0)
			return -1;
	}
	probe_lost(p);
	journal_clear(p);
	ignore_kernel(p, false);
	return 0;
}

unsigned probe_lost(struct probe *p)
{
	unsigned lost = p->overflowed;

	for (size_t i = 0; i < p->n_ports; i++) {
		struct tpacket_stats st = { 0 };
		socklen_t len = sizeof(st);

		/* Reading them resets them. */
		if (getsockopt(p->ports[i].fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) == 0)
			lost += st.tp_drops;
	}
	p->overflowed = 0;
	return lost;
}

int probe_watch(struct probe *p, int fd, probe_ready_fn *fn, void *arg, struct err *err)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = (uint64_t)1 << 32 | (uint32_t)fd };
	struct watch *w;

	if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		return err_set(err, ERR_ENV, errno, "cannot watch a file descriptor");
	w = array_push(p->watches, p->n_watches);
	*w = (struct watch){ fd, fn, arg };
	return 0;
}

void probe_unwatch(struct probe *p, int fd)
{
	for (size_t i = 0; i < p->n_watches; i++) {
		if (p->watches[i].fd != fd)
			continue;
		epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, NULL);
		p->watches[i] = p->watches[--p->n_watches];
		return;
	}
}

static int handle(struct probe *p, const struct epoll_event *ev, struct err *err)
{
	if (!(ev->data.u64 >> 32))
		return port_read(p, (unsigned)ev->data.u64, true, err);
	for (size_t i = 0; i < p->n_watches; i++) {
		if ((uint32_t)p->watches[i].fd == (uint32_t)ev->data.u64) {
			p->watches[i].fn(p->watches[i].arg);
			break;
		}
	}
	return 0;
}

int probe_wait(struct probe *p, uint64_t timeout_ns, probe_done_fn *done, void *arg,
	       struct err *err)
{
	uint64_t end = clock_mono_ns() + timeout_ns;

	for (;;) {
		struct epoll_event evs[EVENTS];
		uint64_t now = clock_mono_ns(), left = end > now ? end - now : 0;
		struct timespec ts = { (time_t)(left / NS_PER_S), (long)(left % NS_PER_S) };
		int n;

		if (done && done(arg))
			return 1;
		if (err_if_interrupted(err) < 0)
			return -1;
		n = epoll_pwait2(p->epoll, evs, EVENTS, &ts, NULL);
		if (n < 0 && errno != EINTR)
			return err_set(err, ERR_ENV, errno, "cannot wait for frames");
		for (int i = 0; i < n; i++) {
			if (handle(p, &evs[i], err) < 0)
				return -1;
		}
		if (n == 0 && !left)
			return done && done(arg);
	}
}
