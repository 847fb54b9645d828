/* SPDX-License-Identifier: MIT */
/* complaint.c - ICMP errors expected and judged; the ways that the stage's table gives. */
#include "grade/complaint.h"

#include <string.h>

#include "base/mem.h"
#include "grade/events.h"
#include "grade/story.h"

#include "base/banned.h"

#define ICMP_SOURCE_QUENCH 4
#define ICMP_REDIRECT	   5
#define ICMP_PARAMETER	   12
#define RETRY_NS	   (300 * NS_PER_MS)
#define QUOTED_MIN	   8   /* bytes behind the quoted IP header */
#define MESSAGE_MAX	   576 /* bytes, RFC 1812 4.3.2.3 */
#define NOWHERE_TRIES	   1000

/* What RFC 1812 4.3.2.3 lets a router have changed already: TTL and checksum stay out. */
#define QUOTED_FIELDS                                                                              \
	(F(IPV4_VERSION) | F(IPV4_IHL) | F(IPV4_TOS) | F(IPV4_LENGTH) | F(IPV4_ID) |               \
	 F(IPV4_FLAGS) | F(IPV4_OFFSET) | F(IPV4_PROTO) | F(IPV4_SRC) | F(IPV4_DST) |              \
	 F(IPV4_OPTIONS))

static bool is_error(const struct frame *f)
{
	return f->has & LAYER_ICMP &&
	       (f->icmp.type == ICMP_UNREACHABLE || f->icmp.type == ICMP_SOURCE_QUENCH ||
		f->icmp.type == ICMP_REDIRECT || f->icmp.type == ICMP_TIME_EXCEEDED ||
		f->icmp.type == ICMP_PARAMETER);
}

static void decode_quote(const struct frame *message, struct frame *ret)
{
	frame_decode_ipv4(message->payload, message->payload_len, true, ret);
}

static bool is_same_packet(const struct frame *a, const struct frame *b)
{
	return a->ipv4.id == b->ipv4.id && a->ipv4.src == b->ipv4.src && a->ipv4.dst == b->ipv4.dst;
}

static bool quotes(const struct seen *s, const struct frame *about)
{
	struct frame quote;

	if (!is_error(&s->f))
		return false;
	decode_quote(&s->f, &quote);
	return quote.has & LAYER_IPV4 && is_same_packet(&quote, about);
}

/* want.frame is the packet that it is about. */
static bool quotes_frame(const struct want *w, const struct seen *s)
{
	return quotes(s, &w->frame);
}

/* want.frame is the message wanted. Meant is also one that quotes nothing that can be read: that
 * is a fault of it. An intact quotation of another packet makes it another packet's message. */
static bool speaks_of(const struct want *w, const struct seen *s)
{
	struct frame quote, about;

	if (!is_error(&s->f))
		return false;
	decode_quote(&s->f, &quote);
	decode_quote(&w->frame, &about);
	return !(quote.has & LAYER_IPV4) || quote.ipv4.version != 4 ||
	       quote.ipv4.id == about.ipv4.id;
}

/* The bytes of the packet behind the Ethernet header, as they go out. */
static const uint8_t *packet_bytes(struct trial *t, const struct frame *f, size_t *ret_len)
{
	uint8_t *buf = xmalloc(FRAME_MAX), *p;
	size_t n = frame_encode(f, buf, FRAME_MAX);
	struct frame back;

	frame_decode(buf, n, &back);
	n = n > 14 + back.trailer_len ? n - 14 - back.trailer_len : 0;
	p = xmalloc(n + 1);
	memcpy(p, buf + 14, n);
	free(buf);
	*array_push(t->payloads, t->n_payloads) = p;
	*ret_len = n;
	return p;
}

static struct frame message_about(struct trial *t, const struct complaint *c)
{
	struct frame f = { .has = LAYER_ETH | LAYER_IPV4 | LAYER_ICMP };

	f.eth.type = ETHERTYPE_IPV4;
	f.eth.src = c->at->router_mac;
	f.eth.dst = c->at->mac;
	f.ipv4.version = 4;
	f.ipv4.ihl = 5;
	f.ipv4.ttl = 64;
	f.ipv4.proto = PROTO_ICMP;
	f.ipv4.src = c->from ? c->from : c->at->router_ip;
	f.ipv4.dst = c->about.ipv4.src;
	f.icmp.type = c->type;
	f.icmp.code = c->code;
	f.icmp.seq = c->mtu;
	f.payload = packet_bytes(t, &c->about, &f.payload_len);
	return f;
}

struct want want_complaint(const struct frame *about)
{
	return (struct want){ .frame = *about, .means = quotes_frame };
}

