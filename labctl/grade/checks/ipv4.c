/* SPDX-License-Identifier: MIT */
/* ipv4.c - checks of forwarding. */
#include <string.h>

#include "base/mem.h"
#include "grade/trial.h"

#include "base/banned.h"

#define ADDRESSES (F(IPV4_SRC) | F(IPV4_DST) | F(IPV4_PROTO))
#define TCP_RST	  0x04

/* Both clients' own stations and a plain datagram between them: what most checks begin with. */
struct setting {
	struct path p;
	struct station from, to;
};

static bool set_up(struct trial *t, struct setting *s)
{
	if (!trial_path(t, &s->p))
		return false;
	s->from = place_station(s->p.from);
	s->to = place_station(s->p.to);
	return true;
}

static struct frame plain(struct trial *t, const struct setting *s)
{
	return trial_datagram(t, &s->from, &s->to, 32);
}

static size_t largest_payload(const struct path *p)
{
	unsigned mtu = p->from->net->mtu < p->to->net->mtu ? p->from->net->mtu : p->to->net->mtu;

	return mtu > 28 + MARK_LEN ? mtu - 28 : MARK_LEN;
}

/* ipv4.forward */

/* Nothing of it may arrive twice: a router that hears its own frames would send them again. */
static bool came_once(struct trial *t, const struct setting *s, const struct frame *out)
{
	struct taboo v = { .at = s->p.from,
			   .name = "a datagram",
			   .sentence = "the router sends a datagram back to where it came from" };
	struct want trace = want_trace(out);
	size_t n;

	v.stimulus = plain(t, s);
	v.answer = want_trace(&v.stimulus);
	v.answer.all |= F(ETH_DST); /* the sender's MAC: a frame sent back */
	v.answer.frame.eth.dst = s->from.mac;
	if (!trial_forbid(t, &s->p, &v, 1, control_forward))
		return false;
	n = trial_count(t, s->p.to, &trace, 0);
	return n == 1 ? true : trial_fail(t, "the router delivers a datagram %zu times", n);
}

static bool forwards(struct trial *t, const struct path *p)
{
	struct setting s = { *p, place_station(p->from), place_station(p->to) };
	struct frame udp = plain(t, &s), full, tcp, icmp;

	full = trial_datagram(t, &s.from, &s.to, largest_payload(p));
	/* Neither wants an answer from the client's kernel. */
	tcp = plain(t, &s);
	tcp.has = LAYER_ETH | LAYER_IPV4 | LAYER_TCP;
	tcp.ipv4.proto = PROTO_TCP;
	tcp.tcp.sport = udp.udp.sport;
	tcp.tcp.dport = 80;
	tcp.tcp.flags = TCP_RST;
	tcp.tcp.offset = 5;
	tcp.tcp.seq = (uint32_t)rng_next(&t->rng);
	icmp = trial_echo(t, &s.from, s.to.ip, 33);
	icmp.icmp.type = ICMP_ECHO_REPLY;
	return trial_deliver(t, p, &udp, ADDRESSES | F(PAYLOAD) | F(UDP_SPORT) | F(UDP_DPORT)) &&
	       trial_deliver(t, p, &tcp, ADDRESSES | F(PAYLOAD) | F(TCP_SEQ) | F(TCP_FLAGS)) &&
	       trial_deliver(t, p, &icmp, ADDRESSES | F(PAYLOAD) | F(ICMP_TYPE) | F(ICMP_ID)) &&
	       trial_deliver(t, p, &full, ADDRESSES | F(PAYLOAD)) && came_once(t, &s, &udp);
}

static bool ipv4_forward(struct trial *t)
{
	struct path p, back;

	if (!trial_path(t, &p))
		return false;
	back = path_back(&p);
	return forwards(t, &p) && forwards(t, &back);
}

/* ipv4.ttl */

static bool ipv4_ttl(struct trial *t)
{
	static const uint8_t ttls[] = { 64, 2, 255, 128 };
	struct setting s;

	if (!set_up(t, &s))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(ttls); i++) {
		struct frame out = plain(t, &s);

		out.ipv4.ttl = ttls[i];
		if (!trial_deliver(t, &s.p, &out, F(IPV4_TTL)))
			return false;
	}
	return true;
}

/* ipv4.checksum */

