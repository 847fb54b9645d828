/* SPDX-License-Identifier: MIT */
/* field.c - the table of fields, and what is read, printed and compared by it. */
#include "grade/field.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

enum shape {
	SHAPE_DEC8,
	SHAPE_HEX8,
	SHAPE_DEC16,
	SHAPE_HEX16,
	SHAPE_DEC32,
	SHAPE_IP4,
	SHAPE_MAC,
	SHAPE_FLAGS, /* of IPv4 */
	SHAPE_BYTES, /* payload, options */
};

struct field_row {
	const char *name;
	const char *title;
	enum layer layer;
	enum shape shape;
	size_t at;
	size_t right; /* checksums: where the right one is; otherwise 0 */
};

#define ROW(layer_, shape_, member, name_, title_)                                                 \
	{                                                                                          \
		.name = name_, .title = title_, .layer = LAYER_##layer_, .shape = SHAPE_##shape_,  \
		.at = offsetof(struct frame, member)                                               \
	}
#define SUM(layer_, group, name_, title_)                                                          \
	{                                                                                          \
		.name = name_, .title = title_, .layer = LAYER_##layer_, .shape = SHAPE_HEX16,     \
		.at = offsetof(struct frame, group.checksum),                                      \
		.right = offsetof(struct frame, group.right_checksum)                              \
	}

static const struct field_row rows[] = {
	[F_ETH_DST] = ROW(ETH, MAC, eth.dst, "eth.dst", "the destination MAC"),
	[F_ETH_SRC] = ROW(ETH, MAC, eth.src, "eth.src", "the source MAC"),
	[F_ETH_VLAN] = ROW(ETH, DEC16, eth.vlan, "eth.vlan", "the VLAN tag"),
	[F_ETH_TYPE] = ROW(ETH, HEX16, eth.type, "eth.type", "the EtherType"),
	[F_ARP_HTYPE] = ROW(ARP, DEC16, arp.htype, "arp.htype", "the hardware type"),
	[F_ARP_PTYPE] = ROW(ARP, HEX16, arp.ptype, "arp.ptype", "the protocol type"),
	[F_ARP_HLEN] = ROW(ARP, DEC8, arp.hlen, "arp.hlen", "the hardware length"),
	[F_ARP_PLEN] = ROW(ARP, DEC8, arp.plen, "arp.plen", "the protocol length"),
	[F_ARP_OP] = ROW(ARP, DEC16, arp.op, "arp.op", "the opcode"),
	[F_ARP_SHA] = ROW(ARP, MAC, arp.sha, "arp.sha", "the sender's hardware address"),
	[F_ARP_SPA] = ROW(ARP, IP4, arp.spa, "arp.spa", "the sender's protocol address"),
	[F_ARP_THA] = ROW(ARP, MAC, arp.tha, "arp.tha", "the target's hardware address"),
	[F_ARP_TPA] = ROW(ARP, IP4, arp.tpa, "arp.tpa", "the target's protocol address"),
	[F_IPV4_VERSION] = ROW(IPV4, DEC8, ipv4.version, "ipv4.version", "the IP version"),
	[F_IPV4_IHL] = ROW(IPV4, DEC8, ipv4.ihl, "ipv4.ihl", "the header length (IHL)"),
	[F_IPV4_TOS] = ROW(IPV4, HEX8, ipv4.tos, "ipv4.tos", "the TOS byte"),
	[F_IPV4_LENGTH] = ROW(IPV4, DEC16, ipv4.length, "ipv4.length", "the total length"),
	[F_IPV4_ID] = ROW(IPV4, HEX16, ipv4.id, "ipv4.id", "the identification"),
	[F_IPV4_FLAGS] = ROW(IPV4, FLAGS, ipv4.flags, "ipv4.flags", "the flags field"),
	[F_IPV4_OFFSET] = ROW(IPV4, DEC16, ipv4.offset, "ipv4.offset", "the fragment offset"),
	[F_IPV4_TTL] = ROW(IPV4, DEC8, ipv4.ttl, "ipv4.ttl", "the TTL"),
	[F_IPV4_PROTO] = ROW(IPV4, DEC8, ipv4.proto, "ipv4.proto", "the protocol"),
	[F_IPV4_CHECKSUM] = SUM(IPV4, ipv4, "ipv4.checksum", "the IP header checksum"),
	[F_IPV4_SRC] = ROW(IPV4, IP4, ipv4.src, "ipv4.src", "the source address"),
	[F_IPV4_DST] = ROW(IPV4, IP4, ipv4.dst, "ipv4.dst", "the destination address"),
	[F_IPV4_OPTIONS] = ROW(IPV4, BYTES, ipv4.options, "ipv4.options", "the IP options field"),
	[F_ICMP_TYPE] = ROW(ICMP, DEC8, icmp.type, "icmp.type", "the ICMP type"),
	[F_ICMP_CODE] = ROW(ICMP, DEC8, icmp.code, "icmp.code", "the ICMP code"),
	[F_ICMP_CHECKSUM] = SUM(ICMP, icmp, "icmp.checksum", "the ICMP checksum"),
	[F_ICMP_ID] = ROW(ICMP, HEX16, icmp.id, "icmp.id", "the identifier"),
	[F_ICMP_SEQ] = ROW(ICMP, DEC16, icmp.seq, "icmp.seq", "the sequence number"),
	[F_UDP_SPORT] = ROW(UDP, DEC16, udp.sport, "udp.sport", "the source port"),
	[F_UDP_DPORT] = ROW(UDP, DEC16, udp.dport, "udp.dport", "the destination port"),
	[F_UDP_LENGTH] = ROW(UDP, DEC16, udp.length, "udp.length", "the UDP length"),
	[F_UDP_CHECKSUM] = SUM(UDP, udp, "udp.checksum", "the UDP checksum"),
	[F_TCP_SPORT] = ROW(TCP, DEC16, tcp.sport, "tcp.sport", "the source port"),
	[F_TCP_DPORT] = ROW(TCP, DEC16, tcp.dport, "tcp.dport", "the destination port"),
	[F_TCP_SEQ] = ROW(TCP, DEC32, tcp.seq, "tcp.seq", "the sequence number"),
	[F_TCP_ACK] = ROW(TCP, DEC32, tcp.ack, "tcp.ack", "the acknowledgement number"),
	[F_TCP_OFFSET] = ROW(TCP, DEC8, tcp.offset, "tcp.offset", "the TCP header length"),
	[F_TCP_FLAGS] = ROW(TCP, HEX8, tcp.flags, "tcp.flags", "the TCP flags field"),
	[F_TCP_WINDOW] = ROW(TCP, DEC16, tcp.window, "tcp.window", "the window"),
	[F_TCP_CHECKSUM] = SUM(TCP, tcp, "tcp.checksum", "the TCP checksum"),
	[F_TCP_URGENT] = ROW(TCP, DEC16, tcp.urgent, "tcp.urgent", "the urgent pointer"),
	[F_PAYLOAD] = ROW(ETH, BYTES, payload, "payload", "the payload"),
};
static_assert(ARRAY_SIZE(rows) == F_MAX, "a field lacks its row");
static_assert(F_MAX <= 64, "fields_t has no bit for every field");

