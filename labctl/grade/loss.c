/* SPDX-License-Identifier: MIT */
/* loss.c - plain packets, and how many of them arrive. */
#include "grade/loss.h"

#include <string.h>

#include "base/mem.h"
#include "grade/replay.h"

#include "base/banned.h"

#define PLAIN	    64
#define LOST_ENOUGH 8 /* of these */
#define LOST_ALL    5

/* Whose subject the loss is. */
static const char *const judges[LOSS_KINDS] = {
	[LOSS_FORWARD] = "ipv4.forward",
	[LOSS_ECHO] = "icmp.echo",
};

static const struct place *place_of_port(const struct trial *t, unsigned port)
{
	for (size_t i = 0; i < t->g->n_places; i++) {
		if (t->g->places[i].port == port && t->g->places[i].router_ip)
			return &t->g->places[i];
	}
	return NULL;
}

static bool is_the_routers(const struct trial *t, uint32_t ip)
{
	for (size_t i = 0; i < t->g->n_places; i++) {
		if (t->g->places[i].router_ip && t->g->places[i].router_ip == ip)
			return true;
	}
	return false;
}

static bool is_packet(const struct seen *s)
{
	return s->sent && s->f.has & LAYER_IPV4;
}

/* By the mark of what is wanted, or else the last stimulus. */
static const struct seen *find_packet(const struct trial *t, const struct want *w, bool *ret_again)
{
	const struct probe *p = t->g->probe;
	bool marked = w && w->mark && w->frame.payload && w->frame.payload_len >= MARK_LEN;

	for (size_t i = probe_count(p); marked && i-- > 0;) {
		const struct seen *s = probe_get(p, i);

		*ret_again = i >= t->since;
		if (is_packet(s) && memmem(s->bytes, s->len, w->frame.payload, MARK_LEN))
			return s;
	}
	*ret_again = true;
	return t->since < probe_count(p) && is_packet(probe_get(p, t->since))
		       ? probe_get(p, t->since)
		       : NULL;
}

bool loss_suspect(const struct trial *t, const struct place *at, const struct want *w,
		  struct loss *ret)
{
	struct loss l = { .kind = LOSS_FORWARD };

	l.sent = find_packet(t, w, &l.again);
	l.p.from = l.sent ? place_of_port(t, l.sent->port) : NULL;
	if (!l.p.from)
		return false;
	l.p.to = at && at->router_ip && at->network != l.p.from->network ? at : l.p.from->across;
	if (is_the_routers(t, l.sent->f.ipv4.dst)) {
		l.kind = LOSS_ECHO;
		l.p.to = l.p.from;
	}
	*ret = l;
	return l.p.to != NULL;
}

/* Plain packets, one at a time: that it cannot take several at once is no loss of these. */

struct plain {
	struct trial *t;
	const struct place *to;
	struct want want;
	size_t start; /* journal position */
};

static bool ended(const struct grader *g)
{
	return g->runner && !runner_alive(g->runner);
}

static struct frame plain_packet(struct trial *t, const struct loss *l)
{
	struct station from = place_station(l->p.from), to = place_station(l->p.to);

	return l->kind == LOSS_ECHO ? trial_echo(t, &from, l->p.from->router_ip, 32)
				    : trial_datagram(t, &from, &to, 32);
}

static bool send_bytes(struct trial *t, const struct place *at, const uint8_t *bytes, size_t n)
{
	struct err e = { 0 };

	if (replay_pause(t->g, &e) < 0 || probe_send(t->g->probe, at->port, bytes, n, &e) < 0)
		return trial_error(t, &e);
	return true;
}

static bool is_there(void *arg)
{
	const struct plain *p = arg;

	return trial_count(p->t, p->to, &p->want, p->start) > 0 || ended(p->t->g);
}

/* While it asks for a MAC it need not keep what it gets. */
static bool asked_meanwhile(const struct plain *p)
{
	for (size_t i = p->start; i < probe_count(p->t->g->probe); i++) {
		const struct seen *s = probe_get(p->t->g->probe, i);

		if (!s->sent && s->port == p->to->port && s->f.has & LAYER_ARP &&
		    s->f.arp.op == ARP_REQUEST)
			return true;
	}
	return false;
}

static bool count_one(struct trial *t, const struct loss *l, struct losses *all)
{
	struct plain p = { .t = t, .to = l->p.to, .start = probe_count(t->g->probe) };
	uint64_t patience = all->lost ? grader_silence_ns(t->g) : trial_patience_ns(t, 0);
	struct frame out = plain_packet(t, l);
	struct err e = { 0 };
	uint8_t buf[256];
	int r;

	p.want = want_trace(&out);
	if (!send_bytes(t, l->p.from, buf, frame_encode(&out, buf, sizeof(buf))))
		return false;
	r = probe_wait(t->g->probe, patience, is_there, &p, &e);
	if (r < 0)
		return trial_error(t, &e);
	all->n += r > 0 || !asked_meanwhile(&p);
	all->lost += r == 0 && !asked_meanwhile(&p);
	return !ended(t->g);
}

bool loss_is_known(const struct grader *g)
{
	return g->losses[LOSS_FORWARD].lost || g->losses[LOSS_ECHO].lost;
}

/* Does the router lose such packets? Sends plain ones, unless it did before. */
static bool is_usual(struct trial *t, const struct loss *l)
{
	struct losses all = { 0 };

	if (t->g->losses[l->kind].lost)
		return true;
	if (!t->end) {
		t->end = probe_count(t->g->probe);
		t->end_ns = clock_real_ns();
	}
	for (int i = 0; i < PLAIN && all.lost < LOST_ENOUGH; i++) {
		/* When none arrives, that is no loss of some. */
		if (!count_one(t, l, &all) || (all.lost == all.n && all.lost >= LOST_ALL))
			return false;
	}
	t->g->losses[l->kind] = all;
	return all.lost > 0;
}

/* Is the check about the loss of these? */
static bool is_subject(const struct trial *t, const struct loss *l)
{
	return strcmp(t->check->id, judges[l->kind]) == 0;
}

bool loss_is_forgiven(struct trial *t, const struct loss *l)
{
	return l->again && !is_subject(t, l) && is_usual(t, l);
}

bool loss_send_again(struct trial *t, const struct loss *l)
{
	return send_bytes(t, l->p.from, l->sent->bytes, l->sent->len);
}

bool loss_is_cause(struct trial *t, const struct place *at, const struct want *w)
{
	const struct check *judge;
	const struct losses *all;
	struct loss l;

	if (!loss_suspect(t, at, w, &l) || (l.again && !is_subject(t, &l)) || !is_usual(t, &l))
		return false;
	judge = check_find(judges[l.kind]);
	/* Who is tried after this one cannot be waited for. */
	if (judge && !is_subject(t, &l) && !check_needs(judge, t->check->id) &&
	    trial_waits_for(t, judge->id))
		return true;
	all = &t->g->losses[l.kind];
	if (l.kind == LOSS_ECHO)
		trial_fail(t,
			   "the router loses packets: of %zu plain echo requests to its own "
			   "address it answered %zu",
			   all->n, all->n - all->lost);
	else
		trial_fail(t,
			   "the router loses datagrams: of %zu plain ones to %s it delivered %zu",
			   all->n, ip4_text(l.p.to->ip).s, all->n - all->lost);
	return true;
}
