/* SPDX-License-Identifier: MIT */
/* grader.c - order, prerequisites, restarts; who stands where. */
#include "grade/grader.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rights.h"
#include "grade/checks/resolve.h"
#include "grade/diagnose.h"
#include "grade/fair.h"
#include "grade/hint.h"
#include "grade/neighbour.h"
#include "grade/pcap.h"
#include "grade/program.h"
#include "grade/replay.h"
#include "grade/results.h"
#include "grade/story.h"
#include "grade/trial.h"
#include "net/netns.h"

#include "base/banned.h"

#define ANSWER_NS	 (1000 * NS_PER_MS) /* on an idle computer */
#define SILENCE_MIN_NS	 (20 * NS_PER_MS)
#define SILENCE_MAX_NS	 (500 * NS_PER_MS)
#define SILENCE_PROOF_NS (50 * NS_PER_MS)
#define LATE_UNIT_NS	 (5 * NS_PER_MS)
#define SLOWNESS_MAX	 8.0
#define CALIBRATE_TURNS	 8

uint64_t grader_silence_ns(const struct grader *g)
{
	uint64_t ns = g->slowest_ns * 4;

	ns = ns < SILENCE_MIN_NS ? SILENCE_MIN_NS : ns;
	ns = (uint64_t)((double)ns * g->slowness);
	return ns > SILENCE_MAX_NS ? SILENCE_MAX_NS : ns;
}

/* Places */

struct sink_open {
	int fd;
	uint16_t port;
};

static int sink_open(void *arg, struct err *err)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct sink_open *o = arg;
	socklen_t len = sizeof(at);
	auto_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return err_set(err, ERR_ENV, errno, "cannot open a UDP port");
	o->port = ntohs(at.sin_port);
	o->fd = steal_fd(&fd);
	return 0;
}

static int add_place(struct grader *g, size_t client, const struct stage_interface *ifc,
		     struct err *err)
{
	const struct stage_network *net = &g->stage->networks[ifc->network];
	const struct arena_network *seat = &g->arena->networks[ifc->network];
	int ns = g->arena->client_ns[client];
	struct sink_open sink = { .fd = -1 };
	struct place p = { .client = &g->stage->clients[client],
			   .net = net,
			   .network = ifc->network,
			   .ifname = ifc->name,
			   .mac = lab_client_mac(ifc),
			   .ip = ip4_number(&ifc->address.addr),
			   .sink = -1 };

	if (net->has_router && seat->ifname[0]) {
		p.router_ip = ip4_number(&net->router);
		p.seat_mac = p.router_mac = seat->mac;
	}
	if (probe_add_port(g->probe, ns, ifc->name, &p.port, err) < 0 ||
	    netns_run(ns, sink_open, &sink, err) < 0)
		return err_wrap(err, "client '%s'", p.client->name);
	p.sink = sink.fd;
	p.sink_port = sink.port;
	*array_push(g->places, g->n_places) = p;
	return 0;
}

static const struct place *place_across(const struct grader *g, const struct place *p)
{
	for (size_t i = 0; i < g->n_places; i++) {
		const struct place *o = &g->places[i];

		if (p->router_ip && o->router_ip && o->network != p->network)
			return o;
	}
	return NULL;
}

static int add_places(struct grader *g, struct err *err)
{
	for (size_t i = 0; i < g->stage->n_clients; i++) {
		const struct stage_client *c = &g->stage->clients[i];

		for (size_t k = 0; k < c->n_interfaces; k++) {
			if (c->interfaces[k].has_address &&
			    c->interfaces[k].address.addr.family == AF_INET &&
			    add_place(g, i, &c->interfaces[k], err) < 0)
				return -1;
		}
	}
	for (size_t i = 0; i < g->n_places; i++)
		g->places[i].across = place_across(g, &g->places[i]);
	return 0;
}

/* Guests */

static bool is_for(const struct station *s, const struct seen *f)
{
	return f->port == s->at->port && f->f.arp.tpa == s->ip &&
	       (f->f.eth.dst.b[0] & 1 || macaddr_equal(&f->f.eth.dst, &s->mac));
}

/* Long after its check was passed: a router asks again when a timer of its own says so. */
static void watch_question(struct grader *g, const struct seen *s)
{
	for (size_t i = 0; i < g->n_silent; i++) {
		struct silent *v = &g->silent[i];
		uint64_t since = s->ns - v->asked_ns;

		if (v->ip != s->f.arp.tpa || v->port != s->port)
			continue;
		if (v->asked_ns && since < ASK_LEAST_NS && (!v->soon_ns || since < v->soon_ns))
			v->soon_ns = since;
		v->asked_ns = s->ns;
	}
}

