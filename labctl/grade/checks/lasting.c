/* SPDX-License-Identifier: MIT */
/* lasting.c - what works at first works later: after a thousand datagrams, after a minute. */
#include "base/mem.h"
#include "grade/checks/resolve.h"
#include "grade/fit.h"
#include "grade/series.h"
#include "grade/trial.h"

#include "base/banned.h"

/* robust.thousand */

#define PACKETS	    1200 /* counted from the first check on */
#define PACKETS_MIN 100	 /* ... so many of them here */
#define PACKETS_MAX 100000

static bool half(struct trial *t, const struct path *p, size_t n)
{
	size_t before = t->g->forwarded;
	auto_series s = series_small(t, p, n);

	s.before = before;
	return series_run(&s, F(IPV4_SRC) | F(IPV4_DST) | F(PAYLOAD)) && series_came_once(&s);
}

static bool robust_thousand(struct trial *t)
{
	long long packets = PACKETS;
	struct path p, back;
	size_t n;

	/* Who does it wrong at once has nothing that could change. */
	if (trial_waits_for(t, "ipv4.forward") || !trial_path(t, &p) ||
	    !trial_number(t, "packets", PACKETS_MIN, PACKETS_MAX, &packets))
		return false;
	back = path_back(&p);
	n = (size_t)packets > t->g->forwarded + PACKETS_MIN ? (size_t)packets - t->g->forwarded
							    : PACKETS_MIN;
	return half(t, &p, n / 2) && half(t, &back, n - n / 2);
}

/* robust.minute */

#define SECONDS	    65
#define SECONDS_MAX 3600
#define WHOLE	    (F(IPV4_SRC) | F(IPV4_DST) | F(PAYLOAD))

/* Who takes part: the clients all the time, a guest at the beginning and at the end only, and one
 * who does not answer before the end. */
struct cast {
	struct path p, back;
	struct station from, to, rare, late;
};

/* A second of it: one datagram each way. */
static bool a_second(struct trial *t, const struct cast *c)
{
	struct frame there = trial_datagram(t, &c->from, &c->to, 32);
	struct frame home = trial_datagram(t, &c->to, &c->from, 32);
	struct err e = { 0 };

	if (probe_wait(t->g->probe, NS_PER_S, NULL, NULL, &e) < 0)
		return trial_error(t, &e);
	return trial_deliver(t, &c->p, &there, WHOLE) && trial_deliver(t, &c->back, &home, WHOLE);
}

static bool still_answers(struct trial *t, const struct cast *c)
{
	struct frame echo = trial_echo(t, &c->from, c->p.from->router_ip, 56);
	struct want reply = { .missing = "the router no longer answers an echo request",
			      .frame = echo,
			      .all = F(ETH_TYPE) | F(ICMP_TYPE) | F(ICMP_ID) | F(ICMP_SEQ) };

	reply.frame.icmp.type = ICMP_ECHO_REPLY;
	trial_answer(t, &c->late);
	return trial_alive(t, &c->p) && trial_send(t, c->p.from, &echo) &&
	       trial_expect(t, c->p.from, &reply) && trial_warm_up(t, &c->p, &c->rare) &&
	       trial_warm_up(t, &c->p, &c->late);
}

static bool begin(struct trial *t, struct cast *c)
{
	struct frame lost;

	if (!trial_path(t, &c->p) || !trial_guest(t, c->p.to, &c->rare) ||
	    !trial_guest(t, c->p.to, &c->late))
		return false;
	c->back = path_back(&c->p);
	c->from = place_station(c->p.from);
	c->to = place_station(c->p.to);
	trial_answer(t, &c->rare);
	lost = trial_datagram(t, &c->from, &c->late, 32);
	return trial_warm_up(t, &c->p, &c->to) && trial_warm_up(t, &c->back, &c->from) &&
	       trial_warm_up(t, &c->p, &c->rare) && trial_send(t, c->p.from, &lost);
}

static bool robust_minute(struct trial *t)
{
	long long seconds = SECONDS;
	struct cast c = { 0 };

	if (!trial_number(t, "seconds", 1, SECONDS_MAX, &seconds) || !begin(t, &c))
		return false;
	for (long long i = 0; i < seconds; i++) {
		if (a_second(t, &c))
			continue;
		if (t->verdict == VERDICT_FAIL && (!t->g->runner || runner_alive(t->g->runner)))
			trial_fail(t,
				   "after %lld seconds of little traffic the router no longer "
				   "delivers what it delivered before: does something fill up, run "
				   "out or grow too old?",
				   i + 1);
		return false;
	}
	return asked_slowly(t, &c.late, 0) && still_answers(t, &c);
}

const struct check checks_lasting[] = {
	{
		.id = "robust.thousand",
		.title = "delivers the thousandth datagram like the first",
		.rfc = "RFC 1812 5.2",
		.needs = "ipv4.forward",
		.args = "from to packets",
		.points = 1,
		.hints = { "What in your program changes with every packet?",
			   "Counters that reach the end of their field, lists that nobody clears, "
			   "files that are opened for each packet, a queue that is never emptied.",
			   "Print the length of each of your lists and tables once in a hundred "
			   "packets, and see which one grows." },
		.explain = "A router that has worked for a minute has passed on thousands of "
			   "packets. Those of the checks\n"
			   "before count; this one sends as many small datagrams, there and back, "
			   "as are missing to 1,200.",
		.run = robust_thousand,
	},
	{
		.id = "robust.minute",
		.title = "does after a minute what it did at first",
		.rfc = "RFC 1122 2.3.2.1",
		.needs = "ipv4.forward",
		.args = "from to seconds",
		.points = 2,
		.hints = { "What in your program changes while time passes?",
			   "Entries that grow old, questions that are given up, lists that are "
			   "cleaned: each of these runs for the first time after a while.",
			   "Start your program, ping an address that nobody has, wait a minute, "
			   "and ping again." },
		.explain =
			"One datagram a second each way, a neighbour who is not spoken to for a "
			"while, and one who is\n"
			"not there at first. It takes as long as it says: seconds, 65 unless the "
			"stage gives another number.",
		.run = robust_minute,
	},
	{ 0 },
};
