/* SPDX-License-Identifier: MIT */
/* series.c - many datagrams, and which of them did not make it. */
#include "grade/series.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "grade/loss.h"
#include "grade/story.h"

#include "base/banned.h"

#define TTL_LEAST 8 /* other TTLs are for the checks of the TTL */
#define TTL_MOST  40
#define SMALL	  400
#define FAR	  6000			 /* in units of 8 bytes: where a fragment may begin */
#define FRAGMENTS 3			 /* of one datagram */
#define LENGTHS	  (IPV4_OPTIONS_MAX / 4) /* that IP options may have */

#define EXCUSES_MAX 2
#define FEW	    16 /* the loss of some says more of a longer series */

void series_done(struct series *s)
{
	free(s->out);
	free(s->at);
	free(s->times);
	*s = (struct series){ 0 };
}

void series_add(struct series *s, const struct frame *out)
{
	*array_push(s->out, s->n) = *out;
}

/* Making them */

/* The k-th piece of a datagram; they do not join, so that nobody puts them together. */
static void make_fragment(struct trial *t, struct frame *f, const struct frame *before, unsigned k)
{
	f->has = LAYER_ETH | LAYER_IPV4;
	f->ipv4.proto = before->ipv4.proto;
	f->ipv4.id = before->ipv4.id;
	f->ipv4.flags = k + 1 < FRAGMENTS ? IPV4_MF : 0;
	f->ipv4.offset = before == f ? (uint16_t)rng_range(&t->rng, 200, FAR)
				     : (uint16_t)(before->ipv4.offset + 200);
	f->payload_len = f->payload_len / 8 * 8;
	f->ipv4.length = (uint16_t)(20 + f->payload_len);
}

/* Neither of ICMP, TCP nor UDP: what a router passes on is not its business. */
static const struct {
	uint8_t number;
	const char *name;
} others[] = {
	{ 2, "IGMP" }, { 4, "IP in IP" }, { 41, "IPv6 in IP" }, { 47, "GRE" },
	{ 50, "ESP" }, { 89, "OSPF" },	  { 132, "SCTP" },
};

/* As the last piece of a datagram: a kernel would complain of a whole one that it has no use
 * for. */
static void make_other(struct trial *t, struct frame *f, uint8_t proto)
{
	f->ipv4.proto = proto;
	make_fragment(t, f, f, FRAGMENTS - 1);
}

/* From the least to the largest, evenly, in any order. */
static size_t *all_sizes(struct trial *t, size_t largest, size_t n)
{
	size_t *v = xcalloc(n, sizeof(*v));

	for (size_t i = 0; i < n; i++) {
		size_t k = rng_range(&t->rng, 0, (uint32_t)i);

		v[i] = v[k];
		v[k] = MARK_LEN + (n > 1 ? i * (largest - MARK_LEN) / (n - 1) : 0);
	}
	return v;
}

/* ICMP that nobody answers: replies, and errors about who knows what. */
static const uint8_t unanswered[] = { ICMP_ECHO_REPLY, ICMP_UNREACHABLE, ICMP_TIME_EXCEEDED, 12,
				      14 };

static struct frame any_protocol(struct trial *t, const struct path *p, size_t i, size_t len,
				 size_t *icmp)
{
	struct station from = place_station(p->from), to = place_station(p->to);
	struct frame f;

	switch (i % 16) {
	case 2:
	case 12:
		return trial_segment(t, &from, &to, len);
	case 5:
	case 15:
		f = trial_echo(t, &from, to.ip, len);
		f.icmp.type = unanswered[(*icmp)++ % ARRAY_SIZE(unanswered)];
		return f;
	default:
		return trial_datagram(t, &from, &to, len);
	}
}

struct series series_mixed(struct trial *t, const struct path *p, size_t n)
{
	struct series s = { .t = t, .p = *p, .window = SERIES_WINDOW };
	auto_free size_t *sizes = all_sizes(t, path_room(p, 40), n);
	size_t icmp = 0, other = rng_range(&t->rng, 0, ARRAY_SIZE(others) - 1);