/* Answers who-has for the guests of the running trial. */
static void on_frame(void *arg, const struct seen *s)
{
	struct grader *g = arg;
	uint8_t buf[128];

	g->forwarded += (s->f.has & LAYER_IPV4) != 0;
	if (!(s->f.has & LAYER_ARP) || s->f.arp.op != ARP_REQUEST)
		return;
	watch_question(g, s);
	if (!g->trial)
		return;
	for (size_t i = 0; i < g->trial->n_answering; i++) {
		const struct station *me = &g->trial->answering[i];
		const struct station asker = { me->at, s->f.arp.spa, s->f.arp.sha };
		struct frame reply = arp_tell(me, &asker);
		struct err e = { 0 };

		if (is_for(me, s) && probe_send(g->probe, me->at->port, buf,
						frame_encode(&reply, buf, sizeof(buf)), &e) < 0)
			trial_error(g->trial, &e);
	}
}

/* How late is this process woken up? On a busy computer all limits grow. */
static int calibrate(struct grader *g, struct err *err)
{
	uint64_t worst = 0;

	for (int i = 0; i < CALIBRATE_TURNS; i++) {
		uint64_t start = clock_mono_ns(), took;

		if (probe_wait(g->probe, NS_PER_MS, NULL, NULL, err) < 0)
			return -1;
		took = clock_mono_ns() - start - NS_PER_MS;
		worst = took > worst ? took : worst;
	}
	g->slowness = 1.0 + (double)worst / (double)LATE_UNIT_NS;
	if (g->slowness > SLOWNESS_MAX)
		g->slowness = SLOWNESS_MAX;
	g->answer_ns = (uint64_t)((double)ANSWER_NS * g->slowness);
	log_debug("grader: woken %.2f ms late at worst, limits times %.2f", (double)worst / 1e6,
		  g->slowness);
	return 0;
}

/* Fairness */

static void on_kernel(void *arg)
{
	const struct grader *g = arg;

	kernel_watch_read(g->kernel);
}

static int watch_kernel(struct grader *g, struct err *err)
{
	if (fair_watch(g->arena, &g->kernel, err) < 0)
		return -1;
	for (size_t i = 0; kernel_watch_fd(g->kernel, i) >= 0; i++) {
		if (probe_watch(g->probe, kernel_watch_fd(g->kernel, i), on_kernel, g, err) < 0)
			return -1;
	}
	return 0;
}

/* Did somebody change the seat since it is watched? Then there is nothing to grade any more. */
static bool is_changed(const struct grader *g)
{
	return kernel_watch_changes(g->kernel)->n > 0;
}

/* Results */

static int write_pcap(struct grader *g, const struct result *r, struct err *err)
{
	const struct grader_options *o = g->options;
	auto_file_rights as_caller = { 0 };
	auto_free char *path = NULL;
	bool cut = false;

	if (!o->pcap_dir || (o->pcap_failures && r->verdict == VERDICT_PASS))
		return 0;
	if (o->pcap_as && file_rights_of(o->pcap_as, &as_caller, err) < 0)
		return -1;
	path = xasprintf("%s/%s.pcap", o->pcap_dir, r->id);
	if (pcap_write(g, r, path, &g->pcap_room, &cut, err) < 0)
		return -1;
	g->pcap_cut = g->pcap_cut || cut;
	return 0;
}

void grader_note_lesson(const struct trial *t, struct result *r)
{
	const struct evidence *e = &t->evidence;

	if (t->verdict != VERDICT_FAIL)
		return;
	r->sent = story_sent(t);
	ladder_make(t, &r->ladder);
	if (!t->late && (!t->g->runner || runner_alive(t->g->runner)))
		r->story = story_told(t);
	for (enum field i = 0; i < F_MAX && !r->fault_hint; i++) {
		if (t->evidence.wrong >> i & 1)
			r->fault_hint = fault_hint(i, e->seen ? &e->seen->f : NULL,
						   e->about ? &e->about->f : NULL);
	}
}

/* Is there a check after this one that waits for it? */
static bool is_needed(const struct results *all, const struct result *r)
{
	for (const struct result *o = r + 1; o < all->v + all->n; o++) {
		if ((o->selected || o->needed) && check_needs(o->check, r->check->id))
			return true;
	}
	return false;
}

