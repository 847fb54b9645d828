/* SPDX-License-Identifier: MIT */
/* icmp.c - checks of what the router itself says: echo. */
#include <string.h>

#include "base/mem.h"
#include "grade/story.h"
#include "grade/trial.h"

#include "base/banned.h"

/* Are these a request and its reply, the one that this request has? */
static bool is_answer(const struct frame *request, const struct frame *f)
{
	return f->has & LAYER_ICMP && f->icmp.id == request->icmp.id &&
	       f->icmp.seq == request->icmp.seq;
}

/* Who answers twice says something about an earlier request when this one is asked: that is no
 * wrong reply to this one. */
static bool answers_no_other(const struct want *w, const struct seen *s)
{
	const struct trial *t = w->means_arg;

	for (size_t i = 0; i < probe_count(t->g->probe); i++) {
		const struct seen *sent = probe_get(t->g->probe, i);

		if (sent->sent && sent->f.icmp.type == ICMP_ECHO && is_answer(&sent->f, &s->f) &&
		    !is_answer(&w->frame, &s->f))
			return false;
	}
	return true;
}

static bool is_fragment(const struct frame *f)
{
	return f->ipv4.flags & IPV4_MF || f->ipv4.offset;
}

/* A fragment that is not the first has no ICMP header. */
static bool is_reply(const struct want *w, const struct seen *s)
{
	if (!s->f.ipv4.offset && (!(s->f.has & LAYER_ICMP) || s->f.icmp.type != ICMP_ECHO_REPLY))
		return false;
	return answers_no_other(w, s);
}

static struct want echo_reply(const struct trial *t, const struct frame *request)
{
	struct want w = { .what = "the echo reply",
			  .missing = "the router did not answer an echo request to its own address",
			  .frame = *request,
			  .all = F(ETH_TYPE) | F(IPV4_PROTO) | F(IPV4_DST),
			  .any = F(ICMP_ID) | F(ICMP_SEQ),
			  .mark = true,
			  .means = is_reply,
			  .means_arg = t };

	w.frame.eth.dst = request->eth.src;
	w.frame.eth.src = request->eth.dst;
	w.frame.ipv4.src = request->ipv4.dst;
	w.frame.ipv4.dst = request->ipv4.src;
	w.frame.icmp.type = ICMP_ECHO_REPLY;
	return w;
}

/* Sends a request, and judges the reply. */
static const struct frame *reply_to(struct trial *t, const struct place *at,
				    const struct frame *request, const char *missing,
				    fields_t judge)
{
	struct want w = echo_reply(t, request);
	const struct frame *reply;

	if (missing)
		w.missing = missing;
	reply = trial_send(t, at, request) ? trial_expect(t, at, &w) : NULL;
	if (!reply)
		return NULL;
	w.frame.ipv4.flags = reply->ipv4.flags & IPV4_DF; /* as the router likes */
	/* The checksum is over what is not here, too. */
	w.judge = is_fragment(reply) ? judge & ~F(ICMP_CHECKSUM) : judge;
	return trial_judge(t, &w, reply) ? reply : NULL;
}

static bool answers(struct trial *t, const struct place *at, const struct frame *request,
		    const char *missing, fields_t judge)
{
	return reply_to(t, at, request, missing, judge) != NULL;
}

static size_t largest_data(const struct place *at)
{
	return at->net->mtu > 28 ? at->net->mtu - 28 : 0;
}

/* icmp.echo */

#define WHOLE (F(IPV4_FLAGS) | F(IPV4_OFFSET)) /* no fragment */

static size_t count_replies(const struct trial *t, const struct seen *sent, size_t from)
{
	size_t n = 0;

	for (size_t i = from; i < probe_count(t->g->probe); i++) {
		const struct seen *s = probe_get(t->g->probe, i);

		n += !s->sent && s->port == sent->port && is_answer(&sent->f, &s->f) &&
		     s->f.icmp.type == ICMP_ECHO_REPLY && !trial_is_flooded(t, s);
	}
	return n;
}

static bool answered_wrongly(struct trial *t, const struct seen *sent, size_t n)
{
	story_note(t, &sent->f, NULL, NULL);
	if (sent->f.icmp.type != ICMP_ECHO)
		return trial_fail(t,
				  "the router answers an ICMP message of type %u with an echo "
				  "reply: only echo requests (type 8) have one",
				  sent->f.icmp.type);
	if (is_fragment(&sent->f))
		return trial_fail(t, "the router answers the first fragment of an echo request, "
				     "though the others never came: a request is answered whole, "
				     "or not at all");
	return trial_fail(t, "the router answers one echo request %zu times", n);
}

/* Each request has one reply, and nothing else has, once the router has come to what was sent
 * after it. */
static bool answered_once(struct trial *t, const struct path *p)
{
	struct path back = path_back(p);
	size_t end = probe_count(t->g->probe);

	if (!trial_alive(t, p) || !trial_alive(t, &back))
		return false;
	for (size_t i = 0; i < end; i++) {
		const struct seen *sent = probe_get(t->g->probe, i);
		bool whole = sent->f.icmp.type == ICMP_ECHO && !is_fragment(&sent->f);
		size_t n;

		if (!sent->sent || !(sent->f.has & LAYER_ICMP))
			continue;
		n = count_replies(t, sent, i + 1);
		if (n > whole)
			return answered_wrongly(t, sent, n);
	}
	return true;
}

