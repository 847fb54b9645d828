/* SPDX-License-Identifier: MIT */
/* story.c - the lesson in words. */
#include "grade/story.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "grade/events.h"
#include "grade/special.h"

#include "base/banned.h"

#define ASKED_MAX  8 /* different addresses that are told apart */
#define ASKED_TOLD 2

/* Evidence */

static bool has_mark_of(const struct seen *s, const struct frame *f)
{
	return f->eth.type == ETHERTYPE_IPV4 && f->payload_len >= MARK_LEN &&
	       memmem(s->bytes, s->len, f->payload, MARK_LEN);
}

static const struct seen *find_sent(const struct trial *t, const struct frame *f)
{
	auto_free uint8_t *buf = xmalloc(FRAME_MAX);
	size_t len = frame_encode(f, buf, FRAME_MAX);

	for (size_t i = probe_count(t->g->probe); i-- > 0;) {
		const struct seen *s = probe_get(t->g->probe, i);

		if (s->sent &&
		    (has_mark_of(s, f) || (s->len == len && memcmp(s->bytes, buf, len) == 0)))
			return s;
	}
	return NULL;
}

void story_note(struct trial *t, const struct frame *stimulus, const struct frame *seen,
		const struct place *missing_at)
{
	t->evidence = (struct evidence){ .missing_at = missing_at };
	if (stimulus)
		t->evidence.about = find_sent(t, stimulus);
	for (size_t i = probe_count(t->g->probe); seen && i-- > 0;) {
		if (&probe_get(t->g->probe, i)->f == seen)
			t->evidence.seen = probe_get(t->g->probe, i);
	}
}

/* A check may have forgotten the journal since. */
static bool is_there(const struct trial *t, const struct seen *s)
{
	for (size_t i = 0; i < probe_count(t->g->probe); i++) {
		if (probe_get(t->g->probe, i) == s)
			return true;
	}
	for (size_t i = 0; i < probe_kernel_count(t->g->probe); i++) {
		if (probe_kernel_get(t->g->probe, i) == s)
			return true;
	}
	return false;
}

/* Did anything of this datagram arrive anywhere? By the header: pieces of it count. */
static bool is_gone(const struct trial *t, const struct frame *f)
{
	for (size_t i = 0; i < probe_count(t->g->probe); i++) {
		const struct seen *s = probe_get(t->g->probe, i);

		if (!s->sent && s->f.has & LAYER_IPV4 && s->f.ipv4.id == f->ipv4.id &&
		    s->f.ipv4.src == f->ipv4.src && s->f.ipv4.dst == f->ipv4.dst &&
		    s->f.ipv4.proto == f->ipv4.proto)
			return false;
	}
	return true;
}

static bool is_routers_address(const struct trial *t, uint32_t ip)
{
	for (size_t i = 0; i < t->g->n_places; i++) {
		if (t->g->places[i].router_ip == ip)
			return true;
	}
	return false;
}

/* Where the grader sent nothing, the clients' kernels did: the first of their datagrams that did not
 * come through; NULL: none is known. */
static const struct seen *lost_of_kernels(const struct trial *t)
{
	const struct probe *p = t->g->probe;

	for (size_t i = 0; i < probe_kernel_count(p); i++) {
		const struct seen *s = probe_kernel_get(p, i);

		if (s->f.has & LAYER_IPV4 && !is_routers_address(t, s->f.ipv4.dst) &&
		    is_gone(t, &s->f))
			return s;
	}
	return NULL;
}

void story_close(struct trial *t)
{
	struct evidence *e = &t->evidence;
	const struct seen *last = NULL;

	e->end = t->end ? t->end : probe_count(t->g->probe);
	e->end_ns = t->end ? t->end_ns : clock_real_ns();
	if (t->stimulus < e->end)
		last = probe_get(t->g->probe, t->stimulus);
	if (!e->about || !is_there(t, e->about))
		e->about = last && last->sent ? last : lost_of_kernels(t);
	if (e->seen && !is_there(t, e->seen))
		e->seen = NULL;
}

