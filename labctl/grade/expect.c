/* SPDX-License-Identifier: MIT */
/* expect.c - what must arrive, and what must not. */
#include "grade/trial.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "grade/loss.h"
#include "grade/special.h"
#include "grade/story.h"

#include "base/banned.h"

#define WARM_UPS   4
#define WARM_UP_MS 400

static bool all_equal(const struct want *w, const struct frame *f)
{
	for (enum field i = 0; i < F_MAX; i++) {
		if (w->all >> i & 1 && !field_equal(&w->frame, f, i))
			return false;
	}
	return true;
}

static bool one_equal(const struct want *w, const struct frame *f)
{
	for (enum field i = 0; i < F_MAX; i++) {
		if (w->any >> i & 1 && field_there(f, i) && field_equal(&w->frame, f, i))
			return true;
	}
	return false;
}

static bool has_mark(const struct want *w, const struct seen *s)
{
	return w->frame.payload_len >= MARK_LEN &&
	       memmem(s->bytes, s->len, w->frame.payload, MARK_LEN) != NULL;
}

bool want_means(const struct want *w, const struct seen *s)
{
	if (s->sent || !all_equal(w, &s->f) || (w->means && !w->means(w, s)))
		return false;
	if (!w->any && !w->mark)
		return true;
	return one_equal(w, &s->f) || (w->mark && has_mark(w, s));
}

static const struct place *place_at(const struct trial *t, unsigned port)
{
	for (size_t i = 0; i < t->g->n_places; i++) {
		if (t->g->places[i].port == port)
			return &t->g->places[i];
	}
	return NULL;
}

static bool is_copy(const struct trial *t, const struct seen *s, const struct seen *sent)
{
	const struct place *here = place_at(t, s->port);
	const struct place *there = sent->sent || sent->kernel ? place_at(t, sent->port) : NULL;

	return here && there && here->network == there->network && s->len == sent->len &&
	       memcmp(s->bytes, sent->bytes, s->len) == 0;
}

bool trial_is_flooded(const struct trial *t, const struct seen *s)
{
	for (size_t i = 0; i < probe_count(t->g->probe); i++) {
		if (is_copy(t, s, probe_get(t->g->probe, i)))
			return true;
	}
	for (size_t i = 0; i < probe_kernel_count(t->g->probe); i++) {
		if (is_copy(t, s, probe_kernel_get(t->g->probe, i)))
			return true;
	}
	return false;
}

static const struct seen *find(const struct trial *t, const struct place *at, const struct want *w,
			       size_t *from)
{
	for (; *from < probe_count(t->g->probe); ++*from) {
		const struct seen *s = probe_get(t->g->probe, *from);

		if ((!at || s->port == at->port) && want_means(w, s) && !trial_is_flooded(t, s))
			return s;
	}
	return NULL;
}

size_t trial_count(const struct trial *t, const struct place *at, const struct want *w, size_t from)
{
	size_t n = 0;

	while (find(t, at, w, &from)) {
		n++;
		from++;
	}
	return n;
}

struct waiting {
	const struct trial *t;
	const struct place *at;
	const struct want *w;
	size_t from;
	const struct seen *found;
};

static bool ended(const struct grader *g)
{
	return g->runner && !runner_alive(g->runner);
}

static bool arrived(void *arg)
{
	struct waiting *w = arg;

	w->found = find(w->t, w->at, w->w, &w->from);
	return w->found || ended(w->t->g);
}

uint64_t trial_patience_ns(const struct trial *t, unsigned ms)
{
	uint64_t idle = ms * NS_PER_MS, slow = (uint64_t)((double)idle * t->g->slowness);

	if (!ms)
		return t->g->answer_ns;
	return slow - idle < t->g->answer_ns ? slow : idle + t->g->answer_ns;
}

static bool is_owned(const struct trial *t, const uint8_t *payload)
{
	for (size_t i = 0; i < t->n_payloads; i++) {
		if (t->payloads[i] == payload)
			return true;
	}
	return false;
}

/* For who looks later whether it came after the time. */
static void note_unanswered(struct trial *t, const struct place *at, const struct want *w)
{
	free(steal_ptr(&t->unanswered));
	if (w->means_arg || t->since >= probe_count(t->g->probe))
		return;
	t->unanswered = xmalloc(sizeof(*w));
	*t->unanswered = *w;
	/* The check's own buffers do not outlive it. */
	if (!is_owned(t, w->frame.payload)) {
		t->unanswered->frame.payload = NULL;
		t->unanswered->frame.payload_len = 0;
	}
	t->unanswered->frame.trailer = NULL;
	t->unanswered->frame.trailer_len = 0;
	t->unanswered_at = at;
	t->unanswered_ns = probe_get(t->g->probe, t->since)->ns;
}

