/* SPDX-License-Identifier: MIT */
/* udp.c - a check with real UDP datagrams between the clients' own kernels. */
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "grade/clients.h"
#include "grade/fit.h"

#include "base/banned.h"

#define PATTERN	      65521 /* a prime, as for TCP */
#define LOST_MS	      400   /* a datagram that has not come by then is lost */
#define LOST_ENOUGH   16    /* then the rest is not tried */
#define WINDOW_BYTES  12000
#define IP_HEADERS    28
#define SEQUENCE_SIZE 4
#define BUFFER	      65536

struct datagrams {
	struct trial *t;
	struct path p;
	int sender, receiver;
	size_t size, n;
	uint8_t *pattern;
	bool *came;
	size_t sent, got, lost; /* of those sent, so many came or are given up */
	bool wrong, twice;
	size_t at; /* which one is wrong */
	uint8_t buf[BUFFER];
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
	if (d->receiver < 0 || client_bind(d->receiver, d->p.to->ip, &to, &e) < 0)
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

static bool record_fault(struct datagrams *d)
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
			  d->lost, d->sent, d->size, from, to);
}

static bool udp_fail(struct datagrams *d)
{
	record_fault(d);
	return clients_fail(d->t);
}

/* Sends them, a few at a time; what does not come for a while counts as lost. */
static bool run_datagrams(struct datagrams *d)
{
	uint64_t patience = (uint64_t)(LOST_MS * NS_PER_MS * d->t->g->slowness);
	auto_free uint8_t *buf = xmalloc(d->size);
	struct err e = { 0 };

	while (d->got + d->lost < d->n && d->lost < LOST_ENOUGH && !d->wrong && !d->twice) {
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
		if (!clients_keep_journal_short(d->t))
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
	    !clients_path(t, 0, &d->p))
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

const struct check checks_udp[] = {
	{
		.id = "udp.transfer",
		.title = "carries UDP datagrams, each one once",
		.rfc = "RFC 1812 5.2",
		.needs = "ipv4.forward lpm.match frag.forward frag.refragment frag.df",
		.args = "from to datagrams size",
		.args_fit = fit_clients,
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
