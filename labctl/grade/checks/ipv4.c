/* SPDX-License-Identifier: MIT */
/* ipv4.c - checks of what the router does with the IPv4 header. */
#include <string.h>

#include "base/mem.h"
#include "grade/series.h"

#include "base/banned.h"

#define SAMPLE	     32 /* datagrams each way of which a check looks at everything */
#define WITH_OPTIONS 12

/* Both clients' own stations and a plain datagram between them: what most checks begin with. */
struct setting {
	struct path p;
	struct station from, to;
};

/* There and back. */
#define WAYS 2

static bool set_up(struct trial *t, struct setting s[WAYS])
{
	if (!trial_path(t, &s[0].p))
		return false;
	s[1].p = path_back(&s[0].p);
	for (size_t i = 0; i < WAYS; i++) {
		s[i].from = place_station(s[i].p.from);
		s[i].to = place_station(s[i].p.to);
	}
	return true;
}

/* With IP options, both ways. */
static bool options_arrive(struct trial *t, const struct setting s[WAYS], bool record,
			   fields_t judge)
{
	for (size_t i = 0; i < WAYS; i++) {
		auto_series some = series_options(t, &s[i].p, WITH_OPTIONS, record);

		if (!(record ? series_sample : series_run)(&some, judge))
			return false;
	}
	return true;
}

static struct frame plain(struct trial *t, const struct setting *s)
{
	return trial_datagram(t, &s->from, &s->to, 32);
}

/* ipv4.ttl */

static bool has_ttl(struct trial *t, const struct setting *s, uint8_t ttl)
{
	struct frame out = plain(t, s);
	struct want w = { .what = "the forwarded datagram",
			  .missing = "the router did not deliver a datagram",
			  .all = F(ETH_TYPE),
			  .any = F(IPV4_ID),
			  .mark = true,
			  .judge = F(IPV4_TTL) };

	out.ipv4.ttl = ttl;
	w.frame = path_forwarded(&s->p, &out);
	if (ttl == 2)
		w.missing = "the router did not deliver a datagram with TTL 2: it goes on with TTL "
			    "1, and only the next router would end it. Look at the TTL before you "
			    "decrement it";
	return trial_send(t, s->p.from, &out) && trial_expect(t, s->p.to, &w);
}

static bool ipv4_ttl(struct trial *t)
{
	static const uint8_t ttls[] = { 64, 2, 255, 128 };
	struct setting s[WAYS];

	if (!set_up(t, s))
		return false;
	for (size_t i = 0; i < WAYS; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(ttls); k++) {
			if (!has_ttl(t, &s[i], ttls[k]))
				return false;
		}
	}
	return series_both_ways(t, &s[0].p, SAMPLE, F(IPV4_TTL));
}

/* ipv4.checksum */

/* TTL - 1 leaves 0xfffe with a sum so large that its carries, added back in, carry once more. */
static bool carries_twice(struct trial *t, const struct setting *s)
{
	struct frame out = plain(t, s);

	out.ipv4.tos = 0xff;
	out.ipv4.ttl = 255;
	out.ipv4.flags = IPV4_DF;
	frame_steer(&out, F_IPV4_ID, F_IPV4_CHECKSUM, 0xfefe);
	return trial_deliver(t, &s->p, &out, F(IPV4_CHECKSUM));
}

static bool ipv4_checksum(struct trial *t)
{
	/* What the header has when it is sent. TTL - 1 adds 0x0100: the second must come out as
	 * 0x0000 (RFC 1141's arithmetic makes it 0xffff), the others carry. */
	static const uint16_t corners[] = { 0x0000, 0xfeff, 0xff00, 0xff42, 0xfffe };
	struct setting s[WAYS];

	if (!set_up(t, s))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(corners) * WAYS; i++) {
		const struct setting *way = &s[i % WAYS];
		struct frame out = plain(t, way);

		if (i < WAYS && !trial_deliver(t, &way->p, &out, F(IPV4_CHECKSUM)))
			return false;
		out = plain(t, way);
		frame_steer(&out, F_IPV4_ID, F_IPV4_CHECKSUM, corners[i / WAYS]);
		if (!trial_deliver(t, &way->p, &out, F(IPV4_CHECKSUM)))
			return false;
	}
	return carries_twice(t, &s[0]) && carries_twice(t, &s[1]) &&
	       series_both_ways(t, &s[0].p, SAMPLE, F(IPV4_CHECKSUM)) &&
	       options_arrive(t, s, true, F(IPV4_CHECKSUM));
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