static bool judge_quote(struct trial *t, const struct want *w, const struct frame *message)
{
	const uint8_t *sent = w->frame.payload, *got = message->payload;
	struct want quoted = { .what = "the packet quoted in the ICMP message",
			       .judge = QUOTED_FIELDS };
	size_t header, need, n = message->payload_len;
	struct frame quote;

	decode_quote(&w->frame, &quoted.frame);
	header = quoted.frame.ipv4.ihl * 4u;
	need = header + QUOTED_MIN;
	if (need > w->frame.payload_len)
		need = w->frame.payload_len;
	if (n < need)
		return trial_fail(
			t,
			"the ICMP message quotes %zu bytes of the packet that it is about: "
			"it needs its IP header and the 8 bytes behind that, here %zu",
			n, need);
	decode_quote(message, &quote);
	if (!(quote.has & LAYER_IPV4) || quote.ipv4.version != 4)
		return trial_fail(t, "what the ICMP message quotes is no IP packet: behind its 8 "
				     "bytes of header the packet's own IP header must begin");
	if (!trial_judge(t, &quoted, &quote))
		return false;
	if (quote.ipv4.ttl != quoted.frame.ipv4.ttl && quote.ipv4.ttl + 1 != quoted.frame.ipv4.ttl)
		return trial_fail(
			t, "the packet quoted in the ICMP message has TTL %u; it came with %u",
			quote.ipv4.ttl, quoted.frame.ipv4.ttl);
	if (n > w->frame.payload_len)
		n = w->frame.payload_len;
	for (size_t i = header; i < n; i++) {
		if (got[i] != sent[i])
			return trial_fail(
				t,
				"the packet quoted in the ICMP message is changed in byte "
				"%zu: 0x%02x instead of 0x%02x",
				i, got[i], sent[i]);
	}
	return true;
}

/* The four bytes between the checksum and the quotation. */
static bool judge_rest(struct trial *t, const struct complaint *c, const struct frame *message)
{
	if (message->icmp.id == 0 && message->icmp.seq == c->mtu)
		return true;
	if (c->mtu && message->icmp.id == c->mtu)
		return trial_fail(
			t, "the ICMP message has the MTU in the wrong half of the four bytes "
			   "behind the checksum: it belongs into the last two");
	if (c->mtu)
		return trial_fail(t, "the ICMP message says that the MTU is %u, but it is %u",
				  message->icmp.seq, c->mtu);
	return trial_fail(t, "the four bytes behind the checksum of the ICMP message are not zero");
}

static bool is_routers_own(const struct trial *t, uint32_t a)
{
	for (size_t i = 0; i < t->g->n_places; i++) {
		if (a && t->g->places[i].router_ip == a)
			return true;
	}
	return false;
}

static bool is_alive(const struct trial *t)
{
	return !t->g->runner || runner_alive(t->g->runner);
}

/* Once more, with other words in it: the router counts its messages, and this one may have been
 * one too many. */
static bool send_again(struct trial *t, const struct complaint *c, struct want *w)
{
	struct complaint again = *c;
	struct err e = { 0 };

	if (t->verdict == VERDICT_ERROR || !is_alive(t))
		return true;
	if (probe_wait(t->g->probe, RETRY_NS, NULL, NULL, &e) < 0)
		return trial_error(t, &e);
	again.about.ipv4.id = (uint16_t)(c->about.ipv4.id ^ 0x5555);
	w->frame = message_about(t, &again);
	return trial_send(t, c->at, &again.about);
}

/* An ICMP message of whatever type that quotes the packet; other is its second try. */
static bool is_about(const struct seen *s, const struct want *w, uint16_t other)
{
	struct frame quote, about;

	if (s->sent || !(s->f.has & LAYER_ICMP) || s->f.icmp.type == ICMP_ECHO)
		return false;
	decode_quote(&s->f, &quote);
	decode_quote(&w->frame, &about);
	return quote.has & LAYER_IPV4 && quote.ipv4.src == about.ipv4.src &&
	       quote.ipv4.dst == about.ipv4.dst &&
	       (quote.ipv4.id == about.ipv4.id || quote.ipv4.id == other);
}

static bool of_another_type(struct trial *t, const struct complaint *c, const struct want *w,
			    const struct seen *s)
{
	struct want type = { .what = w->what,
			     .frame = w->frame,
			     .judge = F(ICMP_TYPE) | F(ICMP_CODE) };
	bool swapped = s->f.icmp.type == c->code && s->f.icmp.code == c->type;

	trial_judge(t, &type, &s->f);
	return trial_fail(t,
			  "an ICMP message came about the packet, of type %u code %u and not of "
			  "type %u code %u%s",
			  s->f.icmp.type, s->f.icmp.code, c->type, c->code,
			  swapped ? ": are type and code swapped?" : "");
}

static bool on_another_network(struct trial *t, const struct complaint *c, const struct place *at,
			       const struct seen *s)
{
	story_note(t, &c->about, &s->f, NULL);
	return trial_fail(t,
			  "the ICMP message was sent on %s and not on %s: it goes to the packet's "
			  "source, by the way that the table gives for it",
			  at->net->name, c->at->net->name);
}