/* NULL when nothing came (then *ret_error tells whether the wait itself failed). */
static const struct seen *await_for(struct trial *t, const struct place *at, const struct want *w,
				    uint64_t patience_ns, bool *ret_error)
{
	struct waiting wait = { .t = t, .at = at, .w = w, .from = t->since };
	struct err e = { 0 };
	int r = probe_wait(t->g->probe, patience_ns, arrived, &wait, &e);

	*ret_error = r < 0;
	if (r < 0)
		trial_error(t, &e);
	else if (!wait.found)
		note_unanswered(t, at, w);
	return wait.found;
}

/* Waits. What was perhaps lost, as the router loses others, is sent again; who has a patience of
 * his own does that himself. */
static const struct seen *await(struct trial *t, const struct place *at, const struct want *w,
				bool *ret_error)
{
	uint64_t full = trial_patience_ns(t, w->patience_ms), brief = grader_silence_ns(t->g);
	struct loss l;
	bool known = !w->patience_ms && loss_is_known(t->g) && loss_suspect(t, at, w, &l) &&
		     loss_is_forgiven(t, &l);
	const struct seen *s = await_for(t, at, w, known ? brief : full, ret_error);

	if (s || *ret_error || w->patience_ms || ended(t->g) || !loss_suspect(t, at, w, &l) ||
	    !loss_is_forgiven(t, &l)) {
		*ret_error = t->verdict == VERDICT_ERROR;
		return s;
	}
	for (int i = 0; i < LOSS_TRIES && !s && !*ret_error; i++) {
		*ret_error = !loss_send_again(t, &l);
		if (!*ret_error)
			s = await_for(t, at, w, i + 1 < LOSS_TRIES ? brief : full, ret_error);
	}
	return s;
}

static bool program_ended(struct trial *t)
{
	auto_free char *text = runner_end_text(t->g->runner, " while this was tried");

	return trial_fail(t, "%s", text);
}

/* The frame's most telling fields, for "nothing came" and "this came". */
static json_t *one_line(const struct frame *f, bool seen)
{
	auto_str text = { 0 };

	if (seen)
		frame_line(f, NULL, &text);
	else
		frame_summary(f, &text);
	return json_pack("{s:s}", "frame", str_get(&text));
}

static void set_compared(struct trial *t, json_t *expected, json_t *seen)
{
	json_decref(t->expected);
	json_decref(t->seen);
	t->expected = expected;
	t->seen = seen;
}

bool trial_judge(struct trial *t, const struct want *w, const struct frame *seen)
{
	fields_t wrong = frame_diff(&w->frame, seen, w->judge);
	json_t *expected, *got;
	auto_str where = { 0 };
	enum field first = 0;

	if (!wrong)
		return true;
	while (!(wrong >> first & 1))
		first++;
	story_note(t, w->mark ? &w->frame : NULL, seen, NULL);
	t->evidence.wrong = wrong;
	expected = frame_wanted_json(&w->frame, seen, wrong);
	got = frame_fields_json(seen, wrong);
	field_difference(&w->frame, seen, first, &where);
	if (!where.len)
		str_addf(&where, "%s is %s and should be %s", field_title(first),
			 json_string_value(json_object_get(got, field_name(first))),
			 json_string_value(json_object_get(expected, field_name(first))));
	trial_fail(t, "%s is wrong: %s", w->what, str_get(&where));
	set_compared(t, expected, got);
	return false;
}

static bool nothing_came(struct trial *t, const struct place *at, const struct want *w)
{
	if (ended(t->g))
		return program_ended(t);
	story_note(t, w->mark ? &w->frame : NULL, NULL, at);
	if (loss_is_cause(t, at, w) || t->verdict == VERDICT_ERROR)
		return false;
	trial_fail(t, "%s", w->missing);
	set_compared(t, one_line(&w->frame, false), json_pack("{s:s}", "frame", "nothing"));
	return false;
}

const struct frame *trial_expect(struct trial *t, const struct place *at, const struct want *w)
{
	bool error;
	const struct seen *s = await(t, at, w, &error);

	if (error)
		return NULL;
	if (!s) {
		nothing_came(t, at, w);
		return NULL;
	}
	return trial_judge(t, w, &s->f) ? &s->f : NULL;
}