	for (size_t i = 0; i < n; i++) {
		struct frame f = any_protocol(t, p, i, sizes[i], &icmp);

		f.ipv4.ttl = (uint8_t)rng_range(&t->rng, TTL_LEAST, TTL_MOST);
		switch (i % 16) {
		case 2:
		case 5:
		case 12:
		case 15:
			break;
		case 7:
		case 8:
		case 9:
			make_fragment(t, &f, i % 16 == 7 ? &f : &s.out[s.n - 1], i % 16 - 7);
			break;
		case 4:
		case 10:
		case 14:
			make_other(t, &f, others[other++ % ARRAY_SIZE(others)].number);
			break;
		case 3:
		case 11: /* as kernels send what must not be cut */
			f.ipv4.id = 0;
			f.ipv4.flags = IPV4_DF;
			break;
		default:
			f.ipv4.flags = i % 2 ? IPV4_DF : 0;
			break;
		}
		series_add(&s, &f);
	}
	return s;
}

static void add_options(struct trial *t, struct frame *f, uint8_t n, bool record)
{
	uint8_t *o = f->ipv4.options;

	memset(o, 1, n); /* fillers */
	if (record && n >= 8) {
		memset(o, 0, n);
		o[0] = 7;
		o[1] = (uint8_t)(n - 1);
		o[2] = 4;
	} else { /* a stream identifier, whose value is no router's business */
		o[0] = 0x88;
		o[1] = 4;
		o[2] = (uint8_t)rng_next(&t->rng);
		o[3] = (uint8_t)rng_next(&t->rng);
	}
	f->ipv4.n_options = n;
	f->ipv4.ihl = (uint8_t)(5 + n / 4);
	f->ipv4.length = (uint16_t)(f->ipv4.length + n);
}

struct series series_options(struct trial *t, const struct path *p, size_t n, bool record)
{
	struct station from = place_station(p->from), to = place_station(p->to);
	struct series s = { .t = t, .p = *p, .window = SERIES_WINDOW };
	size_t room = path_room(p, 40), first = rng_range(&t->rng, 0, LENGTHS - 1);

	if (!record && room > SMALL)
		room = SMALL;
	for (size_t i = 0; i < n; i++) {
		size_t size = room > 64 ? rng_range(&t->rng, 16, (uint32_t)room - 48) : MARK_LEN;
		struct frame f = trial_datagram(t, &from, &to, size);

		/* Each length has its turn. */
		add_options(t, &f, (uint8_t)(4 * (1 + (first + i) % LENGTHS)),
			    record && (i + i / LENGTHS) % 2);
		series_add(&s, &f);
	}
	return s;
}

struct series series_small(struct trial *t, const struct path *p, size_t n)
{
	struct station from = place_station(p->from), to = place_station(p->to);
	struct series s = { .t = t, .p = *p, .window = SERIES_WINDOW_SMALL };

	for (size_t i = 0; i < n; i++) {
		struct frame f = trial_datagram(t, &from, &to, rng_range(&t->rng, MARK_LEN, 40));

		series_add(&s, &f);
	}
	return s;
}

/* Finding them again */

static bool has_mark(const struct series *s, size_t i, const struct seen *f)
{
	const struct frame *out = &s->out[i];
	size_t at = probe_get(s->t->g->probe, s->at[i])->len - out->payload_len;

	return f->len >= at + MARK_LEN && memcmp(f->bytes + at, out->payload, MARK_LEN) == 0;
}

/* Which one is it? s->n: none. The next one first, for most arrive in order. */
static size_t which(const struct series *s, const struct seen *f)
{
	for (size_t k = 0; k < s->sent; k++) {
		size_t i = (s->last + k) % s->sent;

		if (has_mark(s, i, f))
			return i;
	}
	/* Its header is longer or shorter now. */
	for (size_t i = 0; i < s->sent; i++) {
		if (memmem(f->bytes, f->len, s->out[i].payload, MARK_LEN))
			return i;
	}
	return s->n;
}

/* "TCP", "protocol 47 (GRE)" */
static void add_proto(uint8_t proto, struct str *out)
{
	if (proto == PROTO_UDP || proto == PROTO_TCP || proto == PROTO_ICMP) {
		str_add(out, proto == PROTO_UDP ? "UDP" : proto == PROTO_TCP ? "TCP" : "ICMP");
		return;
	}
	str_addf(out, "protocol %u", proto);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (others[i].number == proto)
			str_addf(out, " (%s)", others[i].name);
	}
}

