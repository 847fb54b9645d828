/* SPDX-License-Identifier: MIT */
/* frame.c - bytes to frames; addresses and checksums. */
#include "grade/frame.h"

#include <string.h>

#include "base/banned.h"

#define ETH_HLEN  14
#define ARP_LEN	  28
#define IPV4_HLEN 20
#define ICMP_HLEN 8
#define UDP_HLEN  8
#define TCP_HLEN  20

/* Reads from the front; what is not there is never touched. */
struct cursor {
	const uint8_t *p;
	size_t left;
};

static uint8_t get8(struct cursor *c)
{
	c->left--;
	return *c->p++;
}

static uint16_t get16(struct cursor *c)
{
	uint16_t hi = get8(c);

	return (uint16_t)(hi << 8 | get8(c));
}

static uint32_t get32(struct cursor *c)
{
	uint32_t hi = get16(c);

	return hi << 16 | get16(c);
}

static void get_bytes(struct cursor *c, void *into, size_t n)
{
	memcpy(into, c->p, n);
	c->p += n;
	c->left -= n;
}

uint32_t inet_sum(const void *bytes, size_t len, uint32_t sum)
{
	const uint8_t *p = bytes;
	uint64_t s = sum;

	for (; len >= 2; p += 2, len -= 2)
		s += (uint32_t)(p[0] << 8 | p[1]);
	if (len)
		s += (uint32_t)(p[0] << 8);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint32_t)s;
}

uint16_t inet_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* What a field at offset `at` should be so that the whole is right. */
static uint16_t right_checksum(const uint8_t *p, size_t len, size_t at, uint32_t sum)
{
	sum = inet_sum(p, at, sum);
	return inet_fold(inet_sum(p + at + 2, len - at - 2, sum));
}

static uint32_t pseudo_sum(const struct frame *f, size_t len)
{
	return (f->ipv4.src >> 16) + (f->ipv4.src & 0xffff) + (f->ipv4.dst >> 16) +
	       (f->ipv4.dst & 0xffff) + f->ipv4.proto + (uint32_t)len;
}

static void decode_arp(struct cursor c, struct frame *f)
{
	if (c.left < ARP_LEN) {
		f->broken = "the ARP packet is cut";
		return;
	}
	f->has |= LAYER_ARP;
	f->arp.htype = get16(&c);
	f->arp.ptype = get16(&c);
	f->arp.hlen = get8(&c);
	f->arp.plen = get8(&c);
	f->arp.op = get16(&c);
	get_bytes(&c, f->arp.sha.b, 6);
	f->arp.spa = get32(&c);
	get_bytes(&c, f->arp.tha.b, 6);
	f->arp.tpa = get32(&c);
	f->payload = f->trailer = c.p;
	f->payload_len = 0;
	f->trailer_len = c.left;
}

static void decode_icmp(struct cursor c, bool cut, struct frame *f)
{
	f->icmp.right_checksum = cut ? 0 : right_checksum(c.p, c.left, 2, 0);
	f->has |= LAYER_ICMP;
	f->icmp.type = get8(&c);
	f->icmp.code = get8(&c);
	f->icmp.checksum = get16(&c);
	f->icmp.id = get16(&c);
	f->icmp.seq = get16(&c);
	f->payload = c.p;
	f->payload_len = c.left;
}

static void decode_udp(struct cursor c, bool cut, struct frame *f)
{
	uint16_t right = 0;

	if (!cut) {
		right = right_checksum(c.p, c.left, 6, pseudo_sum(f, c.left));
		right = right ? right : 0xffff; /* RFC 768: zero says "none" */
	}
	f->has |= LAYER_UDP;
	f->udp.sport = get16(&c);
	f->udp.dport = get16(&c);
	f->udp.length = get16(&c);
	f->udp.checksum = get16(&c);
	f->udp.right_checksum = f->udp.checksum ? right : 0;
	f->payload = c.p;
	f->payload_len = c.left;
}

static void decode_tcp(struct cursor c, bool cut, struct frame *f)
{
	size_t n;

	f->tcp.right_checksum = cut ? 0 : right_checksum(c.p, c.left, 16, pseudo_sum(f, c.left));
	f->has |= LAYER_TCP;
	f->tcp.sport = get16(&c);
	f->tcp.dport = get16(&c);
	f->tcp.seq = get32(&c);
	f->tcp.ack = get32(&c);
	f->tcp.offset = get8(&c) >> 4;
	f->tcp.flags = get8(&c);
	f->tcp.window = get16(&c);
	f->tcp.checksum = get16(&c);
	f->tcp.urgent = get16(&c);
	n = f->tcp.offset * 4u;
	if (n >= TCP_HLEN && n - TCP_HLEN <= c.left) {
		f->tcp.n_options = (uint8_t)(n - TCP_HLEN);
		get_bytes(&c, f->tcp.options, f->tcp.n_options);
	} else {
		f->broken = "the TCP header's length is wrong";
	}
	f->payload = c.p;
	f->payload_len = c.left;
}