#define AT_ONCE 8

/* Sends what is no echo request, though it looks like one: of other types, or a fragment. */
static bool sends_others(struct trial *t, const struct place *at)
{
	static const uint8_t types[] = { ICMP_ECHO_REPLY, ICMP_UNREACHABLE, 13, 42 };
	struct station from = place_station(at);
	struct frame fragment = trial_echo(t, &from, at->router_ip, 56);

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct frame f = trial_echo(t, &from, at->router_ip, 56);

		f.icmp.type = types[i];
		if (!trial_send(t, at, &f))
			return false;
	}
	fragment.ipv4.flags = IPV4_MF;
	return trial_send(t, at, &fragment);
}

/* As ping -f sends them, or several people: each gets its own reply. */
static bool answers_many(struct trial *t, const struct place *at)
{
	struct station from = place_station(at);
	size_t start = probe_count(t->g->probe);
	struct frame requests[AT_ONCE];

	for (size_t i = 0; i < AT_ONCE; i++) {
		requests[i] = trial_echo(t, &from, at->router_ip, 56);
		if (!trial_send(t, at, &requests[i]))
			return false;
	}
	t->since = start;
	for (size_t i = 0; i < AT_ONCE; i++) {
		struct want w = echo_reply(t, &requests[i]);

		w.mark = true;
		w.missing = "of several echo requests right after each other the router did not "
			    "answer all";
		if (!trial_expect(t, at, &w))
			return false;
	}
	return true;
}

static bool answers_all_kinds(struct trial *t, const struct path *p)
{
	const fields_t judge = WHOLE | F(ICMP_CODE) | F(IPV4_SRC);
	struct station from = place_station(p->from);
	struct frame near = trial_echo(t, &from, p->from->router_ip, 56);
	struct frame far = trial_echo(t, &from, p->to->router_ip, 56);
	struct frame last = trial_echo(t, &from, p->from->router_ip, 56);
	struct frame options = trial_echo(t, &from, p->from->router_ip, 56);

	last.ipv4.ttl = 1;
	memset(options.ipv4.options, 1, 8); /* fillers */
	options.ipv4.n_options = 8;
	options.ipv4.ihl = 7;
	options.ipv4.length += 8;
	return answers(t, p->from, &near, NULL, judge) &&
	       answers(t, p->from, &far,
		       "the router did not answer an echo request to its address on another "
		       "network: all its addresses are its own, wherever the request comes from",
		       judge) &&
	       answers(t, p->from, &last,
		       "the router did not answer an echo request with TTL 1: a packet that is at "
		       "its goal needs no more hops",
		       judge) &&
	       answers(t, p->from, &options,
		       "the router did not answer an echo request with IP options: the ICMP "
		       "message begins behind them, at IHL * 4",
		       judge) &&
	       answers_many(t, p->from) && sends_others(t, p->from);
}

static bool icmp_echo(struct trial *t)
{
	struct path p, back;

	if (!trial_path(t, &p))
		return false;
	back = path_back(&p);
	return answers_all_kinds(t, &p) && answers_all_kinds(t, &back) && answered_once(t, &p);
}

static bool icmp_echo_usable(struct trial *t)
{
	struct frame request;
	struct station from;
	struct path p;

	if (!trial_path(t, &p))
		return false;
	from = place_station(p.from);
	request = trial_echo(t, &from, p.from->router_ip, 56);
	return answers(t, p.from, &request, NULL, 0);
}

/* icmp.echo.fields */

#define TTL_LEAST 32

/* The reply is a packet of the router's own: its TTL is the same whatever the request's was. */
static bool has_own_ttl(struct trial *t, const struct place *at)
{
	struct station from = place_station(at);
	const uint8_t asked[] = { (uint8_t)rng_range(&t->rng, 3, TTL_LEAST - 2),
				  (uint8_t)rng_range(&t->rng, 90, 240) };
	uint8_t got[ARRAY_SIZE(asked)];

	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		struct frame request = trial_echo(t, &from, at->router_ip, 56);
		const struct frame *reply;

		request.ipv4.ttl = asked[i];
		reply = reply_to(t, at, &request, NULL, 0);
		if (!reply)
			return false;
		got[i] = reply->ipv4.ttl;
		story_note(t, &request, reply, NULL);
	}
	if (got[0] != got[1])
		return trial_fail(
			t,
			"the TTL of the echo reply depends on that of the request: %u came "
			"back for %u, and %u for %u. A reply is a new packet, with a TTL "
			"of its own (64)",
			got[0], asked[0], got[1], asked[1]);
	if (got[0] >= TTL_LEAST)
		return true;
	return trial_fail(t,
			  "the TTL of the echo reply is %u: that is not enough for a way back "
			  "through many networks (64 is usual)",
			  got[0]);
}

#define SIZES 11
#define BANDS 4

