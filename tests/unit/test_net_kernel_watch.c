/* SPDX-License-Identifier: MIT */
/* test_net_kernel_watch.c - on a host that others use, only what concerns the lab is a change. */
#include "net/kernel_watch.h"

#include "base/mem.h"
#include "net_lab.h"

#include "base/banned.h"

static struct net_pair the_pair;

static int shell_here(void *arg, struct err *e)
{
	return system(arg) == 0 ? 0 : err_set(e, ERR_FAILED, 0, "failed: %s", (const char *)arg);
}

static void in_host(const char *command)
{
	auto_free char *line = xstrdup(command);

	ok(netns_run(the_pair.fd[0], shell_here, line, err));
}

static struct kernel_watch *watch(bool whole)
{
	struct kernel_watch_net net = { "a0", { .addr.family = AF_INET, .prefix = 24 }, true };
	struct kernel_watch_spec spec = { .netns_fd = the_pair.fd[0],
					  .whole = whole,
					  .nets = &net,
					  .n_nets = 1,
					  .nft_table = "labctl-x",
					  .others_group = 0x1ab00000,
					  .others_mask = 0xfff00000 };
	struct kernel_watch *w;

	ok(ipaddr_parse("1.1.1.0", &net.subnet.addr, err));
	ok(kernel_watch_open(&spec, &w, err));
	return w;
}

static const char *first_change(struct kernel_watch *w)
{
	kernel_watch_read(w);
	return kernel_watch_changes(w)->n ? kernel_watch_changes(w)->v[0] : "";
}

static void test_others(void **state)
{
	static const char *const commands[] = {
		"ip link add br7 type bridge && ip link set br7 up && ip addr add 10.7.0.1/24 dev "
		"br7",
		"ip route add 10.8.0.0/16 via 10.7.0.9 && ip route add default via 10.7.0.9",
		"sysctl -qw net.ipv4.conf.br7.forwarding=1",
		"nft add table ip docker && nft add chain ip docker c && nft add rule ip docker c "
		"drop",
		"tc qdisc add dev br7 clsact",
		"ip link set a0 promisc on && ip link set a0 promisc off",
		"nft delete table ip docker && ip link del br7",
		/* another lab with the same subnet, up and down */
		"ip link add c0 group 447741959 type veth peer name c1 group 447741959 && "
		"ip addr add 1.1.1.1/24 dev c0 && ip link set c0 up && ip link set c1 up && "
		"ip route add 1.1.1.128/25 dev c0 && ip link del c0",
	};
	auto_kernel_watch w = NULL;

	(void)state;
	need_root();
	w = watch(false);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		in_host(commands[i]);
		if (*first_change(w))
			fail_msg("%s: %s", commands[i], first_change(w));
	}
}

static void test_the_lab(void **state)
{
	static const struct {
		const char *command, *words;
	} v[] = {
		{ "sysctl -qw net.ipv4.ip_forward=1; sysctl -qw net.ipv4.ip_forward=0",
		  "IPv4 forwarding was switched on for all interfaces" },
		{ "sysctl -qw net.ipv4.conf.a0.forwarding=1; sysctl -qw "
		  "net.ipv4.conf.a0.forwarding=0",
		  "IPv4 forwarding was switched on for a0" },
		{ "ip addr add 1.1.1.1/32 dev lo; ip addr del 1.1.1.1/32 dev lo",
		  "the address 1.1.1.1/32 was added on lo" },
		{ "ip rule add from 9.9.9.9 lookup 9; ip rule del from 9.9.9.9 lookup 9",
		  "a routing rule was added" },
		{ "ip link add br7 type bridge; ip link set a0 master br7; ip link del br7",
		  "interface a0 became a port of a bridge" },
		{ "ip link add mv7 link a0 type macvlan; ip link del mv7",
		  "interface 'mv7' was put on top of a0" },
		{ "nft add table netdev labctl-x; nft delete table netdev labctl-x",
		  "the nftables table 'labctl-x' was changed" },
		{ "nft add table netdev y; nft add chain netdev y c '{ type filter hook ingress "
		  "device a0 priority 0; }'; nft delete table netdev y",
		  "the nftables table 'y' was changed" },
	};

	(void)state;
	need_root();
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		auto_kernel_watch w = watch(false);

		in_host(v[i].command);
		assert_string_equal(first_change(w), v[i].words);
	}
}

/* Who takes the link down himself says so; everything else is a change meanwhile, too. */
static void test_flap(void **state)
{
	auto_kernel_watch w = NULL;

	(void)state;
	need_root();
	w = watch(true);
	in_host("ip addr add 1.1.1.1/24 dev a0");
	assert_string_equal(first_change(w), "the address 1.1.1.1/24 was added on a0");
	kernel_watch_close(w);
	w = watch(true);
	kernel_watch_expect_flap(w, "a0");
	in_host("ip link set a0 down && ip link set a0 up");
	kernel_watch_expect_flap(w, NULL);
	assert_string_equal(first_change(w), "");
	kernel_watch_expect_flap(w, "a0");
	in_host("sysctl -qw net.ipv4.conf.a0.forwarding=1");
	kernel_watch_expect_flap(w, NULL);
	assert_string_equal(first_change(w), "IPv4 forwarding was switched on for a0");
}

/* What could not be read might have been anything. */
static void test_lost(void **state)
{
	auto_kernel_watch w = NULL;
	int small = 1;

	(void)state;
	need_root();
	w = watch(false);
	assert_int_equal(setsockopt(kernel_watch_fd(w, 0), SOL_SOCKET, SO_RCVBUF, &small,
				    sizeof(small)),
			 0);
	in_host("for i in 1 2 3 4 5 6 7 8; do ip route add 10.9.$i.0/24 dev lo; done");
	assert_string_equal(first_change(w), "the kernel reported more changes than could be read");
}

static int make_pair(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	net_pair_make(&the_pair);
	in_host("sysctl -qw net.ipv4.ip_forward=0");
	return 0;
}

static int close_pair(void **state)
{
	(void)state;
	if (the_pair.nl[0])
		net_pair_done(&the_pair);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_the_lab),
		cmocka_unit_test(test_flap),
		cmocka_unit_test(test_lost),
	};

	return cmocka_run_group_tests(tests, make_pair, close_pair);
}
