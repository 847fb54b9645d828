/* SPDX-License-Identifier: MIT */
/* shape.c - rate by tbf, delay, jitter and loss by netem. */
#include "net/shape.h"

#include <errno.h>
#include <sys/socket.h>

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "base/cleanup.h"
#include "net/link.h"
#include "net/msg.h"
#include "net/netns.h"

#include "base/banned.h"

enum {
	FRAME_EXTRA = 18,     /* Ethernet header and one VLAN tag, in front of mtu bytes */
	BURST_PER_SEC = 200,  /* the bucket holds 5 ms of the rate ... */
	QUEUE_PER_SEC = 20,   /* ... and the queue behind it 50 ms, */
	QUEUE_FRAMES = 20,    /* but always some frames: slow links would drop everything */
	NETEM_FRAMES = 10000, /* on their way at once: 100 ms of 1 Gbit/s */
	LOSS_ALL = 1000000,
};

/* netem is the root when it is there, and tbf its child. */
#define ROOT_HANDLE  TC_H_MAKE(1U << 16, 0)
#define ROOT_CLASS   TC_H_MAKE(1U << 16, 1)
#define CHILD_HANDLE TC_H_MAKE(2U << 16, 0)

static bool wants_netem(const struct shape_spec *s)
{
	return s->delay_us || s->jitter_us || s->loss_ppm;
}

static void begin(struct msg *m, uint16_t type, uint16_t flags, unsigned ifindex, uint32_t parent)
{
	struct tcmsg *tc = msg_begin(m, type, flags, sizeof(*tc));

	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_parent = parent;
	tc->tcm_handle = parent == TC_H_ROOT ? ROOT_HANDLE : CHILD_HANDLE;
}

static uint32_t cap_u32(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static uint64_t at_least(uint64_t v, uint64_t least)
{
	return v < least ? least : v;
}

static int add_tbf(struct nl *nl, unsigned ifindex, uint32_t parent, unsigned mtu,
		   uint64_t rate_bps, struct err *err)
{
	uint64_t rate = at_least(rate_bps / 8, 1), frame = mtu + FRAME_EXTRA;
	uint32_t burst = cap_u32(at_least(rate / BURST_PER_SEC, 2 * frame));
	struct tc_tbf_qopt opt = {
		.rate = { .rate = cap_u32(rate), .linklayer = TC_LINKLAYER_ETHERNET },
		.limit = cap_u32(burst + at_least(rate / QUEUE_PER_SEC, QUEUE_FRAMES * frame)),
	};
	struct nlattr *options;
	struct msg m;

	begin(&m, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex, parent);
	msg_put_text(&m, TCA_KIND, "tbf");
	options = msg_nest(&m, TCA_OPTIONS);
	msg_put(&m, TCA_TBF_PARMS, &opt, sizeof(opt));
	/* In bytes, so that nobody has to know how long a tick of the scheduler is. */
	msg_put_u32(&m, TCA_TBF_BURST, burst);
	if (rate > UINT32_MAX)
		msg_put(&m, TCA_TBF_RATE64, &rate, sizeof(rate));
	msg_nest_end(&m, options);
	if (msg_do(nl, &m, err) < 0)
		return err_wrap(err, "cannot limit the rate of interface %u", ifindex);
	return 0;
}

static int add_netem(struct nl *nl, unsigned ifindex, const struct shape_spec *s, struct err *err)
{
	int64_t delay = (int64_t)s->delay_us * 1000, jitter = (int64_t)s->jitter_us * 1000;
	struct tc_netem_qopt *opt;
	struct nlattr *options;
	struct err e = { 0 };
	struct msg m;

	begin(&m, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex, TC_H_ROOT);
	msg_put_text(&m, TCA_KIND, "netem");
	options = msg_nest(&m, TCA_OPTIONS);
	/* Here the attributes follow a bare struct. */
	opt = msg_raw(&m, sizeof(*opt));
	opt->limit = NETEM_FRAMES;
	opt->loss = (uint32_t)((uint64_t)s->loss_ppm * UINT32_MAX / LOSS_ALL);
	/* In nanoseconds, which stand above the ticks of the struct. */
	msg_put(&m, TCA_NETEM_LATENCY64, &delay, sizeof(delay));
	msg_put(&m, TCA_NETEM_JITTER64, &jitter, sizeof(jitter));
	msg_nest_end(&m, options);
	if (msg_do(nl, &m, &e) == 0)
		return 0;
	*err = e;
	if (e.sys == ENOENT) {
		err_set(err, ERR_ENV, 0,
			"this kernel has no netem, which delay, jitter and loss "
			"need");
		err->sys = ENOENT;
		return err_hint(err, "load the module sch_netem ('modprobe sch_netem'; on Ubuntu "
				     "it is in the package linux-modules-extra-$(uname -r))");
	}
	return err_wrap(err, "cannot delay the frames of interface %u", ifindex);
}

/* Back to the kernel's default. */
static int reset(struct nl *nl, unsigned ifindex, struct err *err)
{
	struct err e = { 0 };
	struct tcmsg *tc;
	struct msg m;

	tc = msg_begin(&m, RTM_DELQDISC, 0, sizeof(*tc));
	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_parent = TC_H_ROOT;
	/* The default has no handle and cannot be deleted. */
	if (msg_do(nl, &m, &e) == 0 || e.sys == ENOENT || e.sys == EINVAL)
		return 0;
	*err = e;
	return err_wrap(err, "cannot reset the queue of interface %u", ifindex);
}

static int build(struct nl *nl, unsigned ifindex, unsigned mtu, const struct shape_spec *s,
		 struct err *err)
{
	if (wants_netem(s) && add_netem(nl, ifindex, s, err) < 0)
		return -1;
	if (!s->rate_bps)
		return 0;
	return add_tbf(nl, ifindex, wants_netem(s) ? ROOT_CLASS : TC_H_ROOT, mtu, s->rate_bps, err);
}

int shape_set(struct nl *nl, unsigned ifindex, unsigned mtu, const struct shape_spec *spec,
	      struct err *err)
{
	if (spec->loss_ppm > LOSS_ALL)
		return err_set(err, ERR_USAGE, 0, "a loss of %u in a million frames",
			       spec->loss_ppm);
	if (reset(nl, ifindex, err) < 0)
		return -1;
	if (build(nl, ifindex, mtu, spec, err) == 0)
		return 0;
	/* Half a shape is worse than none. */
	if (reset(nl, ifindex, ERR_IGNORED) < 0)
		return -1;
	return -1;
}

bool shape_has_netem(void)
{
	const struct shape_spec spec = { .delay_us = 1 };
	struct link_info lo;
	auto_fd fd = -1;
	auto_nl nl = NULL;

	return netns_open_new(&fd, ERR_IGNORED) == 0 && nl_open(fd, &nl, ERR_IGNORED) == 0 &&
	       link_get(nl, "lo", &lo, ERR_IGNORED) == 0 &&
	       shape_set(nl, lo.ifindex, lo.mtu, &spec, ERR_IGNORED) == 0;
}
