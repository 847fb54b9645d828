/* SPDX-License-Identifier: MIT */
/* ipaddr.c - addresses as values. */
#include "base/ipaddr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

#include "base/banned.h"

int ipaddr_parse(const char *text, struct ipaddr *ret, struct err *err)
{
	struct ipaddr a = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };

	if (inet_pton(a.family, text, a.b) != 1)
		return err_set(err, ERR_USAGE, 0, "'%.64s' is not an IP address", text);
	*ret = a;
	return 0;
}

int ipnet_parse(const char *text, struct ipnet *ret, struct err *err)
{
	const char *slash = strchr(text, '/');
	char addr[IPADDR_TEXT];
	struct ipnet n = { 0 };
	uint32_t prefix;

	if (!slash || (size_t)(slash - text) >= sizeof(addr))
		return err_set(err, ERR_USAGE, 0,
			       "'%.64s' is not address/prefix, as in 10.0.0.0/24", text);
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	if (ipaddr_parse(addr, &n.addr, err) < 0)
		return -1;
	if (parse_u32(slash + 1, 0, (uint32_t)ipaddr_len(&n.addr) * 8, &prefix, err) < 0)
		return err_wrap(err, "prefix length of '%.64s'", text);
	n.prefix = prefix;
	*ret = n;
	return 0;
}

int macaddr_parse(const char *text, struct macaddr *ret, struct err *err)
{
	struct macaddr m;
	const char *p = text;

	for (size_t i = 0; i < sizeof(m.b); i++, p++) {
		int hi = parse_hex_digit(p[0]);
		int lo = hi < 0 ? -1 : parse_hex_digit(p[1]);

		if (lo < 0 || p[2] != (i < 5 ? ':' : '\0'))
			return err_set(err, ERR_USAGE, 0,
				       "'%.64s' is not a MAC address, as in 02:42:01:01:01:02",
				       text);
		m.b[i] = (uint8_t)(hi << 4 | lo);
		p += 2;
	}
	if (m.b[0] & 1)
		return err_set(err, ERR_USAGE, 0, "'%s' is a group address, not a station's", text);
	*ret = m;
	return 0;
}

const char *ipaddr_format(const struct ipaddr *a, char buf[static IPADDR_TEXT])
{
	if (a->family == 0 || !inet_ntop(a->family, a->b, buf, IPADDR_TEXT))
		buf[0] = '\0';
	return buf;
}

const char *ipnet_format(const struct ipnet *n, char buf[static IPNET_TEXT])
{
	char addr[IPADDR_TEXT];

	snprintf(buf, IPNET_TEXT, "%s/%u", ipaddr_format(&n->addr, addr), n->prefix % 1000);
	return buf;
}

const char *macaddr_format(const struct macaddr *m, char buf[static MACADDR_TEXT])
{
	snprintf(buf, MACADDR_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", m->b[0], m->b[1], m->b[2],
		 m->b[3], m->b[4], m->b[5]);
	return buf;
}

bool ipaddr_equal(const struct ipaddr *a, const struct ipaddr *b)
{
	return a->family == b->family && memcmp(a->b, b->b, ipaddr_len(a)) == 0;
}

bool macaddr_equal(const struct macaddr *a, const struct macaddr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned bytes = bits / 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return bits % 8 == 0 || ((a[bytes] ^ b[bytes]) >> (8 - bits % 8)) == 0;
}

bool ipnet_contains(const struct ipnet *net, const struct ipaddr *a)
{
	return net->addr.family == a->family && same_prefix(net->addr.b, a->b, net->prefix);
}

bool ipnet_overlaps(const struct ipnet *a, const struct ipnet *b)
{
	return a->addr.family == b->addr.family &&
	       same_prefix(a->addr.b, b->addr.b, a->prefix < b->prefix ? a->prefix : b->prefix);
}

struct ipnet ipnet_network(const struct ipnet *n)
{
	struct ipnet r = *n;

	for (unsigned i = 0; i < sizeof(r.addr.b); i++) {
		if (i * 8 >= r.prefix)
			r.addr.b[i] = 0;
		else if (r.prefix - i * 8 < 8)
			r.addr.b[i] &= (uint8_t)(0xff << (8 - (r.prefix - i * 8)));
	}
	return r;
}

bool ipnet_is_network(const struct ipnet *n)
{
	struct ipnet r = ipnet_network(n);

	return ipaddr_equal(&r.addr, &n->addr);
}

bool ipnet_is_reserved_host(const struct ipnet *net, const struct ipaddr *a)
{
	uint32_t host, mask;

	if (a->family != AF_INET || net->prefix >= 31)
		return false;
	mask = net->prefix ? UINT32_MAX >> net->prefix : UINT32_MAX;
	memcpy(&host, a->b, sizeof(host));
	host = ntohl(host) & mask;
	return host == 0 || host == mask;
}

bool ipaddr_is_unicast_host(const struct ipaddr *a)
{
	if (a->family == AF_INET)
		return a->b[0] != 0 && a->b[0] != 127 && a->b[0] < 224;
	return a->family == AF_INET6 && a->b[0] != 0xff &&
	       !IN6_IS_ADDR_UNSPECIFIED((const struct in6_addr *)a->b) &&
	       !IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)a->b);
}

struct macaddr macaddr_from_ipv4(const struct ipaddr *a)
{
	return (struct macaddr){ { 0x02, 0x42, a->b[0], a->b[1], a->b[2], a->b[3] } };
}