static void decode_transport(struct cursor c, bool cut, struct frame *f)
{
	f->payload = c.p;
	f->payload_len = c.left;
	if (f->ipv4.offset)
		return; /* a later fragment carries no header */
	/* A first fragment's checksum covers what is not here. */
	cut = cut || f->ipv4.flags & IPV4_MF;
	if (f->ipv4.proto == PROTO_ICMP && c.left >= ICMP_HLEN)
		decode_icmp(c, cut, f);
	else if (f->ipv4.proto == PROTO_UDP && c.left >= UDP_HLEN)
		decode_udp(c, cut, f);
	else if (f->ipv4.proto == PROTO_TCP && c.left >= TCP_HLEN)
		decode_tcp(c, cut, f);
}

/* The 20 bytes that every header has; c is known to hold them. */
static void decode_ipv4_fixed(struct cursor *c, struct frame *f)
{
	uint8_t first = get8(c);
	uint16_t frag;

	f->has |= LAYER_IPV4;
	f->ipv4.version = first >> 4;
	f->ipv4.ihl = first & 15;
	f->ipv4.tos = get8(c);
	f->ipv4.length = get16(c);
	f->ipv4.id = get16(c);
	frag = get16(c);
	f->ipv4.flags = (uint8_t)(frag >> 13);
	f->ipv4.offset = frag & 0x1fff;
	f->ipv4.ttl = get8(c);
	f->ipv4.proto = get8(c);
	f->ipv4.checksum = get16(c);
	f->ipv4.src = get32(c);
	f->ipv4.dst = get32(c);
}

static void decode_ipv4(struct cursor c, bool cut, struct frame *f)
{
	const uint8_t *start = c.p;
	size_t all = c.left, hlen;

	if (all < IPV4_HLEN) {
		f->broken = "the IPv4 header is cut";
		return;
	}
	decode_ipv4_fixed(&c, f);
	hlen = f->ipv4.ihl * 4u;
	f->payload = c.p;
	f->payload_len = c.left;
	if (f->ipv4.version != 4)
		f->broken = "the IP version is not 4";
	else if (hlen < IPV4_HLEN || hlen > all)
		f->broken = "the IPv4 header length is wrong";
	else if (f->ipv4.length < hlen || (f->ipv4.length > all && !cut))
		f->broken = "the IPv4 total length is wrong";
	if (f->broken)
		return;
	f->ipv4.right_checksum = right_checksum(start, hlen, 10, 0);
	f->ipv4.n_options = (uint8_t)(hlen - IPV4_HLEN);
	get_bytes(&c, f->ipv4.options, f->ipv4.n_options);
	if (f->ipv4.length <= all) {
		f->trailer = start + f->ipv4.length;
		f->trailer_len = all - f->ipv4.length;
		c.left -= f->trailer_len;
		cut = false;
	}
	decode_transport(c, cut, f);
}

void frame_decode_ipv4(const void *bytes, size_t len, bool cut, struct frame *ret)
{
	struct cursor c = { bytes, len };

	*ret = (struct frame){ .payload = bytes, .payload_len = len };
	decode_ipv4(c, cut, ret);
}

void frame_decode(const void *bytes, size_t len, struct frame *ret)
{
	struct cursor c = { bytes, len };

	*ret = (struct frame){ .payload = bytes, .payload_len = len };
	if (len < ETH_HLEN) {
		ret->broken = "the Ethernet header is cut";
		return;
	}
	ret->has = LAYER_ETH;
	get_bytes(&c, ret->eth.dst.b, 6);
	get_bytes(&c, ret->eth.src.b, 6);
	ret->eth.type = get16(&c);
	while ((ret->eth.type == ETHERTYPE_VLAN || ret->eth.type == ETHERTYPE_QINQ) &&
	       c.left >= 4 && ret->eth.n_vlans < FRAME_VLANS_MAX) {
		ret->eth.vlan[ret->eth.n_vlans++] = get16(&c);
		ret->eth.type = get16(&c);
	}
	ret->payload = c.p;
	ret->payload_len = c.left;
	if (ret->eth.type == ETHERTYPE_ARP)
		decode_arp(c, ret);
	else if (ret->eth.type == ETHERTYPE_IPV4)
		decode_ipv4(c, false, ret);
}

uint64_t mac_number(const struct macaddr *m)
{
	uint64_t n = 0;

	for (int i = 0; i < 6; i++)
		n = n << 8 | m->b[i];
	return n;
}

struct macaddr mac_from_number(uint64_t n)
{
	struct macaddr m;

	for (int i = 5; i >= 0; i--, n >>= 8)
		m.b[i] = (uint8_t)n;
	return m;
}

uint32_t ip4_number(const struct ipaddr *a)
{
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 | a->b[3];
}

struct ipaddr ip4_addr(uint32_t n)
{
	return (struct ipaddr){
		AF_INET, { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n }
	};
}
