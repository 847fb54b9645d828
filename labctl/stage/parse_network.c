/* SPDX-License-Identifier: MIT */
/* parse_network.c - one network of a stage file. */
#include "stage/parse.h"

#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

#define IPV6_MTU_MIN 1280 /* RFC 8200 5 */
#define RATE_MAX     UINT64_C(1000000000000)
#define DELAY_MAX_US (60 * UINT64_C(1000000))
#define PPM_MAX	     UINT64_C(1000000)

static const struct unit rate_units[] = {
	{ "kbit", 1000 },
	{ "mbit", 1000000 },
	{ "gbit", 1000000000 },
};
static const struct unit time_units[] = {
	{ "us", 1 },
	{ "ms", 1000 },
	{ "s", 1000000 },
};
static const struct unit loss_units[] = {
	{ "%", 10000 },
};

static void read_subnet(void *ctx, const struct node *n, void *target)
{
	struct stage_network *net = target;
	struct parse *p = ctx;

	struct ipnet subnet;

	/* From /8, so that no reserved block hides inside; up to /31, two hosts (RFC 3021). */
	if (parse_subnet(p->r, n, AF_INET, 8, 31, &subnet) && parse_check_hosts(p->r, n, &subnet))
		net->subnet = subnet;
}

static void read_router(void *ctx, const struct node *n, void *target)
{
	struct stage_network *net = target;
	struct parse *p = ctx;

	net->has_router = parse_ipv4(p->r, n, &net->router);
}

static void read_mtu(void *ctx, const struct node *n, void *target)
{
	struct stage_network *net = target;
	struct parse *p = ctx;
	long long v;

	if (node_integer(p->r, n, STAGE_MTU_MIN, STAGE_MTU_MAX, &v))
		net->mtu = (unsigned)v;
}

static void read_mac(void *ctx, const struct node *n, void *target)
{
	struct stage_network *net = target;
	struct parse *p = ctx;

	net->has_mac = parse_mac(p->r, n, &net->mac);
}

static void read_ipv6_subnet(void *ctx, const struct node *n, void *target)
{
	struct stage_network *net = target;
	struct parse *p = ctx;

	if (!parse_subnet(p->r, n, AF_INET6, 8, 127, &net->ipv6) ||
	    !parse_check_hosts(p->r, n, &net->ipv6))
		return;
	if (net->ipv6.addr.b[0] == 0xfe && (net->ipv6.addr.b[1] & 0xc0) == 0x80) {
		reader_add(p->r, n, "every interface has link-local addresses of its own");
		reader_hint(p->r, "as in fd00:1::/64");
		return;
	}
	net->has_ipv6 = true;
}

static void read_ipv6_router(void *ctx, const struct node *n, void *target)
{
	struct stage_network *net = target;
	struct parse *p = ctx;

	parse_ipv6(p->r, n, &net->ipv6_router);
}

static void read_ipv6(void *ctx, const struct node *n, void *target)
{
	static const struct field fields[] = {
		{ "subnet", true, read_ipv6_subnet },
		{ "router", false, read_ipv6_router },
	};
	struct parse *p = ctx;

	if (json_is_string(n->value)) {
		read_ipv6_subnet(ctx, n, target);
	} else if (json_is_object(n->value)) {
		node_fields(p->r, n, fields, ARRAY_SIZE(fields), ctx, target);
	} else {
		char found[QUOTE_TEXT];

		reader_add(p->r, n, "expected a subnet or { \"subnet\", \"router\" }, found %s",
			   node_describe(n, found));
		reader_hint(p->r, "as in \"fd00:1::/64\"");
	}
}

static void read_address(void *ctx, const struct node *n, void *target)
{
	struct stage_network *net = target;
	struct parse *p = ctx;
	const char *text;
	char quoted[QUOTE_TEXT];

	if (!node_string(p->r, n, &text))
		return;
	if (strcmp(text, "kernel") == 0) {
		net->address_mode = STAGE_ADDRESS_KERNEL;
	} else if (strcmp(text, "passive") != 0) {
		reader_add(p->r, n, "expected 'passive' or 'kernel', found '%s'",
			   node_quote(text, quoted));
		reader_hint(p->r, "passive: the student's program is the router (the default)");
	}
}

static void read_rate(void *ctx, const struct node *n, void *target)
{
	struct stage_network *net = target;
	struct parse *p = ctx;
	uint64_t v;

	if (!parse_quantity(p->r, n, rate_units, ARRAY_SIZE(rate_units), RATE_MAX, "10mbit", &v))
		return;
	if (v == 0)
		reader_add(p->r, n, "a rate of zero lets nothing through");
	net->impair.rate_bps = v;
}

static void read_time(struct parse *p, const struct node *n, uint32_t *ret)
{
	uint64_t v;

	if (parse_quantity(p->r, n, time_units, ARRAY_SIZE(time_units), DELAY_MAX_US, "20ms", &v))
		*ret = (uint32_t)v;
}

static void read_delay(void *ctx, const struct node *n, void *target)
{
	read_time(ctx, n, &((struct stage_network *)target)->impair.delay_us);
}

static void read_jitter(void *ctx, const struct node *n, void *target)
{
	read_time(ctx, n, &((struct stage_network *)target)->impair.jitter_us);
}

static void read_loss(void *ctx, const struct node *n, void *target)
{
	struct stage_network *net = target;
	struct parse *p = ctx;
	uint64_t v;

	if (parse_quantity(p->r, n, loss_units, ARRAY_SIZE(loss_units), PPM_MAX, "1%", &v))
		net->impair.loss_ppm = (uint32_t)v;
}

