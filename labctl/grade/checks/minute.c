/* SPDX-License-Identifier: MIT */
/* minute.c - a check of time: what works now works in a minute. */
#include "base/mem.h"
#include "grade/fit.h"
#include "grade/trial.h"

#include "base/banned.h"

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
	return still_answers(t, &c);
}

const struct check checks_minute[] = {
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