/* An IP header and nothing behind it: as short as a packet can be. */
static bool preserves_nothing(struct trial *t, const struct setting *s)
{
	struct frame out = plain(t, s);

	out.has = LAYER_ETH | LAYER_IPV4;
	out.ipv4.offset = (uint16_t)rng_range(&t->rng, 1, 180);
	out.ipv4.length = 20;
	out.payload_len = 0;
	return trial_deliver(t, &s->p, &out, PRESERVED);
}

/* As kernels send what must not be cut. */
static bool preserves_no_id(struct trial *t, const struct setting *s)
{
	struct frame out = plain(t, s);

	out.ipv4.id = 0;
	out.ipv4.flags = IPV4_DF;
	return trial_deliver(t, &s->p, &out, PRESERVED);
}

static bool preserves(struct trial *t, const struct setting *s)
{
	struct frame out = plain(t, s), rest = plain(t, s);

	out.ipv4.tos = 0xb9;
	out.ipv4.flags = IPV4_DF;
	rest.ipv4.tos = (uint8_t)rng_range(&t->rng, 1, 255);
	return trial_deliver(t, &s->p, &out, PRESERVED) &&
	       trial_deliver(t, &s->p, &rest, PRESERVED) && preserves_fragment(t, s, 0) &&
	       preserves_fragment(t, s, IPV4_MF) && preserves_nothing(t, s) &&
	       preserves_no_id(t, s) && preserves_no_id(t, s) && preserves_padding(t, s, 10) &&
	       preserves_padding(t, s, 64);
}

static bool ipv4_preserve(struct trial *t)
{
	struct setting s[WAYS];

	return set_up(t, s) && preserves(t, &s[0]) && preserves(t, &s[1]) &&
	       series_both_ways(t, &s[0].p, SAMPLE, PRESERVED) &&
	       options_arrive(t, s, false, PRESERVED);
}

/* ipv4.ttl.expired */

/* Of TTL 1 and 0, UDP and ICMP, small and large, each both ways. */
#define EXPIRED 8

