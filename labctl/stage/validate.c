/* SPDX-License-Identifier: MIT */
/* validate.c - what must hold between the parts of a stage. */
#include "stage/parse.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

/* One end of a network, with all that must be unique there. */
struct end {
	size_t network;
	size_t seq;		 /* order in the file: routers, then clients */
	const struct node *node; /* the interface, or the network for the seat's end */
	struct ipaddr address;	 /* family 0: none */
	struct ipaddr ipv6;
	bool has_mac;
	struct macaddr mac;
};

struct ends {
	struct end *v;
	size_t n;
};

static const struct node *interface_node(const struct parse *p, size_t client, size_t i)
{
	return node_get(p->clients->kids[client], "interfaces")->kids[i];
}

static void check_overlap(struct parse *p, size_t i, size_t j)
{
	const struct stage_network *a = &p->stage->networks[i], *b = &p->stage->networks[j];
	const struct node *n = p->networks->kids[j], *ipv6 = node_get(n, "ipv6");
	char at[IPNET_TEXT], bt[IPNET_TEXT], name[QUOTE_TEXT];

	node_quote(p->networks->kids[i]->key, name);
	if (a->subnet.addr.family && b->subnet.addr.family &&
	    ipnet_overlaps(&a->subnet, &b->subnet)) {
		reader_add(p->r, node_get(n, "subnet"), "'%s' overlaps %s's subnet %s",
			   ipnet_format(&b->subnet, bt), name, ipnet_format(&a->subnet, at));
		reader_hint(p->r, "give each network a subnet of its own");
	}
	if (a->has_ipv6 && b->has_ipv6 && ipnet_overlaps(&a->ipv6, &b->ipv6)) {
		reader_add(p->r, node_get(ipv6, "subnet") ? node_get(ipv6, "subnet") : ipv6,
			   "'%s' overlaps %s's subnet %s", ipnet_format(&b->ipv6, bt), name,
			   ipnet_format(&a->ipv6, at));
		reader_hint(p->r, "give each network a subnet of its own");
	}
}

static void check_overlaps(struct parse *p)
{
	for (size_t j = 1; j < p->stage->n_networks; j++)
		for (size_t i = 0; i < j; i++)
			check_overlap(p, i, j);
}

/* Checks an interface's address against its network and completes it with the prefix. */
static void check_address(struct parse *p, const struct node *n, const char *network,
			  const struct ipnet *subnet, const struct ipaddr *router,
			  struct ipnet *address)
{
	char addr[IPADDR_TEXT], net[IPNET_TEXT], name[QUOTE_TEXT];
	const struct ipaddr *a = &address->addr;

	address->prefix = subnet->prefix;
	ipaddr_format(a, addr);
	ipnet_format(subnet, net);
	node_quote(network, name);
	if (!ipnet_contains(subnet, a))
		reader_add(p->r, n, "'%s' is outside of %s's subnet %s", addr, name, net);
	else if (ipnet_is_reserved_host(subnet, a))
		reader_add(p->r, n, "'%s' is the network's own or the broadcast address of %s",
			   addr, net);
	else if (a->family == AF_INET6 && subnet->prefix < 127 && ipaddr_equal(&subnet->addr, a))
		reader_add(p->r, n, "'%s' stands for all routers of %s", addr, net);
	else if (router->family && ipaddr_equal(router, a))
		reader_add(p->r, n, "'%s' is %s's router already", addr, name);
}

static void check_interface(struct parse *p, const struct node *n, struct stage_interface *i)
{
	static const struct ipaddr none;
	const struct stage_network *net;
	const char *name;
	char quoted[QUOTE_TEXT];

	if (i->network == PARSE_NO_NETWORK)
		return;
	net = &p->stage->networks[i->network];
	name = p->networks->kids[i->network]->key;
	if (i->has_address && net->subnet.addr.family)
		check_address(p, node_get(n, "address"), name, &net->subnet,
			      net->has_router ? &net->router : &none, &i->address);
	if (!i->has_ipv6)
		return;
	if (net->has_ipv6) {
		check_address(p, node_get(n, "ipv6"), name, &net->ipv6, &net->ipv6_router,
			      &i->ipv6);
	} else if (!node_get(p->networks->kids[i->network], "ipv6")) {
		reader_add(p->r, node_get(n, "ipv6"), "network '%s' has no IPv6",
			   node_quote(name, quoted));
		reader_hint(p->r, "give the network an \"ipv6\" subnet");
	}
}

