/* SPDX-License-Identifier: MIT */
/* frag.c - checks of packets that are larger than the next network takes. */
#include <string.h>

#include "base/mem.h"
#include "grade/complaint.h"
#include "grade/fit.h"
#include "grade/story.h"

#include "base/banned.h"

#define ETH_HLEN  14
#define WHOLE_MAX 65536
#define PIECES_MS 2000

#define OPTION_END    0
#define OPTION_FILLER 1

/* Experimental options (RFC 4727), which no router knows: the first is repeated in each fragment,
 * the second is not. */
static const uint8_t both_options[] = { 0x9e, 0x04, 0x12, 0x34, 0x1e, 0x04, 0x56, 0x78 };
static const uint8_t copied_option[] = { 0x9e, 0x04, 0x12, 0x34 };

/* One IP packet's data, and what of it has come. */
struct whole {
	struct trial *t;
	const struct path *p;
	struct frame packet; /* as it is sent, whole: what fragments must have in common */
	uint8_t data[WHOLE_MAX];
	size_t n;
	bool came[WHOLE_MAX];
	size_t missing;
	size_t start; /* journal position: since then it is sent */
	size_t from;  /* ... and fragments before are judged */
	bool wrong;
};

static const uint8_t *piece_data(const struct seen *s, size_t *ret_n)
{
	size_t header = s->f.ipv4.ihl * 4u, start = ETH_HLEN + header;

	*ret_n = 0;
	if (s->f.ipv4.length < header || s->len < ETH_HLEN + (size_t)s->f.ipv4.length)
		return s->bytes;
	*ret_n = s->f.ipv4.length - header;
	return s->bytes + start;
}

/* Without fillers: some routers put them where an option was that is not repeated. */
static struct frame without_fillers(const struct frame *f)
{
	struct frame r = *f;

	r.ipv4.n_options = 0;
	for (size_t i = 0; i < f->ipv4.n_options && f->ipv4.options[i] != OPTION_END;) {
		size_t n = 1;

		if (f->ipv4.options[i] == OPTION_FILLER) {
			i++;
			continue;
		}
		if (i + 1 < f->ipv4.n_options && f->ipv4.options[i + 1] > 1)
			n = f->ipv4.options[i + 1];
		while (n-- && i < f->ipv4.n_options)
			r.ipv4.options[r.ipv4.n_options++] = f->ipv4.options[i++];
	}
	return r;
}

static bool judge_options(struct whole *w, const struct seen *s)
{
	struct want want = { .what = "a fragment", .frame = w->packet, .judge = F(IPV4_OPTIONS) };
	struct frame seen = s->f;

	if (s->f.ipv4.offset && want.frame.ipv4.n_options) {
		want.frame.ipv4.n_options = sizeof(copied_option);
		memcpy(want.frame.ipv4.options, copied_option, sizeof(copied_option));
		seen = without_fillers(&s->f);
	}
	return trial_judge(w->t, &want, &seen);
}

static bool judge_header(struct whole *w, const struct seen *s)
{
	struct want want = { .what = "a fragment",
			     .frame = path_forwarded(w->p, &w->packet),
			     .judge =
				     F(IPV4_TOS) | F(IPV4_TTL) | F(IPV4_PROTO) | F(IPV4_CHECKSUM) };
	unsigned mtu = w->p->to->net->mtu;

	if (s->f.ipv4.length > mtu)
		return trial_fail(
			w->t, "a packet of %u bytes left by %s, whose MTU is %u: it was to be cut",
			s->f.ipv4.length, w->p->to->net->name, mtu);
	if (s->f.ipv4.flags & IPV4_DF)
		return trial_fail(w->t, "a fragment has the don't-fragment bit set");
	return trial_judge(w->t, &want, &s->f) && judge_options(w, s);
}

