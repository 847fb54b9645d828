/* SPDX-License-Identifier: MIT */
/* test_net_link.c - links, addresses and routes, in namespaces made for the purpose. */
#include "net/link.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include <linux/if.h>
#include <linux/rtnetlink.h>

#include "net_lab.h"

static size_t count(struct nl *nl)
{
	auto_free struct link_info *links = NULL;
	size_t n = 0;

	ok(link_list(nl, &links, &n, err));
	return n;
}

static void veth_is_as_asked(void **state)
{
	struct net_pair p = { 0 };
	static const struct macaddr mac[2] = { { { 2, 0x42, 1, 1, 1, 1 } },
					       { { 2, 0x42, 1, 1, 1, 2 } } };

	(void)state;
	need_root();
	net_pair_make(&p);
	for (int i = 0; i < 2; i++) {
		struct link_info l = { 0 };

		/* As born: down. */
		assert_false(p.link[i].flags & IFF_UP);
		assert_false(p.link[i].carrier);
		ok(link_get(p.nl[i], p.link[i].name, &l, err));
		assert_string_equal(l.name, i ? "b0" : "a0");
		assert_string_equal(l.kind, "veth");
		assert_true(macaddr_equal(&l.mac, &mac[i]));
		assert_int_equal(l.mtu, 1400);
		assert_int_equal(l.group, 4242);
		assert_int_equal(l.master, 0);
		assert_true(l.flags & IFF_UP);
		assert_true(l.carrier);
		assert_false(l.xdp);
		assert_string_equal(l.altname, "");
		assert_string_equal(l.alias, "");
		assert_int_equal(count(p.nl[i]), 2);
	}
	ok(link_set_up(p.nl[1], p.link[1].ifindex, false, err));
	ok(link_get(p.nl[0], "a0", &p.link[0], err));
	assert_true(p.link[0].flags & IFF_UP);
	assert_false(p.link[0].carrier);
	fails(link_wait_carrier(p.nl[0], "a0", 10, err), ERR_ENV,
	      "interface 'a0' has no carrier after 10 ms");
	net_pair_done(&p);
}

static void taken_name_is_left_alone(void **state)
{
	struct net_pair p = { 0 };
	struct link_info l = { 0 };
	struct link_veth spec;

	(void)state;
	need_root();
	net_pair_make(&p);
	spec = net_spec("a0", "b1", p.fd[1]);
	spec.mtu = 1300;
	fails(link_add_veth(p.nl[0], &spec, err), ERR_CONFLICT, "interface 'a0' already exists");
	spec = net_spec("a1", "b0", p.fd[1]);
	fails(link_add_veth(p.nl[0], &spec, err), ERR_CONFLICT,
	      "interface 'b0' in the peer's namespace already exists");
	for (int i = 0; i < 2; i++) {
		ok(link_get(p.nl[i], p.link[i].name, &l, err));
		assert_int_equal(l.ifindex, p.link[i].ifindex);
		assert_int_equal(l.mtu, 1400);
		assert_int_equal(count(p.nl[i]), 2);
	}
	net_pair_done(&p);
}

static void kernel_speaks(void **state)
{
	struct net_pair p = { 0 };
	struct link_veth spec;
	struct route_spec route = { .to = net_parse("9.9.9.9/24") };
	unsigned bridge = 0;

	(void)state;
	need_root();
	net_pair_make(&p);
	spec = net_spec("a1", "b1", p.fd[1]);
	spec.mtu = 70000;
	fails(link_add_veth(p.nl[0], &spec, err), ERR_ENV,
	      "cannot create the veth pair 'a1' and 'b1': Invalid argument");
	fails(link_add_bridge(p.nl[0], "br0", 1, 70000, 0, &bridge, err), ERR_ENV,
	      "cannot create the bridge 'br0': mtu greater than device maximum: Invalid argument");
	route.ifindex = p.link[0].ifindex;
	fails(route_add(p.nl[0], &route, err), ERR_ENV,
	      "cannot add the route to '9.9.9.9/24' on interface 2: "
	      "Invalid prefix for given prefix length: Invalid argument");
	fails(link_set_up(p.nl[0], 777, true, err), ERR_NOT_FOUND,
	      "cannot bring interface 777 up: No such device");
	fails(link_get(p.nl[0], "none", &p.link[0], err), ERR_NOT_FOUND,
	      "interface 'none': No such device");
	fails(link_get(p.nl[0], "a-name-too-long-for-a-link", &p.link[0], err), ERR_NOT_FOUND,
	      "interface 'a-name-too-long-for-a-link': No such device");
	net_pair_done(&p);
}