char *story_sent(const struct trial *t)
{
	const struct seen *a = t->evidence.about;
	const struct place *at = a ? place_of_port(t, a->port) : NULL;
	auto_str text = { 0 };

	if (!at)
		return NULL;
	str_addf(&text, "on %s%s: ", at->net->name, a->kernel ? ", by the client's kernel" : "");
	frame_line(&a->f, at->router_ip ? &at->router_mac : NULL, &text);
	return str_steal(&text);
}

/* What the router did */

struct asked {
	const struct place *at;
	uint32_t who;
	unsigned times;
	bool answered;
};

struct deeds {
	const struct trial *t;
	const struct seen *about;
	struct asked asked[ASKED_MAX];
	unsigned n_asked;
	const struct seen *trace, *answer, *icmp, *other; /* the first of each */
	unsigned n_traces, n_answers, n_others;
	bool anything; /* during the check */
};

/* Is it the stimulus, on its way? */
static bool is_trace(const struct seen *about, const struct seen *s)
{
	const struct frame *a = &about->f, *f = &s->f;

	if (!(a->has & LAYER_IPV4) || !(f->has & LAYER_IPV4))
		return false;
	if (a->payload_len >= MARK_LEN)
		return a->ipv4.proto == f->ipv4.proto && has_mark_of(s, a) &&
		       (!(f->has & LAYER_ICMP) || f->icmp.type == a->icmp.type);
	return a->ipv4.id == f->ipv4.id && a->ipv4.src == f->ipv4.src &&
	       a->ipv4.dst == f->ipv4.dst && a->ipv4.proto == f->ipv4.proto;
}

static bool is_answer(const struct seen *about, const struct seen *s)
{
	const struct frame *a = &about->f, *f = &s->f;

	if (a->has & LAYER_ARP)
		return f->has & LAYER_ARP && f->arp.op != ARP_REQUEST && s->port == about->port &&
		       (f->arp.tpa == a->arp.spa || macaddr_equal(&f->eth.dst, &a->eth.src));
	return a->has & LAYER_ICMP && a->icmp.type == ICMP_ECHO && f->has & LAYER_ICMP &&
	       f->icmp.type == ICMP_ECHO_REPLY && f->icmp.id == a->icmp.id &&
	       f->icmp.seq == a->icmp.seq;
}

static bool is_error_about(const struct seen *about, const struct seen *s)
{
	return s->f.has & LAYER_ICMP && s->f.icmp.type != ICMP_ECHO &&
	       s->f.icmp.type != ICMP_ECHO_REPLY && s->f.ipv4.dst == about->f.ipv4.src;
}

static void note_question(struct deeds *d, const struct event *e)
{
	for (unsigned i = 0; i < d->n_asked; i++) {
		struct asked *a = &d->asked[i];

		if (a->who == e->s->f.arp.tpa && a->at->network == e->at->network) {
			a->times++;
			return;
		}
	}
	if (d->n_asked < ASKED_MAX)
		d->asked[d->n_asked++] = (struct asked){ e->at, e->s->f.arp.tpa, 1, false };
}

/* Somebody who is not the router answers one of its questions. */
static void note_reply(struct deeds *d, const struct event *e)
{
	for (unsigned i = 0; i < d->n_asked; i++) {
		struct asked *a = &d->asked[i];

		a->answered = a->answered ||
			      (a->at->network == e->at->network && e->s->f.arp.spa == a->who);
	}
}

/* A question about a station of an earlier check, which the router still looks for? */
static bool is_leftover(const struct deeds *d, uint32_t ip)
{
	const struct frame *a = &d->about->f;
	const struct grader *g = d->t->g;

	if (ip == a->ipv4.src || ip == a->ipv4.dst || ip == a->arp.spa || ip == a->arp.tpa)
		return false;
	for (size_t i = 0; i < g->n_taken; i++) {
		if (g->taken[i] == ip)
			return true;
	}
	return false;
}