/* "datagram 17 of 32 (ICMP, 734 bytes, 8 of them IP options)" */
static void describe(const struct series *s, size_t i, struct str *out)
{
	const struct frame *f = &s->out[i];

	str_addf(out, "datagram %zu of %zu (%s", i + 1, s->n,
		 f->ipv4.offset ? "a fragment of " : "");
	add_proto(f->ipv4.proto, out);
	str_addf(out, ", %u bytes", f->ipv4.length);
	if (!f->ipv4.id)
		str_add(out, ", identification 0");
	if (f->ipv4.n_options)
		str_addf(out, ", %u of them IP options", f->ipv4.n_options);
	str_addf(out, ", from %s)", ip4_text(f->ipv4.src).s);
}

static bool out_of_order(struct series *s, size_t i)
{
	auto_str first = { 0 }, second = { 0 };
	const struct frame *a = &s->out[i], *b = &s->out[s->last - 1];

	describe(s, i, &first);
	describe(s, s->last - 1, &second);
	story_note(s->t, a, NULL, NULL);
	return trial_fail(s->t, "the router changes the order of %s: it sends %s before %s",
			  a->ipv4.id && a->ipv4.id == b->ipv4.id ? "a datagram's fragments"
								 : "datagrams",
			  str_get(&second), str_get(&first));
}

static bool judge(struct series *s, size_t i, const struct seen *f)
{
	auto_str what = { 0 };
	struct want w = { .frame = path_forwarded(&s->p, &s->out[i]),
			  .mark = true,
			  .judge = s->judge };

	/* Where the payload begins depends on that. */
	if (!(s->judge & F(IPV4_OFFSET)) && w.frame.ipv4.offset != f->f.ipv4.offset)
		w.judge &= ~F(PAYLOAD);
	if (!frame_diff(&w.frame, &f->f, w.judge))
		return true;
	describe(s, i, &what);
	w.what = str_get(&what);
	return trial_judge(s->t, &w, &f->f);
}

static void take(struct series *s, const struct seen *f)
{
	size_t i = which(s, f);

	if (i == s->n || s->times[i]++)
		return;
	s->got++;
	if (i < s->last && !s->lossy)
		s->wrong = !out_of_order(s, i);
	else
		s->wrong = !judge(s, i, f);
	s->last = i + 1 > s->last ? i + 1 : s->last;
}

static void read_arrivals(struct series *s)
{
	for (; !s->wrong && s->from < probe_count(s->t->g->probe); s->from++) {
		const struct seen *f = probe_get(s->t->g->probe, s->from);

		if (!f->sent && f->port == s->p.to->port && f->f.has & LAYER_IPV4)
			take(s, f);
	}
}

/* What is missing */

static bool is_lost(const struct series *s, size_t i)
{
	return s->times[i] == 0;
}

/* Of which sizes are those that are lost, and none that arrived? */
static bool lost_by_size(const struct series *s, struct str *out)
{
	unsigned least = UINT16_MAX, most = 0, smaller = 0, larger = 0;

	for (size_t i = 0; i < s->n; i++) {
		unsigned n = s->out[i].ipv4.length;

		if (is_lost(s, i)) {
			least = n < least ? n : least;
			most = n > most ? n : most;
		}
	}
	for (size_t i = 0; i < s->n; i++) {
		unsigned n = s->out[i].ipv4.length;

		if (!is_lost(s, i) && n >= least && n <= most)
			return false;
		smaller += n < least;
		larger += n > most;
	}
	if (!larger)
		str_addf(out, "those of %u bytes and more", least);
	else if (!smaller)
		str_addf(out, "those of %u bytes and less", most);
	else if (s->lost > 2)
		str_addf(out, "those of %u to %u bytes, and no others", least, most);
	return out->len > 0;
}

enum kind {
	KIND_OPTIONS,
	KIND_PROTO, /* of one protocol, fragments or not */
	KIND_WHOLE, /* ... no fragments */
	KIND_OTHER, /* neither ICMP, TCP nor UDP */
	KIND_FRAGMENTS,
	KIND_NO_ID,
	KIND_MAX
};

