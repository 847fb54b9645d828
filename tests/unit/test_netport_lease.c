/* SPDX-License-Identifier: MIT */
/* test_netport_lease.c - what leases mean, on any store (LABCTL_TEST_STORE=URL; SQLite if unset). */
#include "netport_lab.h"

#include "base/banned.h"

static struct store *open_place(void **state)
{
	const struct place *p = *state;
	struct store *s = NULL;

	ok(store_open(p->url, STORE_WRITE, &s, err));
	return s;
}

/* "... since HH:MM" of a lease. */
static char *since(const char *text, const struct lease *l)
{
	char buf[LEASE_TIME_TEXT];

	return xasprintf("%s since %s", text, lease_time_text(l->created, buf));
}

static void test_acquire_and_conflict(void **state)
{
	auto_store s = open_place(state);
	struct lease_request lab_b = by("lab:lab-b", "INTERFACE"), anna = by("anna", "INTERFACE");
	auto_lease first = { 0 };
	auto_lease holder = { 0 };

	lab_b.note = "stage1";
	ok(lease_acquire(s, &lab_b, "net1", NULL, NULL, &first, NULL, err));
	assert_string_equal(first.resource, "INTERFACE");
	assert_string_equal(first.value, "net1");
	assert_string_equal(first.owner, "lab:lab-b");
	assert_string_equal(first.note, "stage1");
	assert_int_equal(first.uid, 1000);
	assert_int_equal(first.expires, 0);
	assert_true(first.id > 0);
	assert_true(llabs(first.created - clock_ms(CLOCK_REALTIME)) < 60000);
	auto_free char *msg = since("interface 'net1' is leased to lab 'lab-b' (stage1)", &first);
	fails(lease_acquire(s, &anna, "net1", NULL, NULL, NULL, &holder, err), ERR_CONFLICT, msg);
	assert_int_equal(holder.id, first.id);
	assert_string_equal(holder.owner, "lab:lab-b");
	/* Also for the holder itself, unless it says that it may be its own. */
	fails(lease_acquire(s, &lab_b, "net1", NULL, NULL, NULL, NULL, err), ERR_CONFLICT, msg);
	/* The same value of another resource is another thing. */
	anna.resource = "NETNS";
	ok(lease_acquire(s, &anna, "net1", NULL, NULL, NULL, NULL, err));
}

static void test_again(void **state)
{
	auto_store s = open_place(state);
	struct lease_request r = by("anna", "COLOUR"), other = by("anna", "COLOUR");
	auto_lease a = { 0 }, b = { 0 };

	ok(lease_acquire(s, &r, "red", NULL, NULL, &a, NULL, err));
	r.again_ok = other.again_ok = true;
	r.ttl_ms = 60000;
	r.note = "again";
	ok(lease_acquire(s, &r, "red", NULL, NULL, &b, NULL, err));
	assert_int_equal(a.id, b.id);
	assert_int_equal(a.created, b.created);
	assert_true(b.expires > b.created);
	assert_string_equal(b.note, "again");
	/* The same name taken by another user is another holder. */
	other.uid = 1001;
	auto_free char *msg = since("COLOUR 'red' is leased to 'anna' (again)", &a);
	fails(lease_acquire(s, &other, "red", NULL, NULL, NULL, NULL, err), ERR_CONFLICT, msg);
}

static void test_release(void **state)
{
	auto_store s = open_place(state);
	const struct lease_claim anna = { "anna", 1000 }, bert = { NULL, 1001 },
				 root = { NULL, LEASE_ANY_UID };
	struct lease_request r = by("anna", "PORT");
	auto_lease l = { 0 };

	fails(lease_release(s, "PORT", "20000", &anna, err), ERR_NOT_FOUND,
	      "port '20000' is not leased");
	fails(lease_renew(s, "PORT", "20000", &anna, 0, NULL, err), ERR_NOT_FOUND,
	      "port '20000' is not leased");
	ok(lease_acquire(s, &r, "20000", NULL, NULL, &l, NULL, err));
	auto_free char *msg = since("port '20000' is leased to 'anna'", &l);
	fails(lease_release(s, "PORT", "20000", &bert, err), ERR_CONFLICT, msg);
	fails(lease_renew(s, "PORT", "20000", &bert, 1000, NULL, err), ERR_CONFLICT, msg);
	ok(lease_release(s, "PORT", "20000", &anna, err));
	assert_int_equal(held(s, NULL), 0);
	ok(lease_acquire(s, &r, "20000", NULL, NULL, NULL, NULL, err));
	ok(lease_release(s, "PORT", "20000", &root, err));
}