static bool ipv4_checksum(struct trial *t)
{
	/* What the header has when it is sent. TTL - 1 adds 0x0100: the second must come out as
	 * 0x0000 (RFC 1141's arithmetic makes it 0xffff), the others carry. */
	static const uint16_t corners[] = { 0x0000, 0xfeff, 0xff00, 0xff42, 0xfffe };
	struct setting s;

	if (!set_up(t, &s))
		return false;
	for (int i = 0; i < 8; i++) {
		struct frame out = plain(t, &s);

		out.ipv4.ttl = (uint8_t)rng_range(&t->rng, 2, 255);
		if (!trial_deliver(t, &s.p, &out, F(IPV4_CHECKSUM)))
			return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(corners); i++) {
		struct frame out = plain(t, &s);

		frame_steer(&out, F_IPV4_ID, F_IPV4_CHECKSUM, corners[i]);
		if (!trial_deliver(t, &s.p, &out, F(IPV4_CHECKSUM)))
			return false;
	}
	return true;
}

/* ipv4.preserve */

#define PRESERVED                                                                                  \
	(F(IPV4_IHL) | F(IPV4_TOS) | F(IPV4_LENGTH) | F(IPV4_ID) | F(IPV4_FLAGS) |                 \
	 F(IPV4_OFFSET) | F(IPV4_OPTIONS) | F(PAYLOAD))

static bool preserves_padding(struct trial *t, const struct setting *s, size_t pad)
{
	struct frame out = trial_datagram(t, &s->from, &s->to, MARK_LEN);

	out.trailer = trial_bytes(t, pad);
	out.trailer_len = pad;
	return trial_deliver(t, &s->p, &out, PRESERVED);
}

static bool preserves_fragment(struct trial *t, const struct setting *s, uint8_t flags)
{
	struct frame out = plain(t, s);

	out.has = LAYER_ETH | LAYER_IPV4; /* not the first one: it has no UDP header */
	out.ipv4.length = 20 + 32;
	out.ipv4.flags = flags;
	out.ipv4.offset = (uint16_t)rng_range(&t->rng, 1, 180);
	return trial_deliver(t, &s->p, &out, PRESERVED);
}

static bool ipv4_preserve(struct trial *t)
{
	/* Stream identifier, whose value is no router's business, and three fillers. */
	static const uint8_t options[] = { 0x88, 0x04, 0x5a, 0xa5, 0x01, 0x01, 0x01, 0x00 };
	struct setting s;
	struct frame out;

	if (!set_up(t, &s))
		return false;
	out = plain(t, &s);
	out.ipv4.tos = 0xb9;
	out.ipv4.flags = IPV4_DF;
	if (!trial_deliver(t, &s.p, &out, PRESERVED))
		return false;
	out = plain(t, &s);
	out.ipv4.n_options = sizeof(options);
	memcpy(out.ipv4.options, options, sizeof(options));
	out.ipv4.ihl = 7;
	out.ipv4.length = (uint16_t)(out.ipv4.length + sizeof(options));
	return trial_deliver(t, &s.p, &out, PRESERVED) && preserves_fragment(t, &s, 0) &&
	       preserves_fragment(t, &s, IPV4_MF) && preserves_padding(t, &s, 10) &&
	       preserves_padding(t, &s, 64);
}

/* ipv4.ttl.expired */

static bool ipv4_ttl_expired(struct trial *t)
{
	struct taboo v[2] = {
		{ .name = "a datagram with TTL 1",
		  .sentence = "the router forwards a datagram whose TTL is 1: there it ends" },
		{ .name = "a datagram with TTL 0",
		  .sentence = "the router forwards a datagram whose TTL is 0" },
	};
	struct setting s;

	if (!set_up(t, &s))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		v[i].at = s.p.from;
		v[i].stimulus = plain(t, &s);
		v[i].stimulus.ipv4.ttl = (uint8_t)(1 - i);
		v[i].answer = want_trace(&v[i].stimulus);
	}
	return trial_forbid(t, &s.p, v, ARRAY_SIZE(v), control_forward);
}

/* ipv4.invalid */

/* The checksum that is right for the header length it claims: nothing else may give it away. */
static void seal(struct frame *f)
{
	auto_free uint8_t *buf = xmalloc(FRAME_MAX);
	size_t n, hlen = f->ipv4.ihl * 4u;

	frame_set(f, F_IPV4_CHECKSUM, 0);
	n = frame_encode(f, buf, FRAME_MAX) - 14;
	frame_set(f, F_IPV4_CHECKSUM, inet_fold(inet_sum(buf + 14, hlen < n ? hlen : n, 0)));
}