static bool is_of_kind(const struct frame *f, enum kind kind, uint8_t proto)
{
	switch (kind) {
	case KIND_PROTO:
		return f->ipv4.proto == proto;
	case KIND_WHOLE:
		return f->ipv4.proto == proto && !f->ipv4.offset;
	case KIND_OTHER:
		return f->ipv4.proto != PROTO_UDP && f->ipv4.proto != PROTO_TCP &&
		       f->ipv4.proto != PROTO_ICMP;
	case KIND_FRAGMENTS:
		return f->ipv4.offset != 0;
	case KIND_NO_ID:
		return f->ipv4.id == 0;
	case KIND_OPTIONS:
		return f->ipv4.n_options != 0;
	case KIND_MAX:
		break;
	}
	return false;
}

/* Those that are lost, and no others? */
static bool lost_all_of(const struct series *s, enum kind kind, uint8_t proto)
{
	for (size_t i = 0; i < s->n; i++) {
		if (is_of_kind(&s->out[i], kind, proto) != is_lost(s, i))
			return false;
	}
	return true;
}

static bool lost_by_kind(const struct series *s, struct str *out)
{
	static const char *const names[KIND_MAX] = {
		[KIND_OTHER] = "those of other protocols than ICMP, TCP and UDP",
		[KIND_FRAGMENTS] = "the fragments",
		[KIND_NO_ID] = "those with identification 0",
		[KIND_OPTIONS] = "those with IP options",
	};
	uint8_t proto = 0;

	for (size_t i = 0; i < s->n && !proto; i++)
		proto = is_lost(s, i) ? s->out[i].ipv4.proto : 0;
	for (enum kind kind = 0; kind < KIND_MAX; kind++) {
		if (!lost_all_of(s, kind, proto))
			continue;
		str_add(out, names[kind] ? names[kind] : "those of ");
		if (!names[kind])
			add_proto(proto, out);
		return true;
	}
	return false;
}

/* Always with so many between them? */
static bool lost_by_count(const struct series *s, struct str *out)
{
	size_t before = s->n, step = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (!is_lost(s, i))
			continue;
		if (step && i - before != step)
			return false;
		step = before < s->n ? i - before : 0;
		before = i;
	}
	if (step == 1 && before == s->n - 1)
		str_addf(out, "nothing more after the first %zu", s->n - s->lost);
	else if (step > 1 && s->lost > 2)
		str_addf(out, "one in %zu", step);
	return out->len > 0;
}

static bool not_delivered(struct series *s)
{
	auto_str which_ones = { 0 }, others_before = { 0 };
	size_t first = 0;

	if (!trial_alive(s->t, &s->p))
		return false;
	while (!is_lost(s, first))
		first++;
	story_note(s->t, &s->out[first], NULL, s->p.to);
	if (s->lost > 1 && !lost_by_kind(s, &which_ones) && !lost_by_size(s, &which_ones))
		lost_by_count(s, &which_ones);
	if (!which_ones.len)
		describe(s, first, &which_ones);
	if (s->before)
		str_addf(&others_before, " and after %zu others", s->before);
	return trial_fail(s->t,
			  "of %zu datagrams to %s, sent %zu at a time%s, the router did not "
			  "deliver %zu: %s",
			  s->n, ip4_text(s->p.to->ip).s, s->window, str_get(&others_before),
			  s->lost, str_get(&which_ones));
}

/* Sending them */

static bool ended(const struct series *s)
{
	return s->t->g->runner && !runner_alive(s->t->g->runner);
}

static bool window_is_there(void *arg)
{
	struct series *s = arg;

	read_arrivals(s);
	return s->wrong || s->got + s->lost >= s->sent || ended(s);
}

/* Did the router ask for the neighbour's MAC meanwhile? Its entry may have become too old, and
 * while it asks it need keep one packet only. */
static bool asked_again(const struct series *s, size_t since)
{
	for (size_t i = since; i < probe_count(s->t->g->probe); i++) {
		const struct seen *f = probe_get(s->t->g->probe, i);

		if (!f->sent && f->port == s->p.to->port && f->f.has & LAYER_ARP &&
		    f->f.arp.op == ARP_REQUEST && f->f.arp.tpa == s->p.to->ip)
			return true;
	}
	return false;
}