static void read_impair(void *ctx, const struct node *n, void *target)
{
	static const struct field fields[] = {
		{ "rate", false, read_rate },
		{ "delay", false, read_delay },
		{ "jitter", false, read_jitter },
		{ "loss", false, read_loss },
	};
	const struct stage_network *net = target;
	struct parse *p = ctx;
	const struct node *jitter;

	if (!node_fields(p->r, n, fields, ARRAY_SIZE(fields), ctx, target))
		return;
	jitter = node_get(n, "jitter");
	if (jitter && !node_get(n, "delay")) {
		reader_add(p->r, jitter, "jitter needs a delay to vary");
		reader_hint(p->r, "add \"delay\", at least as long");
	} else if (jitter && net->impair.delay_us && net->impair.jitter_us > net->impair.delay_us) {
		reader_add(p->r, jitter, "the jitter is larger than the delay it varies");
	}
}

static void read_group_fwd_mask(void *ctx, const struct node *n, void *target)
{
	struct stage_network *net = target;
	struct parse *p = ctx;
	long long v;

	if (!node_integer(p->r, n, 0, UINT16_MAX, &v))
		return;
	if (v & 7) {
		/* BR_GROUPFWD_RESTRICTED: STP, pause, LACP */
		reader_add(p->r, n, "the kernel never forwards the groups of bits 0, 1 and 2");
		reader_hint(p->r, "multiples of 8; 65528 is all there is");
		return;
	}
	net->group_fwd_mask = (uint16_t)v;
}

/* Keys that speak of the seat's side of a network that does not reach the seat. */
static void check_seat_keys(struct parse *p, const struct node *n)
{
	const struct node *const kids[] = {
		node_get(n, "mac"),
		node_get(n, "address"),
		node_get(node_get(n, "ipv6"), "router"),
	};
	char quoted[QUOTE_TEXT];

	if (node_get(n, "router"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(kids); i++) {
		if (!kids[i])
			continue;
		reader_add(p->r, kids[i], "this is about the seat, which '%s' does not reach",
			   node_quote(n->key, quoted));
		reader_hint(p->r, "give the network a \"router\"");
	}
}

/* The router's address must lie in the subnet. Says so, or returns true. */
static bool check_inside(struct parse *p, const struct node *n, const struct node *network,
			 const struct ipnet *subnet, const struct ipaddr *a)
{
	char addr[IPADDR_TEXT], net[IPNET_TEXT], quoted[QUOTE_TEXT];

	if (ipnet_contains(subnet, a))
		return true;
	reader_add(p->r, n, "'%s' is outside of %s's subnet %s", ipaddr_format(a, addr),
		   node_quote(network->key, quoted), ipnet_format(subnet, net));
	return false;
}

static void check_router(struct parse *p, const struct node *n, const struct stage_network *net)
{
	const struct node *router = node_get(n, "router");
	char addr[IPADDR_TEXT], subnet[IPNET_TEXT];

	if (!net->has_router || !net->subnet.addr.family)
		return;
	if (check_inside(p, router, n, &net->subnet, &net->router) &&
	    ipnet_is_reserved_host(&net->subnet, &net->router))
		reader_add(p->r, router, "'%s' is the network's own or the broadcast address of %s",
			   ipaddr_format(&net->router, addr), ipnet_format(&net->subnet, subnet));
}

static void check_ipv6(struct parse *p, const struct node *n, const struct stage_network *net)
{
	const struct node *ipv6 = node_get(n, "ipv6"), *router = node_get(ipv6, "router");
	const struct node *mtu = node_get(n, "mtu");
	char addr[IPADDR_TEXT], subnet[IPNET_TEXT];

	if (ipv6 && net->mtu < IPV6_MTU_MIN)
		reader_add(p->r, mtu ? mtu : ipv6, "IPv6 needs an MTU of at least %d, not %u",
			   IPV6_MTU_MIN, net->mtu);
	if (!router || !net->has_ipv6 || !net->ipv6_router.family)
		return;
	/* RFC 4291 2.6.1: the subnet-router anycast address */
	if (check_inside(p, router, n, &net->ipv6, &net->ipv6_router) && net->ipv6.prefix < 127 &&
	    ipaddr_equal(&net->ipv6.addr, &net->ipv6_router))
		reader_add(p->r, router, "'%s' stands for all routers of %s",
			   ipaddr_format(&net->ipv6_router, addr),
			   ipnet_format(&net->ipv6, subnet));
}

void parse_network(struct parse *p, const struct node *n, struct stage_network *net)
{
	static const struct field fields[] = {
		{ "subnet", true, read_subnet },  { "router", false, read_router },
		{ "mtu", false, read_mtu },	  { "mac", false, read_mac },
		{ "ipv6", false, read_ipv6 },	  { "address", false, read_address },
		{ "impair", false, read_impair }, { "group_fwd_mask", false, read_group_fwd_mask },
	};

	net->mtu = STAGE_MTU_DEFAULT;
	parse_check_link_name(p->r, n);
	if (!str_copy(net->name, sizeof(net->name), n->key))
		net->name[0] = '\0';
	if (!node_fields(p->r, n, fields, ARRAY_SIZE(fields), p, net))
		return;
	check_seat_keys(p, n);
	check_router(p, n, net);
	check_ipv6(p, n, net);
}