static bool judge_data(struct whole *w, const struct seen *s)
{
	size_t n, at = s->f.ipv4.offset * 8u;
	const uint8_t *data = piece_data(s, &n);
	bool more = s->f.ipv4.flags & IPV4_MF;

	if (n == 0)
		return trial_fail(w->t, "a fragment has no data, or is cut off");
	if (at + n > w->n)
		return trial_fail(
			w->t,
			"a fragment at byte %zu with %zu bytes of data reaches beyond the "
			"packet's end, %zu: the offset counts in units of 8 bytes",
			at, n, w->n);
	if (more && n % 8)
		return trial_fail(w->t,
				  "a fragment that is not the last has %zu bytes of data: the next "
				  "one's offset counts in units of 8",
				  n);
	if (more == (at + n == w->n))
		return trial_fail(
			w->t,
			more ? "the last fragment has MF (more fragments) set"
			     : "the fragment at byte %zu has MF (more fragments) not set, "
			       "but it is not the last",
			at);
	if (memcmp(data, w->data + at, n) != 0)
		return trial_fail(
			w->t,
			"the data of the fragment at byte %zu are not the packet's data at "
			"that place",
			at);
	for (size_t i = at; i < at + n; i++) {
		if (w->came[i])
			return trial_fail(w->t, "two fragments overlap: byte %zu came twice", i);
		w->came[i] = true;
	}
	w->missing -= n;
	return true;
}

static bool is_from_sender(const struct whole *w, const struct seen *s)
{
	return !s->sent && s->port == w->p->to->port && s->f.has & LAYER_IPV4 &&
	       s->f.ipv4.src == w->packet.ipv4.src && s->f.ipv4.dst == w->packet.ipv4.dst;
}

static bool is_piece(const struct whole *w, const struct seen *s)
{
	return is_from_sender(w, s) && s->f.ipv4.id == w->packet.ipv4.id;
}

/* A piece by its data, whatever its identification. */
static bool is_strange_piece(const struct whole *w, const struct seen *s)
{
	size_t n, at = s->f.ipv4.offset * 8u;
	const uint8_t *data = piece_data(s, &n);

	return is_from_sender(w, s) && s->f.ipv4.id != w->packet.ipv4.id && n && at + n <= w->n &&
	       memcmp(data, w->data + at, n) == 0;
}

/* Nothing came that belongs to the packet: was a piece given another identification? */
static bool judge_identification(struct whole *w)
{
	struct want want = { .what = "a fragment", .frame = w->packet, .judge = F(IPV4_ID) };

	for (size_t i = w->start; i < probe_count(w->t->g->probe); i++) {
		const struct seen *s = probe_get(w->t->g->probe, i);

		if (is_strange_piece(w, s))
			return trial_judge(w->t, &want, &s->f);
	}
	return true;
}

/* The frame that the piece is cut from: the one with its data, or else with its place. */
static const struct seen *origin_of(const struct whole *w, const struct seen *piece)
{
	size_t n, at = piece->f.ipv4.offset * 8u;
	const uint8_t *data = piece_data(piece, &n), *found = memmem(w->data, w->n, data, n);

	if (n && found)
		at = (size_t)(found - w->data);
	for (size_t i = w->start; i < probe_count(w->t->g->probe); i++) {
		const struct seen *s = probe_get(w->t->g->probe, i);
		size_t begin = s->f.ipv4.offset * 8u, len;

		if (!s->sent || !(s->f.has & LAYER_IPV4) || s->f.ipv4.id != w->packet.ipv4.id)
			continue;
		piece_data(s, &len);
		if (begin <= at && at < begin + len)
			return s;
	}
	return NULL;
}

static bool judge_piece(struct whole *w, const struct seen *s)
{
	struct evidence *e = &w->t->evidence;
	fields_t wrong;

	if (judge_header(w, s) && judge_data(w, s))
		return true;
	wrong = e->wrong;
	story_note(w->t, NULL, &s->f, NULL);
	e->wrong = wrong;
	e->about = origin_of(w, s);
	return false;
}

static bool is_complete(void *arg)
{
	struct whole *w = arg;

	for (; !w->wrong && w->from < probe_count(w->t->g->probe); w->from++) {
		const struct seen *s = probe_get(w->t->g->probe, w->from);

		if (is_piece(w, s))
			w->wrong = !judge_piece(w, s);
	}
	return w->wrong || w->missing == 0 || (w->t->g->runner && !runner_alive(w->t->g->runner));
}