static void excuse(struct series *s)
{
	s->excuses++;
	for (size_t i = s->first; i < s->sent; i++) {
		if (is_lost(s, i)) {
			s->times[i]++;
			s->got++;
		}
	}
}

static bool run_window(struct series *s)
{
	/* Once something is lost, the others are there when they are. */
	uint64_t patience = s->lost || loss_is_known(s->t->g) ? grader_silence_ns(s->t->g)
							      : trial_patience_ns(s->t, 0);
	size_t end = s->sent + s->window < s->n ? s->sent + s->window : s->n;
	struct err e = { 0 };

	s->first = s->sent;
	while (s->sent < end) {
		s->at[s->sent] = probe_count(s->t->g->probe);
		if (!trial_send(s->t, s->p.from, &s->out[s->sent]))
			return false;
		s->sent++;
	}
	if (probe_wait(s->t->g->probe, patience, window_is_there, s, &e) < 0)
		return trial_error(s->t, &e);
	if (!s->wrong && s->sent - s->got > s->lost && s->excuses < EXCUSES_MAX &&
	    asked_again(s, s->at[s->first]))
		excuse(s);
	s->lost = s->sent - s->got;
	return !s->wrong && (!ended(s) || trial_alive(s->t, &s->p));
}

/* One of those that are lost. */
struct again {
	struct series *s;
	size_t i;
};

static bool is_settled(void *arg)
{
	const struct again *a = arg;

	read_arrivals(a->s);
	return a->s->wrong || !is_lost(a->s, a->i) || ended(a->s);
}

/* The router loses plain ones, too: what is lost of these may be so for that reason. */
static bool send_lost_again(struct series *s)
{
	const struct loss l = { .p = s->p, .kind = LOSS_FORWARD, .again = true };
	uint64_t patience = grader_silence_ns(s->t->g);
	struct err e = { 0 };

	if (!loss_is_forgiven(s->t, &l))
		return s->t->verdict != VERDICT_ERROR;
	s->lossy = true;
	for (struct again a = { s, 0 }; a.i < s->n; a.i++) {
		for (int k = 0; k < LOSS_TRIES && is_lost(s, a.i) && !ended(s); k++) {
			s->at[a.i] = probe_count(s->t->g->probe);
			if (!trial_send(s->t, s->p.from, &s->out[a.i]))
				return false;
			if (probe_wait(s->t->g->probe, patience, is_settled, &a, &e) < 0)
				return trial_error(s->t, &e);
		}
		if (s->wrong || is_lost(s, a.i))
			break;
	}
	s->lost = s->n - s->got;
	return !s->wrong;
}

bool series_run(struct series *s, fields_t fields)
{
	const bool sample = s->lossy;

	s->judge = fields;
	s->at = xcalloc(s->n, sizeof(*s->at));
	s->times = xcalloc(s->n, sizeof(*s->times));
	s->from = probe_count(s->t->g->probe);
	while (s->sent < s->n) {
		if (!run_window(s))
			return false;
	}
	if (s->lost && s->n <= FEW && !sample && !send_lost_again(s))
		return false;
	return s->lost == 0 || (sample && s->got) || not_delivered(s);
}

bool series_sample(struct series *s, fields_t fields)
{
	s->lossy = true;
	return series_run(s, fields);
}

bool series_came_once(struct series *s)
{
	read_arrivals(s);
	for (size_t i = 0; i < s->n; i++) {
		auto_str what = { 0 };

		if (s->times[i] < 2)
			continue;
		describe(s, i, &what);
		story_note(s->t, &s->out[i], NULL, NULL);
		return trial_fail(s->t, "the router delivers a datagram %u times: %s", s->times[i],
				  str_get(&what));
	}
	return true;
}

bool series_both_ways(struct trial *t, const struct path *p, size_t n, fields_t fields)
{
	struct path back = path_back(p);
	auto_series there = series_mixed(t, p, n), home = series_mixed(t, &back, n);

	return series_sample(&there, fields) && series_sample(&home, fields);
}
