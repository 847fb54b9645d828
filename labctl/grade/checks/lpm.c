/* SPDX-License-Identifier: MIT */
/* lpm.c - checks of the routing table: longest prefix, default route, no route. */
#include "base/mem.h"
#include "grade/complaint.h"
#include "grade/fit.h"

#include "base/banned.h"

#define DEFAULTS 8 /* destinations that only the default route has */
#define TRIES	 1000

/* The client's interface that has this address, as the router's neighbour. */
static const struct place *neighbour(const struct trial *t, size_t network, uint32_t ip)
{
	for (size_t i = 0; i < t->g->n_places; i++) {
		const struct place *p = &t->g->places[i];

		if (p->network == network && p->ip == ip && p->router_ip)
			return p;
	}
	return NULL;
}

/* Who got the datagram first: the neighbour whose MAC is on it. Later copies are those that
 * clients passed on. */
static const struct seen *first_trace(const struct trial *t, const struct want *trace,
				      const struct place **ret_hop)
{
	const struct seen *first = NULL;

	*ret_hop = NULL;
	for (size_t i = t->since; i < probe_count(t->g->probe); i++) {
		const struct seen *s = probe_get(t->g->probe, i);

		if (want_means(trace, s) && (!first || s->ns < first->ns))
			first = s;
	}
	for (size_t i = 0; first && i < t->g->n_places; i++) {
		const struct place *p = &t->g->places[i];

		if (p->router_ip && p->port == first->port &&
		    macaddr_equal(&p->mac, &first->f.eth.dst))
			*ret_hop = p;
	}
	return first;
}

/* Did the router ask who has this address, on any network, since the last stimulus? */
static bool was_asked_for(const struct trial *t, uint32_t ip)
{
	for (size_t i = t->since; i < probe_count(t->g->probe); i++) {
		const struct seen *s = probe_get(t->g->probe, i);

		if (!s->sent && s->f.has & LAYER_ARP && s->f.arp.op == ARP_REQUEST &&
		    s->f.arp.tpa == ip)
			return true;
	}
	return false;
}

static bool nothing_came(struct trial *t, const struct path *p, const struct way *way,
			 uint32_t destination)
{
	bool asked = was_asked_for(t, destination);
	char prefix[IPNET_TEXT];

	if (!trial_alive(t, p))
		return false;
	ipnet_format(&way->prefix, prefix);
	if (way->next_hop != destination && asked)
		return trial_fail(
			t,
			"the router asks who has %s: that is no neighbour. %s leads to %s, "
			"so that is whose MAC it needs",
			ip4_text(destination).s, prefix, ip4_text(way->next_hop).s);
	return trial_fail(t, "a datagram to %s did not arrive: %s matches longest and leads to %s",
			  ip4_text(destination).s, prefix, ip4_text(way->next_hop).s);
}

static bool goes(struct trial *t, const struct place *from, uint32_t destination,
		 const struct way *way)
{
	struct station me = place_station(from), goal = me;
	const struct place *meant = neighbour(t, way->network, way->next_hop), *hop;
	struct want trace;
	struct frame out;
	char prefix[IPNET_TEXT];

	goal.ip = destination;
	out = trial_datagram(t, &me, &goal, 32);
	trace = want_trace(&out);
	if (!trial_send(t, from, &out))
		return false;
	if (!trial_await(t, NULL, &trace)) {
		if (t->verdict == VERDICT_ERROR)
			return false;
		return nothing_came(t, &(struct path){ from, meant }, way, destination);
	}
	first_trace(t, &trace, &hop);
	if (hop == meant)
		return true;
	ipnet_format(&way->prefix, prefix);
	if (!hop)
		return trial_fail(t,
				  "a datagram to %s left in a frame that is for none of the "
				  "neighbours: %s matches longest and leads to %s",
				  ip4_text(destination).s, prefix, ip4_text(way->next_hop).s);
	return trial_fail(
		t,
		"a datagram to %s went to %s on %s: %s matches longest and leads to %s on "
		"%s",
		ip4_text(destination).s, ip4_text(hop->ip).s, hop->net->name, prefix,
		ip4_text(way->next_hop).s, meant->net->name);
}

/* Tries one destination, if it says something: what would go back to where it came from, or to a
 * neighbour whom nobody plays, is left out. So is the default route, which has its own check. */
static bool try_goal(struct trial *t, const struct place *from, uint32_t destination)
{
	struct way way;

	if (!stage_is_goal(t->g->stage, destination) || destination == from->ip ||
	    !stage_way(t->g->stage, destination, &way) || way.prefix.prefix == 0 ||
	    way.network == from->network || !neighbour(t, way.network, way.next_hop))
		return true;
	return goes(t, from, destination, &way);
}

/* Inside at both ends and somewhere, and just outside at both. */
static bool try_prefix(struct trial *t, const struct place *from, const struct ipnet *net)
{
	uint32_t first = ip4_number(&net->addr);
	uint32_t last = first | (net->prefix >= 32 ? 0 : UINT32_MAX >> net->prefix);

	return try_goal(t, from, first) && try_goal(t, from, last) &&
	       try_goal(t, from, rng_range(&t->rng, first, last)) && try_goal(t, from, first - 1) &&
	       try_goal(t, from, last + 1);
}

