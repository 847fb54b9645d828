/* SPDX-License-Identifier: MIT */
/* test_netport_values.c - values and ranges as texts; what the host itself uses. */
#include "netport_lab.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "net/link.h"
#include "net/netns.h"
#include "netport/hostview.h"

#include "base/banned.h"

static void test_values(void **state)
{
	static const struct {
		const char *resource, *text, *want; /* want NULL: the message is */
		const char *msg;
	} cases[] = {
		{ "PORT", "080", "80", NULL },
		{ "PORT", "65536", NULL,
		  "not a value of PORT: '65536' is not a number from 1 to 65535" },
		{ "PORT", "http", NULL,
		  "not a value of PORT: 'http' is not a number from 1 to 65535" },
		{ "VNI", "16777215", "16777215", NULL },
		{ "VNI", "0", NULL, "not a value of VNI: '0' is not a number from 1 to 16777215" },
		{ "MAC", "02:6C:61:00:00:0A", "02:6c:61:00:00:0a", NULL },
		{ "SUBNET", "10.0.0.0/8", "10.0.0.0/8", NULL },
		{ "SUBNET", "2001:DB8:0::/48", "2001:db8::/48", NULL },
		{ "SUBNET", "10.0.0.1/8", NULL,
		  "not a value of SUBNET: '10.0.0.1/8' has host bits set" },
		{ "INTERFACE", "net1", "net1", NULL },
		{ "INTERFACE", "a-name-too-long1", NULL,
		  "'a-name-too-long1' is not a value of INTERFACE" },
		{ "INTERFACE", "a/b", NULL, "'a/b' is not a value of INTERFACE" },
		{ "INTERFACE", "..", NULL, "'..' is not a value of INTERFACE" },
		{ "NETNS", "lab-x.fabric", "lab-x.fabric", NULL },
		{ "NETNS", "../x", NULL, "'../x' is not a value of NETNS" },
		{ "LAB", "lab-1", "lab-1", NULL },
		{ "LAB", "Lab", NULL, "'Lab' is not a value of LAB" },
		{ "PATH", "/tmp/x", "/tmp/x", NULL },
		{ "PATH", "tmp", NULL, "'tmp' is not a value of PATH" },
		{ "PROCESS", "sleep 5", "sleep 5", NULL },
		{ "COLOUR", "r\xc3\xb6t", "r\xc3\xb6t", NULL },
		{ "COLOUR", "", NULL, "'' is not a value of COLOUR" },
		{ "COLOUR", "a\tb", NULL, "'a\tb' is not a value of COLOUR" },
		{ "colour", "red", NULL, "'colour' is not the name of a resource" },
		{ "", "red", NULL, "'' is not the name of a resource" },
		{ "A NAME THAT IS LONGER THAN 32 BYT", "x", NULL,
		  "'A NAME THAT IS LONGER THAN 32 BYT' is not the name of a resource" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		auto_resource_value v = { 0 };
		struct err err = { 0 };
		int rc = resource_value_parse(cases[i].resource, cases[i].text, &v, &err);

		assert_int_equal(rc, cases[i].want ? 0 : -1);
		if (cases[i].want)
			assert_string_equal(v.text, cases[i].want);
		else
			assert_string_equal(err.msg, cases[i].msg);
		assert_int_equal(err.kind, cases[i].want ? ERR_NONE : ERR_USAGE);
	}
	struct err err = { 0 };
	struct resource_value v;
	assert_int_equal(resource_value_parse("SUBNET", "10.0.0.1/8", &v, &err), -1);
	assert_string_equal(err.hint, "the network is 10.0.0.0/8");
}

static void test_ranges(void **state)
{
	static const struct {
		const char *resource, *text;
		uint64_t size;
		const char *first, *last; /* values */
	} good[] = {
		{ "PORT", "20000-29999", 10000, "20000", "29999" },
		{ "PORT", "80", 1, "80", "80" },
		{ "VNI", "1-16777215", 16777215, "1", "16777215" },
		{ "SUBNET", "10.192.0.0/12:24", 4096, "10.192.0.0/24", "10.207.255.0/24" },
		{ "SUBNET", "10.1.2.0/24", 1, "10.1.2.0/24", "10.1.2.0/24" },
		{ "SUBNET", "10.0.0.0/30:32", 4, "10.0.0.0/32", "10.0.0.3/32" },
		{ "SUBNET", "fd00::/48:64", 65536, "fd00::/64", "fd00:0:0:ffff::/64" },
		{ "MAC", "02:6c:61", 1 << 24, "02:6c:61:00:00:00", "02:6c:61:ff:ff:ff" },
		{ "MAC", "02:00:00:00:00", 256, "02:00:00:00:00:00", "02:00:00:00:00:ff" },
		{ "INTERFACE", "net{1-99}", 99, "net1", "net99" },
		{ "NETNS", "a{0-3}.x", 4, "a0.x", "a3.x" },
		{ "COLOUR", "red,green,blue", 3, "red", "blue" },
	};
	static const struct {
		const char *resource, *text, *msg;
	} bad[] = {
		{ "PORT", "0-5",
		  "'0-5' is not a range of PORT: '0' is not a number from 1 to "
		  "65535" },
		{ "PORT", "9-8", "'9-8' is not a range of PORT: 9 comes after 8" },
		{ "PORT", "1-2-3",
		  "'1-2-3' is not a range of PORT: '2-3' is not a number from 1 "
		  "to 65535" },
		{ "SUBNET", "10.0.0.0/8:7",
		  "'10.0.0.0/8:7' is not a range of SUBNET: '7' is not a "
		  "number from 8 to 32" },
		{ "SUBNET", "10.0.0.0/8:32",
		  "'10.0.0.0/8:32' is not a range of SUBNET: more than 2^16 subnets" },
		{ "MAC", "03:00", "'03:00' is not a range of MAC: '03:00' begins group addresses" },
		{ "MAC", "2:0", "'2:0' is not a range of MAC: '2:0' are not 1 to 5 bytes" },
		{ "MAC", "02:00:00:00:00:00",
		  "'02:00:00:00:00:00' is not a range of MAC: "
		  "'02:00:00:00:00:00' are not 1 to 5 bytes" },
		{ "INTERFACE", "net{1-9",
		  "'net{1-9' is not a range of INTERFACE: there is no '}' "
		  "in 'net{1-9'" },
		{ "INTERFACE", "interface{1-9999999}",
		  "'interface{1-9999999}' is not a range of INTERFACE: '9999999' is not a number "
		  "from 0 to 100000" },
		{ "INTERFACE", "a-long-name-{1-9999}",
		  "'a-long-name-{1-9999}' is not a range of INTERFACE: 'a-long-name-9999' is not a "
		  "value of INTERFACE" },
		{ "COLOUR", "red,,blue",
		  "'red,,blue' is not a range of COLOUR: '' is not a value of COLOUR" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		auto_resource_value first = { 0 }, last = { 0 };
		auto_pool p = { 0 };

		ok(pool_parse(good[i].resource, good[i].text, &p, err));
		assert_int_equal(pool_size(&p), good[i].size);
		assert_true(pool_value(&p, p.first, &first));
		assert_true(pool_value(&p, p.last, &last));
		assert_string_equal(first.text, good[i].first);
		assert_string_equal(last.text, good[i].last);
		assert_true(pool_contains(&p, &first));
		assert_true(pool_contains(&p, &last));
		assert_in_range(pool_start(&p), p.first, p.last);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = { 0 };
		struct pool p;

		assert_int_equal(pool_parse(bad[i].resource, bad[i].text, &p, &err), -1);
		assert_string_equal(err.msg, bad[i].msg);
		assert_int_equal(err.kind, ERR_USAGE);
	}
}

static void test_not_in_range(void **state)
{
	static const char *const cases[][3] = {
		{ "PORT", "20-30", "31" },
		{ "SUBNET", "10.192.0.0/12:24", "10.192.0.0/25" },
		{ "SUBNET", "10.192.0.0/12:24", "10.10.0.0/24" },
		{ "INTERFACE", "net{1-9}", "net10" },
		{ "INTERFACE", "net{1-99}", "net01" },
		{ "INTERFACE", "net{1-99}", "net" },
		{ "MAC", "02:6c", "02:6d:00:00:00:00" },
		{ "COLOUR", "red,blue", "green" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		auto_resource_value v = { 0 };
		auto_pool p = { 0 };

		ok(pool_parse(cases[i][0], cases[i][1], &p, err));
		ok(resource_value_parse(cases[i][0], cases[i][2], &v, err));
		assert_false(pool_contains(&p, &v));
	}
}

/* A namespace of the test's own, from inside; leave_ns() goes back. */
static int enter_ns(void)
{
	int home = -1;

	ok(netns_open_self(&home, err));
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(system("ip link set lo up"), 0);
	return home;
}

static void leave_ns(int home)
{
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
}

/* Binds a socket to a port of the loopback; *ret_port 0 gets what the kernel chose. */
static int bind_to(int family, int type, unsigned port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6,
				    .sin6_port = htons((uint16_t)port),
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in four = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(family, type | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(family == AF_INET6 ? bind(fd, (void *)&six, sizeof(six))
					    : bind(fd, (void *)&four, sizeof(four)),
			 0);
	return fd;
}

static unsigned local_port(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	assert_int_equal(getsockname(fd, (void *)&a, &len), 0);
	return ntohs(a.sin_port);
}

static bool kernel_since(unsigned major, unsigned minor)
{
	unsigned a = 0, b = 0;
	struct utsname u;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &a, &b) == 2 &&
	       (a > major || (a == major && b >= minor));
}

static bool is_used(const struct sockdiag_ports *p, unsigned port)
{
	return sockdiag_has(p->used, port);
}

static void test_sockets(void **state)
{
	auto_free struct sockdiag_ports *ports = xcalloc(1, sizeof(*ports));
	auto_free struct sockdiag_ports *outside = xcalloc(1, sizeof(*outside));
	unsigned n = 0;
	int home, ns = -1;

	(void)state;
	need_root();
	home = enter_ns();
	auto_fd tcp4 = bind_to(AF_INET, SOCK_STREAM, 20001);
	auto_fd tcp6 = bind_to(AF_INET6, SOCK_STREAM, 20002);
	auto_fd udp4 = bind_to(AF_INET, SOCK_DGRAM, 20003);
	auto_fd udp6 = bind_to(AF_INET6, SOCK_DGRAM, 20004);
	auto_fd idle = bind_to(AF_INET, SOCK_STREAM, 20005);
	auto_fd out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(listen(tcp4, 1), 0);
	assert_int_equal(listen(tcp6, 1), 0);
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(20001),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(connect(out, (void *)&to, sizeof(to)), 0);
	unsigned ephemeral = local_port(out);
	ok(netns_open_self(&ns, err));
	ok(sockdiag_add_ports(-1, ports, err));
	for (unsigned port = 20001; port <= 20004; port++)
		assert_true(is_used(ports, port));
	assert_true(is_used(ports, ephemeral));
	if (kernel_since(6, 8))
		assert_true(is_used(ports, 20005));
	for (unsigned port = 1; port < 65536; port++)
		n += is_used(ports, port);
	assert_int_equal(n, 5 + kernel_since(6, 8));
	leave_ns(home);
	/* By fd from outside, and not without. */
	ok(sockdiag_add_ports(-1, outside, err));
	assert_false(is_used(outside, 20003) && is_used(outside, 20004));
	ok(sockdiag_add_ports(ns, outside, err));
	for (unsigned port = 20001; port <= 20004; port++)
		assert_true(is_used(outside, port));
	close(ns);
}

/* Leaves a connection of port 20010 in TIME_WAIT. */
static void make_time_wait(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(20010),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	auto_fd server = bind_to(AF_INET, SOCK_STREAM, 20010);
	auto_fd client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char c;

	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(connect(client, (void *)&to, sizeof(to)), 0);
	auto_fd conn = accept(server, NULL, NULL);
	assert_true(conn >= 0);
	close(steal_fd(&conn)); /* who closes first waits */
	assert_int_equal(read(client, &c, 1), 0);
}

static void test_lingering(void **state)
{
	auto_hostview view = { 0 };
	auto_resource_value v = { 0 };
	const char *why = NULL;
	int home;

	(void)state;
	need_root();
	home = enter_ns();
	make_time_wait();
	ok(resource_value_parse("PORT", "20010", &v, err));
	/* The last packet of the other side is on its way. */
	for (int i = 0; i < 400; i++) {
		auto_hostview again = { 0 };

		ok(hostview_add(&again, "PORT", -1, err));
		if (sockdiag_has(again.ports->lingering, 20010) && !is_used(again.ports, 20010))
			break;
		pause_ms(5);
	}
	ok(hostview_add(&view, "PORT", -1, err));
	assert_false(hostview_usable(&view, &v, &why));
	assert_string_equal(why, "its last connection lingers (TIME_WAIT)");
	view.lingering_ok = true;
	assert_true(hostview_usable(&view, &v, &why));
	leave_ns(home);
}

/* A port that a program really has is passed over, not handed out. */
static void test_used_port_is_skipped(void **state)
{
	const struct place *p = *state;
	struct lease_request r = by("anna", "PORT");
	auto_hostview view = { 0 };
	auto_lease l = { 0 };
	auto_pool pool = { 0 };
	auto_store s = NULL;
	int home;

	need_root();
	ok(store_open(p->url, STORE_WRITE, &s, err));
	home = enter_ns();
	auto_fd a = bind_to(AF_INET, SOCK_STREAM, 20020);
	auto_fd b = bind_to(AF_INET6, SOCK_DGRAM, 20022);
	assert_int_equal(listen(a, 1), 0);
	ok(pool_parse("PORT", "20020-20022", &pool, err));
	ok(hostview_add(&view, "PORT", -1, err));
	ok(lease_acquire_any(s, &r, &pool, "20020", hostview_usable, &view, &l, err));
	assert_string_equal(l.value, "20021");
	fails(lease_acquire_any(s, &r, &pool, NULL, hostview_usable, &view, NULL, err),
	      ERR_CONFLICT, "no port of '20020-20022' is free");
	fails(lease_acquire(s, &r, "20022", hostview_usable, &view, NULL, NULL, err), ERR_CONFLICT,
	      "port '20022' is in use: a program uses it");
	assert_int_equal(b < 0, 0);
	assert_int_equal(held(s, NULL), 1);
	leave_ns(home);
}

static void test_links_and_subnets(void **state)
{
	static const struct {
		const char *resource, *value, *why; /* NULL: usable */
	} cases[] = {
		{ "INTERFACE", "np-bridge", "it exists" },
		{ "INTERFACE", "np-other-name", "it exists" },
		{ "INTERFACE", "net1", NULL },
		{ "MAC", "02:6c:61:00:00:07", "an interface has it" },
		{ "MAC", "02:6c:61:00:00:08", NULL },
		{ "SUBNET", "10.192.1.0/24", "this host has an address in it" },
		{ "SUBNET", "10.192.0.0/16", "this host has an address in it" },
		{ "SUBNET", "10.192.7.0/25", "a route of this host leads there" },
		{ "SUBNET", "127.1.0.0/16", "this host has an address in it" },
		{ "SUBNET", "fd00:7::/64", "a route of this host leads there" },
		{ "SUBNET", "172.18.5.0/24", "a network of the engine" },
		{ "SUBNET", "10.192.2.0/24", NULL },
		{ "SUBNET", "fd00:8::/64", NULL },
	};
	struct ipnet docker;
	int home;

	(void)state;
	need_root();
	ok(ipnet_parse("172.18.0.0/16", &docker, err));
	home = enter_ns();
	assert_int_equal(system("ip link add np-bridge address 02:6c:61:00:00:07 type bridge && "
				"ip link property add dev np-bridge altname np-other-name && "
				"ip addr add 10.192.1.1/24 dev np-bridge && "
				"ip link set np-bridge up && "
				"ip route add default via 10.192.1.9 && "
				"ip route add 10.192.7.0/24 via 10.192.1.9 && "
				"ip route add fd00:7::/48 dev np-bridge"),
			 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		auto_hostview view = { 0 };
		auto_resource_value v = { 0 };
		const char *why = NULL;

		ok(hostview_add(&view, cases[i].resource, -1, err));
		hostview_add_subnet(&view, &docker, "a network of the engine");
		ok(resource_value_parse(cases[i].resource, cases[i].value, &v, err));
		if (hostview_usable(&view, &v, &why) != !cases[i].why)
			fail_msg("%s: %s", cases[i].value, why ? why : "usable");
		if (cases[i].why)
			assert_string_equal(why, cases[i].why);
	}
	leave_ns(home);
}

static void test_namespaces(void **state)
{
	auto_free char *name = xasprintf("np-test-%d", (int)getpid());
	auto_hostview view = { 0 };
	auto_resource_value v = { 0 };
	const char *why = NULL;
	int fd = -1;

	(void)state;
	need_root();
	ok(netns_create(name, &fd, err));
	close(fd);
	ok(hostview_add(&view, "NETNS", -1, err));
	ok(netns_delete(name, err));
	ok(resource_value_parse("NETNS", name, &v, err));
	assert_false(hostview_usable(&view, &v, &why));
	assert_string_equal(why, "it exists");
}

#define test(f) cmocka_unit_test_setup_teardown(f, place_make, place_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_not_in_range),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_lingering),
		test(test_used_port_is_skipped),
		cmocka_unit_test(test_links_and_subnets),
		cmocka_unit_test(test_namespaces),
	};

	return cmocka_run_group_tests_name("netport_values", tests, NULL, NULL);
}
