/* SPDX-License-Identifier: MIT */
/* test_net_guard.c - behind the guard the kernel is deaf, and a packet socket is not. */
#include "net/guard.h"

#include "net_lab.h"

#define TABLE "labctl-test.lab_1"

/* Silence is believed after much longer than an answer takes, which is made while the request is
 * delivered. */
enum {
	SILENCE = 300,
	PATIENCE = 5000
};

static const uint8_t request[42] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x42, 1, 1, 1, 2, 0x08, 0x06, 0, 1, 8, 0, 6, 4,
	0,    1, /* who has 1.1.1.1? tell 1.1.1.2 */
	0x02, 0x42, 1,	  1,	1,    2,    1,	  1,	1, 2, 0, 0, 0,	  0,	0, 0, 1, 1, 1, 1,
};

static bool is_arp(const uint8_t *frame, size_t n, uint8_t op)
{
	return n >= 42 && frame[12] == 0x08 && frame[13] == 0x06 && frame[21] == op;
}

/* Waits for an ARP message of this kind on a packet socket. */
static bool see_arp(int fd, uint8_t op, int ms)
{
	uint8_t frame[2048];
	size_t n;

	while ((n = net_recv(fd, frame, sizeof(frame), ms)))
		if (is_arp(frame, n, op))
			return true;
	return false;
}

/* b0 asks. Is the request seen by a packet socket on a0, and does the kernel behind a0 answer
 * within ms milliseconds? */
static void ask(int seat, int client, int ms, bool *ret_seen, bool *ret_answered)
{
	uint8_t frame[2048];

	while (net_recv(seat, frame, sizeof(frame), 0) || net_recv(client, frame, sizeof(frame), 0))
		;
	assert_int_equal(send(client, request, sizeof(request), 0), sizeof(request));
	*ret_seen = see_arp(seat, 1, 5000);
	*ret_answered = see_arp(client, 2, ms);
}

static void assert_guards(int fd, const char *name)
{
	auto_strv names = { 0 };

	ok(guard_list(fd, TABLE, &names, err));
	assert_int_equal(names.n, name ? 1 : 0);
	if (name)
		assert_string_equal(names.v[0], name);
}

static void kernel_is_deaf_and_program_is_not(void **state)
{
	struct ipnet net = net_parse("1.1.1.1/24");
	bool seen = false, answered = false;
	struct net_pair p = { 0 };
	int seat, client;

	(void)state;
	need_root();
	net_pair_make(&p);
	ok(addr_add(p.nl[0], p.link[0].ifindex, &net, false, err));
	seat = net_tap(p.fd[0], p.link[0].ifindex);
	client = net_tap(p.fd[1], p.link[1].ifindex);
	ask(seat, client, PATIENCE, &seen, &answered);
	assert_true(seen);
	assert_true(answered);

	assert_guards(p.fd[0], NULL);
	ok(guard_add(p.fd[0], TABLE, "a0", err));
	assert_guards(p.fd[0], "a0");
	ask(seat, client, SILENCE, &seen, &answered);
	assert_true(seen);
	assert_false(answered);

	ok(link_set_up(p.nl[0], p.link[0].ifindex, false, err));
	ok(link_set_up(p.nl[0], p.link[0].ifindex, true, err));
	for (int i = 0; i < 2; i++)
		ok(link_wait_carrier(p.nl[i], p.link[i].name, 5000, err));
	ask(seat, client, SILENCE, &seen, &answered);
	assert_true(seen);
	assert_false(answered);

	/* Once more is no error, and no second chain. */
	ok(guard_add(p.fd[0], TABLE, "a0", err));
	assert_guards(p.fd[0], "a0");
	ok(guard_delete(p.fd[0], TABLE, err));
	assert_guards(p.fd[0], NULL);
	ask(seat, client, PATIENCE, &seen, &answered);
	assert_true(seen);
	assert_true(answered);
	ok(guard_delete(p.fd[0], TABLE, err));
	close(seat);
	close(client);
	net_pair_done(&p);
}

static void any_interface_name_will_do(void **state)
{
	static const char *const odd[] = { "drop", "a\"b;x", "n_1", "n.1", "*", "\xc3\xa4" };
	struct net_pair p = { 0 };
	auto_strv want = { 0 }, got = { 0 };

	(void)state;
	need_root();
	net_pair_make(&p);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct link_veth spec = net_spec(odd[i], odd[i], p.fd[1]);

		ok(link_add_veth(p.nl[0], &spec, err));
		ok(guard_add(p.fd[0], TABLE, odd[i], err));
		strv_add(&want, odd[i]);
	}
	strv_sort(&want);
	ok(guard_list(p.fd[0], TABLE, &got, err));
	assert_int_equal(got.n, want.n);
	for (size_t i = 0; i < got.n; i++)
		assert_string_equal(got.v[i], want.v[i]);
	net_pair_done(&p);
}

static void missing_interface_is_named(void **state)
{
	struct net_pair p = { 0 };

	(void)state;
	need_root();
	net_pair_make(&p);
	fails(guard_add(p.fd[0], TABLE, "none", err), ERR_NOT_FOUND,
	      "cannot guard interface 'none': interface 'none': No such device");
	assert_guards(p.fd[0], NULL);
	net_pair_done(&p);
}

static void tells_whether_the_kernel_can(void **state)
{
	(void)state;
	need_root();
	assert_true(guard_supported());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_is_deaf_and_program_is_not),
		cmocka_unit_test(any_interface_name_will_do),
		cmocka_unit_test(missing_interface_is_named),
		cmocka_unit_test(tells_whether_the_kernel_can),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
