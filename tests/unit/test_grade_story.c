/* SPDX-License-Identifier: MIT */
/* test_grade_story.c - what is special about a frame; lessons of broken routers in words. */
#include <fnmatch.h>

#include "base/str.h"
#include "grade/hint.h"
#include "grade/special.h"
#include "grade_arena.h"

#include "base/banned.h"

static const struct macaddr router = { { 2, 0x42, 1, 1, 1, 1 } };

static struct frame datagram(void)
{
	struct frame f = { .has = LAYER_ETH | LAYER_IPV4 | LAYER_UDP };

	f.eth.dst = router;
	f.eth.src = mac_from_number(0x024201010102);
	f.ipv4.ttl = 64;
	f.ipv4.src = 0x01010102;
	f.ipv4.dst = 0x02020202;
	f.udp.sport = 4000;
	f.udp.dport = 9;
	f.payload = (const uint8_t *)"0123456789abcdef0123456789abcdef";
	f.payload_len = 32;
	return f;
}

static struct frame question(void)
{
	struct frame f = { .has = LAYER_ETH | LAYER_ARP };

	f.eth.dst = mac_from_number(0xffffffffffff);
	f.arp.op = ARP_REQUEST;
	f.arp.spa = 0x01010102;
	f.arp.tpa = 0x01010101;
	return f;
}

static void expect_special(const struct frame *f, const char *want)
{
	uint8_t buf[2048];
	struct frame back;
	auto_str text = { 0 };

	frame_decode(buf, frame_encode(f, buf, sizeof(buf)), &back);
	frame_specials(&back, &router, &text);
	assert_string_equal(str_get(&text), want);
}

static void test_special_datagrams(void **state)
{
	struct frame f = datagram();

	(void)state;
	expect_special(&f, "");
	f.eth.dst = mac_from_number(0xffffffffffff);
	f.ipv4.ttl = 1;
	f.ipv4.n_options = 8;
	expect_special(&f, "frame to ff:ff:ff:ff:ff:ff, 8 bytes of IP options, TTL 1");
	f = datagram();
	f.eth.dst = mac_from_number(0x02aabbccddee);
	expect_special(&f, "frame to another station, 02:aa:bb:cc:dd:ee");
	f = datagram();
	f.trailer = f.payload;
	f.trailer_len = 10;
	expect_special(&f, "10 bytes behind the datagram's end");
	f.payload_len = 8; /* 36 bytes: padding to the shortest frame */
	expect_special(&f, "");
	f = datagram();
	f.ipv4.offset = 10;
	f.ipv4.flags = IPV4_MF;
	expect_special(&f, "fragment, offset 80, more follow");
	f = datagram();
	f.ipv4.src = 0x7f000001;
	f.ipv4.dst = 0xe0000001;
	expect_special(&f, "source address: loopback, destination address: multicast");
}

static void test_special_faults(void **state)
{
	struct frame f = datagram();

	(void)state;
	frame_set(&f, F_IPV4_CHECKSUM, 0x1234);
	expect_special(&f, "wrong header checksum: 0x1234, not 0x74ab");
	f = datagram();
	frame_set(&f, F_IPV4_VERSION, 5);
	expect_special(&f, "IP version 5");
	f = datagram();
	frame_set(&f, F_IPV4_IHL, 4);
	expect_special(&f, "header length (IHL) 4");
	f = datagram();
	frame_set(&f, F_IPV4_LENGTH, 1200);
	expect_special(&f, "total length 1200, but there are 60 bytes");
	f = datagram();
	f.has = LAYER_ETH | LAYER_IPV4 | LAYER_ICMP;
	f.ipv4.proto = PROTO_ICMP;
	f.payload_len = 31;
	frame_set(&f, F_ICMP_CHECKSUM, 1);
	f.icmp.type = ICMP_ECHO;
	expect_special(&f, "wrong ICMP checksum: 0x0001, not 0x99f7, an odd number of bytes");
}

static void test_special_arp(void **state)
{
	struct frame f = question();

	(void)state;
	expect_special(&f, "");
	f.eth.dst = router;
	expect_special(&f, "unicast, frame to 02:42:01:01:01:01");
	f = question();
	f.arp.spa = f.arp.tpa;
	frame_set(&f, F_ARP_HLEN, 8);
	expect_special(&f, "hardware length 8, gratuitous: about the sender itself");
	f = question();
	f.has = LAYER_ETH;
	f.eth.type = ETHERTYPE_ARP;
	f.payload = (const uint8_t *)"0123456789";
	f.payload_len = 10;
	expect_special(&f, "the ARP packet is cut");
}

#define expect_hint(f, seen, sent, words) assert_non_null(strstr(fault_hint(f, seen, sent), words))

static void test_hints(void **state)
{
	(void)state;
	expect_hint(F_IPV4_CHECKSUM, NULL, NULL, "covers the header alone");
	expect_hint(F_ICMP_CHECKSUM, NULL, NULL, "all data");
	expect_hint(F_ETH_DST, NULL, NULL, "the next hop's");
	assert_null(fault_hint(F_ETH_VLAN, NULL, NULL));
}