static void bridge_takes_ports(void **state)
{
	struct net_pair p = { 0 };
	struct link_info l = { 0 };
	struct link_veth spec;
	unsigned bridge = 0;

	(void)state;
	need_root();
	net_pair_make(&p);
	ok(link_add_bridge(p.nl[0], "br0", 4242, 1400, 0x4000, &bridge, err));
	spec = net_spec("a1", "b1", p.fd[1]);
	spec.master = bridge;
	ok(link_add_veth(p.nl[0], &spec, err));
	ok(link_get(p.nl[0], "a1", &l, err));
	assert_int_equal(l.master, bridge);
	ok(link_get(p.nl[0], "br0", &l, err));
	assert_int_equal(l.ifindex, bridge);
	assert_string_equal(l.kind, "bridge");
	assert_true(l.flags & IFF_UP);
	assert_int_equal(l.mtu, 1400);
	assert_int_equal(l.group, 4242);
	fails(link_add_bridge(p.nl[0], "br0", 4242, 0, 0, &bridge, err), ERR_CONFLICT,
	      "interface 'br0' already exists");
	/* STP's own addresses may not be forwarded. */
	fails(link_add_bridge(p.nl[0], "br1", 4242, 0, 1, &bridge, err), ERR_ENV,
	      "cannot create the bridge 'br1': Invalid argument");
	net_pair_done(&p);
}

static void group_goes_at_once(void **state)
{
	struct net_pair p = { 0 };
	struct link_info l = { 0 };
	struct link_veth spec;
	unsigned bridge = 0;

	(void)state;
	need_root();
	net_pair_make(&p);
	for (int i = 0; i < 5; i++) {
		char a[IFNAMSIZ], b[IFNAMSIZ];

		snprintf(a, sizeof(a), "x%d", i);
		snprintf(b, sizeof(b), "y%d", i);
		spec = net_spec(a, b, i % 2 ? -1 : p.fd[1]);
		spec.group = 77;
		ok(link_add_veth(p.nl[0], &spec, err));
	}
	ok(link_add_bridge(p.nl[0], "br0", 77, 0, 0, &bridge, err));
	assert_int_equal(count(p.nl[0]), 2 + 5 + 2 + 1);
	assert_int_equal(count(p.nl[1]), 2 + 3);
	ok(link_delete_group(p.nl[0], 77, err));
	assert_int_equal(count(p.nl[0]), 2);
	assert_int_equal(count(p.nl[1]), 2);
	ok(link_get(p.nl[0], "a0", &l, err));
	ok(link_delete_group(p.nl[0], 77, err));
	fails(link_delete_group(p.nl[0], 0, err), ERR_INTERNAL, "deleting the links of group 0");
	ok(link_delete(p.nl[0], l.ifindex, err));
	ok(link_delete(p.nl[0], l.ifindex, err));
	fails(link_delete(p.nl[0], 0, err), ERR_INTERNAL, "deleting a link without a number");
	assert_int_equal(count(p.nl[1]), 1);
	net_pair_done(&p);
}

static void labels_read_back(void **state)
{
	static const char alt[] = "labctl-lab-of-someone-with-a-long-name-net1";
	struct net_pair p = { 0 };
	struct link_info l = { 0 };

	(void)state;
	need_root();
	net_pair_make(&p);
	ok(link_set_label(p.nl[0], p.link[0].ifindex, alt, "lab x, stage 'y'", err));
	ok(link_set_label(p.nl[1], p.link[1].ifindex, NULL, NULL, err));
	ok(link_get(p.nl[0], "a0", &l, err));
	assert_string_equal(l.altname, alt);
	assert_string_equal(l.alias, "lab x, stage 'y'");
	ok(link_get(p.nl[1], "b0", &l, err));
	assert_string_equal(l.altname, "");
	assert_string_equal(l.alias, "");
	fails(link_set_label(p.nl[0], 1, alt, NULL, err), ERR_CONFLICT,
	      "cannot give interface 1 the alternative name "
	      "'labctl-lab-of-someone-with-a-long-name-net1': File exists");
	net_pair_done(&p);
}

