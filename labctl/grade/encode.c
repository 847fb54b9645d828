/* SPDX-License-Identifier: MIT */
/* encode.c - frames to bytes, right or deliberately wrong. */
#include "grade/frame.h"

#include <string.h>

#include "base/banned.h"

/* Writes to the end; once something did not fit, nothing more is written. */
struct out {
	uint8_t *p;
	size_t len;
	size_t size;
	bool full;
};

static void put_bytes(struct out *o, const void *data, size_t n)
{
	if (o->full || n > o->size - o->len) {
		o->full = true;
		return;
	}
	if (n)
		memcpy(o->p + o->len, data, n);
	o->len += n;
}

static void put8(struct out *o, uint8_t v)
{
	put_bytes(o, &v, 1);
}

static void put16(struct out *o, uint16_t v)
{
	put8(o, (uint8_t)(v >> 8));
	put8(o, (uint8_t)v);
}

static void put32(struct out *o, uint32_t v)
{
	put16(o, (uint16_t)(v >> 16));
	put16(o, (uint16_t)v);
}

/* The field's own value when it is to be sent as it is, otherwise the right one. */
static uint16_t pick(const struct frame *f, fields_t field, uint16_t own, uint16_t right)
{
	return f->as_is & field ? own : right;
}

static void patch16(struct out *o, size_t at, uint16_t v)
{
	if (o->full)
		return;
	o->p[at] = (uint8_t)(v >> 8);
	o->p[at + 1] = (uint8_t)v;
}

static void put_eth(struct out *o, const struct frame *f)
{
	uint16_t type = f->eth.type;

	if (f->has & LAYER_ARP)
		type = pick(f, F(ETH_TYPE), type, ETHERTYPE_ARP);
	else if (f->has & LAYER_IPV4)
		type = pick(f, F(ETH_TYPE), type, ETHERTYPE_IPV4);
	put_bytes(o, f->eth.dst.b, 6);
	put_bytes(o, f->eth.src.b, 6);
	for (unsigned i = 0; i < f->eth.n_vlans && i < FRAME_VLANS_MAX; i++) {
		put16(o, ETHERTYPE_VLAN);
		put16(o, f->eth.vlan[i]);
	}
	put16(o, type);
}

static void put_arp(struct out *o, const struct frame *f)
{
	put16(o, pick(f, F(ARP_HTYPE), f->arp.htype, 1));
	put16(o, pick(f, F(ARP_PTYPE), f->arp.ptype, ETHERTYPE_IPV4));
	put8(o, (uint8_t)pick(f, F(ARP_HLEN), f->arp.hlen, 6));
	put8(o, (uint8_t)pick(f, F(ARP_PLEN), f->arp.plen, 4));
	put16(o, f->arp.op);
	put_bytes(o, f->arp.sha.b, 6);
	put32(o, f->arp.spa);
	put_bytes(o, f->arp.tha.b, 6);
	put32(o, f->arp.tpa);
}

static size_t transport_len(const struct frame *f)
{
	if (f->has & LAYER_ICMP || f->has & LAYER_UDP)
		return 8 + f->payload_len;
	if (f->has & LAYER_TCP)
		return 20u + f->tcp.n_options + f->payload_len;
	return f->payload_len;
}

static uint8_t transport_proto(const struct frame *f)
{
	if (f->as_is & F(IPV4_PROTO))
		return f->ipv4.proto;
	if (f->has & LAYER_ICMP)
		return PROTO_ICMP;
	if (f->has & LAYER_UDP)
		return PROTO_UDP;
	return f->has & LAYER_TCP ? PROTO_TCP : f->ipv4.proto;
}

