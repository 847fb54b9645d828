/* SPDX-License-Identifier: MIT */
/* error.c - checks of what the router says when something goes wrong: ICMP errors. */
#include <string.h>

#include "base/mem.h"
#include "grade/checks/resolve.h"
#include "grade/complaint.h"
#include "grade/fit.h"

#include "base/banned.h"

#define HOST_PATIENCE_MS 8000 /* a router asks a few times before it gives up */
#define AGAIN_MS	 250  /* in which one that does not forget has given up once more */

/* icmp.time-exceeded */

static struct complaint time_exceeded(const struct path *p, const struct frame *about)
{
	struct complaint c = { .at = p->from,
			       .about = *about,
			       .type = ICMP_TIME_EXCEEDED,
			       .from = p->from->router_ip,
			       .missing = "no ICMP message came about a packet whose TTL ended at "
					  "the router" };

	c.about.ipv4.ttl = 1;
	return c;
}

/* Does the router speak at all? What is silent about everything would pass. */
static bool speaks(struct trial *t, const struct path *p)
{
	struct station from = place_station(p->from), to = place_station(p->to);
	struct frame plain = trial_datagram(t, &from, &to, 32);
	struct complaint c = time_exceeded(p, &plain);

	return trial_complaint(t, &c);
}

static bool time_exceeded_usable(struct trial *t)
{
	struct path p;

	return trial_path(t, &p) && speaks(t, &p);
}

/* The packet ended here: one message about it, and itself nowhere. */
static bool ended_here(struct trial *t, const struct path *p, const struct frame *packet)
{
	struct want message = want_complaint(packet), trace = want_trace(packet);
	struct path back = path_back(p);
	size_t n;

	if (!trial_alive(t, p) || !trial_alive(t, &back))
		return false;
	if (trial_count(t, p->to, &trace, 0))
		return trial_fail(t, "the router says time exceeded about a packet, and forwards "
				     "it all the same");
	n = trial_count(t, p->from, &message, 0);
	return n < 2 ? true
		     : trial_fail(t, "the router sends %zu ICMP messages about one packet", n);
}

static bool icmp_time_exceeded(struct trial *t)
{
	/* Experimental (RFC 4727): no router knows it, and it stays in the quotation. */
	static const uint8_t option[] = { 0x9e, 0x04, 0x12, 0x34 };
	struct station from, to;
	struct frame udp, echo, options;
	struct complaint c;
	struct path p;

	if (!trial_path(t, &p))
		return false;
	from = place_station(p.from);
	to = place_station(p.to);
	udp = trial_datagram(t, &from, &to, 32);
	c = time_exceeded(&p, &udp);
	if (!trial_complaint(t, &c) || !ended_here(t, &p, &c.about))
		return false;
	echo = trial_echo(t, &from, to.ip, 57);
	c = time_exceeded(&p, &echo);
	c.missing = "time exceeded is said about UDP, but not about an ICMP echo request, which is "
		    "a question and no error";
	if (!trial_complaint(t, &c))
		return false;
	options = trial_datagram(t, &from, &to, 1000);
	options.ipv4.n_options = sizeof(option);
	memcpy(options.ipv4.options, option, sizeof(option));
	options.ipv4.ihl = 6;
	options.ipv4.length += sizeof(option);
	c = time_exceeded(&p, &options);
	c.missing = "no ICMP message came about a packet with IP options whose TTL ended";
	if (!trial_complaint(t, &c))
		return false;
	c = time_exceeded(&p, &udp);
	return trial_complaint_full(t, &c);
}

/* icmp.net-unreachable */

static bool icmp_net_unreachable(struct trial *t)
{
	struct station from, nobody;
	struct complaint c = { .type = ICMP_UNREACHABLE,
			       .code = ICMP_NET_UNREACHABLE,
			       .missing = "no ICMP message came about a packet to an address that "
					  "the router has no way to" };
	struct path p;

	if (!trial_path(t, &p))
		return false;
	from = place_station(p.from);
	nobody = from;
	if (!trial_nowhere(t, &nobody.ip))
		return false;
	c.at = p.from;
	c.from = p.from->router_ip;
	c.about = trial_datagram(t, &from, &nobody, 32);
	return trial_complaint(t, &c) && trial_complaint_full(t, &c);
}