static void test_release_owner(void **state)
{
	auto_store s = open_place(state);
	struct lease_request a = by("lab:a", "PORT"), b = by("lab:b", "PORT");
	size_t n = 99;

	ok(lease_release_owner(s, "lab:a", LEASE_ANY_UID, &n, err));
	assert_int_equal(n, 0);
	ok(lease_acquire(s, &a, "1", NULL, NULL, NULL, NULL, err));
	ok(lease_acquire(s, &a, "2", NULL, NULL, NULL, NULL, err));
	ok(lease_acquire(s, &b, "3", NULL, NULL, NULL, NULL, err));
	a.uid = 1001; /* somebody else under that name */
	ok(lease_acquire(s, &a, "4", NULL, NULL, NULL, NULL, err));
	ok(lease_release_owner(s, "lab:a", 1000, &n, err));
	assert_int_equal(n, 2);
	assert_int_equal(held(s, "PORT"), 2);
	ok(lease_release_owner(s, "lab:a", LEASE_ANY_UID, &n, err));
	assert_int_equal(n, 1);
	assert_int_equal(held(s, "PORT"), 1);
}

/* Waits until nobody holds the value any more; fails after a minute. */
static void wait_gone(struct store *s, const char *resource, const char *value)
{
	int64_t end = clock_ms(CLOCK_MONOTONIC) + 60000;
	struct err err = { 0 };

	for (;;) {
		auto_lease_list l = { 0 };

		if (lease_who(s, resource, value, &l, &err) < 0)
			break;
		assert_true(clock_ms(CLOCK_MONOTONIC) < end);
		pause_ms(5);
	}
	assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void test_expiry(void **state)
{
	auto_store s = open_place(state);
	struct lease_request r = by("anna", "PORT"), other = by("bert", "PORT");
	const struct lease_claim anna = { "anna", 1000 };
	auto_lease a = { 0 }, renewed = { 0 }, b = { 0 };
	size_t n;

	r.ttl_ms = 60000;
	ok(lease_acquire(s, &r, "20001", NULL, NULL, &a, NULL, err));
	assert_int_equal(a.expires, a.created + 60000);
	ok(lease_renew(s, "PORT", "20001", &anna, 120000, &renewed, err));
	assert_int_equal(renewed.id, a.id);
	assert_true(renewed.expires >= a.created + 120000);
	ok(lease_renew(s, "PORT", "20001", &anna, 100, NULL, err));
	wait_gone(s, "PORT", "20001");
	r.ttl_ms = 150;
	/* Nobody has swept; yet it is not there for anyone. */
	assert_int_equal(held(s, NULL), 0);
	fails(lease_renew(s, "PORT", "20001", &anna, 1000, NULL, err), ERR_NOT_FOUND,
	      "port '20001' is not leased");
	fails(lease_release(s, "PORT", "20001", &anna, err), ERR_NOT_FOUND,
	      "port '20001' is not leased");
	ok(lease_acquire(s, &r, "20002", NULL, NULL, NULL, NULL, err));
	wait_gone(s, "PORT", "20002");
	ok(lease_acquire(s, &other, "20002", NULL, NULL, &b, NULL, err));
	assert_true(b.id > a.id);
	assert_int_equal(held(s, NULL), 1);
	ok(lease_acquire(s, &r, "20003", NULL, NULL, NULL, NULL, err));
	wait_gone(s, "PORT", "20003");
	ok(lease_sweep(s, &n, err));
	assert_int_equal(n, 1);
	ok(lease_sweep(s, &n, err));
	assert_int_equal(n, 0);
}

/* A child that lives until its pipe is closed. */
static pid_t start_child(int *ret_fd)
{
	int p[2];
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char c;

		close(p[1]);
		_exit(read(p[0], &c, 1) < 0);
	}
	close(p[0]);
	*ret_fd = p[1];
	return pid;
}

