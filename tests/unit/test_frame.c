/* SPDX-License-Identifier: MIT */
/* test_frame.c - frames as values: known bytes both ways, wrong frames, diffs, strict bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "grade/field.h"
#include "grade/frame.h"

#include "base/banned.h"

static const uint8_t arp_request[] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x42, 0x01, 0x01, 0x01, 0x02, 0x08, 0x06,
	0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x02, 0x42, 0x01, 0x01, 0x01, 0x02,
	0x01, 0x01, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x01, 0x01,
};

/* A ping as a Linux client sends it (16 bytes of data), with 4 bytes of padding behind. */
static const uint8_t
	ping[] = {
		0x02, 0x42, 0x01, 0x01, 0x01, 0x01, 0x02, 0x42, 0x01, 0x01, 0x01, 0x02,
		0x08, 0x00,								/* eth */
		0x45, 0x00, 0x00, 0x2c, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x01, 0x18, 0x85, /* ip */
		0x01, 0x01, 0x01, 0x02, 0x02, 0x02, 0x02, 0x02, /* addresses */
		0x08, 0x00, 0xbb, 0xa6, 0x04, 0x18, 0x00, 0x01, /* icmp */
		0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
		0x0c, 0x0d, 0x0e, 0x0f, 0xaa, 0xbb, 0xcc, 0xdd,
	};

