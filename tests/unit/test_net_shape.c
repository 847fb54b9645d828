/* SPDX-License-Identifier: MIT */
/* test_net_shape.c - a shaped interface lets pass what it should, and says what it cannot. */
#include "net/shape.h"

#include <time.h>

#include "net_lab.h"

enum {
	TC_SIZE = 4096
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run_tc(void *arg, struct err *err)
{
	char *out = arg;
	FILE *pipe = popen("tc qdisc show dev a0", "r");

	if (!pipe)
		return err_set(err, ERR_ENV, errno, "popen");
	out[fread(out, 1, TC_SIZE - 1, pipe)] = '\0';
	return pclose(pipe) ? err_set(err, ERR_ENV, 0, "tc failed") : 0;
}

/* tc says this of a0. */
#define shows(p, text)                                                                             \
	do {                                                                                       \
		char shown_[TC_SIZE];                                                              \
                                                                                                   \
		ok(netns_run((p)->fd[0], run_tc, shown_, err));                                    \
		if (!strstr(shown_, text))                                                         \
			fail_msg("'%s' is not in '%s'", text, shown_);                             \
	} while (0)

static void rate_is_kept(void **state)
{
	struct shape_spec spec = { .rate_bps = 8000000 };
	struct net_pair p = { 0 };
	uint8_t frame[1014] = { 2, 0x42, 1, 1, 1, 2, 2, 0x42, 1, 1, 1, 1, 0x88, 0xb5 };
	uint8_t got[2048];
	double start;

	(void)state;
	need_root();
	net_pair_make(&p);
	ok(shape_set(p.nl[0], p.link[0].ifindex, 1400, &spec, err));
	shows(&p, "qdisc tbf 1: root");
	shows(&p, "rate 8Mbit burst 5000b");
	auto_fd in = net_tap(p.fd[1], p.link[1].ifindex);
	auto_fd out = net_tap(p.fd[0], p.link[0].ifindex);
	start = now();
	/* 50 frames stay within bucket and queue; 45 of them must wait a millisecond each. */
	for (int i = 0; i < 50; i++)
		assert_int_equal(send(out, frame, sizeof(frame), 0), sizeof(frame));
	for (int i = 0; i < 50; i++)
		assert_int_equal(net_recv(in, got, sizeof(got), 2000), sizeof(frame));
	assert_true(now() - start > 0.040);

	spec.rate_bps = 100000000000ULL;
	ok(shape_set(p.nl[0], p.link[0].ifindex, 1400, &spec, err));
	shows(&p, "rate 100Gbit");
	spec.rate_bps = 64000;
	ok(shape_set(p.nl[0], p.link[0].ifindex, 1400, &spec, err));
	shows(&p, "rate 64Kbit burst 283");
	spec.rate_bps = 0;
	ok(shape_set(p.nl[0], p.link[0].ifindex, 1400, &spec, err));
	shows(&p, "qdisc noqueue");
	ok(shape_set(p.nl[0], p.link[0].ifindex, 1400, &spec, err));
	net_pair_done(&p);
}

static void delay_works_or_is_explained(void **state)
{
	struct shape_spec spec = {
		.rate_bps = 8000000, .delay_us = 20000, .jitter_us = 1000, .loss_ppm = 250000
	};
	struct err e = { 0 };
	struct net_pair p = { 0 };

	(void)state;
	need_root();
	net_pair_make(&p);
	if (shape_has_netem()) {
		ok(shape_set(p.nl[0], p.link[0].ifindex, 1400, &spec, err));
		shows(&p, "qdisc netem 1: root");
		shows(&p, "delay 20ms  1ms loss 25%");
		shows(&p, "qdisc tbf 2: parent 1:1 rate 8Mbit");
	} else {
		assert_int_equal(shape_set(p.nl[0], p.link[0].ifindex, 1400, &spec, &e), -1);
		assert_int_equal(e.kind, ERR_ENV);
		assert_string_equal(e.msg, "this kernel has no netem, which delay, jitter and loss "
					   "need");
		assert_non_null(strstr(e.hint, "modprobe sch_netem"));
		shows(&p, "qdisc noqueue");
	}
	net_pair_done(&p);
}

static void mistakes_are_named(void **state)
{
	struct shape_spec spec = { .rate_bps = 1000 };
	struct net_pair p = { 0 };

	(void)state;
	need_root();
	net_pair_make(&p);
	fails(shape_set(p.nl[0], 777, 1400, &spec, err), ERR_NOT_FOUND,
	      "cannot reset the queue of interface 777: No such device");
	spec.loss_ppm = 1000001;
	fails(shape_set(p.nl[0], p.link[0].ifindex, 1400, &spec, err), ERR_USAGE,
	      "a loss of 1000001 in a million frames");
	net_pair_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rate_is_kept),
		cmocka_unit_test(delay_works_or_is_explained),
		cmocka_unit_test(mistakes_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