const char *field_name(enum field f)
{
	return rows[f].name;
}

const char *field_title(enum field f)
{
	return rows[f].title;
}

static const uint8_t *field_bytes(const struct frame *f, enum field field, size_t *ret_len)
{
	if (field == F_IPV4_OPTIONS) {
		*ret_len = f->ipv4.n_options;
		return f->ipv4.options;
	}
	*ret_len = f->payload_len;
	return f->payload;
}

bool field_there(const struct frame *f, enum field field)
{
	if (field == F_PAYLOAD)
		return true;
	if (!(f->has & rows[field].layer))
		return false;
	return field != F_ETH_VLAN || f->eth.n_vlans > 0;
}

static uint64_t number_at(const struct frame *f, const struct field_row *r, size_t at)
{
	const uint8_t *p = (const uint8_t *)f + at;
	uint16_t v16;
	uint32_t v32;

	switch (r->shape) {
	case SHAPE_DEC8:
	case SHAPE_HEX8:
	case SHAPE_FLAGS:
		return *p;
	case SHAPE_DEC16:
	case SHAPE_HEX16:
		memcpy(&v16, p, sizeof(v16));
		return v16;
	case SHAPE_DEC32:
	case SHAPE_IP4:
		memcpy(&v32, p, sizeof(v32));
		return v32;
	case SHAPE_MAC:
		return mac_number((const struct macaddr *)p);
	case SHAPE_BYTES:
		break;
	}
	return 0;
}

uint64_t field_number(const struct frame *f, enum field field)
{
	return field_there(f, field) ? number_at(f, &rows[field], rows[field].at) : 0;
}