/* Waits for all of it, and judges each fragment as it comes. */
static bool arrives(struct whole *w)
{
	struct trial *t = w->t;
	struct err e = { 0 };
	size_t first = 0, next;

	if (probe_wait(t->g->probe, (uint64_t)(PIECES_MS * NS_PER_MS * t->g->slowness), is_complete,
		       w, &e) < 0)
		return trial_error(t, &e);
	if (w->wrong)
		return false;
	if (w->missing == 0)
		return true;
	if (!trial_alive(t, w->p))
		return false;
	if (w->missing == w->n && !judge_identification(w))
		return false;
	if (w->missing == w->n)
		return trial_fail(
			t,
			"a packet of %u bytes for %s, whose MTU is %u, did not arrive, nor "
			"any piece of it",
			w->packet.ipv4.length, w->p->to->net->name, w->p->to->net->mtu);
	while (w->came[first])
		first++;
	for (next = first; next < w->n && !w->came[next];)
		next++;
	return trial_fail(
		t,
		"the fragments do not make up the packet: of its %zu bytes of data, those "
		"from %zu to %zu never came",
		w->n, first, next - 1);
}

/* A datagram that makes an IP packet of `length` bytes; what is in it is w->data. */
static struct whole *whole_new(struct trial *t, const struct path *p, size_t length,
			       bool with_options)
{
	struct station from = place_station(p->from), to = place_station(p->to);
	size_t header = with_options ? 20 + sizeof(both_options) : 20, n;
	struct whole *w = xcalloc(1, sizeof(*w));
	auto_free uint8_t *buf = xmalloc(FRAME_MAX);

	w->t = t;
	w->p = p;
	w->packet = trial_datagram(t, &from, &to, length - header - 8);
	w->packet.ipv4.tos = 0x48;
	if (with_options) {
		w->packet.ipv4.n_options = sizeof(both_options);
		memcpy(w->packet.ipv4.options, both_options, sizeof(both_options));
		w->packet.ipv4.ihl = 7;
		w->packet.ipv4.length = (uint16_t)length;
	}
	n = frame_encode(&w->packet, buf, FRAME_MAX);
	w->n = length - header;
	memcpy(w->data, buf + n - w->n, w->n);
	w->missing = w->n;
	w->start = w->from = probe_count(t->g->probe);
	return w;
}

/* frag.forward */

static bool is_cut(struct trial *t, const struct path *p, size_t length, bool with_options)
{
	auto_free struct whole *w = whole_new(t, p, length, with_options);

	return trial_send(t, p->from, &w->packet) && arrives(w);
}

static bool narrow_path(struct trial *t, struct path *ret)
{
	if (!trial_path(t, ret))
		return false;
	if (ret->from->net->mtu <= ret->to->net->mtu)
		return trial_stage_error(t, "the network of 'to' must have the smaller MTU");
	return true;
}

static bool frag_forward(struct trial *t)
{
	struct station from, to;
	struct frame fits;
	struct path p;

	if (!narrow_path(t, &p))
		return false;
	from = place_station(p.from);
	to = place_station(p.to);
	if (!trial_warm_up(t, &p, &to))
		return false;
	fits = trial_datagram(t, &from, &to, p.to->net->mtu - 28);
	return trial_deliver(t, &p, &fits, F(IPV4_LENGTH) | F(IPV4_FLAGS) | F(IPV4_OFFSET)) &&
	       is_cut(t, &p, p.from->net->mtu, false) && is_cut(t, &p, p.to->net->mtu + 1, false) &&
	       is_cut(t, &p, p.from->net->mtu, true);
}

/* frag.refragment */

/* A piece of the whole, as a router before this one would have made it. */
static bool send_piece(struct whole *w, size_t at, size_t n)
{
	struct frame f = w->packet;

	f.has = LAYER_ETH | LAYER_IPV4;
	f.payload = w->data + at;
	f.payload_len = n;
	f.ipv4.offset = (uint16_t)(at / 8);
	f.ipv4.flags = at + n < w->n ? IPV4_MF : 0;
	f.ipv4.length = (uint16_t)(20 + n);
	return trial_send(w->t, w->p->from, &f);
}

static bool frag_refragment(struct trial *t)
{
	struct station to;
	struct path p;
	bool sent = true;
	size_t room;

	if (!narrow_path(t, &p))
		return false;
	to = place_station(p.to);
	room = (p.from->net->mtu - 20) / 8 * 8;
	if (!trial_warm_up(t, &p, &to))
		return false;
	/* Two full pieces, and a third that fits as it is. */
	auto_free struct whole *w = whole_new(t, &p, 20 + room * 2 + 100, false);

	for (size_t at = 0; at < w->n && sent; at += room)
		sent = send_piece(w, at, w->n - at < room ? w->n - at : room);
	return sent && arrives(w);
}

