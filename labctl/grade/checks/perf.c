/* SPDX-License-Identifier: MIT */
/* perf.c - checks of speed: packets per second, latency, bursts, in the tiers of the stage. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "grade/family.h"
#include "grade/fit.h"
#include "grade/trial.h"

#include "base/banned.h"

/*
 * Packets are counted in a closed loop: so many are on their way at a time, and each that arrives
 * lets another one go. That measures what the router can do, and no buffer overflows because
 * somebody else has the processor for a moment. Only the router's own time counts: not that in
 * which nothing was on its way, nor that in which it waited for a processor. A tier counts as
 * reached when any round reaches it: what else the computer does makes a router slower, never
 * faster.
 */
#define WINDOW	     32
#define ROUNDS	     6
#define ROUND_MIN    500
#define ROUND_MAX    8000
#define STUCK_MS     300  /* what has not arrived by then is lost */
#define ROUND_MS     4000 /* a round that takes longer is judged by what came */
#define LOSS_PERCENT 1
#define HOPELESS     4	 /* so many times too slow in two rounds: none will reach the tier */
#define BAD_ROUNDS   2	 /* ... of latencies in which too many are lost */
#define PROBES	     100 /* of one round of latencies */
#define LONE_NS	     (3 * NS_PER_MS) /* no packet before it for so long */
#define BURST_ROUNDS 4

/* Datagrams of one shape, numbered in their payload, and those that have come. */
struct flow {
	struct trial *t;
	struct path p;
	uint8_t buf[2048]; /* one of them, encoded */
	size_t len, number_at;
	uint16_t sport, dport;
	size_t window;
	size_t sent, got, lost, target;
	size_t bearable;  /* when more are lost, a round is over */
	size_t from;	  /* journal position */
	uint64_t last_ns; /* when the last one arrived */
	struct err err;
	bool failed;
};

static bool flow_begin(struct flow *f, struct trial *t, size_t frame_len)
{
	struct station from, to;
	struct frame out;

	*f = (struct flow){ .t = t, .bearable = SIZE_MAX };
	if (!trial_path(t, &f->p))
		return false;
	from = place_station(f->p.from);
	to = place_station(f->p.to);
	if (!trial_warm_up(t, &f->p, &to))
		return false;
	out = trial_datagram(t, &from, &to, frame_len - 14 - 28);
	frame_set(&out, F_UDP_CHECKSUM, 0); /* none: the numbers change, the rest need not */
	f->len = frame_encode(&out, f->buf, sizeof(f->buf));
	f->number_at = f->len - out.payload_len;
	f->sport = out.udp.sport;
	f->dport = out.udp.dport;
	return true;
}

static bool flow_send(struct flow *f)
{
	for (int k = 0; k < 4; k++)
		f->buf[f->number_at + (size_t)k] = (uint8_t)(f->sent >> (24 - 8 * k));
	f->sent++;
	if (probe_send(f->t->g->probe, f->p.from->port, f->buf, f->len, &f->err) == 0)
		return true;
	f->failed = true;
	return false;
}

static bool is_arrival(const struct flow *f, const struct seen *s)
{
	return !s->sent && s->port == f->p.to->port && s->f.has & LAYER_UDP &&
	       s->f.udp.sport == f->sport && s->f.udp.dport == f->dport;
}

static void count_arrivals(struct flow *f)
{
	for (; f->from < probe_count(f->t->g->probe); f->from++) {
		const struct seen *s = probe_get(f->t->g->probe, f->from);

		if (!is_arrival(f, s))
			continue;
		f->got++;
		f->last_ns = s->ns;
	}
}

static bool program_is_dead(const struct flow *f)
{
	return f->t->g->runner && !runner_alive(f->t->g->runner);
}

/* Sends on as far as the window allows; done when all have come or are lost. */
static bool flow_goes_on(void *arg)
{
	struct flow *f = arg;

	count_arrivals(f);
	while (!f->failed && f->sent < f->target && f->sent - f->got - f->lost < f->window)
		flow_send(f);
	return f->failed || f->got + f->lost >= f->target || program_is_dead(f);
}

/* After ROUND_MS nothing more is sent; after twice that, what is still on its way is lost. */
static void flow_end_in_time(struct flow *f, uint64_t start)
{
	uint64_t took = clock_mono_ns() - start;

	if (took > ROUND_MS * NS_PER_MS || f->lost > f->bearable)
		f->target = f->sent;
	if (took > 2 * ROUND_MS * NS_PER_MS)
		f->lost = f->sent - f->got;
}

