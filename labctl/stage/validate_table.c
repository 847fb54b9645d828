/* SPDX-License-Identifier: MIT */
/* validate_table.c - the table of the student's router against networks and clients. */
#include "stage/parse.h"

#include "base/banned.h"

/* The network's subnet of that IP version, when the router has an address in it. */
static const struct ipnet *routed_subnet(const struct stage_network *net, int family)
{
	if (family == AF_INET6)
		return net->has_ipv6 && net->ipv6_router.family ? &net->ipv6 : NULL;
	return net->has_router && net->subnet.addr.family ? &net->subnet : NULL;
}

/* Is everything readable that decides where an address is? Otherwise a next hop that is nowhere
 * may be the consequence of a mistake that was reported already. */
static bool is_readable(const struct parse *p)
{
	if (!p->networks || !p->clients)
		return false;
	for (size_t i = 0; i < p->stage->n_networks; i++) {
		const struct stage_network *net = &p->stage->networks[i];
		const struct node *n = p->networks->kids[i], *ipv6 = node_get(n, "ipv6");

		if (!net->subnet.addr.family || (node_get(n, "router") && !net->has_router) ||
		    (ipv6 && !net->has_ipv6) ||
		    (node_get(ipv6, "router") && !net->ipv6_router.family))
			return false;
	}
	for (size_t c = 0; c < p->stage->n_clients; c++) {
		const struct stage_client *client = &p->stage->clients[c];
		const struct node *n = node_get(p->clients->kids[c], "interfaces");

		for (size_t i = 0; i < client->n_interfaces; i++) {
			const struct stage_interface *f = &client->interfaces[i];

			if (f->network == PARSE_NO_NETWORK ||
			    (node_get(n->kids[i], "address") && !f->has_address) ||
			    (node_get(n->kids[i], "ipv6") && !f->has_ipv6))
				return false;
		}
		if (client->n_interfaces == 0)
			return false;
	}
	return true;
}

static bool has_client(const struct stage *s, size_t network, const struct ipaddr *a)
{
	for (size_t c = 0; c < s->n_clients; c++) {
		for (size_t i = 0; i < s->clients[c].n_interfaces; i++) {
			const struct stage_interface *f = &s->clients[c].interfaces[i];

			if (f->network == network &&
			    ((f->has_address && ipaddr_equal(&f->address.addr, a)) ||
			     (f->has_ipv6 && ipaddr_equal(&f->ipv6.addr, a))))
				return true;
		}
	}
	return false;
}

static void check_via(struct parse *p, const struct node *n, struct stage_table_route *r,
		      bool readable)
{
	const struct stage *s = p->stage;
	char addr[IPADDR_TEXT], name[QUOTE_TEXT];

	ipaddr_format(&r->via, addr);
	for (size_t i = 0; i < s->n_networks; i++) {
		const struct stage_network *net = &s->networks[i];
		const struct ipnet *subnet = routed_subnet(net, r->via.family);
		const struct ipaddr *own =
			r->via.family == AF_INET6 ? &net->ipv6_router : &net->router;

		if (!subnet || !ipnet_contains(subnet, &r->via))
			continue;
		r->network = i;
		node_quote(p->networks->kids[i]->key, name);
		if (ipaddr_equal(own, &r->via)) {
			reader_add(p->r, n, "'%s' is the router's own address on %s", addr, name);
		} else if (readable && !has_client(s, i, &r->via)) {
			reader_add(p->r, n, "no client on %s has the address '%s'", name, addr);
			reader_hint(p->r, "the next router is a client of the stage, with 'sysctls'"
					  " { \"net.ipv4.ip_forward\": 1 }");
		}
		return;
	}
	if (!readable)
		return;
	reader_add(p->r, n, "'%s' is in no network that reaches the router", addr);
	reader_hint(p->r, "an address of a client on a network with a \"router\"");
}

static void check_to(struct parse *p, const struct node *n, size_t route)
{
	const struct stage *s = p->stage;
	const struct ipnet *to = &s->routes[route].to;
	char text[IPNET_TEXT], name[QUOTE_TEXT];

	ipnet_format(to, text);
	for (size_t i = 0; i < s->n_networks; i++) {
		const struct ipnet *subnet = routed_subnet(&s->networks[i], to->addr.family);

		if (!subnet || subnet->prefix != to->prefix ||
		    !ipaddr_equal(&subnet->addr, &to->addr))
			continue;
		reader_add(p->r, n, "'%s' is the subnet of %s, there is a route already", text,
			   node_quote(p->networks->kids[i]->key, name));
		return;
	}
	for (size_t i = 0; i < route; i++) {
		const struct ipnet *other = &s->routes[i].to;

		if (other->prefix != to->prefix || !ipaddr_equal(&other->addr, &to->addr))
			continue;
		reader_add(p->r, n, "there is a route to '%s' already", text);
		return;
	}
}

void validate_table(struct parse *p)
{
	bool readable = is_readable(p);

	for (size_t i = 0; i < p->stage->n_routes; i++) {
		const struct node *n = p->routes->kids[i];
		struct stage_table_route *r = &p->stage->routes[i];

		if (r->via.family)
			check_via(p, node_get(n, "via"), r, readable);
		if (r->to.addr.family)
			check_to(p, node_get(n, "to"), i);
	}
}