bool trial_await(struct trial *t, const struct place *at, const struct want *w)
{
	bool error;

	return await(t, at, w, &error) && !error;
}

struct frame path_forwarded(const struct path *p, const struct frame *out)
{
	struct frame f = *out;

	f.as_is = 0;
	f.eth.src = p->to->router_mac;
	f.eth.dst = p->to->mac;
	f.ipv4.ttl--;
	f.trailer_len = 0;
	return f;
}

/* A forwarded datagram is known by its mark, or, should its payload be damaged, by its header. */
static struct want forwarded_want(const struct path *p, const struct frame *out, fields_t judge)
{
	struct want w = { .what = "the forwarded datagram",
			  .missing = "the router did not deliver the datagram",
			  .frame = path_forwarded(p, out),
			  .all = F(ETH_TYPE),
			  .any = out->ipv4.id ? F(IPV4_ID) : 0, /* many have 0 */
			  .mark = true,
			  .judge = judge };

	return w;
}

const struct frame *trial_deliver(struct trial *t, const struct path *p, const struct frame *out,
				  fields_t judge)
{
	struct want w = forwarded_want(p, out, judge);

	if (!trial_send(t, p->from, out))
		return NULL;
	return trial_expect(t, p->to, &w);
}

bool trial_warm_up(struct trial *t, const struct path *p, const struct station *to)
{
	struct station from = place_station(p->from);

	for (int i = 0; i < WARM_UPS; i++) {
		struct frame out = trial_datagram(t, &from, to, 32);
		struct want trace = want_trace(&out);

		trace.patience_ms = WARM_UP_MS;
		if (!trial_send(t, p->from, &out))
			return false;
		if (trial_await(t, p->to, &trace))
			return true;
		if (t->verdict == VERDICT_ERROR)
			return false;
		if (ended(t->g))
			return program_ended(t);
	}
	story_note(t, NULL, NULL, p->to);
	return trial_fail(t, "the router does not deliver datagrams to %s", ip4_text(to->ip).s);
}

bool trial_crosses(struct trial *t)
{
	struct station from, to;
	struct path p, back;

	if (!trial_path(t, &p))
		return false;
	back = path_back(&p);
	from = place_station(p.from);
	to = place_station(p.to);
	return trial_warm_up(t, &p, &to) && trial_warm_up(t, &back, &from);
}

static bool is_answer(const struct want *w, const struct seen *s)
{
	(void)w; /* whose it is, its fields say */
	return arp_is_answer(&s->f);
}

static struct want greeting(const struct station *asker)
{
	struct want reply = { .all = F(ETH_TYPE) | F(ARP_TPA) | F(ARP_SPA), .means = is_answer };

	reply.frame.has = LAYER_ETH | LAYER_ARP;
	reply.frame.eth.type = ETHERTYPE_ARP;
	reply.frame.arp.tpa = asker->ip;
	reply.frame.arp.spa = asker->at->router_ip;
	return reply;
}

bool trial_greets(struct trial *t, const struct station *asker, const struct macaddr *to,
		  unsigned patience_ms)
{
	struct frame ask = arp_ask(asker, asker->at->router_ip);
	struct want reply = greeting(asker);

	reply.patience_ms = patience_ms;
	if (to)
		ask.eth.dst = *to;
	return trial_send(t, asker->at, &ask) && trial_await(t, asker->at, &reply);
}

/* Sends what is not what the check is about. */
static bool send_control(struct trial *t, const struct place *at, const struct frame *f)
{
	size_t before = t->stimulus;
	bool sent = trial_send(t, at, f);

	t->stimulus = before;
	return sent;
}

/* Remembers how slow this router is on this computer: silence is listened to accordingly. */
static bool timed_await(struct trial *t, const struct place *at, const struct want *w)
{
	uint64_t start = clock_mono_ns(), took;

	if (!trial_await(t, at, w))
		return false;
	took = clock_mono_ns() - start;
	/* What was lost is not slow. */
	if (took > t->g->slowest_ns && !loss_is_known(t->g))
		t->g->slowest_ns = took;
	return true;
}

static bool sends_on(struct trial *t, const struct path *p, unsigned patience_ms)
{
	struct station from = place_station(p->from), to = place_station(p->to);
	struct frame out = trial_datagram(t, &from, &to, 32);
	struct want w = forwarded_want(p, &out, 0);

	w.patience_ms = patience_ms;
	return send_control(t, p->from, &out) && timed_await(t, p->to, &w);
}