static bool ipv4_invalid(struct trial *t)
{
	static const struct {
		enum field field;
		uint64_t value;
		const char *name, *sentence;
	} cases[] = {
		{ F_IPV4_VERSION, 5, "a datagram with IP version 5",
		  "the router forwards a datagram whose IP version is not 4" },
		{ F_IPV4_IHL, 4, "a datagram with IHL 4",
		  "the router forwards a datagram whose header length is less than 20 bytes" },
		{ F_IPV4_IHL, 15, "a datagram with a header longer than its total length",
		  "the router forwards a datagram whose header is longer than its total length" },
		{ F_IPV4_LENGTH, 19, "a datagram with total length 19",
		  "the router forwards a datagram whose total length is less than its header" },
		{ F_IPV4_LENGTH, 1200, "a datagram that is shorter than its total length",
		  "the router forwards a datagram of which a part is missing: its total length "
		  "is more than arrived" },
		{ F_IPV4_CHECKSUM, 0, "a datagram with a wrong header checksum",
		  "the router forwards a datagram whose header checksum is wrong" },
	};
	struct taboo v[ARRAY_SIZE(cases) + 1] = { 0 };
	struct setting s;
	struct frame *f;

	if (!set_up(t, &s))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		v[i] = (struct taboo){ .at = s.p.from,
				       .name = cases[i].name,
				       .sentence = cases[i].sentence };
		f = &v[i].stimulus;
		*f = trial_datagram(t, &s.from, &s.to, 32);
		v[i].answer = want_trace(f);
		if (cases[i].field == F_IPV4_CHECKSUM) {
			seal(f);
			frame_set(f, F_IPV4_CHECKSUM,
				  f->ipv4.checksum ^ rng_range(&t->rng, 1, UINT16_MAX - 1));
			continue;
		}
		if (cases[i].value == 15) /* the bytes are there, but not the packet's */
			frame_set(f, F_IPV4_LENGTH, 28 + MARK_LEN);
		frame_set(f, cases[i].field, cases[i].value);
		seal(f);
	}
	f = &v[ARRAY_SIZE(cases)].stimulus;
	*f = plain(t, &s);
	f->has = LAYER_ETH;
	f->payload = (const uint8_t *)"\x45\x00\x00\x3c\x00\x01\x00\x00\x40";
	f->payload_len = 9;
	v[ARRAY_SIZE(cases)].at = s.p.from;
	v[ARRAY_SIZE(cases)].name = "a frame that ends in the middle of the IP header";
	v[ARRAY_SIZE(cases)].answer = (struct want){ .all = F(PAYLOAD), .frame = *f };
	v[ARRAY_SIZE(cases)].sentence = "the router forwards a frame that ends in the IP header";
	return trial_forbid(t, &s.p, v, ARRAY_SIZE(v), control_forward);
}

/* ipv4.martian */

static bool ipv4_martian(struct trial *t)
{
	static const struct {
		enum field field;
		uint32_t address;
		const char *name, *sentence;
	} cases[] = {
		{ F_IPV4_SRC, 0x7f000001, "a datagram from 127.0.0.1",
		  "the router forwards a datagram from 127.0.0.1: loopback addresses never leave "
		  "a host" },
		{ F_IPV4_SRC, 0x00000000, "a datagram from 0.0.0.0",
		  "the router forwards a datagram from 0.0.0.0" },
		{ F_IPV4_SRC, 0x00010203, "a datagram from 0.1.2.3",
		  "the router forwards a datagram from 0.0.0.0/8" },
		{ F_IPV4_SRC, 0xffffffff, "a datagram from 255.255.255.255",
		  "the router forwards a datagram from the broadcast address" },
		{ F_IPV4_SRC, 0xa9fe0a14, "a datagram from 169.254.10.20",
		  "the router forwards a datagram from a link-local address (169.254.0.0/16)" },
		{ F_IPV4_DST, 0x7f000005, "a datagram to 127.0.0.5",
		  "the router forwards a datagram to a loopback address" },
		{ F_IPV4_DST, 0x00010203, "a datagram to 0.1.2.3",
		  "the router forwards a datagram to 0.0.0.0/8" },
		{ F_IPV4_DST, 0xffffffff, "a datagram to 255.255.255.255",
		  "the router forwards a datagram to the broadcast address" },
		{ F_IPV4_DST, 0xa9fe0a14, "a datagram to 169.254.10.20",
		  "the router forwards a datagram to a link-local address (169.254.0.0/16)" },
	};
	struct taboo v[ARRAY_SIZE(cases)];
	struct setting s;

	if (!set_up(t, &s))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		v[i] = (struct taboo){ .at = s.p.from,
				       .name = cases[i].name,
				       .sentence = cases[i].sentence };
		v[i].stimulus = plain(t, &s);
		frame_set(&v[i].stimulus, cases[i].field, cases[i].address);
		v[i].answer = want_trace(&v[i].stimulus);
	}
	return trial_forbid(t, &s.p, v, ARRAY_SIZE(v), control_forward);
}