static void test_bound_to_process(void **state)
{
	auto_store s = open_place(state);
	struct lease_request r = by("anna", "PORT"), other = by("bert", "PORT");
	auto_pool pool = { 0 };
	auto_lease l = { 0 }, got = { 0 };
	siginfo_t info;
	size_t n;
	int fd;

	r.bound = LEASE_BOUND_PROCESS;
	r.pid = start_child(&fd);
	ok(lease_acquire(s, &r, "20000", NULL, NULL, &l, NULL, err));
	ok(lease_acquire(s, &r, "20001", NULL, NULL, NULL, NULL, err));
	ok(lease_acquire(s, &r, "20002", NULL, NULL, NULL, NULL, err));
	assert_int_equal(l.pid, r.pid);
	assert_int_equal(held(s, NULL), 3);
	auto_free char *msg = since("port '20000' is leased to 'anna'", &l);
	fails(lease_acquire(s, &other, "20000", NULL, NULL, NULL, NULL, err), ERR_CONFLICT, msg);
	close(fd);
	/* Dead, but not yet reaped: it holds nothing any more. */
	assert_int_equal(waitid(P_PID, (id_t)r.pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(held(s, NULL), 0);
	waitpid(r.pid, NULL, 0);
	assert_int_equal(held(s, NULL), 0);
	ok(lease_acquire(s, &other, "20000", NULL, NULL, NULL, NULL, err));
	/* From a range that only the dead one held. */
	ok(pool_parse("PORT", "20001", &pool, err));
	ok(lease_acquire_any(s, &other, &pool, NULL, NULL, NULL, &got, err));
	assert_string_equal(got.value, "20001");
	ok(lease_sweep(s, &n, err));
	assert_int_equal(n, 1);
	auto_free char *gone = xasprintf("there is no process %d", (int)r.pid);
	fails(lease_acquire(s, &r, "20009", NULL, NULL, NULL, NULL, err), ERR_NOT_FOUND, gone);
}

static void test_bound_to_boot(void **state)
{
	auto_store s = open_place(state);
	struct lease_request r = by("lab:a", "INTERFACE"), other = by("lab:b", "INTERFACE");
	struct lease before = { .resource = xstrdup("INTERFACE"),
				.owner = xstrdup("lab:old"),
				.note = xstrdup(""),
				.uid = 1000,
				.bound = LEASE_BOUND_BOOT };
	const struct store_want want = { &before, 0, false };
	auto_resource_value net2 = { 0 }, net3 = { 0 };
	auto_lease l = { 0 };

	r.bound = LEASE_BOUND_BOOT;
	ok(lease_acquire(s, &r, "net1", NULL, NULL, &l, NULL, err));
	assert_int_equal(strlen(l.boot_id), 36);
	assert_int_equal(held(s, NULL), 1);
	/* A lease of this host before it booted, straight into the store. */
	ok(resource_value_parse("INTERFACE", "net2", &net2, err));
	ok(resource_value_parse("INTERFACE", "net3", &net3, err));
	assert_true(str_copy(before.host, sizeof(before.host), l.host));
	assert_true(str_copy(before.boot_id, sizeof(before.boot_id),
			     "00000000-0000-0000-0000-000000000000"));
	ok(s->ops->acquire(s, &want, &net2, NULL, NULL, NULL, NULL, err));
	assert_int_equal(held(s, NULL), 1);
	ok(lease_acquire(s, &other, "net2", NULL, NULL, NULL, NULL, err));
	assert_int_equal(held(s, NULL), 2);
	/* Another host's boot cannot be judged here. */
	assert_true(str_copy(before.host, sizeof(before.host), "elsewhere"));
	ok(s->ops->acquire(s, &want, &net3, NULL, NULL, NULL, NULL, err));
	assert_int_equal(held(s, NULL), 3);
	lease_done(&before);
}

static bool refuse(void *arg, const struct resource_value *v, const char **ret_why)
{
	const char *const *list = arg;

	*ret_why = "the test says so";
	for (; *list; list++) {
		if (strcmp(*list, v->text) == 0)
			return false;
	}
	return true;
}

static void test_any_of_numbers(void **state)
{
	static const char *const bad[] = { "5001", "5003", NULL };
	void *arg = (void *)(uintptr_t)bad;
	auto_store s = open_place(state);
	struct lease_request r = by("anna", "VNI");
	const struct lease_claim anna = { "anna", 1000 };
	static const char *const order[] = { "5000", "5002", "5004" };
	auto_pool pool = { 0 };

	ok(pool_parse("VNI", "5000-5004", &pool, err));
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		auto_lease l = { 0 };

		ok(lease_acquire_any(s, &r, &pool, NULL, refuse, arg, &l, err));
		assert_string_equal(l.value, order[i]);
	}
	fails(lease_acquire_any(s, &r, &pool, NULL, refuse, arg, NULL, err), ERR_CONFLICT,
	      "no VNI of '5000-5004' is free");
	ok(lease_release(s, "VNI", "5002", &anna, err));
	auto_lease l = { 0 }, preferred = { 0 };
	ok(lease_acquire_any(s, &r, &pool, "5004", refuse, arg, &l, err));
	assert_string_equal(l.value, "5002");
	ok(lease_acquire_any(s, &r, &pool, "7", refuse, arg, &preferred, err));
	assert_string_equal(preferred.value, "7");
	fails(lease_acquire(s, &r, "5003", refuse, arg, NULL, NULL, err), ERR_CONFLICT,
	      "VNI '5003' is in use: the test says so");
}

/* Ports are handed out from a random place on, but each one once. */
static void test_any_of_ports(void **state)
{
	auto_store s = open_place(state);
	struct lease_request r = by("anna", "PORT");
	auto_pool pool = { 0 };
	bool seen[50] = { false }, ascending = true;
	unsigned last = 0;

	ok(pool_parse("PORT", "20000-20049", &pool, err));
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
		auto_lease l = { 0 };
		unsigned port;

		ok(lease_acquire_any(s, &r, &pool, NULL, NULL, NULL, &l, err));
		assert_int_equal(sscanf(l.value, "%u", &port), 1);
		assert_in_range(port, 20000, 20049);
		assert_false(seen[port - 20000]);
		seen[port - 20000] = true;
		ascending = ascending && port > last;
		last = port;
	}
	assert_false(ascending);
	fails(lease_acquire_any(s, &r, &pool, NULL, NULL, NULL, NULL, err), ERR_CONFLICT,
	      "no port of '20000-20049' is free");
}