static void set_mac(struct end *e, bool has_mac, const struct macaddr *mac)
{
	e->has_mac = has_mac || e->address.family;
	e->mac = has_mac ? *mac : macaddr_from_ipv4(&e->address);
}

static void add_end(struct ends *ends, const struct node *n, const struct stage_interface *i)
{
	struct end *e = array_push(ends->v, ends->n);

	*e = (struct end){ .network = i->network, .seq = ends->n, .node = n };
	if (i->has_address)
		e->address = i->address.addr;
	if (i->has_ipv6)
		e->ipv6 = i->ipv6.addr;
	set_mac(e, i->has_mac, &i->mac);
}

/* The seat's ends go first; an address equal to the router's is reported elsewhere, so that
 * only their MACs count here. */
static void collect_ends(struct parse *p, struct ends *ends)
{
	for (size_t i = 0; i < p->stage->n_networks; i++) {
		const struct stage_network *net = &p->stage->networks[i];
		struct end *e;

		if (!net->has_router)
			continue;
		e = array_push(ends->v, ends->n);
		*e = (struct end){ .network = i,
				   .seq = ends->n,
				   .node = p->networks->kids[i],
				   .address = net->router };
		set_mac(e, net->has_mac, &net->mac);
		e->address.family = 0;
	}
	for (size_t c = 0; c < p->stage->n_clients; c++) {
		const struct stage_client *client = &p->stage->clients[c];

		for (size_t i = 0; i < client->n_interfaces; i++)
			if (client->interfaces[i].network != PARSE_NO_NETWORK)
				add_end(ends, interface_node(p, c, i), &client->interfaces[i]);
	}
}

static int compare_seq(const struct end *x, const struct end *y)
{
	return (x->seq > y->seq) - (x->seq < y->seq);
}

static int compare_network(const struct end *x, const struct end *y)
{
	return (x->network > y->network) - (x->network < y->network);
}

static int compare_addr(const struct ipaddr *x, const struct ipaddr *y)
{
	return x->family != y->family ? x->family - y->family : memcmp(x->b, y->b, sizeof(x->b));
}

static int same_address(const struct end *x, const struct end *y)
{
	int c = compare_network(x, y);

	return c ? c : compare_addr(&x->address, &y->address);
}

static int same_ipv6(const struct end *x, const struct end *y)
{
	int c = compare_network(x, y);

	return c ? c : compare_addr(&x->ipv6, &y->ipv6);
}

static int same_mac(const struct end *x, const struct end *y)
{
	int c = compare_network(x, y);

	if (c)
		return c;
	if (x->has_mac != y->has_mac)
		return x->has_mac - y->has_mac;
	return memcmp(x->mac.b, y->mac.b, sizeof(x->mac.b));
}

static int by_address(const void *a, const void *b)
{
	int c = same_address(a, b);

	return c ? c : compare_seq(a, b);
}

static int by_ipv6(const void *a, const void *b)
{
	int c = same_ipv6(a, b);

	return c ? c : compare_seq(a, b);
}

static int by_mac(const void *a, const void *b)
{
	int c = same_mac(a, b);

	return c ? c : compare_seq(a, b);
}

/* "net1's router" or "client1's eth0" */
static const char *end_name(const struct parse *p, const struct end *e, char buf[static QUOTE_TEXT])
{
	char owner[QUOTE_TEXT], name[QUOTE_TEXT];
	bool seat = e->node->parent == p->networks;
	const struct node *n = seat ? e->node : e->node->parent->parent;

	snprintf(buf, QUOTE_TEXT, "%.40s's %.40s", node_quote(n->key, owner),
		 seat ? "router" : node_quote(e->node->key, name));
	return buf;
}

static void check_unique_mac(struct parse *p, const struct end *a, const struct end *b)
{
	/* The written one is to blame, the derived one is as it should be. */
	const struct node *am = node_get(a->node, "mac"), *bm = node_get(b->node, "mac");
	char mac[MACADDR_TEXT], name[QUOTE_TEXT];

	if (!am && !bm)
		return; /* equal addresses, and reported */
	reader_add(p->r, bm ? bm : am, "'%s' is the MAC address of %s already",
		   macaddr_format(&b->mac, mac), end_name(p, bm ? a : b, name));
}

