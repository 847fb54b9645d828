/* SPDX-License-Identifier: MIT */
/*
 * ipaddr.h - addresses as values: IPv4 and IPv6 addresses, prefixes, MAC addresses.
 *
 * Bytes are in network order. Texts are parsed once, at the edge, and strictly: dotted quad
 * without leading zeros (RFC 6943 3.1.1), IPv6 as inet_pton(3) takes it, no zone.
 */
#ifndef LABCTL_BASE_IPADDR_H
#define LABCTL_BASE_IPADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ipaddr {
	int family; /* AF_INET, AF_INET6, or 0 for "none" */
	uint8_t b[16];
};

/* An address with a prefix length: "1.1.1.2/24" keeps its host bits. */
struct ipnet {
	struct ipaddr addr;
	unsigned prefix;
};

struct macaddr {
	uint8_t b[6];
};

#define IPADDR_TEXT  INET6_ADDRSTRLEN
#define IPNET_TEXT   (INET6_ADDRSTRLEN + 4)
#define MACADDR_TEXT 18

/* Errors have kind ERR_USAGE and quote the text; the caller wraps them. */
int ipaddr_parse(const char *text, struct ipaddr *ret, struct err *err) MUST_CHECK;
int ipnet_parse(const char *text, struct ipnet *ret, struct err *err) MUST_CHECK;
/* Six hex pairs with ':'; no multicast bit (a station's own address). */
int macaddr_parse(const char *text, struct macaddr *ret, struct err *err) MUST_CHECK;

/* Format into buf and return it. */
const char *ipaddr_format(const struct ipaddr *a, char buf[static IPADDR_TEXT]);
const char *ipnet_format(const struct ipnet *n, char buf[static IPNET_TEXT]);
const char *macaddr_format(const struct macaddr *m, char buf[static MACADDR_TEXT]);

static inline size_t ipaddr_len(const struct ipaddr *a)
{
	return a->family == AF_INET6 ? 16 : 4;
}

bool ipaddr_equal(const struct ipaddr *a, const struct ipaddr *b);
bool macaddr_equal(const struct macaddr *a, const struct macaddr *b);
bool ipnet_contains(const struct ipnet *net, const struct ipaddr *a);
bool ipnet_overlaps(const struct ipnet *a, const struct ipnet *b);
/* True when no bit right of the prefix is set: "1.1.1.0/24", not "1.1.1.1/24". */
bool ipnet_is_network(const struct ipnet *n);
/* The network's own number: host bits cleared. */
struct ipnet ipnet_network(const struct ipnet *n);
/* True for the all-zeros and all-ones host of an IPv4 network shorter than /31. */
bool ipnet_is_reserved_host(const struct ipnet *net, const struct ipaddr *a);
/* A host can have this address: not 0/8, 127/8, multicast, class E, broadcast (RFC 1122 3.2.1.3). */
bool ipaddr_is_unicast_host(const struct ipaddr *a);

/* 02:42 and the four bytes of the IPv4 address: what the lab gives both ends of its links. */
struct macaddr macaddr_from_ipv4(const struct ipaddr *a);

#endif