static void test_any_of_names(void **state)
{
	auto_store s = open_place(state);
	struct lease_request r = by("lab:a", "INTERFACE");
	static const char *const want[] = { "net1", "net2", "net3" };
	auto_pool pool = { 0 };

	ok(pool_parse("INTERFACE", "net{1-3}", &pool, err));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		auto_lease l = { 0 };

		ok(lease_acquire_any(s, &r, &pool, "net1", NULL, NULL, &l, err));
		assert_string_equal(l.value, want[i]);
	}
	fails(lease_acquire_any(s, &r, &pool, NULL, NULL, NULL, NULL, err), ERR_CONFLICT,
	      "no interface of 'net{1-3}' is free");
}

static void test_subnets_overlap(void **state)
{
	auto_store s = open_place(state);
	struct lease_request r = by("lab:a", "SUBNET"), other = by("lab:b", "SUBNET");
	static const char *const inside[] = { "10.1.0.0/16", "10.1.2.0/24", "10.0.0.0/8",
					      "10.1.255.255/32", "0.0.0.0/0" };
	static const char *const beside[] = { "10.0.0.0/16", "10.2.0.0/15" };
	auto_lease l = { 0 };

	ok(lease_acquire(s, &r, "10.1.0.0/16", NULL, NULL, &l, NULL, err));
	for (size_t i = 0; i < ARRAY_SIZE(inside); i++) {
		auto_free char *text = i == 0 ? xstrdup("subnet '10.1.0.0/16' is leased to lab 'a'")
					      : xasprintf("subnet '%s' overlaps '10.1.0.0/16', "
							  "which is leased to lab 'a'",
							  inside[i]);
		auto_free char *msg = since(text, &l);

		fails(lease_acquire(s, &other, inside[i], NULL, NULL, NULL, NULL, err),
		      ERR_CONFLICT, msg);
	}
	for (size_t i = 0; i < ARRAY_SIZE(beside); i++)
		ok(lease_acquire(s, &other, beside[i], NULL, NULL, NULL, NULL, err));
	ok(lease_acquire(s, &other, "2001:db8::/32", NULL, NULL, NULL, NULL, err));
	ok(lease_acquire(s, &other, "2001:db9::/48", NULL, NULL, NULL, NULL, err));
	struct err e = { 0 };
	assert_int_equal(lease_acquire(s, &r, "2001:db8:1::/64", NULL, NULL, NULL, NULL, &e), -1);
	assert_non_null(strstr(e.msg, "subnet '2001:db8:1::/64' overlaps '2001:db8::/32', which "
				      "is leased to lab 'b' since "));
	assert_int_equal(held(s, "SUBNET"), 5);
	fails(lease_acquire(s, &r, "10.9.0.1/16", NULL, NULL, NULL, NULL, err), ERR_USAGE,
	      "not a value of SUBNET: '10.9.0.1/16' has host bits set");
}