static void test_hints_about_macs(void **state)
{
	struct frame ask = question(), sent = datagram(), reply = question();

	(void)state;
	reply.arp.op = ARP_REPLY;
	expect_hint(F_ETH_DST, &ask, &sent, "goes to all stations");
	expect_hint(F_ETH_DST, &reply, &ask, "goes to the asker alone");
	reply.arp.op = ARP_REQUEST; /* its opcode is wrong, too */
	expect_hint(F_ETH_DST, &reply, &ask, "goes to the asker alone");
	expect_hint(F_ETH_DST, &sent, &sent, "the next hop's");
}

static void test_hints_about_checksums(void **state)
{
	struct frame sent = datagram(), seen = datagram();

	(void)state;
	sent.ipv4.checksum = 0x74ab;
	seen.ipv4.right_checksum = 0x75ab;
	seen.ipv4.checksum = 0x1234;
	expect_hint(F_IPV4_CHECKSUM, &seen, &sent, "covers the header alone");
	seen.ipv4.checksum = 0xab75;
	expect_hint(F_IPV4_CHECKSUM, &seen, &sent, "two bytes in the wrong order");
	seen.ipv4.checksum = 0x74ab;
	expect_hint(F_IPV4_CHECKSUM, &seen, &sent, "the checksum that the packet came with");
	expect_hint(F_IPV4_CHECKSUM, &seen, NULL, "covers the header alone");
	sent.has = seen.has = LAYER_ETH | LAYER_IPV4 | LAYER_ICMP;
	sent.icmp.type = ICMP_ECHO;
	sent.icmp.checksum = seen.icmp.checksum = 0x1111;
	seen.icmp.right_checksum = 0x1911;
	expect_hint(F_ICMP_CHECKSUM, &seen, &sent, "the request's checksum");
	seen.icmp.checksum = 0x1119;
	expect_hint(F_ICMP_CHECKSUM, &seen, &sent, "two bytes in the wrong order");
}

static void test_hints_about_options(void **state)
{
	struct frame seen = datagram();

	(void)state;
	expect_hint(F_IPV4_OPTIONS, &seen, NULL, "between the 20th and IHL * 4");
	seen.ipv4.offset = 10;
	expect_hint(F_IPV4_OPTIONS, &seen, NULL, "only those whose first bit");
}

static bool has_reply(void *arg)
{
	return probe_kernel_count(arg) > 0;
}

static bool has_all(void *arg)
{
	return probe_kernel_count(arg) == PROBE_KERNEL_MAX;
}

/* What a client's kernel answers is seen, is not in the journal, and too much of it is no loss. */
static void test_kernel_frames(void **state)
{
	struct test_arena t = { 0 };
	unsigned client, seat;
	struct frame ask = question();
	uint8_t buf[64];
	auto_probe p = NULL;
	size_t len, n;

	(void)state;
	need_root();
	arena_open(&t, "stages/stage1");
	ok(probe_new(&p, err));
	ok(probe_add_port(p, t.arena.client_ns[0], "eth0", &client, err));
	ok(probe_add_port(p, t.arena.seat_ns, "net1", &seat, err));
	ask.eth.src = ask.arp.sha = router;
	ask.arp.spa = 0x01010101;
	ask.arp.tpa = 0x01010102;
	len = frame_encode(&ask, buf, sizeof(buf));
	ok(probe_forget(p, err));
	ok(probe_send(p, seat, buf, len, err));
	assert_int_equal(probe_wait(p, NS_PER_S, has_reply, p, ERR_IGNORED), 1);
	assert_int_equal(probe_kernel_get(p, 0)->port, client);
	assert_true(probe_kernel_get(p, 0)->kernel);
	assert_int_equal(probe_kernel_get(p, 0)->f.arp.op, ARP_REPLY);
	for (size_t i = 0; i < probe_count(p); i++)
		assert_true(probe_get(p, i)->port == seat ||
			    probe_get(p, i)->f.arp.op == ARP_REQUEST);
	free(probe_timeline(p, probe_count(p), &n));
	assert_int_equal(n, probe_count(p) + 1);
	for (int i = 0; i < 2 * PROBE_KERNEL_MAX; i++)
		ok(probe_send(p, seat, buf, len, err));
	assert_int_equal(probe_wait(p, NS_PER_S, has_all, p, ERR_IGNORED), 1);
	assert_int_equal(probe_wait(p, 20 * NS_PER_MS, NULL, NULL, ERR_IGNORED), 0);
	assert_int_equal(probe_kernel_count(p), PROBE_KERNEL_MAX);
	assert_int_equal(probe_lost(p), 0);
	ok(probe_forget(p, err));
	assert_int_equal(probe_kernel_count(p), 0);
	ok(probe_send(p, seat, buf, len, err));
	assert_int_equal(probe_wait(p, NS_PER_S, has_reply, p, ERR_IGNORED), 1);
	arena_close(&t);
}