/* What a check is about may be wrong in a way that hides nothing behind it. */
static int note_blocks(struct grader *g, struct result *r, struct err *err)
{
	struct trial t = { .g = g, .check = r->check, .args = r->args };

	r->blocks = r->verdict != VERDICT_PASS;
	if (r->verdict != VERDICT_FAIL || !r->check->usable || !is_needed(g->results, r))
		return 0;
	t.rng = rng_for(g->options->seed, "usable");
	if (program_revive(g, &t, err) == 0 && !t.reason && probe_forget(g->probe, err) == 0) {
		g->trial = &t;
		r->blocks = !r->check->usable(&t);
		g->trial = NULL;
	}
	trial_done(&t);
	return err_if_interrupted(err);
}

static int try_check(struct grader *g, struct result *r, struct err *err)
{
	struct trial t = { .g = g, .check = r->check, .args = r->args };
	uint64_t start = clock_mono_ns();

	t.rng = rng_for(g->options->seed, r->id);
	if (program_revive(g, &t, err) < 0 || probe_forget(g->probe, err) < 0) {
		trial_done(&t);
		return -1;
	}
	g->trial = &t;
	if (!t.reason && r->check->run(&t))
		t.verdict = VERDICT_PASS;
	else if (!t.reason)
		trial_error(&t, &(struct err){ .msg = "this check gave no reason" });
	g->trial = NULL;
	story_close(&t);
	if (t.verdict == VERDICT_FAIL)
		diagnose_frames(g);
	g->restart = r->check->rough && t.verdict == VERDICT_FAIL;
	if (g->runner && g->options->keep_output)
		r->prints = runner_take_output(g->runner);
	if (g->runner)
		program_note_end(g, &t);
	r->verdict = t.verdict;
	r->waits_for = t.waits_for;
	r->points = t.verdict == VERDICT_PASS ? r->max_points : 0;
	grader_note_lesson(&t, r);
	r->reason = steal_ptr(&t.reason);
	r->expected = steal_ptr(&t.expected);
	r->seen = steal_ptr(&t.seen);
	r->ms = (double)(clock_mono_ns() - start) / 1e6;
	if (g->runner && !runner_alive(g->runner))
		r->output = xstrdup(runner_output(g->runner));
	trial_done(&t);
	if (err_if_interrupted(err) < 0 || write_pcap(g, r, err) < 0)
		return -1;
	return note_blocks(g, r, err);
}

static void wait_for(struct result *r, const struct result *blocker)
{
	r->blocks = true;
	r->waits_for = blocker->waits_for ? blocker->waits_for : blocker->id;
	r->reason =
		xasprintf("not tried, because %s %s", blocker->id,
			  blocker->verdict == VERDICT_PENDING ? "was not tried" : "did not pass");
}

static int try_all(struct grader *g, struct results *all, struct err *err)
{
	const struct grader_options *o = g->options;
	size_t done = 0, n = 0;
	bool stop = false;

	for (size_t i = 0; i < all->n; i++)
		n += all->v[i].selected || all->v[i].needed;
	for (size_t i = 0; i < all->n && !stop && !is_changed(g); i++) {
		struct result *r = &all->v[i];
		const struct result *blocker = results_blocked_by(all, r);

		if (!r->selected && !r->needed)
			continue;
		if (o->progress)
			o->progress(o->progress_arg, r, done, n, false);
		if (blocker)
			wait_for(r, blocker);
		else if (try_check(g, r, err) < 0)
			return -1;
		if (o->progress)
			o->progress(o->progress_arg, r, done, n, true);
		done++;
		/* Why something else was not tried has to be in the report. */
		r->selected = r->selected || (r->verdict != VERDICT_PASS && r->blocks);
		stop = o->stop_at_failure && r->verdict != VERDICT_PASS;
	}
	return 0;
}

/* When the program never answers, nothing of it can be judged: the first check fails with that
 * sentence, the others are not tried. */
static void never_answered(struct grader *g, struct results *all)
{
	bool first = true;

	for (size_t i = 0; i < all->n; i++) {
		struct result *r = &all->v[i];

		if (!r->selected)
			continue;
		if (!first) {
			r->reason = xstrdup("not tried, because your program ended");
			continue;
		}
		first = false;
		r->verdict = VERDICT_FAIL;
		r->reason = runner_end_text(g->runner, " before it answered anything");
		r->output = xstrdup(runner_output(g->runner));
	}
}

