/* SPDX-License-Identifier: MIT */
/* special.c - what is special about a frame. */
#include "grade/special.h"

#include "grade/field.h"

#include "base/banned.h"

#define ETH_HLEN  14
#define ETH_MIN	  60
#define IPV4_HLEN 20

struct list {
	struct str *out;
	unsigned n;
};

static void add(struct list *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add(struct list *l, const char *fmt, ...)
{
	char text[120];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	str_addf(l->out, "%s%s", l->n++ ? ", " : "", text);
}

static void about_eth(const struct frame *f, const struct macaddr *router, struct list *l)
{
	bool ask =
		f->eth.type == ETHERTYPE_ARP && (!(f->has & LAYER_ARP) || f->arp.op == ARP_REQUEST);
	bool broadcast = mac_number(&f->eth.dst) == 0xffffffffffff;
	char mac[MACADDR_TEXT];

	macaddr_format(&f->eth.dst, mac);
	if (f->eth.n_vlans)
		add(l, "VLAN tag %u", f->eth.vlan[0] & 0xfffu);
	if (ask && !broadcast)
		add(l, "unicast, frame to %s", mac);
	else if (!ask && (f->eth.dst.b[0] & 1))
		add(l, "frame to %s", mac);
	else if (!ask && router && !macaddr_equal(&f->eth.dst, router))
		add(l, "frame to another station, %s", mac);
}

static void about_arp(const struct frame *f, struct list *l)
{
	if (f->arp.htype != 1)
		add(l, "hardware type %u", f->arp.htype);
	if (f->arp.ptype != ETHERTYPE_IPV4)
		add(l, "protocol type 0x%04x", f->arp.ptype);
	if (f->arp.hlen != 6)
		add(l, "hardware length %u", f->arp.hlen);
	if (f->arp.plen != 4)
		add(l, "protocol length %u", f->arp.plen);
	if (f->arp.op == ARP_REQUEST && f->arp.spa == f->arp.tpa)
		add(l, "gratuitous: about the sender itself");
}

static const char *kind_of(uint32_t ip, bool source)
{
	if (ip >> 24 == 127)
		return "loopback";
	if (ip >> 24 == 0)
		return "0.0.0.0/8";
	if (ip >> 16 == 0xa9fe)
		return "link-local";
	if (ip >> 28 == 0xe)
		return "multicast";
	if (ip == UINT32_MAX)
		return "broadcast";
	return ip >> 28 == 0xf && source ? "reserved" : NULL;
}

static void about_addresses(const struct frame *f, struct list *l)
{
	const char *src = kind_of(f->ipv4.src, true), *dst = kind_of(f->ipv4.dst, false);

	if (src)
		add(l, "source address: %s", src);
	if (dst)
		add(l, "destination address: %s", dst);
	if (f->ipv4.src == f->ipv4.dst)
		add(l, "source and destination are the same");
}

/* Nothing behind the first 20 bytes was read then. */
static void about_broken(const struct frame *f, struct list *l)
{
	size_t there = f->payload_len + IPV4_HLEN;

	if (f->ipv4.version != 4)
		add(l, "IP version %u", f->ipv4.version);
	else if (f->ipv4.ihl < 5 || f->ipv4.ihl * 4u > there)
		add(l, "header length (IHL) %u", f->ipv4.ihl);
	else
		add(l, "total length %u, but there are %zu bytes", f->ipv4.length, there);
}

static void about_header(const struct frame *f, struct list *l)
{
	if (f->broken && !(f->has & LAYER_TCP))
		about_broken(f, l);
	if (f->ipv4.n_options)
		add(l, "%u bytes of IP options", f->ipv4.n_options);
	if (!f->broken && f->ipv4.checksum != f->ipv4.right_checksum)
		add(l, "wrong header checksum: 0x%04x, not 0x%04x", f->ipv4.checksum,
		    f->ipv4.right_checksum);
	else if (f->ipv4.checksum == 0 || f->ipv4.checksum == 0xffff)
		add(l, "header checksum 0x%04x", f->ipv4.checksum);
	if (f->ipv4.ttl < 2)
		add(l, "TTL %u", f->ipv4.ttl);
	if (f->ipv4.tos)
		add(l, "TOS 0x%02x", f->ipv4.tos);
	if (f->ipv4.flags & IPV4_DF)
		add(l, "DF set");
	if (f->ipv4.flags & IPV4_MF || f->ipv4.offset)
		add(l, "fragment, offset %u, %s", f->ipv4.offset * 8u,
		    f->ipv4.flags & IPV4_MF ? "more follow" : "the last");
}

static void about_transport(const struct frame *f, struct list *l)
{
	bool whole = !f->ipv4.offset && !(f->ipv4.flags & IPV4_MF);

	if (whole && f->has & LAYER_ICMP && f->icmp.checksum != f->icmp.right_checksum)
		add(l, "wrong ICMP checksum: 0x%04x, not 0x%04x", f->icmp.checksum,
		    f->icmp.right_checksum);
	if (f->has & LAYER_ICMP && f->payload_len % 2)
		add(l, "an odd number of bytes");
	if (whole && f->has & LAYER_UDP && f->udp.checksum &&
	    f->udp.checksum != f->udp.right_checksum)
		add(l, "wrong UDP checksum");
	if (whole && f->has & LAYER_TCP && f->tcp.checksum != f->tcp.right_checksum)
		add(l, "wrong TCP checksum");
}

void frame_specials(const struct frame *f, const struct macaddr *router, struct str *out)
{
	struct list l = { .out = out };

	if (!(f->has & LAYER_ETH))
		return;
	about_eth(f, router, &l);
	if (f->has & LAYER_ARP)
		about_arp(f, &l);
	else if (f->broken && (!(f->has & LAYER_IPV4) || f->has & LAYER_TCP))
		add(&l, "%s", f->broken);
	if (!(f->has & LAYER_IPV4))
		return;
	about_header(f, &l);
	about_addresses(f, &l);
	if (!f->broken)
		about_transport(f, &l);
	/* Padding up to the shortest frame that Ethernet has is ordinary. */
	if (!f->broken && f->trailer_len &&
	    f->ipv4.length + f->trailer_len + 4u * f->eth.n_vlans != ETH_MIN - ETH_HLEN)
		add(&l, "%zu byte%s behind the datagram's end", f->trailer_len,
		    f->trailer_len == 1 ? "" : "s");
}

void frame_line(const struct frame *f, const struct macaddr *router, struct str *out)
{
	auto_str special = { 0 };

	frame_summary(f, out);
	frame_specials(f, router, &special);
	if (special.len)
		str_addf(out, " (%s)", str_get(&special));
}