/* icmp.host-unreachable */

static bool icmp_host_unreachable(struct trial *t)
{
	struct station from, silent;
	struct complaint c = { .type = ICMP_UNREACHABLE,
			       .code = ICMP_HOST_UNREACHABLE,
			       .missing = "no ICMP message came about a packet to a neighbour that "
					  "does not answer ARP, though there was plenty of time",
			       .patience_ms = HOST_PATIENCE_MS };
	struct want message;
	struct err e = { 0 };
	struct path p;
	size_t n;

	if (!trial_path(t, &p) || !trial_guest(t, p.to, &silent))
		return false;
	from = place_station(p.from);
	c.at = p.from;
	c.from = p.from->router_ip;
	c.about = trial_datagram(t, &from, &silent, 32);
	if (!trial_complaint(t, &c) || !asked_slowly(t, &silent, 0))
		return false;
	/* Who does not forget says it at the next look at the clock, or as often as a limit allows. */
	if (probe_wait(t->g->probe, AGAIN_MS * NS_PER_MS, NULL, NULL, &e) < 0)
		return trial_error(t, &e);
	if (!trial_alive(t, &p))
		return false;
	message = want_complaint(&c.about);
	n = trial_count(t, p.from, &message, 0);
	return n < 2 ? true
		     : trial_fail(t,
				  "the router says host unreachable %zu times about one packet: "
				  "what it has given up is to be forgotten",
				  n);
}

/* icmp.port-unreachable */

static bool icmp_port_unreachable(struct trial *t)
{
	struct station from, near, far;
	struct complaint c = { .type = ICMP_UNREACHABLE,
			       .code = ICMP_PORT_UNREACHABLE,
			       .missing =
				       "no ICMP message came about a UDP datagram to the router's "
				       "own address, where nothing listens" };
	struct path p;

	if (!trial_path(t, &p))
		return false;
	from = near = far = place_station(p.from);
	near.ip = p.from->router_ip;
	far.ip = p.to->router_ip;
	c.at = p.from;
	c.from = near.ip;
	c.about = trial_datagram(t, &from, &near, 32);
	c.about.udp.dport = (uint16_t)rng_range(&t->rng, 33434, 33500); /* traceroute's */
	if (!trial_complaint(t, &c) || !trial_complaint_full(t, &c))
		return false;
	c.about = trial_datagram(t, &from, &far, 9);
	c.about.udp.dport = (uint16_t)rng_range(&t->rng, 33434, 33500);
	c.from = 0; /* the address that was asked, or that of the way back: both are common */
	c.missing = "no ICMP message came about a UDP datagram to the router's address on another "
		    "network: all its addresses are its own";
	return trial_complaint(t, &c);
}

/* icmp.no-error-about-error */

/* A packet that ends at the router, with something about it that forbids a message. */
struct silence {
	struct trial *t;
	struct path p;
	struct frame plain;
	struct taboo v[16];
	size_t n;
};

static struct frame *forbid(struct silence *s, const char *name, const char *sentence)
{
	struct station from = place_station(s->p.from), to = place_station(s->p.to);
	struct taboo *v = &s->v[s->n++];

	*v = (struct taboo){ .at = s->p.from, .name = name, .sentence = sentence };
	v->stimulus = trial_datagram(s->t, &from, &to, 32);
	v->stimulus.ipv4.ttl = 1;
	return &v->stimulus;
}