/* Makes and deletes one link over and over, counting, until it or its parent dies. */
static pid_t churn(struct net_pair *p, _Atomic unsigned *rounds)
{
	struct link_veth spec = net_spec("churn0", "churn1", -1);
	struct link_info l;
	struct nl *nl = NULL;
	pid_t pid = fork();

	if (pid)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || nl_open(p->fd[0], &nl, ERR_IGNORED) < 0)
		_exit(1);
	for (;; ++*rounds)
		if (link_add_veth(nl, &spec, ERR_IGNORED) < 0 ||
		    link_get(nl, "churn0", &l, ERR_IGNORED) < 0 ||
		    link_delete(nl, l.ifindex, ERR_IGNORED) < 0)
			_exit(1);
}

static void list_is_whole_under_churn(void **state)
{
	struct net_pair p = { 0 };
	_Atomic unsigned *churned = mmap(NULL, sizeof(*churned), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	time_t limit = time(NULL) + 60;
	int status;
	pid_t pid;

	(void)state;
	need_root();
	net_pair_make(&p);
	for (int i = 0; i < 119; i++) {
		char a[IFNAMSIZ], b[IFNAMSIZ];
		struct link_veth spec;

		snprintf(a, sizeof(a), "x%d", i);
		snprintf(b, sizeof(b), "y%d", i);
		spec = net_spec(a, b, p.fd[1]);
		ok(link_add_veth(p.nl[0], &spec, err));
	}
	pid = churn(&p, churned);
	for (int round = 0; round < 300 || *churned < 10; round++) {
		auto_free struct link_info *links = NULL;
		size_t n = 0, lasting = 0;

		assert_true(time(NULL) < limit);
		assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
		ok(link_list(p.nl[0], &links, &n, err));
		for (size_t i = 0; i < n; i++)
			lasting += strncmp(links[i].name, "churn", 5) != 0;
		assert_int_equal(lasting, 121);
		/* The two of one pair come together, but go one by one. */
		assert_in_range(n - lasting, 0, 2);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	munmap(churned, sizeof(*churned));
	net_pair_done(&p);
}

/* How many routes are there that fit? table 0, to NULL: any. */
static int routes(struct nl *nl, uint32_t table, const char *to)
{
	auto_free struct route_info *list = NULL;
	char text[IPNET_TEXT];
	size_t n = 0;
	int found = 0;

	ok(route_list(nl, AF_INET, &list, &n, err));
	for (size_t i = 0; i < n; i++)
		found += (!table || list[i].table == table) &&
			 (!to || !strcmp(ipnet_format(&list[i].to, text), to));
	return found;
}

static void address_is_passive(void **state)
{
	struct net_pair p = { 0 };
	auto_free struct addr_info *addrs = NULL;
	struct ipnet net = net_parse("1.1.1.1/24"), other = net_parse("1.1.1.9/24");
	char text[IPNET_TEXT];
	bool local = false;
	size_t n = 0;

	(void)state;
	need_root();
	net_pair_make(&p);
	ok(addr_add(p.nl[0], p.link[0].ifindex, &net, true, err));
	assert_int_equal(routes(p.nl[0], RT_TABLE_MAIN, NULL), 0);
	ok(route_has_local(p.nl[0], p.link[0].ifindex, &net.addr, &local, err));
	assert_true(local);
	ok(route_has_local(p.nl[0], 1, &net.addr, &local, err));
	assert_false(local);
	ok(route_has_local(p.nl[0], p.link[0].ifindex, &other.addr, &local, err));
	assert_false(local);

	ok(route_delete_local(p.nl[0], p.link[0].ifindex, &net.addr, err));
	ok(route_has_local(p.nl[0], p.link[0].ifindex, &net.addr, &local, err));
	assert_false(local);
	assert_int_equal(routes(p.nl[0], 0, "1.1.1.1/32"), 0);
	assert_int_equal(routes(p.nl[0], 0, "1.1.1.255/32"), 0);
	assert_int_equal(routes(p.nl[0], 0, "127.0.0.1/32"), 1);
	ok(route_delete_local(p.nl[0], p.link[0].ifindex, &net.addr, err));

	ok(addr_list(p.nl[0], &addrs, &n, err));
	for (size_t i = 0; i < n; i++)
		if (addrs[i].ifindex == p.link[0].ifindex)
			assert_string_equal(ipnet_format(&addrs[i].net, text), "1.1.1.1/24");
	assert_int_equal(n, 3); /* and the loopback's two */
	fails(addr_add(p.nl[0], p.link[0].ifindex, &net, true, err), ERR_CONFLICT,
	      "address '1.1.1.1/24' on interface 2 already exists");
	net_pair_done(&p);
}

static void ordinary_address_has_its_route(void **state)
{
	struct net_pair p = { 0 };
	struct ipnet net = net_parse("1.1.1.2/24"), gateway = net_parse("1.1.1.1/24");
	struct route_spec route = { .to = net_parse("0.0.0.0/0"), .via = gateway.addr };
	auto_free struct route_info *list = NULL;
	size_t n = 0, found = 0;

	(void)state;
	need_root();
	net_pair_make(&p);
	fails(route_add(p.nl[1], &route, err), ERR_ENV,
	      "cannot add the route to '0.0.0.0/0' via '1.1.1.1': "
	      "Nexthop has invalid gateway: Network is unreachable");
	ok(addr_add(p.nl[1], p.link[1].ifindex, &net, false, err));
	assert_int_equal(routes(p.nl[1], RT_TABLE_MAIN, "1.1.1.0/24"), 1);
	ok(route_add(p.nl[1], &route, err));
	fails(route_add(p.nl[1], &route, err), ERR_CONFLICT,
	      "cannot add the route to '0.0.0.0/0' via '1.1.1.1': File exists");
	ok(route_list(p.nl[1], AF_INET, &list, &n, err));
	for (size_t i = 0; i < n; i++) {
		if (list[i].to.prefix || list[i].table != RT_TABLE_MAIN)
			continue;
		found++;
		assert_int_equal(list[i].ifindex, p.link[1].ifindex);
		assert_int_equal(list[i].type, RTN_UNICAST);
		assert_true(ipaddr_equal(&list[i].via, &gateway.addr));
	}
	assert_int_equal(found, 1);
	route = (struct route_spec){ .to = net_parse("2.2.2.0/24"), .ifindex = p.link[1].ifindex };
	ok(route_add(p.nl[1], &route, err));
	assert_int_equal(routes(p.nl[1], RT_TABLE_MAIN, "2.2.2.0/24"), 1);
	route.via = net_parse("fe80::1/64").addr;
	fails(route_add(p.nl[1], &route, err), ERR_USAGE,
	      "route to '2.2.2.0/24' via 'fe80::1': two address families");
	net_pair_done(&p);
}

static void ipv6_works_at_once(void **state)
{
	struct net_pair p = { 0 };
	struct ipnet net = net_parse("2001:db8::1/64");
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6 };
	bool local = true;
	auto_fd sock = -1;

	(void)state;
	need_root();
	net_pair_make(&p);
	ok(netns_sysctl_set(p.fd[0], "net/ipv6/conf/a0/disable_ipv6", "0", err));
	ok(addr_add(p.nl[0], p.link[0].ifindex, &net, true, err));
	sock = net_socket(p.fd[0], AF_INET6, SOCK_DGRAM, 0);
	memcpy(&sa.sin6_addr, net.addr.b, sizeof(sa.sin6_addr));
	/* A tentative address could not be bound. */
	assert_int_equal(bind(sock, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ok(route_delete_local(p.nl[0], p.link[0].ifindex, &net.addr, err));
	ok(route_has_local(p.nl[0], p.link[0].ifindex, &net.addr, &local, err));
	assert_false(local);
	net_pair_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(veth_is_as_asked),
		cmocka_unit_test(taken_name_is_left_alone),
		cmocka_unit_test(kernel_speaks),
		cmocka_unit_test(bridge_takes_ports),
		cmocka_unit_test(group_goes_at_once),
		cmocka_unit_test(labels_read_back),
		cmocka_unit_test(list_is_whole_under_churn),
		cmocka_unit_test(address_is_passive),
		cmocka_unit_test(ordinary_address_has_its_route),
		cmocka_unit_test(ipv6_works_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
