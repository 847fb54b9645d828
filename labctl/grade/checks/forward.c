/* SPDX-License-Identifier: MIT */
/* forward.c - checks of forwarding: where to, all of it, once. */
#include "base/mem.h"
#include "grade/complaint.h"
#include "grade/fit.h"
#include "grade/series.h"
#include "grade/story.h"

#include "base/banned.h"

#define ADDRESSES (F(IPV4_SRC) | F(IPV4_DST) | F(IPV4_PROTO))

/* ipv4.forward */

#define PACKETS	    130 /* each way, when the stage says nothing */
#define PACKETS_MAX 10000

/* One of each kind, with a lesson of its own; then the router knows both clients. */
static bool forwards(struct trial *t, const struct path *p)
{
	struct station from = place_station(p->from), to = place_station(p->to);
	struct frame udp = trial_datagram(t, &from, &to, 32), tcp, syn, icmp, full, whole;

	full = trial_datagram(t, &from, &to, path_room(p, 28));
	whole = trial_datagram(t, &from, &to, path_room(p, 28));
	whole.ipv4.flags = IPV4_DF; /* as clients send it: it fits, so nobody need cut it */
	/* None of these wants an answer from the client's kernel, but the SYN: a reset. */
	tcp = trial_segment(t, &from, &to, 32);
	syn = trial_segment(t, &from, &to, MARK_LEN);
	syn.tcp.flags = TCP_SYN;
	icmp = trial_echo(t, &from, to.ip, 33);
	icmp.icmp.type = ICMP_ECHO_REPLY;
	return trial_deliver(t, p, &udp, ADDRESSES | F(PAYLOAD) | F(UDP_SPORT) | F(UDP_DPORT)) &&
	       trial_deliver(t, p, &tcp, ADDRESSES | F(PAYLOAD) | F(TCP_SEQ) | F(TCP_FLAGS)) &&
	       trial_deliver(t, p, &syn, ADDRESSES | F(PAYLOAD) | F(TCP_SEQ) | F(TCP_FLAGS)) &&
	       trial_deliver(t, p, &icmp, ADDRESSES | F(PAYLOAD) | F(ICMP_TYPE) | F(ICMP_ID)) &&
	       trial_deliver(t, p, &full, ADDRESSES | F(PAYLOAD)) &&
	       trial_deliver(t, p, &whole, ADDRESSES | F(PAYLOAD));
}

/* A datagram that must not come back to its sender: a router that hears its own frames would send
 * them again. */
static struct taboo no_echo(struct trial *t, const struct path *p)
{
	struct station from = place_station(p->from), to = place_station(p->to);
	struct taboo v = { .at = p->from,
			   .name = "a datagram",
			   .sentence = "the router sends a datagram back to where it came from" };

	v.stimulus = trial_datagram(t, &from, &to, 32);
	v.answer = want_trace(&v.stimulus);
	v.answer.all |= F(ETH_DST);
	v.answer.frame.eth.dst = from.mac;
	return v;
}

/* One datagram each way arrives once, and nowhere else. */
static bool forwards_once(struct trial *t, const struct path *p)
{
	const struct path ways[] = { *p, path_back(p) };
	const struct taboo v[] = { no_echo(t, &ways[0]), no_echo(t, &ways[1]) };

	if (!trial_forbid(t, p, v, ARRAY_SIZE(v), control_forward))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct want trace = want_trace(&v[i].stimulus);
		size_t n = trial_count(t, ways[i].to, &trace, 0);

		if (n == 1)
			continue;
		story_note(t, &v[i].stimulus, NULL, NULL);
		return trial_fail(t, "the router delivers a datagram %zu times", n);
	}
	return true;
}

static bool ipv4_forward(struct trial *t)
{
	long long packets = PACKETS;
	struct path p, back;

	if (!trial_path(t, &p) || !trial_number(t, "packets", 1, PACKETS_MAX, &packets))
		return false;
	back = path_back(&p);
	if (!forwards(t, &p) || !forwards(t, &back))
		return false;
	if (!forwards_once(t, &p))
		return false;
	auto_series there = series_mixed(t, &p, (size_t)packets);
	auto_series home = series_mixed(t, &back, (size_t)packets);

	return series_run(&there, ADDRESSES | F(PAYLOAD)) &&
	       series_run(&home, ADDRESSES | F(PAYLOAD)) && series_came_once(&there) &&
	       series_came_once(&home);
}

/* ipv4.unknown */

#define UNKNOWN_MAX 12

struct unknown {
	struct taboo v[UNKNOWN_MAX];
	size_t n;
};

static void add_unknown(struct trial *t, struct unknown *u, const struct path *p, uint32_t ip)
{
	struct station from = place_station(p->from), nobody = from;
	struct taboo *v = &u->v[u->n];
	struct way way;

	if (u->n == UNKNOWN_MAX || !stage_is_goal(t->g->stage, ip) ||
	    stage_way(t->g->stage, ip, &way))
		return;
	nobody.ip = ip;
	*v = (struct taboo){ .at = p->from,
			     .name = "a datagram to an address in none of its networks",
			     .sentence = "the router forwards a datagram to an address that is in "
					 "none of its networks: it has to be dropped" };
	v->stimulus = trial_datagram(t, &from, &nobody, 32);
	v->answer = want_trace(&v->stimulus);
	u->n++;
}