/* Small ones, odd ones of all lengths, and as much as fits. */
static void echo_sizes(struct trial *t, const struct place *at, size_t ret[SIZES])
{
	static const size_t small[] = { 56, 0, 1, 57, 500 };
	size_t n = ARRAY_SIZE(small), largest = largest_data(at), band = largest / BANDS;

	memcpy(ret, small, sizeof(small));
	for (size_t i = 0; i < BANDS; i++)
		ret[n++] = i * band + (rng_range(&t->rng, 0, band ? (uint32_t)band - 1 : 0) | 1);
	ret[n++] = largest - (largest > 0);
	ret[n] = largest;
}

static bool keeps_fields(struct trial *t, const struct place *at)
{
	static const uint8_t zeros[18];
	struct station from = place_station(at);
	size_t sizes[SIZES];

	echo_sizes(t, at, sizes);
	for (size_t i = 0; i < SIZES; i++) {
		struct frame request = trial_echo(t, &from, at->router_ip, sizes[i]);

		if (request.payload_len < 2) { /* as Ethernet sends it */
			request.trailer = zeros;
			request.trailer_len = sizeof(zeros) - request.payload_len;
		}
		if (!answers(t, at, &request, NULL, WHOLE | F(ICMP_ID) | F(ICMP_SEQ) | F(PAYLOAD)))
			return false;
	}
	return true;
}

static bool icmp_echo_fields(struct trial *t)
{
	struct path p;

	return trial_path(t, &p) && keeps_fields(t, p.from) && keeps_fields(t, p.to) &&
	       has_own_ttl(t, p.from) && has_own_ttl(t, p.to);
}

/* icmp.checksum */

static bool has_checksums(struct trial *t, const struct place *at)
{
	/* Of the request: turning type 8 into 0 adds 0x0800 to it. The last comes out as 0xfffe:
	 * there the sum's carries, added back in, carry once more. */
	static const uint16_t corners[] = { 0xf7ff, 0xf800, 0xfffe, 0xf7fe };
	struct station from = place_station(at);
	size_t sizes[SIZES];

	echo_sizes(t, at, sizes);
	for (size_t i = 0; i < SIZES + ARRAY_SIZE(corners); i++) {
		struct frame request =
			trial_echo(t, &from, at->router_ip, i < SIZES ? sizes[i] : 56);

		if (i >= SIZES)
			frame_steer(&request, F_ICMP_SEQ, F_ICMP_CHECKSUM, corners[i - SIZES]);
		if (!answers(t, at, &request, NULL, F(ICMP_CHECKSUM) | F(IPV4_CHECKSUM)))
			return false;
	}
	return true;
}

static bool icmp_checksum(struct trial *t)
{
	struct path p;

	return trial_path(t, &p) && has_checksums(t, p.from) && has_checksums(t, p.to);
}

const struct check checks_icmp[] = {
	{
		.id = "icmp.echo",
		.title = "answers echo to its own addresses",
		.rfc = "RFC 792",
		.needs = "arp.reply",
		.args = "from to",
		.points = 2,
		.hints = { "What does ping expect back, and from which address?",
			   "A packet whose destination is one of your own addresses is not "
			   "forwarded but handled: echo request (type 8) becomes echo reply (type "
			   "0).",
			   "Swap source and destination address, set the type to 0, recompute the "
			   "checksums, send it to where it came from. All your addresses count, on "
			   "whichever interface the request came in." },
		.explain = "ping is the first thing anybody tries. The reply comes from the very "
			   "address that was asked.",
		.run = icmp_echo,
		.usable = icmp_echo_usable,
	},
	{
		.id = "icmp.echo.fields",
		.title = "keeps identifier, sequence number and data of an echo",
		.rfc = "RFC 792",
		.needs = "icmp.echo",
		.args = "from to",
		.points = 1,
		.hints = { "How does ping know which of its requests was answered?",
			   "Everything behind the ICMP checksum goes back unchanged, however long.",
			   "reply = type 0, code 0, checksum, then bytes 4 to the end of the "
			   "request; the end is given by the IP total length. The IP header in "
			   "front is a new one, with TTL 64." },
		.explain = "Identifier and sequence number tell ping its own requests apart; the "
			   "data must come back as it\n"
			   "was, none, an odd number of bytes, or as much as fits. The reply is a "
			   "packet of the router's own:\n"
			   "its TTL begins anew, and is not what was left of the request's.",
		.run = icmp_echo_fields,
	},
	{
		.id = "icmp.checksum",
		.title = "puts correct checksums into what it originates",
		.rfc = "RFC 792",
		.needs = "icmp.echo",
		.args = "from to",
		.points = 1,
		.hints = { "Which checksums does a packet have that you make yourself?",
			   "Two: one over the IP header, one over the whole ICMP message. Each is "
			   "computed with its own field set to zero.",
			   "With an odd number of bytes a zero byte is added for the sum alone, at "
			   "the end, not at the beginning." },
		.explain = "The ICMP checksum covers the message from its type to the last byte of "
			   "data. The IP header of a\n"
			   "reply is a new one, with a checksum of its own.",
		.run = icmp_checksum,
	},
	{ 0 },
};