static void test_any_of_subnets(void **state)
{
	static const char *const bad[] = { "10.192.1.0/24", NULL };
	void *arg = (void *)(uintptr_t)bad;
	auto_store s = open_place(state);
	struct lease_request r = by("lab:a", "SUBNET");
	auto_lease a = { 0 }, b = { 0 };
	auto_pool pool = { 0 };

	ok(pool_parse("SUBNET", "10.192.0.0/22:24", &pool, err));
	ok(lease_acquire(s, &r, "10.192.0.128/25", NULL, NULL, NULL, NULL, err));
	ok(lease_acquire_any(s, &r, &pool, NULL, refuse, arg, &a, err));
	assert_string_equal(a.value, "10.192.2.0/24");
	ok(lease_acquire_any(s, &r, &pool, "10.192.2.0/25", refuse, arg, &b, err));
	assert_string_equal(b.value, "10.192.3.0/24");
	fails(lease_acquire_any(s, &r, &pool, NULL, refuse, arg, NULL, err), ERR_CONFLICT,
	      "no subnet of '10.192.0.0/22:24' is free");
}

/* An expired subnet is in nobody's way, whole or in parts. */
static void test_subnet_expiry(void **state)
{
	auto_store s = open_place(state);
	struct lease_request r = by("lab:a", "SUBNET"), other = by("lab:b", "SUBNET");

	r.ttl_ms = 50;
	ok(lease_acquire(s, &r, "10.1.0.0/17", NULL, NULL, NULL, NULL, err));
	ok(lease_acquire(s, &r, "10.1.128.0/17", NULL, NULL, NULL, NULL, err));
	wait_gone(s, "SUBNET", "10.1.128.0/17");
	ok(lease_acquire(s, &other, "10.1.0.0/16", NULL, NULL, NULL, NULL, err));
	assert_int_equal(held(s, NULL), 1);
}