/* Broken routers of stage1: of this check, the pattern of what was sent, and of the story. */
struct lesson {
	const char *mutant, *check, *sent, *story, *stage; /* NULL: stage1 */
};

static const struct lesson lessons[] = {
	{ "arp-reply-none", "arp.reply", "on net1: ARP who-has 1.1.1.1 tell 1.1.1.*",
	  "your program sent nothing at all", NULL },
	{ "arp-reply-opcode", "arp.reply", "on net1: ARP who-has 1.1.1.1 tell 1.1.1.*",
	  "your program answered on net1: ARP who-has 1.1.1.* tell 1.1.1.1 (unicast, *", NULL },
	{ "arp-queue-none", "arp.queue", "on net1: 1.1.1.2 > 2.2.2.* ttl 64, 32 bytes",
	  "your program asked who-has 2.2.2.* on net2, got the answer, and never sent the packet "
	  "that waited",
	  NULL },
	{ "arp-resolve-flood", "arp.resolve", "on net1: 1.1.1.2 > 2.2.2.*",
	  "your program asked who-has 2.2.2.* 5 times on net2 and got no answer", NULL },
	{ "ipv4-ttl-expired-forwarded", "ipv4.ttl.expired", "*, 32 bytes (TTL 1)",
	  "your program sent it on to net2 with TTL 1", NULL },
	{ "eth-other-all", "eth.other", "*(frame to another station, 02:*",
	  "your program sent it on to net2 with TTL 63", NULL },
	{ "ipv4-forward-twice", "ipv4.forward", "on net1: *",
	  "your program sent it on to net2 twice with TTL 63", NULL },
	{ "arp-malformed-crash", "arp.malformed", "*10 bytes (the ARP packet is cut)", NULL, NULL },
	{ "loses-large-tcp", "tcp.transfer#1",
	  "on net1, by the client's kernel: * TCP * 1448 bytes (DF set)",
	  "your program did not send it on", "stage6" },
	{ "eth-mac-one-for-all", "eth.mac", "on net2: ARP who-has 2.2.2.1 tell 2.2.2.2",
	  "your program answered on net2: ARP reply 2.2.2.1 is-at *", NULL },
	{ "offset-begins-at-zero", "frag.refragment", "on net1: * offset 1480, more follow)",
	  "your program sent it on to net4 with TTL 63", "stage5" },
	{ "every-cut-has-an-end", "frag.refragment", "on net1: * offset 0, more follow)",
	  "your program sent it on to net4 with TTL 63 and sent on net4: * offset 1360, the last)",
	  "stage5" },
	{ "keeps-the-checksum-of-large-packets", "udp.transfer",
	  "on net2, by the client's kernel: 2.2.2.2 > 3.3.3.2 UDP * 1400 bytes",
	  "your program sent it on to net3 * with TTL 63", "stage6" },
};

static void test_lesson(void **state)
{
	const struct lesson *l = *state;
	auto_free char *command = NULL;
	struct test_arena t = { 0 };
	struct runner_spec program = { .become = arena_become, .arg = &t };
	struct grader_options o = { .program = &program, .seed = 7 };
	auto_results r = { 0 };
	const char *stage = l->stage ? l->stage : "stage1";
	auto_free char *dir = xasprintf("stages/%s", stage);
	bool found = false;

	need_root();
	command = xasprintf("exec python3 tests/routers/%s_mutants.py %s", stage, l->mutant);
	program.command = command;
	o.only = l->check;
	arena_open(&t, dir);
	ok(grade(&t.arena, &o, &r, err));
	for (size_t i = 0; i < r.n; i++) {
		const struct result *c = &r.v[i];

		if (strcmp(c->id, l->check) != 0)
			continue;
		found = true;
		assert_int_equal(c->verdict, VERDICT_FAIL);
		print_message("# sent:  %s\n# story: %s\n", c->sent, c->story ? c->story : "");
		assert_int_equal(fnmatch(l->sent, c->sent, 0), 0);
		assert_int_equal(!c->story, !l->story);
		if (l->story)
			assert_int_equal(fnmatch(l->story, c->story, 0), 0);
	}
	assert_true(found);
	arena_close(&t);
}

int main(void)
{
	struct CMUnitTest tests[8 + ARRAY_SIZE(lessons)] = {
		cmocka_unit_test(test_special_datagrams),
		cmocka_unit_test(test_special_faults),
		cmocka_unit_test(test_special_arp),
		cmocka_unit_test(test_hints),
		cmocka_unit_test(test_hints_about_macs),
		cmocka_unit_test(test_hints_about_checksums),
		cmocka_unit_test(test_hints_about_options),
		cmocka_unit_test(test_kernel_frames),
	};

	mem_adopt_jansson();
	for (size_t i = 0; i < ARRAY_SIZE(lessons); i++)
		tests[8 + i] =
			(struct CMUnitTest){ .name = lessons[i].mutant,
					     .test_func = test_lesson,
					     .initial_state = (void *)(uintptr_t)&lessons[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