void frame_set(struct frame *f, enum field field, uint64_t value)
{
	const struct field_row *r = &rows[field];
	uint8_t *p = (uint8_t *)f + r->at;
	uint16_t v16 = (uint16_t)value;
	uint32_t v32 = (uint32_t)value;
	struct macaddr mac = mac_from_number(value);

	f->as_is |= (fields_t)1 << field;
	switch (r->shape) {
	case SHAPE_DEC8:
	case SHAPE_HEX8:
	case SHAPE_FLAGS:
		*p = (uint8_t)value;
		break;
	case SHAPE_DEC16:
	case SHAPE_HEX16:
		memcpy(p, &v16, sizeof(v16));
		break;
	case SHAPE_DEC32:
	case SHAPE_IP4:
		memcpy(p, &v32, sizeof(v32));
		break;
	case SHAPE_MAC:
		memcpy(p, mac.b, sizeof(mac.b));
		break;
	case SHAPE_BYTES:
		break;
	}
}

void frame_steer(struct frame *f, enum field free_field, enum field checksum, uint16_t value)
{
	auto_free uint8_t *buf = xmalloc(FRAME_MAX);
	struct frame back;
	uint32_t need;

	frame_set(f, free_field, 0);
	frame_decode(buf, frame_encode(f, buf, FRAME_MAX), &back);
	/* checksum(0) = ~sum, and ~(sum + x) shall be value: x = ~value - sum. */
	need = (uint16_t)~value + (uint32_t)field_number(&back, checksum);
	frame_set(f, free_field, (need & 0xffff) + (need >> 16));
}

#define BYTES_SHOWN 16

static void bytes_text(const uint8_t *p, size_t n, struct str *out)
{
	const size_t shown = BYTES_SHOWN;

	str_addf(out, "%zu byte%s", n, n == 1 ? "" : "s");
	for (size_t i = 0; i < n && i < shown; i++)
		str_addf(out, "%s%02x", i ? "" : ": ", p[i]);
	if (n > shown)
		str_add(out, "...");
}

static void number_text(const struct field_row *r, uint64_t v, struct str *out)
{
	struct macaddr mac = mac_from_number(v);
	struct ipaddr ip = ip4_addr((uint32_t)v);
	char text[IPADDR_TEXT];

	switch (r->shape) {
	case SHAPE_HEX8:
		str_addf(out, "0x%02llx", (unsigned long long)v);
		break;
	case SHAPE_HEX16:
		str_addf(out, "0x%04llx", (unsigned long long)v);
		break;
	case SHAPE_IP4:
		str_add(out, ipaddr_format(&ip, text));
		break;
	case SHAPE_MAC:
		str_add(out, macaddr_format(&mac, text));
		break;
	case SHAPE_FLAGS:
		str_addf(out, "%s%s%s%s", v & 4 ? "reserved " : "", v & IPV4_DF ? "DF " : "",
			 v & IPV4_MF ? "MF " : "", v & 7 ? "set" : "none");
		break;
	default:
		str_addf(out, "%llu", (unsigned long long)v);
		break;
	}
}

void field_text(const struct frame *f, enum field field, struct str *out)
{
	const struct field_row *r = &rows[field];
	size_t n;
	const uint8_t *p;

	if (!field_there(f, field)) {
		str_add(out, "absent");
	} else if (r->shape == SHAPE_BYTES) {
		p = field_bytes(f, field, &n);
		bytes_text(p, n, out);
	} else {
		number_text(r, number_at(f, r, r->at), out);
	}
}

void field_difference(const struct frame *want, const struct frame *seen, enum field field,
		      struct str *out)
{
	size_t n = 0, m = 0, at = 0;
	const uint8_t *p = NULL, *q = NULL;

	if (rows[field].shape != SHAPE_BYTES || !field_there(seen, field))
		return;
	p = field_bytes(want, field, &n);
	q = field_bytes(seen, field, &m);
	while (at < n && at < m && p[at] == q[at])
		at++;
	if (n == m && at < n && at >= BYTES_SHOWN)
		str_addf(out, "byte %zu of %s is 0x%02x and should be 0x%02x", at,
			 rows[field].title, q[at], p[at]);
}

bool field_equal(const struct frame *a, const struct frame *b, enum field field)
{
	const uint8_t *pa, *pb;
	size_t na, nb;

	if (field_there(a, field) != field_there(b, field))
		return false;
	if (rows[field].shape != SHAPE_BYTES)
		return field_number(a, field) == field_number(b, field);
	pa = field_bytes(a, field, &na);
	pb = field_bytes(b, field, &nb);
	return na == nb && (na == 0 || memcmp(pa, pb, na) == 0);
}