/* Everything selected is an error for this reason. */
static void all_errors(struct results *all, const char *reason)
{
	for (size_t i = 0; i < all->n; i++) {
		struct result *r = &all->v[i];

		if (!r->selected)
			continue;
		result_forget_lesson(r);
		r->verdict = VERDICT_ERROR;
		r->points = 0;
		r->reason = xstrdup(reason);
	}
}

/* *ret_fair false: everything has become an error. */
static int judge_fairness(struct grader *g, struct results *all, bool *ret_fair, struct err *err)
{
	const struct strv *changes;
	auto_strv reasons = { 0 };
	auto_str text = { 0 };

	*ret_fair = true;
	if (fair_inspect(g->arena, &reasons, err) < 0)
		return -1;
	for (size_t i = 0; i < reasons.n; i++)
		str_addf(&text, "%s%s", i ? "; " : "", reasons.v[i]);
	kernel_watch_read(g->kernel);
	changes = kernel_watch_changes(g->kernel);
	for (size_t i = 0; i < changes->n; i++)
		str_addf(&text, "%s%s%s", text.len ? "; " : "", i ? "" : "during the check, ",
			 changes->v[i]);
	if (!text.len)
		return 0;
	*ret_fair = false;
	all_errors(all, str_get(&text));
	return 0;
}

/* Asks everything a router would answer while the program does not run; *ret_who (heap) is the
 * sentence about an answer, NULL when all is silent. */
static int prove_silence(struct grader *g, char **ret_who, struct err *err)
{
	static const struct check nobody = { .id = "silence" };
	struct trial t = { .g = g, .check = &nobody };
	int r;

	t.rng = rng_for(g->options->seed, nobody.id);
	trial_ask_everything(&t);
	r = probe_wait(g->probe, (uint64_t)((double)SILENCE_PROOF_NS * g->slowness), NULL, NULL,
		       err);
	*ret_who = r < 0 || t.reason ? NULL : trial_who_answers(&t);
	if (r == 0 && t.reason)
		r = err_set(err, ERR_ENV, 0, "%s", t.reason);
	trial_done(&t);
	return r < 0 ? -1 : 0;
}

/* In place of what was noted when it did not answer: this says why. */
static void note_diagnosis(struct grader *g, struct results *all)
{
	bool failed = false;
	char *text;

	for (size_t i = 0; i < all->n; i++)
		failed = failed || all->v[i].verdict == VERDICT_FAIL;
	text = failed ? diagnose_program(g, &all->wrong_sockets) : NULL;
	if (!text)
		return;
	free(all->notice);
	all->notice = text;
}

static void say_who_answers(const struct grader *g, const char *who, struct results *all)
{
	pid_t pid = 0;
	auto_free char *listener = diagnose_listener(g, &pid);
	auto_free char *text = NULL;

	if (listener)
		text = xasprintf("%s; it listens here: %s; end it (Ctrl-C there, or kill %d), then "
				 "check again",
				 who, listener, (int)pid);
	all_errors(all, text ? text : who);
}

static int run_program(struct grader *g, struct results *ret, struct err *err)
{
	auto_free char *who = NULL;
	uint64_t start;
	size_t alive;

	if (prove_silence(g, &who, err) < 0)
		return -1;
	if (who) {
		say_who_answers(g, who, ret);
		return 0;
	}
	diagnose_begin(g);
	start = clock_mono_ns();
	if (program_start(g, &alive, err) < 0)
		return -1;
	if (!alive && runner_alive(g->runner))
		ret->notice =
			xasprintf("Your program runs, but it answered nothing in %.0f seconds.",
				  (double)(clock_mono_ns() - start) / 1e9);
	if (!alive && !runner_alive(g->runner)) {
		never_answered(g, ret);
		return 0;
	}
	/* What was silent for so long was waited for already. */
	if (!alive)
		g->answer_ns = ANSWER_NS;
	if (try_all(g, ret, err) < 0)
		return -1;
	if (runner_alive(g->runner))
		note_diagnosis(g, ret);
	if (g->hangs >= PROGRAM_HANGS && !ret->notice)
		ret->notice = xasprintf("Your program stopped answering in %u checks, and was "
					"started again each time: mend that first. To see where it "
					"stays, start it by '%s run -- COMMAND', and send it a "
					"check's frames from another terminal: '%s check --replay "
					"ID'.",
					g->hangs, g->arena->labctl, g->arena->labctl);
	return 0;
}