static void check_unique(struct parse *p, struct ends *ends)
{
	char addr[IPADDR_TEXT], name[QUOTE_TEXT];

	if (ends->n < 2)
		return;
	qsort(ends->v, ends->n, sizeof(*ends->v), by_address);
	for (size_t i = 1; i < ends->n; i++) {
		const struct end *a = &ends->v[i - 1], *b = &ends->v[i];

		if (b->address.family && same_address(a, b) == 0)
			reader_add(p->r, node_get(b->node, "address"), "'%s' is %s already",
				   ipaddr_format(&b->address, addr), end_name(p, a, name));
	}
	qsort(ends->v, ends->n, sizeof(*ends->v), by_ipv6);
	for (size_t i = 1; i < ends->n; i++) {
		const struct end *a = &ends->v[i - 1], *b = &ends->v[i];

		if (b->ipv6.family && same_ipv6(a, b) == 0)
			reader_add(p->r, node_get(b->node, "ipv6"), "'%s' is %s already",
				   ipaddr_format(&b->ipv6, addr), end_name(p, a, name));
	}
	qsort(ends->v, ends->n, sizeof(*ends->v), by_mac);
	for (size_t i = 1; i < ends->n; i++) {
		const struct end *a = &ends->v[i - 1], *b = &ends->v[i];

		if (b->has_mac && same_mac(a, b) == 0)
			check_unique_mac(p, a, b);
	}
}

/* A reference that did not resolve may have meant any network: then nothing is said about
 * networks without an end. */
static void check_ends(struct parse *p, const struct ends *ends)
{
	auto_free size_t *count = xcalloc(p->stage->n_networks, sizeof(*count));
	char name[QUOTE_TEXT];
	bool resolved = p->clients && p->clients->n_kids > 0;

	for (size_t c = 0; c < p->stage->n_clients; c++) {
		const struct stage_client *client = &p->stage->clients[c];

		resolved = resolved && client->n_interfaces > 0;
		for (size_t i = 0; i < client->n_interfaces; i++)
			resolved = resolved && client->interfaces[i].network != PARSE_NO_NETWORK;
	}
	for (size_t i = 0; i < ends->n; i++)
		count[ends->v[i].network]++;
	for (size_t i = 0; i < p->stage->n_networks; i++) {
		const struct node *n = p->networks->kids[i];

		if (count[i] > STAGE_ENDS_MAX) {
			reader_add(p->r, n, "%zu interfaces, a network has at most %d", count[i],
				   STAGE_ENDS_MAX);
		} else if (count[i] == 0 && resolved && json_is_object(n->value) &&
			   !node_get(n, "router")) {
			reader_add(p->r, n, "nothing is attached to '%s'",
				   node_quote(n->key, name));
			reader_hint(p->r,
				    "give it a \"router\", a client's interface, or remove it");
		}
	}
}

/* On-link through this interface, as far as is known. */
static bool reaches(const struct stage_interface *i, const struct ipaddr *a)
{
	const struct ipnet *own = a->family == AF_INET6 ? &i->ipv6 : &i->address;
	bool has = a->family == AF_INET6 ? i->has_ipv6 : i->has_address;

	return has && ipnet_contains(own, a);
}

/* True when something about the interface is wrong already: it could reach anything. */
static bool is_uncertain(const struct parse *p, const struct node *n,
			 const struct stage_interface *i, int family)
{
	const struct stage_network *net;

	if (i->network == PARSE_NO_NETWORK)
		return true;
	net = &p->stage->networks[i->network];
	if (family == AF_INET)
		return !net->subnet.addr.family || (node_get(n, "address") && !i->has_address) ||
		       (i->has_address && !ipnet_contains(&net->subnet, &i->address.addr));
	return (!net->has_ipv6 && (i->has_ipv6 || node_get(n, "ipv6"))) ||
	       (node_get(n, "ipv6") && !i->has_ipv6) ||
	       (i->has_ipv6 && !ipnet_contains(&net->ipv6, &i->ipv6.addr));
}