/* Nor does the router answer for them. */
static void add_ping(struct trial *t, struct unknown *u, const struct path *p, uint32_t ip)
{
	struct station from = place_station(p->from);
	struct taboo *v = &u->v[u->n];

	if (u->n == UNKNOWN_MAX)
		return;
	*v = (struct taboo){ .at = p->from,
			     .name = "an echo request to an address in none of its networks",
			     .sentence = "the router answers an echo request to an address that is "
					 "not its own" };
	v->stimulus = trial_echo(t, &from, ip, 32);
	v->answer = (struct want){ .mark = true, .frame = v->stimulus, .all = F(ICMP_TYPE) };
	v->answer.frame.icmp.type = ICMP_ECHO_REPLY;
	u->n++;
}

/* Just outside of a network at both ends, and where a mask of whole bytes that is too short would
 * still match. */
static void add_beside(struct trial *t, struct unknown *u, const struct path *p)
{
	struct ipnet net = ipnet_network(&p->to->net->subnet);
	uint32_t first = ip4_number(&net.addr);
	uint32_t last = first | (net.prefix >= 32 ? 0 : UINT32_MAX >> net.prefix);

	add_unknown(t, u, p, last + 1 + rng_range(&t->rng, 1, 200));
	add_unknown(t, u, p, first - 1 - rng_range(&t->rng, 1, 200));
	add_unknown(t, u, p, (first & 0xff000000) | (rng_range(&t->rng, 0, 0xfffffe) ^ 0x800000));
}

static bool asked_for_unknown(struct trial *t, const struct unknown *u)
{
	for (size_t i = 0; i < probe_count(t->g->probe); i++) {
		const struct seen *s = probe_get(t->g->probe, i);

		for (size_t k = 0; k < u->n && !s->sent && s->f.has & LAYER_ARP; k++) {
			if (s->f.arp.op != ARP_REQUEST || s->f.arp.tpa != u->v[k].stimulus.ipv4.dst)
				continue;
			story_note(t, &u->v[k].stimulus, &s->f, NULL);
			return trial_fail(
				t,
				"after a datagram to %s, which is in none of its networks, the "
				"router asks who has that address: it has to drop what it knows no "
				"way for",
				ip4_text(s->f.arp.tpa).s);
		}
	}
	return true;
}

static bool ipv4_unknown(struct trial *t)
{
	struct unknown u = { .n = 0 };
	struct path p, back;
	uint32_t nowhere;

	if (!trial_path(t, &p) || !trial_nowhere(t, &nowhere))
		return false;
	back = path_back(&p);
	add_unknown(t, &u, &p, nowhere);
	add_unknown(t, &u, &back, nowhere);
	add_beside(t, &u, &p);
	add_beside(t, &u, &back);
	add_ping(t, &u, &p, nowhere);
	add_ping(t, &u, &back, nowhere);
	return trial_forbid(t, &p, u.v, u.n, control_forward) && asked_for_unknown(t, &u);
}

const struct check checks_forward[] = {
	{
		.id = "ipv4.forward",
		.title = "delivers packets, payload intact, once",
		.rfc = "RFC 1812 5.2",
		.needs = "arp.reply arp.resolve",
		.args = "from to packets",
		.points = 3,
		.hints = { "Which of your networks does the destination address belong to?",
			   "Find the interface whose subnet holds the destination; resolve the "
			   "destination's MAC there; send the packet with a new Ethernet header.",
			   "Everything behind the IP header goes out as it came in. Leave out "
			   "frames that you sent yourself (PACKET_OUTGOING)." },
		.explain = "A client sends what is not for its own network to the router's MAC "
			   "address. The router looks at\n"
			   "the destination IP address, chooses the network, and passes the packet "
			   "on, both ways, whatever\n"
			   "protocol it carries, and exactly once.",
		.run = ipv4_forward,
		.usable = trial_crosses,
	},
	{
		.id = "ipv4.unknown",
		.title = "drops what is for none of its networks",
		.rfc = "RFC 1812 5.2.4.3",
		.needs = "ipv4.forward",
		.args = "from to",
		.args_fit = fit_nowhere,
		.points = 1,
		.hints = { "What does your program do when the destination is in none of its "
			   "networks?",
			   "Compare the destination with every network, under that network's mask; "
			   "there is no network that takes the rest.",
			   "for each network: if dst & mask == net & mask: send it there; behind "
			   "the loop: drop it, and ask nobody for its MAC. An 'else' that means "
			   "'the other network' is the usual mistake." },
		.explain = "A router passes on only what it knows a way for. With two networks it "
			   "is tempting to send\n"
			   "to the second what is not for the first; then packets to addresses "
			   "that do not exist wander\n"
			   "about, and with more than one such router they do so in circles.",
		.run = ipv4_unknown,
	},
	{ 0 },
};