const struct check checks_ipv4[] = {
	{
		.id = "ipv4.forward",
		.title = "delivers packets, payload intact, once",
		.rfc = "RFC 1812 5.2",
		.needs = "arp.reply arp.resolve",
		.args = "from to",
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
		.id = "ipv4.ttl",
		.title = "decrements TTL by exactly one",
		.rfc = "RFC 1812 5.3.1",
		.needs = "ipv4.forward",
		.args = "from to",
		.points = 1,
		.hints = { "What keeps a packet from circling for ever?",
			   "Every router takes one from the byte at offset 8 of the IP header.",
			   "ttl = ttl - 1, also for 255; then mend the checksum." },
		.explain = "The time to live counts routers. Each takes away one, no more, so that "
			   "packets in a loop die\n"
			   "and traceroute can count.",
		.run = ipv4_ttl,
	},
	{
		.id = "ipv4.checksum",
		.title = "leaves a correct header checksum, corners included",
		.rfc = "RFC 1624",
		.needs = "ipv4.forward",
		.args = "from to",
		.points = 2,
		.hints = { "You changed a byte of the header: what else depends on it?",
			   "The header checksum covers the TTL. Compute it anew with the checksum "
			   "field set to zero, over IHL * 4 bytes.",
			   "Add all 16-bit words, fold the carries back in until none is left, "
			   "take "
			   "the complement. If you update it instead: RFC 1624 equation 3; the "
			   "result is never 0xFFFF." },
		.explain =
			"The one's complement sum over the header is 0xFFFF when the checksum is "
			"right. Zero has two\n"
			"representations in that arithmetic: an update by RFC 1141 turns 0xFEFF "
			"into 0xFFFF where a\n"
			"full computation gives 0x0000. RFC 1624 tells the whole story.",
		.run = ipv4_checksum,
	},
	{
		.id = "ipv4.preserve",
		.title = "leaves everything else in the packet alone",
		.rfc = "RFC 1812 5.3",
		.needs = "ipv4.forward",
		.args = "from to",
		.points = 1,
		.hints = { "Which bytes of the packet may a router change at all?",
			   "Copy the header as it is instead of building a new one; mind headers "
			   "longer than 20 bytes.",
			   "Only TTL and checksum change. The packet ends after its total length: "
			   "what follows in the frame is padding." },
		.explain =
			"TOS, identification, flags, fragment offset, options and payload belong "
			"to the sender. Short frames\n"
			"are padded to 60 bytes on Ethernet: the IP total length, not the "
			"frame's, says where the packet ends.",
		.run = ipv4_preserve,
	},
	{
		.id = "ipv4.ttl.expired",
		.title = "does not forward TTL 0 or 1",
		.rfc = "RFC 1812 5.3.1",
		.needs = "ipv4.forward",
		.args = "from to",
		.points = 1,
		.hints = { "What TTL would the next router see?",
			   "Decide before you decrement: a TTL that would become 0 goes no "
			   "further.",
			   "if ttl <= 1: drop (and later: say time exceeded). Packets to the "
			   "router "
			   "itself are not forwarded, so this does not concern them." },
		.explain = "A packet whose TTL would reach zero has been on its way for too long. "
			   "0 - 1 in one byte is 255:\n"
			   "a router that forgets TTL 0 makes an old packet young again.",
		.run = ipv4_ttl_expired,
	},
	{
		.id = "ipv4.invalid",
		.title = "drops bad version, IHL, length, checksum",
		.rfc = "RFC 1812 5.2.2",
		.needs = "ipv4.forward",
		.args = "from to",
		.points = 2,
		.hints = { "Can you trust a header before you have looked at it?",
			   "RFC 1812 5.2.2 lists five tests, in order; all come before anything "
			   "else is done with the packet.",
			   "Enough bytes for a header; checksum right; version 4; IHL at least 5; "
			   "total length at least IHL * 4 and at most what arrived. Otherwise "
			   "drop, "
			   "silently." },
		.explain = "A damaged header may carry a wrong address: the packet must not go on, "
			   "least of all with a fresh,\n"
			   "correct checksum. And lengths that lie must not end your program.",
		.run = ipv4_invalid,
	},
	{
		.id = "ipv4.martian",
		.title = "does not forward to or from addresses that cannot be",
		.rfc = "RFC 1812 5.3.7",
		.needs = "ipv4.forward",
		.args = "from to",
		.points = 1,
		.hints = { "Are there addresses that no station on another network can have?",
			   "Look at the source as well as at the destination.",
			   "Drop 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16 and 255.255.255.255, as "
			   "source and as destination." },
		.explain = "Martians are addresses that have no business on a wire between "
			   "networks: this host (0/8), loopback\n"
			   "(127/8), link-local (169.254/16, RFC 3927), limited broadcast.",
		.run = ipv4_martian,
	},
	{ 0 },
};