/* The next hop must be on the other side of one interface (of dev, when that is named). */
static void check_next_hop(struct parse *p, size_t client, const struct node *n,
			   const struct ipaddr *hop, const char *dev)
{
	const struct stage_client *c = &p->stage->clients[client];
	char addr[IPADDR_TEXT], net[IPNET_TEXT], quoted[QUOTE_TEXT];

	if (!n || !hop->family)
		return;
	ipaddr_format(hop, addr);
	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct stage_interface *f = &c->interfaces[i];
		const struct node *fn = interface_node(p, client, i);
		const struct ipnet *own = hop->family == AF_INET6 ? &f->ipv6 : &f->address;

		if (*dev && strcmp(dev, f->name) != 0)
			continue;
		if (is_uncertain(p, fn, f, hop->family))
			return;
		if (!reaches(f, hop))
			continue;
		if (ipaddr_equal(&own->addr, hop))
			reader_add(p->r, n, "'%s' is the client's own address", addr);
		else if (ipnet_is_reserved_host(own, hop))
			reader_add(p->r, n,
				   "'%s' is the network's own or the broadcast address of %s", addr,
				   ipnet_format(&(struct ipnet){ ipnet_network(own).addr,
								 own->prefix },
						net));
		return;
	}
	if (c->n_interfaces == 0)
		return;
	if (*dev)
		reader_add(p->r, n, "'%s' is not in %s's subnet", addr, node_quote(dev, quoted));
	else
		reader_add(p->r, n, "'%s' is in none of the client's subnets", addr);
	reader_hint(p->r, "the next router has an address in a subnet of the client's");
}

/* Is the destination taken by an earlier route of the client's? The kernel would refuse it. */
static void check_destination(struct parse *p, size_t client, const struct node *n, size_t route)
{
	const struct stage_client *c = &p->stage->clients[client];
	const struct ipnet *to = &c->routes[route].to;
	bool v6 = to->addr.family == AF_INET6;
	char text[IPNET_TEXT], name[QUOTE_TEXT];

	if (!to->addr.family)
		return;
	ipnet_format(to, text);
	if (to->prefix == 0 && (v6 ? &c->ipv6_gateway : &c->gateway)->family) {
		reader_add(p->r, n, "'%s' sets the default route already",
			   v6 ? "ipv6_gateway" : "gateway");
		return;
	}
	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct stage_interface *f = &c->interfaces[i];
		struct ipnet own = ipnet_network(v6 ? &f->ipv6 : &f->address);

		if (f->network == PARSE_NO_NETWORK || !(v6 ? f->has_ipv6 : f->has_address) ||
		    own.prefix != to->prefix || !ipaddr_equal(&own.addr, &to->addr))
			continue;
		reader_add(p->r, n, "'%s' is the subnet of %s, there is a route already", text,
			   node_quote(f->name, name));
		return;
	}
	for (size_t i = 0; i < route; i++) {
		const struct ipnet *other = &c->routes[i].to;

		if (other->prefix != to->prefix || !ipaddr_equal(&other->addr, &to->addr))
			continue;
		reader_add(p->r, n, "there is a route to '%s' already", text);
		return;
	}
}

static void check_client(struct parse *p, size_t client)
{
	const struct node *n = p->clients->kids[client], *routes = node_get(n, "routes");
	struct stage_client *c = &p->stage->clients[client];

	for (size_t i = 0; i < c->n_interfaces; i++)
		check_interface(p, interface_node(p, client, i), &c->interfaces[i]);
	check_next_hop(p, client, node_get(n, "gateway"), &c->gateway, "");
	check_next_hop(p, client, node_get(n, "ipv6_gateway"), &c->ipv6_gateway, "");
	for (size_t i = 0; i < c->n_routes; i++) {
		check_next_hop(p, client, node_get(routes->kids[i], "via"), &c->routes[i].via,
			       c->routes[i].dev);
		check_destination(p, client, node_get(routes->kids[i], "to"), i);
	}
}

void validate_stage(struct parse *p)
{
	struct ends ends = { 0 };

	check_overlaps(p);
	for (size_t c = 0; c < p->stage->n_clients; c++)
		check_client(p, c);
	collect_ends(p, &ends);
	check_unique(p, &ends);
	check_ends(p, &ends);
	validate_table(p);
	free(ends.v);
}