static bool ipv4_ttl_expired(struct trial *t)
{
	static const struct taboo names[2] = {
		{ .name = "a datagram with TTL 1",
		  .sentence = "the router forwards a datagram whose TTL is 1: there it ends" },
		{ .name = "a datagram with TTL 0",
		  .sentence = "the router forwards a datagram whose TTL is 0" },
	};
	struct setting s[WAYS];
	struct taboo v[EXPIRED];

	if (!set_up(t, s))
		return false;
	for (size_t i = 0; i < EXPIRED; i++) {
		const struct setting *way = &s[i / 2 % WAYS];
		bool icmp = i / 4;

		v[i] = names[i % 2];
		v[i].at = way->p.from;
		v[i].stimulus = icmp ? trial_echo(t, &way->from, way->to.ip, 1000) : plain(t, way);
		v[i].stimulus.ipv4.ttl = (uint8_t)(1 - i % 2);
		v[i].answer = want_trace(&v[i].stimulus);
		v[i].answer.all |= F(IPV4_DST); /* time exceeded is ICMP, too */
	}
	return trial_forbid(t, &s[0].p, v, EXPIRED, control_forward);
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

static const struct {
	enum field field;
	uint64_t value;
	const char *name, *sentence;
	uint8_t n_options;
} invalid[] = {
	{ F_IPV4_VERSION, 5, "a datagram with IP version 5",
	  "the router forwards a datagram whose IP version is not 4", 0 },
	{ F_IPV4_IHL, 4, "a datagram with IHL 4",
	  "the router forwards a datagram whose header length is less than 20 bytes", 0 },
	{ F_IPV4_IHL, 15, "a datagram with a header longer than its total length",
	  "the router forwards a datagram whose header is longer than its total length", 0 },
	{ F_IPV4_LENGTH, 19, "a datagram with total length 19",
	  "the router forwards a datagram whose total length is less than its header", 0 },
	{ F_IPV4_LENGTH, 1200, "a datagram that is shorter than its total length",
	  "the router forwards a datagram of which a part is missing: its total length is more "
	  "than arrived",
	  0 },
	{ F_IPV4_CHECKSUM, 0, "a datagram with a wrong header checksum",
	  "the router forwards a datagram whose header checksum is wrong", 0 },
	{ F_IPV4_CHECKSUM, 0, "a datagram with IP options and a wrong header checksum",
	  "the router forwards a datagram with IP options whose header checksum is wrong", 8 },
};

static struct taboo invalid_datagram(struct trial *t, const struct setting *s, size_t i)
{
	struct taboo v = { .at = s->p.from,
			   .name = invalid[i].name,
			   .sentence = invalid[i].sentence };
	struct frame *f = &v.stimulus;

	*f = plain(t, s);
	v.answer = want_trace(f);
	if (invalid[i].field == F_IPV4_CHECKSUM) {
		f->ipv4.n_options = invalid[i].n_options;
		f->ipv4.ihl = (uint8_t)(5 + f->ipv4.n_options / 4);
		memset(f->ipv4.options, 1, f->ipv4.n_options); /* fillers */
		seal(f);
		frame_set(f, F_IPV4_CHECKSUM,
			  f->ipv4.checksum ^ rng_range(&t->rng, 1, UINT16_MAX - 1));
		return v;
	}
	if (invalid[i].value == 15) /* the bytes are there, but not the packet's */
		frame_set(f, F_IPV4_LENGTH, 28 + MARK_LEN);
	frame_set(f, invalid[i].field, invalid[i].value);
	seal(f);
	return v;
}

static struct taboo cut_header(struct trial *t, const struct setting *s)
{
	struct taboo v = { .at = s->p.from,
			   .name = "a frame that ends in the middle of the IP header",
			   .sentence = "the router forwards a frame that ends in the IP header" };

	v.stimulus = plain(t, s);
	v.stimulus.has = LAYER_ETH;
	v.stimulus.payload = (const uint8_t *)"\x45\x00\x00\x3c\x00\x01\x00\x00\x40";
	v.stimulus.payload_len = 9;
	v.answer = (struct want){ .all = F(PAYLOAD), .frame = v.stimulus };
	return v;
}

/* To the router itself: no more valid than to others. */
static struct taboo invalid_echo(struct trial *t, const struct setting *s)
{
	struct taboo v = { .at = s->p.from,
			   .name = "an echo request with a wrong header checksum",
			   .sentence = "the router answers an echo request whose IP header "
				       "checksum is wrong" };

	v.stimulus = trial_echo(t, &s->from, s->p.from->router_ip, 32);
	v.answer = (struct want){ .mark = true, .frame = v.stimulus };
	seal(&v.stimulus);
	frame_set(&v.stimulus, F_IPV4_CHECKSUM,
		  v.stimulus.ipv4.checksum ^ rng_range(&t->rng, 1, UINT16_MAX - 1));
	return v;
}

static bool ipv4_invalid(struct trial *t)
{
	struct taboo v[WAYS * (ARRAY_SIZE(invalid) + 2)];
	struct setting s[WAYS];
	size_t n = 0;

	if (!set_up(t, s))
		return false;
	for (size_t i = 0; i < WAYS; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(invalid); k++)
			v[n++] = invalid_datagram(t, &s[i], k);
		v[n++] = cut_header(t, &s[i]);
		v[n++] = invalid_echo(t, &s[i]);
	}
	return trial_forbid(t, &s[0].p, v, n, control_forward);
}