static bool echoes(struct trial *t, const struct place *at, unsigned patience_ms)
{
	struct station me = place_station(at);
	struct frame request = trial_echo(t, &me, at->router_ip, 32);
	struct want reply = { .frame = request,
			      .all = F(ETH_TYPE) | F(ICMP_TYPE) | F(ICMP_ID) | F(ICMP_SEQ),
			      .patience_ms = patience_ms };

	reply.frame.icmp.type = ICMP_ECHO_REPLY;
	return send_control(t, at, &request) && timed_await(t, at, &reply);
}

bool trial_life(struct trial *t, const struct place *at, unsigned patience_ms)
{
	struct station me = place_station(at);
	struct frame ask = arp_ask(&me, at->router_ip);
	struct want reply = greeting(&me);

	if (at->life == LIFE_FORWARD)
		return sends_on(t, &(struct path){ at, at->across }, patience_ms);
	if (at->life == LIFE_ECHO)
		return echoes(t, at, patience_ms);
	reply.patience_ms = patience_ms;
	return send_control(t, at, &ask) && timed_await(t, at, &reply);
}

bool control_life(struct trial *t, const struct path *p)
{
	return trial_life(t, p->from, 0);
}

bool control_forward(struct trial *t, const struct path *p)
{
	return sends_on(t, p, 0);
}

bool trial_alive(struct trial *t, const struct path *p)
{
	return trial_alive_or(t, p,
			      p->from->life == LIFE_ARP || p->from->life == LIFE_NONE
				      ? "the router no longer answers who-has for its own address"
				      : "the router no longer does its work");
}

bool trial_alive_or(struct trial *t, const struct path *p, const char *lesson)
{
	if (control_life(t, p))
		return true;
	if (t->verdict == VERDICT_ERROR)
		return false;
	if (ended(t->g))
		return program_ended(t);
	story_note(t, NULL, NULL, p->from);
	if (loss_is_cause(t, NULL, NULL) || t->verdict == VERDICT_ERROR)
		return false;
	return trial_fail(t, "%s", lesson);
}

struct want want_trace(const struct frame *out)
{
	struct want w = { .frame = *out, .all = F(ETH_TYPE) | F(IPV4_PROTO), .mark = true };

	return w;
}

/* After the last control: what comes late still counts. */
static bool listen_on(struct trial *t)
{
	struct err e = { 0 };
	unsigned lost;

	if (probe_wait(t->g->probe, grader_silence_ns(t->g), NULL, NULL, &e) < 0)
		return trial_error(t, &e);
	lost = probe_lost(t->g->probe);
	if (lost) {
		err_set(&e, ERR_ENV, 0, "%u frames were lost: silence cannot be judged", lost);
		return trial_error(t, &e);
	}
	return true;
}

static bool taboo_kept(struct trial *t, const struct taboo *v, size_t from)
{
	const struct seen *s = find(t, NULL, &v->answer, &from);

	if (!s)
		return true;
	trial_fail(t, "%s", v->sentence);
	story_note(t, &v->stimulus, &s->f, NULL);
	set_compared(t, json_pack("{s:s}", "frame", "nothing"), one_line(&s->f, true));
	return false;
}

bool trial_forbid(struct trial *t, const struct path *p, const struct taboo *v, size_t n,
		  control_fn *control)
{
	size_t start = probe_count(t->g->probe);
	bool alive = control(t, p);

	for (size_t i = 0; i < n && alive; i++) {
		if (!trial_send(t, v[i].at, &v[i].stimulus))
			return false;
		alive = control(t, p);
		if (!alive && t->verdict != VERDICT_ERROR)
			story_note(t, &v[i].stimulus, NULL, NULL);
		if (!alive && t->verdict != VERDICT_ERROR && !ended(t->g))
			return loss_is_cause(t, NULL, NULL)
				       ? false
				       : trial_fail(t,
						    "after %s the router no longer does its work",
						    v[i].name);
	}
	if (t->verdict == VERDICT_ERROR)
		return false;
	if (!alive && ended(t->g))
		return program_ended(t);
	if (!alive)
		return loss_is_cause(t, NULL, NULL)
			       ? false
			       : trial_fail(t, "the router no longer does its work");
	if (!listen_on(t))
		return false;
	if (ended(t->g))
		return program_ended(t);
	for (size_t i = 0; i < n; i++) {
		if (!taboo_kept(t, &v[i], start))
			return false;
	}
	return true;
}
