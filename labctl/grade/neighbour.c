/* SPDX-License-Identifier: MIT */
/* neighbour.c - asks the router until it answers, learns its MAC. */
#include "grade/neighbour.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "grade/trial.h"
#include "net/link.h"
#include "net/neigh.h"

#include "base/banned.h"

#define READY_ALL_NS  (500 * NS_PER_MS) /* for the other networks, once one answered */
#define READY_ASK_NS  (20 * NS_PER_MS)
#define READY_MORE_NS (100 * NS_PER_MS) /* between questions to a program that runs */
#define MORE_SHARE    5			/* of the limit: then other signs of life are asked for */
#define BACKLOG_MS    6000		/* for the answers to all of them */
#define CONFIRM_MS    500

/* One place's side of the meeting. */
struct party {
	enum life life;
	struct macaddr told; /* by its first ARP reply */
	struct frame echo, datagram;
};

struct meeting {
	struct grader *g;
	struct trial t;
	size_t from;	     /* journal position, read up to here */
	struct party *party; /* parallel to places */
	size_t n_arp, n_alive;
};

static void show_life(struct meeting *m, size_t i, enum life life)
{
	struct party *p = &m->party[i];

	m->n_alive += p->life == LIFE_NONE;
	m->n_arp += life == LIFE_ARP && p->life < LIFE_ARP;
	p->life = life > p->life ? life : p->life;
}

static void read_frame(struct meeting *m, const struct seen *s)
{
	for (size_t i = 0; i < m->g->n_places; i++) {
		const struct place *at = &m->g->places[i];
		struct party *p = &m->party[i];
		struct want through = want_trace(&p->datagram);

		if (!at->router_ip)
			continue;
		if (s->port == at->port && arp_is_answer(&s->f) && s->f.arp.spa == at->router_ip &&
		    s->f.arp.tpa == at->ip) {
			if (p->life < LIFE_ARP)
				p->told = s->f.arp.sha;
			show_life(m, i, LIFE_ARP);
		} else if (s->port == at->port && s->f.has & LAYER_ICMP &&
			   s->f.icmp.type == ICMP_ECHO_REPLY && s->f.icmp.id == p->echo.icmp.id) {
			show_life(m, i, LIFE_ECHO);
		} else if (at->across && s->port == at->across->port && want_means(&through, s)) {
			show_life(m, i, LIFE_FORWARD);
		}
	}
}

static bool all_answered(void *arg)
{
	struct meeting *m = arg;
	const struct grader *g = m->g;
	size_t wanted = 0;

	for (; m->from < probe_count(g->probe); m->from++) {
		const struct seen *s = probe_get(g->probe, m->from);

		if (!s->sent)
			read_frame(m, s);
	}
	for (size_t i = 0; i < g->n_places; i++)
		wanted += g->places[i].router_ip != 0;
	return m->n_arp == wanted || (g->runner && !runner_alive(g->runner));
}

static int ask(struct meeting *m, const struct place *at, const struct frame *f, struct err *err)
{
	auto_free uint8_t *buf = xmalloc(FRAME_MAX);

	if (probe_send(m->g->probe, at->port, buf, frame_encode(f, buf, FRAME_MAX), err) == 0)
		return 0;
	/* The program may have set the link down for a moment; who watches it says so. */
	if (err->sys != ENOBUFS && err->sys != ENETDOWN)
		return -1;
	err_clear(err);
	return 0;
}

/* more: not for its MAC only. */
static int ask_all(struct meeting *m, bool more, struct err *err)
{
	for (size_t i = 0; i < m->g->n_places; i++) {
		const struct place *at = &m->g->places[i];
		struct station me = place_station(at);
		struct frame who_has = arp_ask(&me, at->router_ip);

		if (!at->router_ip || m->party[i].life == LIFE_ARP)
			continue;
		if (ask(m, at, &who_has, err) < 0 ||
		    (more && ask(m, at, &m->party[i].echo, err) < 0) ||
		    (more && at->across && ask(m, at, &m->party[i].datagram, err) < 0))
			return -1;
	}
	return 0;
}