/* An ICMP error that quotes some datagram, sent on with TTL 1. */
static void forbid_about_error(struct silence *s, uint8_t type, uint8_t code, const char *name)
{
	struct frame *f = forbid(s, name,
				 "the router sends an ICMP error about an ICMP error: two such "
				 "routers would never stop");
	uint8_t *quote = xcalloc(1, 28);

	*array_push(s->t->payloads, s->t->n_payloads) = quote;
	quote[0] = 0x45;
	quote[3] = 28;
	quote[8] = 1;
	quote[9] = PROTO_UDP;
	rng_fill(&s->t->rng, quote + 12, 16);
	f->has = LAYER_ETH | LAYER_IPV4 | LAYER_ICMP;
	f->ipv4.proto = PROTO_ICMP;
	f->icmp.type = type;
	f->icmp.code = code;
	f->payload = quote;
	f->payload_len = 28;
	f->ipv4.length = 20 + 8 + 28;
}

static void forbid_destination(struct silence *s, uint32_t dst, uint64_t mac, const char *name,
			       const char *sentence)
{
	struct frame *f = forbid(s, name, sentence);

	f->ipv4.dst = dst;
	f->ipv4.ttl = 64;
	if (mac)
		f->eth.dst = mac_from_number(mac);
}

static void forbid_source(struct silence *s, uint32_t src, const char *name)
{
	forbid(s, name,
	       "the router sends an ICMP error to an address that is no host's: there is nobody "
	       "to tell")
		->ipv4.src = src;
}

static void forbid_all(struct silence *s)
{
	const char *group = "the router sends an ICMP error about a packet to many: if all who get "
			    "it did so, there would be a storm";
	struct ipnet net = ipnet_network(&s->p.from->net->subnet);
	uint32_t broadcast = ip4_number(&net.addr) | UINT32_MAX >> net.prefix;
	struct frame *f;

	forbid_about_error(s, ICMP_UNREACHABLE, 1, "an ICMP destination unreachable with TTL 1");
	forbid_about_error(s, ICMP_TIME_EXCEEDED, 0, "an ICMP time exceeded with TTL 1");
	f = forbid(s, "a fragment that is not the first",
		   "the router sends an ICMP error about a fragment that is not the first: one "
		   "message a packet is enough");
	f->has = LAYER_ETH | LAYER_IPV4;
	f->ipv4.length = 20 + 32;
	f->ipv4.offset = 10;
	forbid_destination(s, broadcast, 0, "a datagram to the network's broadcast address", group);
	forbid_destination(s, 0xffffffff, 0xffffffffffff, "a datagram to 255.255.255.255", group);
	forbid_destination(s, 0xe0000005, 0x01005e000005, "a datagram to 224.0.0.5", group);
	forbid(s, "a datagram with TTL 1 in a broadcast frame",
	       "the router sends an ICMP error about a packet that came in a frame to all stations")
		->eth.dst = mac_from_number(0xffffffffffff);
	forbid_source(s, 0, "a datagram from 0.0.0.0");
	forbid_source(s, 0x7f000001, "a datagram from 127.0.0.1");
	forbid_source(s, 0xe0000001, "a datagram from 224.0.0.1");
	forbid_source(s, broadcast, "a datagram from the network's broadcast address");
	forbid_source(s, 0xffffffff, "a datagram from 255.255.255.255");
}

static bool icmp_no_error_about_error(struct trial *t)
{
	struct silence s = { .t = t };

	if (!trial_path(t, &s.p) || !speaks(t, &s.p))
		return false;
	forbid_all(&s);
	for (size_t i = 0; i < s.n; i++)
		s.v[i].answer = want_complaint(&s.v[i].stimulus);
	return trial_forbid(t, &s.p, s.v, s.n, control_forward) && speaks(t, &s.p);
}

/* icmp.rate */

#define FLOOD	     600
#define FLOOD_BATCH  10
#define BURST_MAX    150 /* what the README allows, and half as much again */
#define RATE_MAX     150
#define BURST_MIN    10
#define RECOVERY_MS  3000
#define RECOVERY_TRY 10

/* Sends the flood, a little at a time so that no buffer overflows; *ret_ns: how long it took
 * until the last message about it. */