static bool lpm_match(struct trial *t)
{
	const struct stage *s = t->g->stage;
	struct path p;

	if (!trial_path(t, &p))
		return false;
	if (!s->n_routes)
		return trial_stage_error(t, "the stage has no routes");
	for (size_t i = 0; i < s->n_routes; i++) {
		if (s->routes[i].to.addr.family == AF_INET &&
		    !try_prefix(t, p.from, &s->routes[i].to))
			return false;
	}
	for (size_t i = 0; i < t->g->n_places; i++) {
		if (!try_goal(t, p.from, t->g->places[i].ip))
			return false;
	}
	return true;
}

static bool lpm_default(struct trial *t)
{
	int tried = 0;
	struct path p;
	struct way way;

	if (!trial_path(t, &p))
		return false;
	for (int i = 0; i < TRIES && tried < DEFAULTS; i++) {
		uint32_t a = rng_range(&t->rng, 0x01000000, 0xdfffffff);

		if (!stage_is_goal(t->g->stage, a) || !stage_way(t->g->stage, a, &way) ||
		    way.prefix.prefix > 0 || way.network == p.from->network ||
		    !neighbour(t, way.network, way.next_hop))
			continue;
		if (!goes(t, p.from, a, &way))
			return false;
		tried++;
	}
	return tried ? true
		     : trial_stage_error(t, "the stage has no default route, or it leads back");
}

static bool unreachable(struct trial *t, const struct place *from, uint32_t destination, bool full)
{
	struct station me = place_station(from), goal = me;
	struct complaint c = { .at = from,
			       .type = ICMP_UNREACHABLE,
			       .code = ICMP_NET_UNREACHABLE,
			       .from = from->router_ip,
			       .missing =
				       "no ICMP net unreachable came about a packet to an address "
				       "that no line of the table matches" };

	goal.ip = destination;
	c.about = trial_datagram(t, &me, &goal, 32);
	return trial_complaint(t, &c) && (!full || trial_complaint_full(t, &c));
}

static bool lpm_none(struct trial *t)
{
	const struct stage *s = t->g->stage;
	struct path p;
	struct way way;
	uint32_t nowhere;

	if (!trial_path(t, &p) || !trial_nowhere(t, &nowhere))
		return false;
	/* The neighbours of each prefix, where a mask that is too short would match. */
	for (size_t i = 0; i < s->n_routes; i++) {
		const struct ipnet *to = &s->routes[i].to;
		uint32_t first = ip4_number(&to->addr);
		uint32_t last = first | (to->prefix >= 32 ? 0 : UINT32_MAX >> to->prefix);
		const uint32_t beside[] = { first - 1, last + 1 };

		for (size_t k = 0; k < ARRAY_SIZE(beside); k++) {
			if (stage_is_goal(s, beside[k]) && !stage_way(s, beside[k], &way) &&
			    !unreachable(t, p.from, beside[k], false))
				return false;
		}
	}
	return unreachable(t, p.from, nowhere, true);
}

const struct check checks_lpm[] = {
	{
		.id = "lpm.match",
		.title = "takes the route of the longest prefix",
		.rfc = "RFC 1812 5.2.4.3",
		.needs = "ipv4.forward",
		.args = "from to",
		.args_fit = fit_routes,
		.points = 5,
		.hints = { "When several lines of the table match, which one is it?",
			   "The most specific one: of all that match, the one with the longest "
			   "prefix, whatever the order. Your own networks are lines, too.",
			   "Sort by prefix length, longest first, and take the first for which "
			   "destination & mask == prefix. The frame goes to the MAC of `via`; for "
			   "your own networks to the destination's." },
		.explain =
			"A routing table may say 10.0.0.0/8 to the west and 10.1.0.0/16 to the "
			"east: the longer prefix is\n"
			"the exception, and wins. The destination in the packet does not change; "
			"only the frame goes to the\n"
			"next hop. A /32 inside of a network of your own wins over that network, "
			"and that network wins over\n"
			"a /7 that covers it.",
		.run = lpm_match,
	},
	{
		.id = "lpm.default",
		.title = "uses the default route for everything else",
		.rfc = "RFC 1812 5.2.4.3",
		.needs = "ipv4.forward",
		.args = "from to",
		.args_fit = fit_default,
		.points = 2,
		.hints = { "What matches when nothing matches?",
			   "0.0.0.0/0 compares no bit at all: it matches every destination, and "
			   "everything else is longer.",
			   "A mask of length 0 is 0. (In C, shifting a 32-bit number by 32 is "
			   "undefined: treat length 0 on its own, or use 64 bits.)" },
		.explain = "The default route is a prefix like any other, of length zero. It comes "
			   "last because it is the\n"
			   "shortest, not because of a rule of its own.",
		.run = lpm_default,
	},
	{
		.id = "lpm.none",
		.title = "says net unreachable when no line matches",
		.rfc = "RFC 1812 5.2.4.3",
		.needs = "ipv4.forward",
		.args = "from to",
		.args_fit = fit_nowhere,
		.points = 1,
		.hints = { "And when there is no default route?",
			   "Then there is no way: ICMP destination unreachable, net unreachable.",
			   "When your look-up finds nothing: type 3, code 0, to the packet's "
			   "source. Do not fall back on the last line, or on the first network." },
		.explain = "A destination that no prefix matches cannot be reached from here. The "
			   "sender is told at once.",
		.run = lpm_none,
	},
	{ 0 },
};