/* What labs find each other by is theirs, and nobody takes all of the rest. */
static void test_rights(void **state)
{
	static const char *const labs[] = { "LAB", "INTERFACE", "NETNS", "GROUP" };
	auto_store s = open_place(state);
	struct lease_request r = by("mallory", "LAB");

	r.labs_ok = false;
	r.quota = 3;
	for (size_t i = 0; i < ARRAY_SIZE(labs); i++) {
		auto_free char *msg =
			xasprintf("%s is leased by labs and by administrators only", labs[i]);

		r.resource = labs[i];
		fails(lease_acquire(s, &r, "bob", NULL, NULL, NULL, NULL, err), ERR_FAILED, msg);
	}
	r.resource = "SEAT";
	ok(lease_acquire(s, &r, "1", NULL, NULL, NULL, NULL, err));
	r.owner = "another name";
	r.ttl_ms = 1;
	ok(lease_acquire(s, &r, "2", NULL, NULL, NULL, NULL, err));
	r.ttl_ms = 0;
	ok(lease_acquire(s, &r, "3", NULL, NULL, NULL, NULL, err));
	/* The second has ended by now, or will have soon. */
	usleep(2000);
	ok(lease_acquire(s, &r, "4", NULL, NULL, NULL, NULL, err));
	fails(lease_acquire(s, &r, "5", NULL, NULL, NULL, NULL, err), ERR_FAILED,
	      "user 1000 holds 3 leases, and may have no more");
	r.uid = 1001;
	ok(lease_acquire(s, &r, "5", NULL, NULL, NULL, NULL, err));
	/* Of those who are no users each name counts. */
	r.uid = LEASE_UID_NOBODY;
	r.quota = 1;
	ok(lease_acquire(s, &r, "6", NULL, NULL, NULL, NULL, err));
	fails(lease_acquire(s, &r, "7", NULL, NULL, NULL, NULL, err), ERR_FAILED,
	      "'another name' holds 1 leases, and may have no more");
	r.owner = "10.0.0.1";
	ok(lease_acquire(s, &r, "7", NULL, NULL, NULL, NULL, err));
}

