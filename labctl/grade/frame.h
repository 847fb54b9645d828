/* SPDX-License-Identifier: MIT */
/*
 * frame.h - Ethernet frames as values: decode what was seen, encode what is to be sent.
 *
 * The room grade/ judges a student's router from outside, frame by frame. It reads the stage's
 * model and the running lab and changes neither; it knows nothing of command lines.
 *
 * Decoding never fails: it goes as far as the bytes allow, `has` tells how far, and never reads
 * outside of them. Numbers are in host order, IPv4 addresses too (1.1.1.2 is 0x01010102).
 * Encoding computes what a correct sender would put into lengths, types and checksums, unless
 * the field is listed in `as_is` (see frame_set()): that is how deliberately wrong frames are
 * made.
 */
#ifndef LABCTL_GRADE_FRAME_H
#define LABCTL_GRADE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"

#define FRAME_MAX	 65600 /* 65535 bytes of IPv4 behind an Ethernet header with tags */
#define FRAME_VLANS_MAX	 2
#define IPV4_OPTIONS_MAX 40
#define TCP_OPTIONS_MAX	 40
#define TCP_SYN		 0x02
#define TCP_RST		 0x04

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP  0x0806
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8

#define PROTO_ICMP 1
#define PROTO_TCP  6
#define PROTO_UDP  17

#define ARP_REQUEST 1
#define ARP_REPLY   2

#define ICMP_ECHO_REPLY	   0
#define ICMP_UNREACHABLE   3
#define ICMP_ECHO	   8
#define ICMP_TIME_EXCEEDED 11

#define IPV4_DF 2u /* in ipv4.flags: the three bits before the fragment offset */
#define IPV4_MF 1u

/* Which headers a frame has; a bit each. */
enum layer {
	LAYER_ETH = 1,
	LAYER_ARP = 2,
	LAYER_IPV4 = 4,
	LAYER_ICMP = 8,
	LAYER_UDP = 16,
	LAYER_TCP = 32,
};

/* Every field that a check can set, expect or compare; field.c holds the table of them. */
enum field {
	F_ETH_DST,
	F_ETH_SRC,
	F_ETH_VLAN, /* tag control information of the outer tag */
	F_ETH_TYPE,
	F_ARP_HTYPE,
	F_ARP_PTYPE,
	F_ARP_HLEN,
	F_ARP_PLEN,
	F_ARP_OP,
	F_ARP_SHA,
	F_ARP_SPA,
	F_ARP_THA,
	F_ARP_TPA,
	F_IPV4_VERSION,
	F_IPV4_IHL, /* in 32-bit words */
	F_IPV4_TOS,
	F_IPV4_LENGTH,
	F_IPV4_ID,
	F_IPV4_FLAGS,
	F_IPV4_OFFSET, /* in units of 8 bytes */
	F_IPV4_TTL,
	F_IPV4_PROTO,
	F_IPV4_CHECKSUM,
	F_IPV4_SRC,
	F_IPV4_DST,
	F_IPV4_OPTIONS,
	F_ICMP_TYPE,
	F_ICMP_CODE,
	F_ICMP_CHECKSUM,
	F_ICMP_ID,
	F_ICMP_SEQ, /* with F_ICMP_ID the second word of the header; MTU, unused in errors */
	F_UDP_SPORT,
	F_UDP_DPORT,
	F_UDP_LENGTH,
	F_UDP_CHECKSUM,
	F_TCP_SPORT,
	F_TCP_DPORT,
	F_TCP_SEQ,
	F_TCP_ACK,
	F_TCP_OFFSET, /* in 32-bit words */
	F_TCP_FLAGS,
	F_TCP_WINDOW,
	F_TCP_CHECKSUM,
	F_TCP_URGENT,
	F_PAYLOAD, /* what follows the innermost header that was understood */
	F_MAX
};

typedef uint64_t fields_t;
#define F(name) ((fields_t)1 << F_##name)
/* Of ARP all but the target's hardware address, which is anything in a request. */
#define ARP_ALL                                                                                    \
	(F(ARP_HTYPE) | F(ARP_PTYPE) | F(ARP_HLEN) | F(ARP_PLEN) | F(ARP_OP) | F(ARP_SHA) |        \
	 F(ARP_SPA) | F(ARP_TPA))

struct frame {
	unsigned has;	    /* enum layer bits */
	fields_t as_is;	    /* encoding: do not compute these */
	const char *broken; /* decoding: why it went no further; NULL: all well-formed */
	struct {
		struct macaddr dst, src;
		uint16_t type;
		uint8_t n_vlans;
		uint16_t vlan[FRAME_VLANS_MAX]; /* outer first */
	} eth;
	struct {
		uint16_t htype, ptype, op;
		uint8_t hlen, plen;
		struct macaddr sha, tha;
		uint32_t spa, tpa;
	} arp;
	struct {
		uint8_t version, ihl, tos, flags, ttl, proto;
		uint16_t length, id, offset, checksum;
		uint16_t right_checksum; /* decoding: what this header should have */
		uint32_t src, dst;
		uint8_t n_options; /* encoding: a multiple of 4 */
		uint8_t options[IPV4_OPTIONS_MAX];
	} ipv4;
	struct {
		uint8_t type, code;
		uint16_t checksum, right_checksum, id, seq;
	} icmp;
	struct {
		uint16_t sport, dport, length, checksum, right_checksum;
	} udp;
	struct {
		uint16_t sport, dport, window, checksum, right_checksum, urgent;
		uint32_t seq, ack;
		uint8_t offset, flags;
		uint8_t n_options; /* encoding: a multiple of 4 */
		uint8_t options[TCP_OPTIONS_MAX];
	} tcp;
	const uint8_t *payload; /* borrowed */
	size_t payload_len;
	const uint8_t *trailer; /* behind the end of the packet: Ethernet padding; borrowed */
	size_t trailer_len;
};

/* Pointers in *ret point into bytes. */
void frame_decode(const void *bytes, size_t len, struct frame *ret);
/* The same for bytes that begin with an IPv4 header (an ICMP error's quotation). `cut`: the
 * packet's end may be missing. */
void frame_decode_ipv4(const void *bytes, size_t len, bool cut, struct frame *ret);

/* Writes the frame and returns its length; 0 when it does not fit into size (FRAME_MAX always
 * does for what IPv4 can carry). Layers are taken from `has`; none is added. */
size_t frame_encode(const struct frame *f, uint8_t *buf, size_t size);

/* Sets a numeric field (an address as a number, a MAC as its 48 bits) and has it sent as it is. */
void frame_set(struct frame *f, enum field field, uint64_t value);

/* Sets the free 16-bit field so that a checksum comes out as wanted: corners of the arithmetic. */
void frame_steer(struct frame *f, enum field free_field, enum field checksum, uint16_t value);

/* RFC 1071 over bytes, begun with sum (0, or a pseudo header's); the complement is not taken. */
uint32_t inet_sum(const void *bytes, size_t len, uint32_t sum);
uint16_t inet_fold(uint32_t sum); /* folds and complements */

uint64_t mac_number(const struct macaddr *m);
struct macaddr mac_from_number(uint64_t n);
/* An IPv4 address as a number, and back. */
uint32_t ip4_number(const struct ipaddr *a);
struct ipaddr ip4_addr(uint32_t n);

#endif