static bool flood(struct trial *t, const struct path *p, size_t *ret_messages, double *ret_s)
{
	struct station from = place_station(p->from), to = place_station(p->to);
	size_t start = probe_count(t->g->probe);
	uint64_t begin = clock_real_ns(), last = begin;
	struct err e = { 0 };

	for (int i = 0; i < FLOOD; i++) {
		struct frame f = trial_datagram(t, &from, &to, MARK_LEN);

		f.ipv4.ttl = 1;
		if (!trial_send(t, p->from, &f))
			return false;
		if (i % FLOOD_BATCH == FLOOD_BATCH - 1 && !trial_alive(t, p))
			return false;
	}
	if (probe_wait(t->g->probe, grader_silence_ns(t->g), NULL, NULL, &e) < 0)
		return trial_error(t, &e);
	*ret_messages = 0;
	for (size_t i = start; i < probe_count(t->g->probe); i++) {
		const struct seen *s = probe_get(t->g->probe, i);

		if (s->sent || s->port != p->from->port || !(s->f.has & LAYER_ICMP) ||
		    s->f.icmp.type != ICMP_TIME_EXCEEDED)
			continue;
		++*ret_messages;
		last = s->ns > last ? s->ns : last;
	}
	*ret_s = (double)(last - begin) / NS_PER_S;
	return true;
}

/* After the flood: a limit that never lets go again is a dead router. */
static bool recovers(struct trial *t, const struct path *p)
{
	struct station from = place_station(p->from), to = place_station(p->to);

	for (int i = 0; i < RECOVERY_TRY; i++) {
		struct frame plain = trial_datagram(t, &from, &to, 32);
		struct want w;

		plain.ipv4.ttl = 1;
		w = want_complaint(&plain);
		w.patience_ms = RECOVERY_MS / RECOVERY_TRY;
		if (!trial_send(t, p->from, &plain))
			return false;
		if (trial_await(t, p->from, &w))
			return true;
		if (t->verdict == VERDICT_ERROR)
			return false;
	}
	return trial_fail(t,
			  "after a flood the router says nothing any more, for %d seconds: a "
			  "limit must let messages through again",
			  RECOVERY_MS / 1000);
}

static bool icmp_rate(struct trial *t)
{
	size_t messages;
	double seconds;
	struct path p;

	if (!trial_path(t, &p) || !recovers(t, &p) || !flood(t, &p, &messages, &seconds))
		return false;
	if ((double)messages > BURST_MAX + RATE_MAX * seconds)
		return trial_fail(
			t,
			"%d packets whose TTL ended, and the router sent %zu ICMP messages "
			"in %.2f seconds: what it originates must be limited",
			FLOOD, messages, seconds);
	if (messages < BURST_MIN)
		return trial_fail(
			t,
			"%d packets whose TTL ended, and the router sent %zu ICMP messages: "
			"20 right after each other must be possible",
			FLOOD, messages);
	return recovers(t, &p);
}