/* frag.df */

static bool frag_df(struct trial *t)
{
	struct station from, to;
	struct complaint c = { .type = ICMP_UNREACHABLE,
			       .code = ICMP_FRAGMENTATION_NEEDED,
			       .missing =
				       "no ICMP message came about a packet that is too large and "
				       "must not be cut: its sender would wait for ever" };
	struct frame fits;
	struct want trace;
	size_t start;
	struct path p;

	if (!narrow_path(t, &p))
		return false;
	from = place_station(p.from);
	to = place_station(p.to);
	if (!trial_warm_up(t, &p, &to))
		return false;
	fits = trial_datagram(t, &from, &to, p.to->net->mtu - 28);
	fits.ipv4.flags = IPV4_DF;
	if (!trial_deliver(t, &p, &fits, F(IPV4_LENGTH) | F(IPV4_FLAGS)))
		return false;
	c.at = p.from;
	c.from = p.from->router_ip;
	c.mtu = (uint16_t)p.to->net->mtu;
	c.about = trial_datagram(t, &from, &to, p.from->net->mtu - 28);
	c.about.ipv4.flags = IPV4_DF;
	start = probe_count(t->g->probe);
	/* What goes through after it says that the router is done with it. */
	if (!trial_complaint(t, &c) || !trial_warm_up(t, &p, &to))
		return false;
	trace = want_trace(&c.about);
	if (trial_count(t, p.to, &trace, start) == 0)
		return true;
	return trial_fail(t, "a packet with the don't-fragment bit was reported as too large, and "
			     "sent on all the same");
}

const struct check checks_frag[] = {
	{
		.id = "frag.forward",
		.title = "cuts what is too large for the next network",
		.rfc = "RFC 791 3.2",
		.needs = "ipv4.forward",
		.args = "from to",
		.args_fit = fit_narrow,
		.points = 4,
		.hints = { "What if a packet has 1500 bytes and the next network takes 576?",
			   "Several packets with the same identification: each has the header and "
			   "a piece of the data; the offset says where it belongs, MF that more "
			   "follow.",
			   "room = (mtu - header length) / 8 * 8 bytes a piece; offset = position "
			   "/ "
			   "8; MF in all but the last; total length and checksum anew. Options "
			   "whose first bit is 1 go into every piece, the others into the first." },
		.explain = "Every network has its largest packet, the MTU. A router cuts what is "
			   "larger, unless that is\n"
			   "forbidden, and the far end puts the pieces together: it sorts them by "
			   "source, identification and\n"
			   "offset. Offsets count in units of 8 bytes, so that every piece but the "
			   "last is a multiple of that.",
		.run = frag_forward,
	},
	{
		.id = "frag.refragment",
		.title = "cuts fragments again",
		.rfc = "RFC 791 3.2",
		.needs = "frag.forward",
		.args = "from to",
		.args_fit = fit_narrow,
		.points = 3,
		.hints = { "What if what is too large is a fragment already?",
			   "Its pieces belong to the whole, too: they count on from where the "
			   "fragment began, and only the whole's end is an end.",
			   "offset = the fragment's own offset + position / 8; the last piece has "
			   "MF set if the fragment had it set." },
		.explain = "Fragments meet narrower networks on their way. Whoever cuts them again "
			   "makes pieces of the same\n"
			   "whole, so that the far end need not know how often something was cut.",
		.run = frag_refragment,
	},
	{
		.id = "frag.df",
		.title = "says fragmentation needed where it must not cut",
		.rfc = "RFC 1191 4",
		.needs = "ipv4.forward",
		.args = "from to",
		.args_fit = fit_narrow,
		.points = 3,
		.hints = { "What does TCP ask for by the don't-fragment bit?",
			   "It wants to hear how large its packets may be: ICMP type 3, code 4, "
			   "and "
			   "the MTU of the next network in it.",
			   "struct.pack('!BBHHH', 3, 4, checksum, 0, mtu) and the packet quoted; "
			   "nothing is forwarded. What fits goes on as always, with its DF." },
		.explain =
			"Path MTU discovery: the sender forbids cutting, each router that cannot "
			"pass a packet on says how\n"
			"much it could, and the sender makes smaller packets from then on. A "
			"router that drops without a\n"
			"word is a black hole: small packets pass, and every large transfer hangs.",
		.run = frag_df,
	},
	{ 0 },
};