/* ipv4.martian */

#define HERE 3

/* Sources that this network cannot have, its broadcast address and the router's own, and the
 * other's broadcast address as destination. */
static size_t martians_here(struct trial *t, const struct setting *s, struct taboo v[HERE])
{
	struct ipnet net = ipnet_network(&s->p.from->net->subnet);
	size_t n = 0;

	if (net.prefix < 31) {
		v[n] = (struct taboo){ .name = "a datagram from a network's broadcast address",
				       .sentence = "the router forwards a datagram from the "
						   "broadcast address of one of its networks" };
		v[n].stimulus = plain(t, s);
		v[n++].stimulus.ipv4.src = ip4_number(&net.addr) | UINT32_MAX >> net.prefix;
	}
	v[n] = (struct taboo){ .name = "a datagram from the router's own address",
			       .sentence = "the router forwards a datagram that came with its own "
					   "address as source" };
	v[n].stimulus = plain(t, s);
	v[n++].stimulus.ipv4.src = s->p.from->router_ip;
	net = ipnet_network(&s->p.to->net->subnet);
	if (net.prefix < 31) {
		v[n] = (struct taboo){
			.name = "a datagram to the other network's broadcast address",
			.sentence = "the router forwards a datagram to the "
				    "broadcast address of one of its networks"
		};
		v[n].stimulus = plain(t, s);
		v[n++].stimulus.ipv4.dst = ip4_number(&net.addr) | UINT32_MAX >> net.prefix;
	}
	for (size_t i = 0; i < n; i++) {
		v[i].at = s->p.from;
		v[i].answer = want_trace(&v[i].stimulus);
	}
	return n;
}

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
		{ F_IPV4_SRC, 0xe0000005, "a datagram from 224.0.0.5",
		  "the router forwards a datagram from a multicast address (224.0.0.0/4): that is "
		  "no single sender" },
		{ F_IPV4_SRC, 0xf0010203, "a datagram from 240.1.2.3",
		  "the router forwards a datagram from a reserved address (240.0.0.0/4)" },
		{ F_IPV4_DST, 0x7f000005, "a datagram to 127.0.0.5",
		  "the router forwards a datagram to a loopback address" },
		{ F_IPV4_DST, 0x00010203, "a datagram to 0.1.2.3",
		  "the router forwards a datagram to 0.0.0.0/8" },
		{ F_IPV4_DST, 0xffffffff, "a datagram to 255.255.255.255",
		  "the router forwards a datagram to the broadcast address" },
		{ F_IPV4_DST, 0xa9fe0a14, "a datagram to 169.254.10.20",
		  "the router forwards a datagram to a link-local address (169.254.0.0/16)" },
	};
	struct setting s[WAYS];
	struct taboo v[WAYS * (ARRAY_SIZE(cases) + HERE)];
	size_t n = 0;

	if (!set_up(t, s))
		return false;
	for (size_t i = 0; i < WAYS; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
			struct taboo *m = &v[n++];

			*m = (struct taboo){ .at = s[i].p.from,
					     .name = cases[k].name,
					     .sentence = cases[k].sentence };
			m->stimulus = plain(t, &s[i]);
			frame_set(&m->stimulus, cases[k].field, cases[k].address);
			m->answer = want_trace(&m->stimulus);
		}
		n += martians_here(t, &s[i], &v[n]);
	}
	return trial_forbid(t, &s[0].p, v, n, control_forward);
}

const struct check checks_ipv4[] = {
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
			   "source and as destination; as source also 224.0.0.0/3, broadcast "
			   "addresses of your networks, and your own." },
		.explain =
			"Martians are addresses that have no business on a wire between "
			"networks: this host (0/8), loopback\n"
			"(127/8), link-local (169.254/16, RFC 3927), limited broadcast. A sender "
			"is one station: its address is\n"
			"no group's (224/4), no reserved one (240/4), no network's broadcast "
			"address, and not the router's own.",
		.run = ipv4_martian,
	},
	{ 0 },
};