static void test_sums(void **state)
{
	/* RFC 1071, section 3, and a header printed in many textbooks. */
	static const uint8_t rfc[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
	static const uint8_t ip[] = { 0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
				      0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7 };

	(void)state;
	assert_int_equal(inet_sum(rfc, sizeof(rfc), 0), 0xddf2);
	assert_int_equal(inet_fold(inet_sum(ip, sizeof(ip), 0)), 0xb861);
	assert_int_equal(inet_sum("\xab", 1, 0), 0xab00);
	assert_int_equal(inet_fold(0), 0xffff);
}

static void test_arp(void **state)
{
	uint8_t buf[FRAME_MAX];
	struct frame f;

	(void)state;
	frame_decode(arp_request, sizeof(arp_request), &f);
	assert_null(f.broken);
	assert_int_equal(f.has, LAYER_ETH | LAYER_ARP);
	assert_int_equal(f.arp.op, ARP_REQUEST);
	assert_int_equal(f.arp.htype, 1);
	assert_int_equal(f.arp.ptype, 0x0800);
	assert_int_equal(f.arp.spa, 0x01010102);
	assert_int_equal(f.arp.tpa, 0x01010101);
	assert_true(mac_number(&f.arp.sha) == 0x024201010102);
	assert_true(mac_number(&f.eth.dst) == 0xffffffffffff);
	assert_int_equal(f.trailer_len, 0);
	assert_int_equal(frame_encode(&f, buf, sizeof(buf)), sizeof(arp_request));
	assert_memory_equal(buf, arp_request, sizeof(arp_request));
	frame_decode(arp_request, sizeof(arp_request) - 1, &f);
	assert_string_equal(f.broken, "the ARP packet is cut");
}

static void test_ping(void **state)
{
	uint8_t buf[FRAME_MAX];
	struct frame f;

	(void)state;
	frame_decode(ping, sizeof(ping), &f);
	assert_null(f.broken);
	assert_int_equal(f.has, LAYER_ETH | LAYER_IPV4 | LAYER_ICMP);
	assert_int_equal(f.ipv4.ihl, 5);
	assert_int_equal(f.ipv4.id, 0x1c46);
	assert_int_equal(f.ipv4.flags, IPV4_DF);
	assert_int_equal(f.ipv4.checksum, f.ipv4.right_checksum);
	assert_int_equal(f.icmp.type, ICMP_ECHO);
	assert_int_equal(f.icmp.id, 0x0418);
	assert_int_equal(f.icmp.checksum, f.icmp.right_checksum);
	assert_int_equal(f.payload_len, 16);
	assert_int_equal(f.trailer_len, 4);
	assert_int_equal(f.trailer[0], 0xaa);
	assert_int_equal(frame_encode(&f, buf, sizeof(buf)), sizeof(ping));
	assert_memory_equal(buf, ping, sizeof(ping));
}

static struct frame udp_frame(void)
{
	struct frame f = { .has = LAYER_ETH | LAYER_IPV4 | LAYER_UDP };

	f.eth.dst = mac_from_number(0x024201010101);
	f.eth.src = mac_from_number(0x024201010102);
	f.ipv4.src = 0x01010102;
	f.ipv4.dst = 0x02020202;
	f.ipv4.ttl = 64;
	f.udp.sport = 4000;
	f.udp.dport = 9;
	f.payload = (const uint8_t *)"odd";
	f.payload_len = 3;
	return f;
}

static void test_udp_tcp_vlan_options(void **state)
{
	struct frame f = udp_frame(), back;
	uint8_t buf[FRAME_MAX];
	size_t n;

	(void)state;
	f.eth.n_vlans = 1;
	f.eth.vlan[0] = 42;
	f.ipv4.n_options = 4;
	memcpy(f.ipv4.options, "\x94\x04\x00\x00", 4);
	n = frame_encode(&f, buf, sizeof(buf));
	assert_int_equal(n, 14 + 4 + 24 + 8 + 3);
	frame_decode(buf, n, &back);
	assert_null(back.broken);
	assert_int_equal(back.eth.vlan[0], 42);
	assert_int_equal(back.ipv4.ihl, 6);
	assert_int_equal(back.ipv4.n_options, 4);
	assert_int_equal(back.udp.length, 11);
	assert_int_equal(back.udp.checksum, back.udp.right_checksum);
	assert_memory_equal(back.payload, "odd", 3);
	f.has = LAYER_ETH | LAYER_IPV4 | LAYER_TCP;
	f.tcp.seq = 0xdeadbeef;
	f.tcp.flags = 4;
	f.tcp.n_options = 4;
	memcpy(f.tcp.options, "\x02\x04\x05\xb4", 4);
	n = frame_encode(&f, buf, sizeof(buf));
	frame_decode(buf, n, &back);
	assert_null(back.broken);
	assert_int_equal(back.ipv4.proto, PROTO_TCP);
	assert_int_equal(back.tcp.seq, 0xdeadbeef);
	assert_int_equal(back.tcp.offset, 6);
	assert_int_equal(back.tcp.checksum, back.tcp.right_checksum);
	assert_int_equal(back.payload_len, 3);
}

static void test_wrong_frames(void **state)
{
	static const struct {
		enum field field;
		uint64_t value;
		const char *broken;
	} cases[] = {
		{ F_IPV4_VERSION, 5, "the IP version is not 4" },
		{ F_IPV4_IHL, 4, "the IPv4 header length is wrong" },
		{ F_IPV4_IHL, 15, "the IPv4 header length is wrong" },
		{ F_IPV4_LENGTH, 19, "the IPv4 total length is wrong" },
		{ F_IPV4_LENGTH, 1000, "the IPv4 total length is wrong" },
	};
	struct frame f, back;
	uint8_t buf[FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		f = udp_frame();
		frame_set(&f, cases[i].field, cases[i].value);
		frame_decode(buf, frame_encode(&f, buf, sizeof(buf)), &back);
		assert_non_null(back.broken);
		assert_string_equal(back.broken, cases[i].broken);
		assert_true(field_number(&back, cases[i].field) == cases[i].value);
		assert_false(back.has & LAYER_UDP);
	}
	f = udp_frame();
	frame_set(&f, F_IPV4_CHECKSUM, 0);
	frame_decode(buf, frame_encode(&f, buf, sizeof(buf)), &back);
	assert_null(back.broken);
	assert_int_equal(back.ipv4.checksum, 0);
	assert_int_not_equal(back.ipv4.right_checksum, 0);
	assert_int_equal(frame_encode(&f, buf, 20), 0);
}

static void test_diff(void **state)
{
	struct frame want = udp_frame(), seen = udp_frame(), back;
	json_auto_t *e = NULL, *s = NULL;
	uint8_t buf[FRAME_MAX];
	fields_t wrong;

	(void)state;
	seen.ipv4.ttl = 62;
	frame_set(&seen, F_IPV4_CHECKSUM, 0x1234);
	frame_decode(buf, frame_encode(&seen, buf, sizeof(buf)), &back);
	want.ipv4.ttl = 63;
	wrong = frame_diff(&want, &back,
			   F(IPV4_TTL) | F(IPV4_SRC) | F(PAYLOAD) | F(IPV4_CHECKSUM) |
				   F(ICMP_TYPE));
	assert_true(wrong == (F(IPV4_TTL) | F(IPV4_CHECKSUM)));
	assert_true(frame_diff(&want, &back, F(ARP_OP)) == 0);
	e = frame_wanted_json(&want, &back, wrong);
	s = frame_fields_json(&back, wrong);
	assert_string_equal(json_string_value(json_object_get(e, "ipv4.ttl")), "63");
	assert_string_equal(json_string_value(json_object_get(s, "ipv4.ttl")), "62");
	assert_string_equal(json_string_value(json_object_get(s, "ipv4.checksum")), "0x1234");
	assert_string_not_equal(json_string_value(json_object_get(e, "ipv4.checksum")), "0x1234");
}

/* Every cut of a frame, and many damaged ones, each in a heap block of exactly its size, so that
 * one byte too far is seen by the sanitizer. */
static void test_bounds(void **state)
{
	uint8_t whole[FRAME_MAX];
	struct frame f = udp_frame();
	size_t n;
	uint32_t x = 1;

	(void)state;
	f.has = LAYER_ETH | LAYER_IPV4 | LAYER_TCP;
	f.ipv4.n_options = 8;
	f.tcp.n_options = 12;
	n = frame_encode(&f, whole, sizeof(whole));
	for (int round = 0; round < 20000; round++) {
		size_t len = (size_t)round % (n + 1);
		uint8_t *copy = xmalloc(len + 1);
		uint8_t *p = copy + 1; /* odd addresses too */
		auto_str text = { 0 };

		memcpy(p, whole, len);
		for (int k = 0; k < round % 5 && len; k++) {
			x = x * 1664525 + 1013904223;
			p[x % len] = (uint8_t)(x >> 24);
		}
		frame_decode(p, len, &f);
		assert_true(f.payload_len <= len);
		assert_true(f.payload_len == 0 ||
			    (f.payload >= p && f.payload + f.payload_len <= p + len));
		assert_true(f.trailer_len == 0 || f.trailer + f.trailer_len == p + len);
		frame_summary(&f, &text);
		for (enum field i = 0; i < F_MAX; i++)
			field_text(&f, i, &text);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),	     cmocka_unit_test(test_arp),
		cmocka_unit_test(test_ping),	     cmocka_unit_test(test_udp_tcp_vlan_options),
		cmocka_unit_test(test_wrong_frames), cmocka_unit_test(test_diff),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