/* Ends when all have come, nothing has for a while, or it takes too long. */
static bool flow_run(struct flow *f, size_t n, size_t window)
{
	uint64_t start = clock_mono_ns();
	uint64_t patience = (uint64_t)(STUCK_MS * NS_PER_MS * f->t->g->slowness);

	f->window = window;
	f->target = n;
	f->sent = f->got = f->lost = 0;
	if (probe_forget(f->t->g->probe, &f->err) < 0)
		return trial_error(f->t, &f->err);
	f->t->since = f->from = 0;
	while (!flow_goes_on(f)) {
		size_t before = f->got;
		int r = probe_wait(f->t->g->probe, patience, flow_goes_on, f, &f->err);

		if (r < 0)
			return trial_error(f->t, &f->err);
		if (r == 0 && f->got == before)
			f->lost = f->sent - f->got;
		flow_end_in_time(f, start);
	}
	if (f->failed)
		return trial_error(f->t, &f->err);
	return program_is_dead(f) ? trial_alive(f->t, &f->p) : true;
}

/* perf.pps */

/* How long the threads of this process have waited for a processor: the one that waited longest. */
static uint64_t process_waited_ns(pid_t pid)
{
	auto_free char *path = xasprintf("/proc/%d/task", (int)pid);
	auto_dir tasks = opendir(path);
	const struct dirent *d;
	uint64_t most = 0;

	while (tasks && (d = readdir(tasks))) {
		auto_free char *file = xasprintf("%s/%s/schedstat", path, d->d_name);
		auto_free char *text = NULL;
		unsigned long long waited;

		if (fs_read(file, 256, &text, NULL, ERR_IGNORED) == 0 &&
		    sscanf(text, "%*u %llu", &waited) == 1 && waited > most)
			most = waited;
	}
	return most;
}

/* The same of the program and all that it has started. 0 where the kernel does not tell. */
static uint64_t waited_ns(const struct trial *t)
{
	auto_free struct process *v = NULL;
	size_t n = t->g->runner ? family_list(runner_pid(t->g->runner), &v) : 0;
	uint64_t most = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t waited = process_waited_ns(v[i].pid);

		most = waited > most ? waited : most;
	}
	return most;
}

/* The time of the round in which a packet was on its way. Between the arrival of the last one that
 * was sent and the next one the router had nothing to do: it was our turn. */
static uint64_t busy_ns(const struct flow *f, uint64_t start)
{
	struct probe *p = f->t->g->probe;
	size_t n = probe_count(p), sent = 0, got = 0, k = 0;
	uint64_t busy = f->last_ns - start, before = start;

	for (size_t i = 0; i < n; i++) {
		const struct seen *s = probe_get(p, i);

		if (!s->sent || s->port != f->p.from->port || !(s->f.has & LAYER_UDP))
			continue;
		for (; k < i && got < sent; k++) {
			const struct seen *a = probe_get(p, k);

			if (is_arrival(f, a)) {
				got++;
				before = a->ns;
			}
		}
		if (got == sent && s->ns > before && s->ns < f->last_ns)
			busy -= s->ns - before;
		sent++;
	}
	return busy;
}

static bool is_hopeless(const struct flow *f, int rounds, double best, long long tier)
{
	return rounds >= 2 && (best > 0 ? best * HOPELESS * f->t->g->slowness < (double)tier
					: f->lost * 2 > f->sent);
}

static bool perf_pps(struct trial *t)
{
	long long tier = 1000, size = 64;
	size_t best_lost = SIZE_MAX, of = 0, n;
	double best = 0;
	struct flow f;

	if (!trial_number(t, "pps", 1, 10000000, &tier) ||
	    !trial_number(t, "size", 64, 1514, &size) || !flow_begin(&f, t, (size_t)size))
		return false;
	n = tier / 2 < ROUND_MIN ? ROUND_MIN : (size_t)tier / 2;
	n = n > ROUND_MAX ? ROUND_MAX : n;
	f.bearable = n * LOSS_PERCENT / 100;
	for (int i = 0; i < ROUNDS && !is_hopeless(&f, i, best, tier); i++) {
		uint64_t start = clock_real_ns(), waited = waited_ns(t), took;
		double rate;

		if (!flow_run(&f, n, WINDOW))
			return false;
		waited = waited_ns(t) - waited;
		if (f.lost < best_lost) {
			best_lost = f.lost;
			of = f.sent;
		}
		if (f.lost * 100 > f.sent * LOSS_PERCENT || f.last_ns <= start)
			continue;
		took = busy_ns(&f, start);
		took = waited < took ? took - waited : took;
		rate = (double)f.got * (double)NS_PER_S / (double)took;
		best = rate > best ? rate : best;
		if (best >= (double)tier)
			return true;
	}
	if (best == 0)
		return trial_fail(
			t, "of %zu packets, %d at a time, at least %zu got lost in every round", of,
			WINDOW, best_lost);
	return trial_fail(t, "the router forwards %.0f packets a second; this tier asks for %lld",
			  best, tier);
}

/* perf.latency */