/* What was passed in a few milliseconds may be wrong in the second after. */
static void judge_questions(const struct grader *g, struct results *all)
{
	for (size_t i = 0; i < all->n; i++) {
		struct result *r = &all->v[i];

		for (size_t k = 0; k < g->n_silent; k++) {
			const struct silent *v = &g->silent[k];

			if (r->verdict != VERDICT_PASS || !v->soon_ns ||
			    strcmp(r->check->id, "arp.resolve") != 0)
				continue;
			r->verdict = VERDICT_FAIL;
			r->points = 0;
			r->reason = xasprintf("the router asks more than once a second for the "
					      "same address: for %s, who does not answer, once "
					      "more after %.0f ms, while other checks were tried",
					      ip4_text(v->ip).s, (double)v->soon_ns / 1e6);
		}
	}
}

/* Perhaps the student forgot to start it: then a lesson about ARP does not help. */
static int note_nobody(struct grader *g, struct results *all, const char *listener, struct err *err)
{
	auto_free char *who = NULL;

	if (probe_forget(g->probe, err) < 0 || prove_silence(g, &who, err) < 0)
		return -1;
	if (who)
		return 0;
	all->notice =
		listener ? xasprintf("Nobody answers anything, although %s listens.", listener)
			 : xasprintf("Nobody answers anything. Does your program run? Start it by "
				     "'%s run -- COMMAND', or here by --run COMMAND.",
				     g->arena->labctl);
	return 0;
}

static int grade_running(struct grader *g, struct results *ret, struct err *err)
{
	const struct meeting_limit limit = { .ns = g->answer_ns };
	auto_free char *listener = NULL;
	size_t alive;
	pid_t pid;

	if (neighbours_meet(g, &limit, &alive, err) < 0 || try_all(g, ret, err) < 0)
		return -1;
	if (!alive)
		listener = diagnose_listener(g, &pid);
	if (alive || listener)
		note_diagnosis(g, ret);
	return alive || ret->notice ? 0 : note_nobody(g, ret, listener, err);
}

static int run(struct grader *g, struct results *ret, struct err *err)
{
	bool fair;

	if (probe_new(&g->probe, err) < 0 || watch_kernel(g, err) < 0 || add_places(g, err) < 0 ||
	    calibrate(g, err) < 0)
		return -1;
	probe_on_frame(g->probe, on_frame, g);
	g->results = ret;
	if (judge_fairness(g, ret, &fair, err) < 0)
		return -1;
	if (!fair)
		return 0;
	if (g->options->replay)
		return replay_run(g, ret, err);
	if ((g->options->program ? run_program(g, ret, err) : grade_running(g, ret, err)) < 0)
		return -1;
	judge_questions(g, ret);
	/* Again: it may have been arranged meanwhile. */
	return judge_fairness(g, ret, &fair, err);
}

static void note_cut(struct results *r)
{
	auto_free char *before = steal_ptr(&r->notice);

	r->notice = xasprintf("%s%sThe capture files are not complete: they end at %u MB in all.",
			      before ? before : "", before ? " " : "", PCAP_TOTAL_MAX >> 20);
}

static int make_pcap_dir(const struct grader_options *o, struct err *err)
{
	auto_file_rights as_caller = { 0 };

	if (o->pcap_as && file_rights_of(o->pcap_as, &as_caller, err) < 0)
		return -1;
	return fs_mkdirs(o->pcap_dir, 0755, err);
}

int grade(struct arena *a, const struct grader_options *o, struct results *ret, struct err *err)
{
	struct grader g = {
		.arena = a, .stage = a->stage, .options = o, .pcap_room = PCAP_TOTAL_MAX
	};
	auto_results results = { .seed = o->seed };
	uint64_t start = clock_mono_ns();
	int r = results_make(a->stage, o, &results, err);

	if (r == 0 && o->pcap_dir)
		r = make_pcap_dir(o, err);
	if (r == 0)
		r = run(&g, &results, err);
	if (r == 0 && g.pcap_cut)
		note_cut(&results);
	runner_stop(g.runner);
	for (size_t i = 0; i < g.n_places; i++)
		close(g.places[i].sink);
	free(g.places);
	free(g.earlier);
	free(g.taken);
	probe_free(g.probe);
	kernel_watch_close(g.kernel);
	if (r < 0)
		return -1;
	results_count(&results);
	results.ms = (double)(clock_mono_ns() - start) / 1e6;
	*ret = results;
	results = (struct results){ 0 };
	return 0;
}