/* No message came that can be judged. True: none at all. */
static bool came_as_no_other(struct trial *t, const struct complaint *c, const struct want *w)
{
	for (size_t i = 0; i < probe_count(t->g->probe); i++) {
		const struct seen *s = probe_get(t->g->probe, i);
		const struct place *at = place_of_port(t, s->port);

		if (!at || !is_about(s, w, c->about.ipv4.id) || trial_is_flooded(t, s))
			continue;
		if (at->network != c->at->network && is_routers_own(t, s->f.ipv4.src))
			return on_another_network(t, c, at, s);
		if (at == c->at && (s->f.icmp.type != c->type || s->f.icmp.code != c->code))
			return of_another_type(t, c, w, s);
	}
	return true;
}

/* As it is shown when nothing comes: no longer than such a message may be. */
static struct want no_longer_than_any(const struct want *w)
{
	struct want r = *w;

	if (r.frame.payload_len > MESSAGE_MAX - 28)
		r.frame.payload_len = MESSAGE_MAX - 28;
	return r;
}

bool trial_complaint(struct trial *t, const struct complaint *c)
{
	struct want w = { .what = "the ICMP message",
			  .missing = c->missing,
			  .frame = message_about(t, c),
			  .all = F(ETH_TYPE) | F(IPV4_PROTO) | F(IPV4_DST),
			  .judge = F(ICMP_TYPE) | F(ICMP_CODE) | F(IPV4_CHECKSUM),
			  .means = speaks_of,
			  .patience_ms = c->patience_ms };
	const struct frame *message;
	struct want shown;

	if (c->from)
		w.judge |= F(IPV4_SRC);
	if (!trial_send(t, c->at, &c->about))
		return false;
	if (!trial_await(t, c->at, &w)) {
		if (!c->patience_ms && !send_again(t, c, &w))
			return false;
		if (c->patience_ms)
			w.patience_ms = 1; /* that was long enough */
		if (is_alive(t) && !came_as_no_other(t, c, &w))
			return false;
	}
	shown = no_longer_than_any(&w);
	message = trial_expect(t, c->at, &shown);
	if (!message)
		return false;
	/* Cut on its way back: the sum is over what is not here. */
	w.judge = message->ipv4.flags & IPV4_MF ? 0 : F(ICMP_CHECKSUM);
	if (!trial_judge(t, &w, message))
		return false;
	if (!is_routers_own(t, message->ipv4.src))
		return trial_fail(t,
				  "the ICMP message comes from %s, which is no address of the "
				  "router's",
				  ip4_text(message->ipv4.src).s);
	return judge_rest(t, c, message) && judge_quote(t, &w, message);
}

bool trial_complaint_full(struct trial *t, const struct complaint *c)
{
	struct station from = place_station(c->at), to = from;
	struct complaint full = *c;

	to.ip = c->about.ipv4.dst;
	full.about = trial_datagram(t, &from, &to, c->at->net->mtu - 28);
	full.about.ipv4.ttl = c->about.ipv4.ttl;
	full.about.udp.dport = c->about.udp.dport;
	full.missing = "an ICMP message came about a small packet, but none about the same packet "
		       "as large as its network takes: a message that quotes all of that does not "
		       "fit";
	return trial_complaint(t, &full);
}

/* Ways */

bool stage_way(const struct stage *s, uint32_t destination, struct way *ret)
{
	struct ipaddr a = ip4_addr(destination);
	struct way best;
	bool found = false;

	for (size_t i = 0; i < s->n_networks; i++) {
		const struct stage_network *n = &s->networks[i];

		if (!n->has_router || !ipnet_contains(&n->subnet, &a) ||
		    (found && n->subnet.prefix <= best.prefix.prefix))
			continue;
		best = (struct way){ n->subnet, i, destination };
		found = true;
	}
	for (size_t i = 0; i < s->n_routes; i++) {
		const struct stage_table_route *r = &s->routes[i];

		if (r->to.addr.family != AF_INET || !ipnet_contains(&r->to, &a) ||
		    (found && r->to.prefix <= best.prefix.prefix))
			continue;
		best = (struct way){ r->to, r->network, ip4_number(&r->via) };
		found = true;
	}
	if (found)
		*ret = best;
	return found;
}

bool stage_is_goal(const struct stage *s, uint32_t a)
{
	struct ipaddr addr = ip4_addr(a);

	if (!ipaddr_is_unicast_host(&addr) || a >> 16 == 0xa9fe)
		return false;
	for (size_t i = 0; i < s->n_networks; i++) {
		const struct stage_network *n = &s->networks[i];

		if (n->has_router &&
		    (ip4_number(&n->router) == a || (ipnet_contains(&n->subnet, &addr) &&
						     ipnet_is_reserved_host(&n->subnet, &addr))))
			return false;
	}
	return true;
}

bool trial_nowhere(struct trial *t, uint32_t *ret)
{
	struct way way;

	for (int i = 0; i < NOWHERE_TRIES; i++) {
		uint32_t a = rng_range(&t->rng, 0x01000000, 0xdfffffff);

		if (!stage_is_goal(t->g->stage, a) || stage_way(t->g->stage, a, &way))
			continue;
		*ret = a;
		return true;
	}
	return trial_stage_error(t, "the stage's routes lead everywhere");
}