static int compare_ns(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The median of one round: what a packet that comes alone has to wait. */
static bool median_latency(struct flow *f, uint64_t *ret_ns, size_t *ret_lost)
{
	uint64_t took[PROBES];

	*ret_lost = 0;
	for (size_t i = 0; i < PROBES; i++) {
		uint64_t start;

		if (probe_wait(f->t->g->probe, LONE_NS, NULL, NULL, &f->err) < 0)
			return trial_error(f->t, &f->err);
		start = clock_real_ns();
		if (!flow_run(f, 1, 1))
			return false;
		*ret_lost += f->lost;
		took[i] = f->lost ? UINT64_MAX : f->last_ns - start;
		if (*ret_lost > PROBES / 10)
			return true;
	}
	qsort(took, PROBES, sizeof(took[0]), compare_ns);
	*ret_ns = took[PROBES / 2];
	return true;
}

static bool perf_latency(struct trial *t)
{
	uint64_t best = UINT64_MAX;
	long long tier = 5000;
	size_t lost = 0;
	struct flow f;

	if (!trial_number(t, "us", 1, 10000000, &tier) || !flow_begin(&f, t, 100))
		return false;
	for (int i = 0, bad = 0; i < ROUNDS && bad < BAD_ROUNDS; i++) {
		uint64_t ns = UINT64_MAX;

		if (!median_latency(&f, &ns, &lost))
			return false;
		bad += ns == UINT64_MAX;
		best = ns < best ? ns : best;
		if (best <= (uint64_t)tier * 1000)
			return true;
	}
	if (best == UINT64_MAX)
		return trial_fail(t, "of single packets, sent one after the other, %zu got lost",
				  lost);
	return trial_fail(t,
			  "a packet that comes alone takes %.0f microseconds (the median of %d); "
			  "this tier asks for %lld",
			  (double)best / 1e3, PROBES, tier);
}

/* perf.burst */

static bool perf_burst(struct trial *t)
{
	long long frames = 64, size = 100;
	size_t fewest = SIZE_MAX;
	struct flow f;

	if (!trial_number(t, "frames", 1, 10000, &frames) ||
	    !trial_number(t, "size", 64, 1514, &size) || !flow_begin(&f, t, (size_t)size))
		return false;
	for (int i = 0; i < BURST_ROUNDS; i++) {
		if (!flow_run(&f, (size_t)frames, (size_t)frames))
			return false;
		if (f.lost == 0)
			return true;
		fewest = f.lost < fewest ? f.lost : fewest;
	}
	return trial_fail(t, "of %lld packets right after each other, at least %zu got lost",
			  frames, fewest);
}

const struct check checks_perf[] = {
	{
		.id = "perf.pps",
		.title = "forwards enough packets a second",
		.rfc = "RFC 1812 5.2",
		.needs = "ipv4.forward",
		.args = "from to pps size",
		.args_fit = fit_flow,
		.points = 2,
		.hints = { "Where does your program spend its time for one packet?",
			   "Measure: a profiler, or strace -c. For each packet there should be one "
			   "receive, one send, and hardly anything else: no searching, no copying, "
			   "no printing.",
			   "Keep in a dictionary what you found out for a pair of addresses: "
			   "interface, and both MACs as 12 bytes. Change TTL, checksum (RFC 1624) "
			   "and MACs in the receive buffer itself, and send that." },
		.explain =
			"Some dozens of packets are on their way at a time; each that arrives "
			"makes room for the next one. The\n"
			"best of several rounds counts, so that a busy computer does not decide. A "
			"straightforward program in\n"
			"Python forwards a few thousand packets a second, a careful one some tens "
			"of thousands.",
		.run = perf_pps,
	},
	{
		.id = "perf.latency",
		.title = "sends a lone packet on without delay",
		.rfc = "RFC 1812 5.2",
		.needs = "ipv4.forward",
		.args = "from to us",
		.points = 1,
		.hints = { "What does your program do while nothing arrives?",
			   "It should sleep in the kernel, in poll, select, epoll or a blocking "
			   "receive, and be woken by the packet: no sleep() of its own.",
			   "Wait on all sockets at once, with a time limit only for your timers, "
			   "and read when one is readable." },
		.explain =
			"Packets are sent one at a time, and the median counts. A program that "
			"looks every ten milliseconds\n"
			"whether something has come makes every packet wait for five on average, "
			"in each direction.",
		.run = perf_latency,
	},
	{
		.id = "perf.burst",
		.title = "takes a burst without losing a packet",
		.rfc = "RFC 1812 5.3.6",
		.needs = "ipv4.forward",
		.args = "from to frames size",
		.args_fit = fit_flow,
		.points = 1,
		.hints = { "Where are packets while your program works on another one?",
			   "In the socket's receive buffer, in the kernel. When it is full, what "
			   "comes is lost, and you are not told.",
			   "setsockopt SO_RCVBUF to some megabytes. Where net.core.rmem_max keeps "
			   "it "
			   "smaller, read all that is there into a list of your own before you "
			   "forward anything, or use a PACKET_RX_RING." },
		.explain = "Traffic comes in bursts. The packets of one arrive faster than any "
			   "program handles them, and wait in\n"
			   "the socket's buffer: by default there is room for some 200 small ones.",
		.run = perf_burst,
	},
	{ 0 },
};