static void note_deed(struct deeds *d, const struct event *e)
{
	const struct seen *a = d->about, *s = e->s;
	bool later = s->ns >= a->ns;

	/* The question may have been asked for an earlier packet to the same address. */
	if (s == d->t->evidence.seen && a->f.has & LAYER_ARP) {
		d->answer = s;
		d->n_answers++;
	} else if (s->f.has & LAYER_ARP && s->f.arp.op == ARP_REQUEST &&
		   is_leftover(d, s->f.arp.tpa)) {
		return;
	} else if (s->f.has & LAYER_ARP && s->f.arp.op == ARP_REQUEST &&
		   (later || (a->f.has & LAYER_IPV4 && s->f.arp.tpa == a->f.ipv4.dst))) {
		note_question(d, e);
	} else if (!later) {
		return;
	} else if (is_trace(a, s)) {
		d->trace = d->trace ? d->trace : s;
		d->n_traces++;
	} else if (is_answer(a, s)) {
		d->answer = d->answer ? d->answer : s;
		d->n_answers++;
	} else if (is_error_about(a, s)) {
		d->icmp = d->icmp ? d->icmp : s;
	} else {
		d->other = d->other ? d->other : s;
		d->n_others++;
	}
}

/* What is wrong about the lesson is the deed that is told. */
static void put_first(struct deeds *d)
{
	const struct seen *s = d->t->evidence.seen;

	if (!s)
		return;
	if (is_trace(d->about, s))
		d->trace = s;
	else if (is_answer(d->about, s))
		d->answer = s;
	else if (is_error_about(d->about, s))
		d->icmp = s;
	else if (!(s->f.has & LAYER_ARP && s->f.arp.op == ARP_REQUEST))
		d->other = s;
}

static void collect(struct deeds *d)
{
	size_t n;
	auto_free struct event *v = events_of(d->t, d->t->evidence.end, &n);

	for (size_t i = 0; i < n; i++) {
		const struct frame *f = &v[i].s->f;

		if (v[i].by == BY_ROUTER) {
			d->anything = true;
			note_deed(d, &v[i]);
		} else if (f->has & LAYER_ARP && f->arp.op == ARP_REPLY) {
			note_reply(d, &v[i]);
		}
	}
	put_first(d);
}

static const char *net_of(const struct trial *t, const struct seen *s)
{
	const struct place *at = place_of_port(t, s->port);

	return at ? at->net->name : "?";
}

/* The network that the address belongs to; NULL: none of the stage's. */
static const struct stage_network *home_of(const struct trial *t, uint32_t ip)
{
	struct ipaddr a = ip4_addr(ip);

	for (size_t i = 0; i < t->g->stage->n_networks; i++) {
		if (ipnet_contains(&t->g->stage->networks[i].subnet, &a))
			return &t->g->stage->networks[i];
	}
	return NULL;
}

static const char *times_text(unsigned n, char *buf, size_t size)
{
	static const char *const words[] = { "", "", " twice", " three times" };

	if (n < ARRAY_SIZE(words))
		return words[n];
	snprintf(buf, size, " %u times", n);
	return buf;
}

/* Once it asked for the address that matters, its other questions do not. */
static bool is_beside_the_point(const struct deeds *d, const struct asked *a)
{
	for (unsigned i = 0; i < d->n_asked; i++) {
		if (d->asked[i].who == d->about->f.ipv4.dst)
			return a->who != d->about->f.ipv4.dst;
	}
	return false;
}

/* A question that is wrong itself was not waited for. */
static bool is_judged(const struct deeds *d, const struct asked *a)
{
	const struct seen *s = d->t->evidence.seen;

	return s && s->f.has & LAYER_ARP && s->f.arp.op == ARP_REQUEST && s->f.arp.tpa == a->who;
}

static void tell_questions(const struct deeds *d, struct strv *out)
{
	unsigned told = 0;

	for (unsigned i = 0; i < d->n_asked && told < ASKED_TOLD; i++) {
		const struct asked *a = &d->asked[i];
		const struct stage_network *home = home_of(d->t, a->who);
		auto_free char *where = NULL;
		char times[24];

		if (is_beside_the_point(d, a))
			continue;
		told++;
		if (a->who == a->at->router_ip)
			where = xstrdup(" (its own address)");
		else if (home && home != a->at->net)
			where = xasprintf(" (the address is on %s)", home->name);
		strv_addf(out, "asked who-has %s%s on %s%s", ip4_text(a->who).s,
			  times_text(a->times, times, sizeof(times)), a->at->net->name,
			  where ? where : "");
		if (!is_judged(d, a))
			strv_add(out, a->answered ? "got the answer" : "got no answer");
	}
}