/* Pages together are the list, without those that ended with their process. */
static void test_pages(void **state)
{
	static const char *const hidden[2] = { "COLOUR", NULL };
	const struct lease_filter any = { .uid = LEASE_ANY_UID };
	const struct lease_filter ports = { .resource = "PORT", .uid = LEASE_ANY_UID };
	const struct lease_filter other = { .owner = "b", .uid = 1000 };
	struct lease_request a = by("a", "PORT"), b = by("b", "VNI"), c = by("c", "COLOUR");
	auto_store s = open_place(state);
	auto_lease_list list = { 0 };
	size_t total, seen = 0;
	char text[12];
	pid_t child = fork();

	if (child == 0)
		for (;;)
			pause();
	for (int i = 0; i < 25; i++) {
		snprintf(text, sizeof(text), "%d", 5000 + (i * 7) % 25);
		a.bound = i == 9 || i == 24 ? LEASE_BOUND_PROCESS : LEASE_LASTS;
		a.pid = a.bound ? child : 0;
		ok(lease_acquire(s, &a, text, NULL, NULL, NULL, NULL, err));
		ok(lease_acquire(s, &b, text, NULL, NULL, NULL, NULL, err));
		ok(lease_acquire(s, &c, text, NULL, NULL, NULL, NULL, err));
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ok(lease_list(s, &any, &list, err));
	assert_int_equal(list.n, 73);
	for (size_t offset = 0; offset < 60; offset += 10) {
		auto_lease_list page = { 0 };

		ok(lease_page(s, &any, hidden, offset, 10, &page, &total, err));
		assert_int_equal(total, 48);
		assert_int_equal(page.n, offset < 40 ? 10 : offset == 40 ? 8 : 0);
		for (size_t i = 0; i < page.n; i++, seen++) {
			const struct lease *want = &list.v[25 + seen];

			assert_string_equal(page.v[i].resource, want->resource);
			assert_string_equal(page.v[i].value, want->value);
			assert_string_equal(page.v[i].owner, want->owner);
			assert_int_equal(page.v[i].id, want->id);
		}
	}
	auto_lease_list some = { 0 }, others = { 0 };
	ok(lease_page(s, &ports, hidden, 20, 10, &some, &total, err));
	assert_int_equal(total, 23);
	assert_int_equal(some.n, 3);
	ok(lease_page(s, &other, hidden, 24, 10, &others, &total, err));
	assert_int_equal(total, 25);
	assert_string_equal(others.v[0].value, "5024");
}

static void test_list_and_who(void **state)
{
	auto_store s = open_place(state);
	struct lease_request port = by("lab:a", "PORT"), net = by("lab:b", "SUBNET"),
			     ifc = by("lab:b", "INTERFACE"), ns = by("anna", "NETNS");
	struct lease_filter f = { .uid = LEASE_ANY_UID };
	static const char *const order[] = { "net1", "net1", "80", "2000", "10000", "10.5.0.0/16" };

	ok(lease_acquire(s, &port, "10000", NULL, NULL, NULL, NULL, err));
	ok(lease_acquire(s, &port, "2000", NULL, NULL, NULL, NULL, err));
	port.uid = 1001;
	ok(lease_acquire(s, &port, "80", NULL, NULL, NULL, NULL, err));
	ok(lease_acquire(s, &net, "10.5.0.0/16", NULL, NULL, NULL, NULL, err));
	ok(lease_acquire(s, &ifc, "net1", NULL, NULL, NULL, NULL, err));
	ok(lease_acquire(s, &ns, "net1", NULL, NULL, NULL, NULL, err));
	{
		auto_lease_list all = { 0 };

		ok(lease_list(s, &f, &all, err));
		assert_int_equal(all.n, ARRAY_SIZE(order));
		for (size_t i = 0; i < all.n; i++)
			assert_string_equal(all.v[i].value, order[i]);
	}
	static const struct {
		struct lease_filter f;
		size_t n;
	} cases[] = {
		{ { .resource = "PORT", .uid = LEASE_ANY_UID }, 3 },
		{ { .resource = "PORT", .uid = 1001 }, 1 },
		{ { .owner = "lab:b", .uid = LEASE_ANY_UID }, 2 },
		{ { .owner = "lab:b", .resource = "PORT", .uid = LEASE_ANY_UID }, 0 },
		{ { .value = "net1", .uid = LEASE_ANY_UID }, 2 },
		{ { .value = "net1", .owner = "anna", .uid = LEASE_ANY_UID }, 1 },
		{ { .resource_re = "PO", .uid = LEASE_ANY_UID }, 3 },
		{ { .resource_re = "ORT", .uid = LEASE_ANY_UID }, 0 },
		{ { .resource_re = ".*", .value_re = "(80|net.)$", .uid = LEASE_ANY_UID }, 3 },
		{ { .owner_re = "lab:[ab]", .uid = LEASE_ANY_UID }, 5 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		auto_lease_list l = { 0 };

		ok(lease_list(s, &cases[i].f, &l, err));
		assert_int_equal(l.n, cases[i].n);
	}
	f.value_re = "(";
	fails(lease_list(s, &f, &(struct lease_list){ 0 }, err), ERR_USAGE,
	      "'(' is not a regular expression: Unmatched ( or \\(");
	static const struct {
		const char *resource, *value;
		size_t n;
	} whos[] = {
		{ NULL, "net1", 2 },	 { "INTERFACE", "net1", 1 },  { "PORT", "2000", 1 },
		{ NULL, "10.5.6.7", 1 }, { "SUBNET", "10.5.6.7", 1 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(whos); i++) {
		auto_lease_list l = { 0 };

		ok(lease_who(s, whos[i].resource, whos[i].value, &l, err));
		assert_int_equal(l.n, whos[i].n);
	}
	fails(lease_who(s, NULL, "net7", &(struct lease_list){ 0 }, err), ERR_NOT_FOUND,
	      "nobody holds 'net7'");
	fails(lease_who(s, "PORT", "7", &(struct lease_list){ 0 }, err), ERR_NOT_FOUND,
	      "nobody holds port '7'");
	fails(lease_who(s, NULL, "10.6.0.1", &(struct lease_list){ 0 }, err), ERR_NOT_FOUND,
	      "nobody holds '10.6.0.1'");
}

static void test_bad_requests(void **state)
{
	auto_store s = open_place(state);
	struct lease_request r = by("anna", "PORT");

	fails(lease_acquire(s, &r, "0", NULL, NULL, NULL, NULL, err), ERR_USAGE,
	      "not a value of PORT: '0' is not a number from 1 to 65535");
	r.owner = "";
	fails(lease_acquire(s, &r, "1", NULL, NULL, NULL, NULL, err), ERR_USAGE,
	      "'' cannot be an owner: 1 to 255 bytes, no control characters");
	r.owner = "a\nb";
	fails(lease_acquire(s, &r, "1", NULL, NULL, NULL, NULL, err), ERR_USAGE,
	      "'a\nb' cannot be an owner: 1 to 255 bytes, no control characters");
	r.owner = "anna";
	r.note = "\x1b[2J";
	fails(lease_acquire(s, &r, "1", NULL, NULL, NULL, NULL, err), ERR_USAGE,
	      "a note has at most 1023 bytes and no control characters");
	r.note = NULL;
	r.ttl_ms = -1;
	fails(lease_acquire(s, &r, "1", NULL, NULL, NULL, NULL, err), ERR_USAGE,
	      "a lease cannot end before it begins");
	r.ttl_ms = 0;
	r.resource = "port";
	fails(lease_acquire(s, &r, "1", NULL, NULL, NULL, NULL, err), ERR_USAGE,
	      "'port' is not the name of a resource");
	assert_int_equal(held(s, NULL), 0);
}

static void test_pools(void **state)
{
	auto_store s = open_place(state);
	auto_pool a = { 0 }, b = { 0 }, c = { 0 }, none = { 0 };

	ok(pool_get(s, "PORT", &a, err));
	assert_string_equal(a.text, "20000-29999");
	ok(pool_set(s, "PORT", "30000-30009", err));
	ok(pool_get(s, "PORT", &b, err));
	assert_string_equal(b.text, "30000-30009");
	assert_int_equal(pool_size(&b), 10);
	fails(pool_set(s, "PORT", "9-8", err), ERR_USAGE,
	      "'9-8' is not a range of PORT: 9 comes after 8");
	ok(pool_set(s, "PORT", NULL, err));
	ok(pool_get(s, "PORT", &c, err));
	assert_string_equal(c.text, "20000-29999");
	fails(pool_get(s, "COLOUR", &none, err), ERR_NOT_FOUND, "COLOUR has no pool");
}

static void test_batch(void **state)
{
	auto_store s = open_place(state);
	auto_store reader = open_place(state);
	struct lease_request r = by("anna", "PORT");

	ok(store_begin(s, err));
	ok(lease_acquire(s, &r, "1", NULL, NULL, NULL, NULL, err));
	ok(lease_acquire(s, &r, "2", NULL, NULL, NULL, NULL, err));
	struct err e = { 0 };
	assert_int_equal(lease_acquire(s, &r, "2", NULL, NULL, NULL, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_CONFLICT);
	ok(store_commit(s, err));
	assert_int_equal(held(reader, NULL), 2);
	ok(lease_acquire(s, &r, "3", NULL, NULL, NULL, NULL, err));
	assert_int_equal(held(reader, NULL), 3);
	fails(store_commit(s, err), ERR_INTERNAL, "no batch to commit");
	ok(store_check(s, err));
}

#define test(f) cmocka_unit_test_setup_teardown(f, place_make, place_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_acquire_and_conflict),
		test(test_again),
		test(test_release),
		test(test_release_owner),
		test(test_expiry),
		test(test_bound_to_process),
		test(test_bound_to_boot),
		test(test_any_of_numbers),
		test(test_any_of_ports),
		test(test_any_of_names),
		test(test_subnets_overlap),
		test(test_any_of_subnets),
		test(test_subnet_expiry),
		test(test_rights),
		test(test_pages),
		test(test_list_and_who),
		test(test_bad_requests),
		test(test_pools),
		test(test_batch),
	};

	return cmocka_run_group_tests_name("netport_lease", tests, NULL, NULL);
}