/* A program that answers on one network and not on another may be meant so: that is for the checks
 * to say. What takes long to start is asked less and less often: a slow program has to answer all
 * that waits for it. */
static int ask_until_answered(struct meeting *m, const struct meeting_limit *limit, struct err *err)
{
	uint64_t start = clock_mono_ns(), now = start, end = start + limit->ns;
	uint64_t pause = READY_ASK_NS;
	bool met = false;

	for (; now < end; now = clock_mono_ns()) {
		int done;

		if (!met && limit->in_vain && limit->in_vain(limit->arg))
			return 0;
		if (ask_all(m, met || now - start > limit->ns / MORE_SHARE, err) < 0)
			return -1;
		done = probe_wait(m->g->probe, pause, all_answered, m, err);
		if (done != 0)
			return done < 0 ? -1 : 0;
		pause += pause < READY_MORE_NS ? pause / 8 : 0;
		if (!met && m->n_alive) {
			met = true;
			pause = READY_MORE_NS;
			end = clock_mono_ns() + (uint64_t)((double)READY_ALL_NS * m->g->slowness);
		}
	}
	return 0;
}

/* Before what is told is believed. A slow program still has questions to answer that were asked
 * while it started, and would come to those of the first check after them; the one asked here is
 * another station's, so that its answer is known. */
static void learn_mac(struct meeting *m, size_t i)
{
	struct place *at = &m->g->places[i];
	struct macaddr told = m->party[i].told;
	struct station asker;

	if (at->life != LIFE_ARP || !trial_guest(&m->t, at, &asker) ||
	    !trial_greets(&m->t, &asker, NULL, BACKLOG_MS) || macaddr_equal(&told, &at->seat_mac))
		return;
	if (!(told.b[0] & 1) && trial_guest(&m->t, at, &asker) &&
	    trial_greets(&m->t, &asker, &told, CONFIRM_MS))
		at->router_mac = told;
}

/* The client's own kernel is in the same position, and takes part in transfers. */
static int help_client(struct grader *g, const struct place *at, struct err *err)
{
	size_t client = (size_t)(at->client - g->stage->clients);
	struct ipaddr router = ip4_addr(at->router_ip);
	struct link_info link;
	auto_nl nl = NULL;

	if (at->life == LIFE_ARP || at->life == LIFE_NONE)
		return 0;
	if (nl_open(g->arena->client_ns[client], &nl, err) < 0 ||
	    link_get(nl, at->ifname, &link, err) < 0 ||
	    neigh_confirm(nl, link.ifindex, &router, &at->router_mac, err) < 0)
		return err_wrap(err, "client '%s'", at->client->name);
	return 0;
}

int neighbours_meet(struct grader *g, const struct meeting_limit *limit, size_t *ret_alive,
		    struct err *err)
{
	static const struct check nobody = { .id = "neighbour" };
	auto_free struct party *party = xcalloc(g->n_places, sizeof(*party));
	struct meeting m = { .g = g,
			     .from = probe_count(g->probe),
			     .party = party,
			     .t = { .g = g, .check = &nobody } };
	int r;

	m.t.rng = rng_for(g->options->seed, nobody.id);
	for (size_t i = 0; i < g->n_places; i++) {
		struct place *at = &g->places[i];
		struct station me = place_station(at), far;

		at->router_mac = at->seat_mac;
		if (!at->router_ip)
			continue;
		party[i].echo = trial_echo(&m.t, &me, at->router_ip, 32);
		if (!at->across)
			continue;
		far = place_station(at->across);
		party[i].datagram = trial_datagram(&m.t, &me, &far, 32);
	}
	r = ask_until_answered(&m, limit, err);
	for (size_t i = 0; r == 0 && i < g->n_places; i++) {
		g->places[i].life = party[i].life;
		learn_mac(&m, i);
		r = help_client(g, &g->places[i], err);
	}
	*ret_alive = m.n_alive;
	trial_done(&m.t);
	return r < 0 ? -1 : err_if_interrupted(err);
}