/* "to ff:ff:ff:ff:ff:ff" when that is nobody's who should get it. */
static void add_destination(const struct deeds *d, const struct seen *s, struct str *out)
{
	const struct place *at = place_of_port(d->t, s->port);
	bool known = at && macaddr_equal(&s->f.eth.dst, &at->mac);

	for (size_t i = 0; i < d->t->n_answering; i++)
		known = known || macaddr_equal(&s->f.eth.dst, &d->t->answering[i].mac);
	for (size_t i = 0; i < d->t->g->n_places; i++)
		known = known || macaddr_equal(&s->f.eth.dst, &d->t->g->places[i].mac);
	if (macaddr_equal(&s->f.eth.dst, &d->about->f.eth.dst))
		str_add(out, ", with the destination MAC that it came with");
	else if (!known)
		str_addf(out, ", to the MAC %s", mac_text(&s->f.eth.dst).s);
}

static void tell_trace(const struct deeds *d, struct strv *out)
{
	const struct seen *s = d->trace;
	auto_str text = { 0 };
	char times[24];
	bool back = s->port == d->about->port;

	str_addf(&text, "sent it %s %s%s with TTL %u", back ? "back to" : "on to", net_of(d->t, s),
		 times_text(d->n_traces, times, sizeof(times)), s->f.ipv4.ttl);
	add_destination(d, s, &text);
	strv_add(out, str_get(&text));
}

static void tell_frame(const struct deeds *d, const char *how, unsigned n, const struct seen *s,
		       struct strv *out)
{
	auto_str text = { 0 };
	char times[24];

	str_addf(&text, "%s%s on %s: ", how, times_text(n, times, sizeof(times)), net_of(d->t, s));
	frame_line(&s->f, NULL, &text);
	strv_add(out, str_get(&text));
}

static bool is_through(const struct deeds *d)
{
	const struct frame *f = &d->about->f;

	return f->has & LAYER_IPV4 && !is_routers_address(d->t, f->ipv4.dst);
}

/* What should have come and did not. */
static void tell_missing(const struct deeds *d, struct strv *out)
{
	if ((!d->t->evidence.missing_at && !d->about->kernel) || d->trace || d->answer || d->icmp)
		return;
	if (!is_through(d)) {
		strv_add(out, d->n_asked || d->n_others ? "did not answer" : "sent nothing");
		return;
	}
	for (unsigned i = 0; i < d->n_asked; i++) {
		if (d->asked[i].who != d->about->f.ipv4.dst)
			continue;
		if (d->asked[i].answered)
			strv_add(out, "never sent the packet that waited");
		return;
	}
	strv_add(out, d->n_others || d->n_asked ? "did not send it on" : "sent nothing");
}

/* Clauses are joined by commas, the last one by "and". */
static char *joined(const struct strv *v, bool after)
{
	auto_str text = { 0 };

	str_add(&text, "your program ");
	for (size_t i = 0; i < v->n; i++)
		str_addf(&text, "%s%s",
			 i == 0		 ? ""
			 : i + 1 == v->n ? (v->n > 2 ? ", and " : " and ")
					 : ", ",
			 v->v[i]);
	if (after)
		str_add(&text, " after that");
	return str_steal(&text);
}

char *story_told(const struct trial *t)
{
	struct deeds d = { .t = t, .about = t->evidence.about };
	auto_strv told = { 0 };

	if (!d.about)
		return NULL;
	collect(&d);
	if (!d.anything)
		return xstrdup("your program sent nothing at all");
	tell_questions(&d, &told);
	if (d.trace)
		tell_trace(&d, &told);
	if (d.answer)
		tell_frame(&d, "answered", d.n_answers, d.answer, &told);
	if (d.icmp)
		tell_frame(&d, "sent", 1, d.icmp, &told);
	if (d.other && (d.other == t->evidence.seen ||
			(!told.n && !t->evidence.missing_at && !d.about->kernel)))
		tell_frame(&d, "sent", 1, d.other, &told);
	tell_missing(&d, &told);
	if (!told.n)
		return xstrdup("your program sent nothing after that");
	return joined(&told, strcmp(told.v[told.n - 1], "sent nothing") == 0);
}