static bool field_right(const struct frame *want, const struct frame *seen, enum field field)
{
	const struct field_row *r = &rows[field];

	if (r->right)
		return field_there(seen, field) &&
		       number_at(seen, r, r->at) == number_at(seen, r, r->right);
	return field_equal(want, seen, field);
}

fields_t frame_diff(const struct frame *want, const struct frame *seen, fields_t judge)
{
	fields_t wrong = 0;

	for (enum field i = 0; i < F_MAX; i++) {
		if (judge >> i & 1 && !field_right(want, seen, i))
			wrong |= (fields_t)1 << i;
	}
	return wrong;
}

json_t *frame_fields_json(const struct frame *f, fields_t fields)
{
	json_t *o = json_object();

	for (enum field i = 0; i < F_MAX; i++) {
		auto_str text = { 0 };

		if (!(fields >> i & 1))
			continue;
		field_text(f, i, &text);
		json_object_set_new(o, rows[i].name, json_string(str_get(&text)));
	}
	return o;
}

json_t *frame_wanted_json(const struct frame *want, const struct frame *seen, fields_t fields)
{
	json_t *o = frame_fields_json(want, fields);

	for (enum field i = 0; i < F_MAX; i++) {
		auto_str text = { 0 };

		if (!(fields >> i & 1) || !rows[i].right)
			continue;
		if (seen && field_there(seen, i))
			number_text(&rows[i], number_at(seen, &rows[i], rows[i].right), &text);
		else
			str_add(&text, "correct");
		json_object_set_new(o, rows[i].name, json_string(str_get(&text)));
	}
	return o;
}

static void add_ip(uint32_t n, struct str *out)
{
	struct ipaddr ip = ip4_addr(n);
	char text[IPADDR_TEXT];

	str_add(out, ipaddr_format(&ip, text));
}

static void arp_summary(const struct frame *f, struct str *out)
{
	char mac[MACADDR_TEXT];

	if (f->arp.op == ARP_REQUEST) {
		str_add(out, "ARP who-has ");
		add_ip(f->arp.tpa, out);
		str_add(out, " tell ");
		add_ip(f->arp.spa, out);
	} else {
		str_addf(out, "ARP %s ",
			 f->arp.op == ARP_REPLY ? "reply" : "with a strange opcode");
		add_ip(f->arp.spa, out);
		str_addf(out, " is-at %s", macaddr_format(&f->arp.sha, mac));
	}
}

/* "time exceeded (11/0)" */
static void icmp_summary(const struct frame *f, struct str *out)
{
	static const struct {
		uint8_t type, code;
		const char *name;
	} names[] = {
		{ 0, 0, "echo reply" },
		{ 3, 0, "net unreachable" },
		{ 3, 1, "host unreachable" },
		{ 3, 2, "protocol unreachable" },
		{ 3, 3, "port unreachable" },
		{ 3, 4, "fragmentation needed" },
		{ 8, 0, "echo request" },
		{ 11, 0, "time exceeded" },
		{ 11, 1, "reassembly time exceeded" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].type == f->icmp.type && names[i].code == f->icmp.code) {
			str_addf(out, " ICMP %s (%u/%u)", names[i].name, f->icmp.type,
				 f->icmp.code);
			return;
		}
	}
	str_addf(out, " ICMP type %u code %u", f->icmp.type, f->icmp.code);
}

void frame_summary(const struct frame *f, struct str *out)
{
	if (f->has & LAYER_ARP) {
		arp_summary(f, out);
		return;
	}
	if (!(f->has & LAYER_IPV4)) {
		str_addf(out, "a frame of type 0x%04x, %zu bytes", f->eth.type, f->payload_len);
		return;
	}
	add_ip(f->ipv4.src, out);
	str_add(out, " > ");
	add_ip(f->ipv4.dst, out);
	if (f->has & LAYER_ICMP)
		icmp_summary(f, out);
	else if (f->has & LAYER_UDP)
		str_addf(out, " UDP %u > %u", f->udp.sport, f->udp.dport);
	else if (f->has & LAYER_TCP)
		str_addf(out, " TCP %u > %u%s%s", f->tcp.sport, f->tcp.dport,
			 f->tcp.flags & TCP_SYN ? " SYN" : "",
			 f->tcp.flags & TCP_RST ? " RST" : "");
	else
		str_addf(out, " protocol %u", f->ipv4.proto);
	str_addf(out, ", ttl %u, %zu byte%s", f->ipv4.ttl, f->payload_len,
		 f->payload_len == 1 ? "" : "s");
}