const struct check checks_error[] = {
	{
		.id = "icmp.time-exceeded",
		.title = "says time exceeded, and quotes the packet",
		.rfc = "RFC 1812 4.3.2, 5.3.1",
		.needs = "arp.reply",
		.args = "from to",
		.points = 4,
		.hints = { "What does traceroute do, and what does it wait for?",
			   "A packet with TTL 1 or 0 that you would forward ends here: its source "
			   "gets ICMP type 11, code 0, from your address on the network on which "
			   "it came in.",
			   "IP header (source = your address there, destination = the packet's "
			   "source, protocol 1), then 11, 0, checksum, four zero bytes, then the "
			   "packet from its IP header on: with its options, and at least 8 bytes "
			   "behind them." },
		.explain =
			"The TTL keeps packets from circling for ever. Who ends one tells its "
			"sender, and quotes the\n"
			"beginning of the packet, so that the sender knows which one it was: the "
			"ports are in the 8 bytes\n"
			"behind the IP header. traceroute sends packets with TTL 1, 2, 3, ... and "
			"shows who answers.",
		.run = icmp_time_exceeded,
		.usable = time_exceeded_usable,
	},
	{
		.id = "icmp.net-unreachable",
		.title = "says net unreachable where there is no way",
		.rfc = "RFC 1812 4.3.3.1",
		.needs = "arp.reply",
		.args = "from to",
		.args_fit = fit_nowhere,
		.points = 3,
		.hints = { "What does your router do with a packet to 9.9.9.9?",
			   "When no network and no route has the destination, the source is told: "
			   "ICMP type 3, code 0.",
			   "The same message as time exceeded, with 3, 0 in place of 11, 0: from "
			   "your address on the side it came from, four zero bytes, the packet "
			   "quoted." },
		.explain = "Destination unreachable comes in kinds; 0 is the network: the router "
			   "has no way to go on. The\n"
			   "sender's program gets an error at once instead of waiting for nothing.",
		.run = icmp_net_unreachable,
	},
	{
		.id = "icmp.host-unreachable",
		.title = "says host unreachable when nobody answers ARP",
		.rfc = "RFC 1812 4.3.3.1",
		.needs = "arp.reply",
		.args = "from to",
		.points = 3,
		.hints = { "What becomes of a packet that waits for an ARP reply that never "
			   "comes?",
			   "Ask some three times, a second apart; then give up: ICMP type 3, code "
			   "1, to the source of each packet that waited.",
			   "Your loop must wake up when nothing arrives: give poll, select or "
			   "epoll "
			   "a time limit, and look at that time which questions are old." },
		.explain = "The network is there, but nobody on it has that address. The router "
			   "is the only one who can know:\n"
			   "it asked. It tells the sender when it gives up, after a few seconds.",
		.run = icmp_host_unreachable,
	},
	{
		.id = "icmp.port-unreachable",
		.title = "says port unreachable for UDP to its own addresses",
		.rfc = "RFC 1812 4.3.3.1, RFC 1122 4.1.3.1",
		.needs = "arp.reply",
		.args = "from to",
		.points = 3,
		.hints = { "How does traceroute notice that it has arrived?",
			   "A UDP datagram to one of your own addresses goes to a port where "
			   "nothing listens: ICMP type 3, code 3.",
			   "Look at the destination address first (any of your own), then at the "
			   "protocol: 1 is ICMP, 17 is UDP; for UDP send 3, 3 and quote it." },
		.explain = "To its own addresses a router is a host like any other: who sends UDP "
			   "to a port where no program\n"
			   "listens is told so. Without it traceroute never ends when the goal is "
			   "the router itself.",
		.run = icmp_port_unreachable,
	},
	{
		.id = "icmp.no-error-about-error",
		.title = "keeps silent where a message would do harm",
		.rfc = "RFC 1812 4.3.2.7",
		.needs = "icmp.time-exceeded ipv4.forward",
		.args = "from to",
		.points = 4,
		.hints = { "What happens when two routers report each other's error messages?",
			   "Before you send an ICMP error, look at the packet it would be about: "
			   "what is it, to whom did it go, from whom did it come?",
			   "None about: ICMP types 3, 4, 5, 11, 12; a fragment offset other than "
			   "0; a broadcast or multicast destination, at the IP or the Ethernet "
			   "level; a source that is 0.x, 127.x, 224 and above, or a broadcast "
			   "address." },
		.explain =
			"One packet must never cause an avalanche. So there is no ICMP error "
			"about an ICMP error, about a\n"
			"fragment but the first, about what went to many, or to a source that is "
			"not one host.",
		.run = icmp_no_error_about_error,
	},
	{
		.id = "icmp.rate",
		.title = "limits how many ICMP messages it sends",
		.rfc = "RFC 1812 4.3.2.8",
		.needs = "icmp.time-exceeded",
		.args = "from to",
		.points = 2,
		.hints = { "What if somebody sends you a million packets with TTL 1?",
			   "Count your messages: at most 100 a second, but at least 20 right after "
			   "each other, for traceroute.",
			   "A token bucket: tokens = min(50, tokens + 50 * seconds since the last "
			   "look); when there is one, take it and send, otherwise be silent." },
		.explain =
			"Errors cost you time and the network room, and anybody can make you send "
			"them, with a false source\n"
			"even to somebody else. RFC 1812 asks for a limit. A token bucket allows "
			"short bursts and bounds\n"
			"the long run.",
		.run = icmp_rate,
	},
	{ 0 },
};