static void put_ipv4(struct out *o, const struct frame *f)
{
	size_t start = o->len, hlen = 20u + f->ipv4.n_options;
	uint16_t version = pick(f, F(IPV4_VERSION), f->ipv4.version, 4);
	uint16_t ihl = pick(f, F(IPV4_IHL), f->ipv4.ihl, (uint16_t)(hlen / 4));
	size_t length = hlen + transport_len(f);

	if (length > UINT16_MAX) {
		o->full = true;
		return;
	}
	put8(o, (uint8_t)(version << 4 | (ihl & 15)));
	put8(o, f->ipv4.tos);
	put16(o, pick(f, F(IPV4_LENGTH), f->ipv4.length, (uint16_t)length));
	put16(o, f->ipv4.id);
	put16(o, (uint16_t)(f->ipv4.flags << 13 | (f->ipv4.offset & 0x1fff)));
	put8(o, f->ipv4.ttl);
	put8(o, transport_proto(f));
	put16(o, 0);
	put32(o, f->ipv4.src);
	put32(o, f->ipv4.dst);
	put_bytes(o, f->ipv4.options, f->ipv4.n_options);
	if (o->full)
		return;
	patch16(o, start + 10,
		pick(f, F(IPV4_CHECKSUM), f->ipv4.checksum,
		     inet_fold(inet_sum(o->p + start, o->len - start, 0))));
}

static uint32_t pseudo_header(const struct frame *f)
{
	return (f->ipv4.src >> 16) + (f->ipv4.src & 0xffff) + (f->ipv4.dst >> 16) +
	       (f->ipv4.dst & 0xffff) + transport_proto(f) + (uint32_t)transport_len(f);
}

/* Writes the payload and then the checksum at `at` over all since `start`. */
static void finish(struct out *o, const struct frame *f, size_t start, size_t at, fields_t field,
		   uint16_t own, uint32_t sum)
{
	uint16_t right;

	put_bytes(o, f->payload, f->payload_len);
	if (o->full)
		return;
	right = inet_fold(inet_sum(o->p + start, o->len - start, sum));
	if (field == F(UDP_CHECKSUM) && !right)
		right = 0xffff;
	patch16(o, start + at, pick(f, field, own, right));
}

static void put_transport(struct out *o, const struct frame *f)
{
	size_t start = o->len;

	if (f->has & LAYER_ICMP) {
		put8(o, f->icmp.type);
		put8(o, f->icmp.code);
		put16(o, 0);
		put16(o, f->icmp.id);
		put16(o, f->icmp.seq);
		finish(o, f, start, 2, F(ICMP_CHECKSUM), f->icmp.checksum, 0);
	} else if (f->has & LAYER_UDP) {
		put16(o, f->udp.sport);
		put16(o, f->udp.dport);
		put16(o, pick(f, F(UDP_LENGTH), f->udp.length, (uint16_t)transport_len(f)));
		put16(o, 0);
		finish(o, f, start, 6, F(UDP_CHECKSUM), f->udp.checksum, pseudo_header(f));
	} else if (f->has & LAYER_TCP) {
		uint16_t words = (uint16_t)(5 + f->tcp.n_options / 4);

		put16(o, f->tcp.sport);
		put16(o, f->tcp.dport);
		put32(o, f->tcp.seq);
		put32(o, f->tcp.ack);
		put8(o, (uint8_t)(pick(f, F(TCP_OFFSET), f->tcp.offset, words) << 4));
		put8(o, f->tcp.flags);
		put16(o, f->tcp.window);
		put16(o, 0);
		put16(o, f->tcp.urgent);
		put_bytes(o, f->tcp.options, f->tcp.n_options);
		finish(o, f, start, 16, F(TCP_CHECKSUM), f->tcp.checksum, pseudo_header(f));
	} else {
		put_bytes(o, f->payload, f->payload_len);
	}
}

size_t frame_encode(const struct frame *f, uint8_t *buf, size_t size)
{
	struct out o = { .p = buf, .size = size };

	if (f->ipv4.n_options > IPV4_OPTIONS_MAX || f->tcp.n_options > TCP_OPTIONS_MAX)
		return 0;
	if (f->has & LAYER_ETH)
		put_eth(&o, f);
	if (f->has & LAYER_ARP)
		put_arp(&o, f);
	if (f->has & LAYER_IPV4)
		put_ipv4(&o, f);
	put_transport(&o, f);
	put_bytes(&o, f->trailer, f->trailer_len);
	return o.full ? 0 : o.len;
}
