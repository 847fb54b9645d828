/* SPDX-License-Identifier: MIT */
/* inside.c - clients and switches against the record. */
#include "lab/inside.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

#include "base/mem.h"
#include "lab/plan.h"
#include "lab/wire.h"
#include "net/link.h"
#include "net/netns.h"
#include "net/offload.h"

#include "base/banned.h"

struct view {
	const char *who; /* "client 'client1': " */
	struct nl *nl;
	struct offload *offload;
	struct link_info *links;
	size_t n_links;
	struct addr_info *addrs;
	size_t n_addrs;
	struct route_info *routes;
	size_t n_routes;
	struct strv *ret;
};

static void view_done(struct view *v)
{
	nl_close(v->nl);
	offload_close(v->offload);
	free(v->links);
	free(v->addrs);
	free(v->routes);
}

static void auto_view_(struct view *v)
{
	view_done(v);
}

static const struct link_info *find_link(const struct view *v, const char *name)
{
	for (size_t i = 0; i < v->n_links; i++) {
		if (strcmp(v->links[i].name, name) == 0)
			return &v->links[i];
	}
	return NULL;
}

static bool has_address(const struct view *v, unsigned ifindex, const struct ipnet *net)
{
	for (size_t i = 0; i < v->n_addrs; i++) {
		if (v->addrs[i].ifindex == ifindex && v->addrs[i].net.prefix == net->prefix &&
		    ipaddr_equal(&v->addrs[i].net.addr, &net->addr))
			return true;
	}
	return false;
}

static void check_address(const struct view *v, const struct link_info *got,
			  const struct ipnet *net)
{
	char text[IPNET_TEXT];

	if (!has_address(v, got->ifindex, net))
		strv_addf(v->ret, "%s'%s' has lost its address %s", v->who, got->name,
			  ipnet_format(net, text));
}

static void check_offload(const struct view *v, const char *ifname)
{
	auto_strv on = { 0 };

	if (v->offload && offload_check(v->offload, ifname, &on, ERR_IGNORED) == 0 && on.n)
		strv_addf(
			v->ret,
			"%s'%s' has the offload '%s' on: frames are not what the wire would carry",
			v->who, ifname, on.v[0]);
}

/* False when there is nothing more to say of it. */
static bool check_link(const struct view *v, const char *name, const struct link_info *got,
		       unsigned mtu)
{
	if (!got) {
		strv_addf(v->ret, "%sinterface '%s' is gone", v->who, name);
		return false;
	}
	if (!(got->flags & IFF_UP))
		strv_addf(v->ret, "%s'%s' is down", v->who, name);
	if (got->mtu != mtu)
		strv_addf(v->ret, "%s'%s' has mtu %u, not %u", v->who, name, got->mtu, mtu);
	check_offload(v, name);
	return true;
}

static void check_interface(const struct view *v, const struct lab *l,
			    const struct stage_interface *ifc)
{
	const struct link_info *got = find_link(v, ifc->name);
	struct macaddr mac = lab_client_mac(ifc);

	if (!check_link(v, ifc->name, got, l->stage->networks[ifc->network].mtu))
		return;
	if (!macaddr_equal(&got->mac, &mac))
		strv_addf(v->ret, "%s'%s' has another MAC address than the lab gave it", v->who,
			  ifc->name);
	if (ifc->has_address)
		check_address(v, got, &ifc->address);
	if (ifc->has_ipv6)
		check_address(v, got, &ifc->ipv6);
}

static bool has_route(const struct view *v, const struct ipnet *to, const struct ipaddr *via,
		      const char *dev)
{
	const struct link_info *link = dev && dev[0] ? find_link(v, dev) : NULL;

	for (size_t i = 0; i < v->n_routes; i++) {
		const struct route_info *r = &v->routes[i];

		if (r->table == RT_TABLE_MAIN && r->to.addr.family == to->addr.family &&
		    r->to.prefix == to->prefix &&
		    (!to->prefix || ipaddr_equal(&r->to.addr, &to->addr)) &&
		    (!via->family || ipaddr_equal(&r->via, via)) &&
		    (!link || r->ifindex == link->ifindex))
			return true;
	}
	return false;
}

static void check_route(const struct view *v, const struct ipnet *to, const struct ipaddr *via,
			const char *dev)
{
	char net[IPNET_TEXT], addr[IPADDR_TEXT];

	if (has_route(v, to, via, dev))
		return;
	strv_addf(v->ret, "%sthe route to %s%s%s is gone", v->who,
		  to->prefix ? ipnet_format(to, net) : "everywhere", via->family ? " via " : " on ",
		  via->family ? ipaddr_format(via, addr) : dev);
}

static void check_routes(const struct view *v, const struct stage_client *c)
{
	const struct ipnet any4 = { .addr.family = AF_INET }, any6 = { .addr.family = AF_INET6 };

	if (c->gateway.family)
		check_route(v, &any4, &c->gateway, NULL);
	if (c->ipv6_gateway.family)
		check_route(v, &any6, &c->ipv6_gateway, NULL);
	for (size_t i = 0; i < c->n_routes; i++)
		check_route(v, &c->routes[i].to, &c->routes[i].via, c->routes[i].dev);
}

static int look(int netns_fd, struct view *v)
{
	if (nl_open(netns_fd, &v->nl, ERR_IGNORED) < 0 ||
	    link_list(v->nl, &v->links, &v->n_links, ERR_IGNORED) < 0)
		return -1;
	if (offload_open(netns_fd, &v->offload, ERR_IGNORED) < 0)
		v->offload = NULL;
	return 0;
}

/* Routes of both families in one list. */
static int look_at_routes(struct view *v)
{
	static const int families[] = { AF_INET, AF_INET6 };

	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		auto_free struct route_info *some = NULL;
		size_t n = 0;

		if (route_list(v->nl, families[f], &some, &n, ERR_IGNORED) < 0)
			return -1;
		for (size_t i = 0; i < n; i++)
			*array_push(v->routes, v->n_routes) = some[i];
	}
	return 0;
}

void inside_client(const struct lab *l, size_t client, int netns_fd, struct strv *ret)
{
	const struct stage_client *c = &l->stage->clients[client];
	auto_free char *who = xasprintf("client '%s': ", c->name);
	auto_cleanup(view) struct view v = { .who = who, .ret = ret };

	if (look(netns_fd, &v) < 0 || addr_list(v.nl, &v.addrs, &v.n_addrs, ERR_IGNORED) < 0 ||
	    look_at_routes(&v) < 0)
		return;
	for (size_t i = 0; i < c->n_interfaces; i++)
		check_interface(&v, l, &c->interfaces[i]);
	check_routes(&v, c);
}

static void check_port(const struct view *v, const struct lab *l, const struct step *s)
{
	const char *bridge = l->networks[s->network].bridge;
	const struct link_info *br = find_link(v, bridge), *got;
	char name[IFNAMSIZ];

	if (!br)
		return; /* told already */
	wire_port_name(s, name);
	got = find_link(v, name);
	if (check_link(v, name, got, l->stage->networks[s->network].mtu) &&
	    got->master != br->ifindex)
		strv_addf(v->ret, "%sport '%s' is not in the switch any more", v->who, name);
}

void inside_fabric(const struct lab *l, struct strv *ret)
{
	auto_cleanup(view) struct view v = { .ret = ret };
	auto_plan plan = { 0 };
	struct err err = { 0 };
	auto_fd fd = -1;

	if (!l->fabric_ns[0])
		return;
	if (netns_open_name(l->fabric_ns, &fd, &err) < 0) {
		if (err_is(&err, ERR_NOT_FOUND))
			strv_addf(ret, "the namespace '%s' of the switches is gone", l->fabric_ns);
		return;
	}
	if (look(fd, &v) < 0)
		return;
	plan_make(l, &plan);
	for (size_t i = 0; i < plan.n; i++) {
		const struct step *s = &plan.steps[i];
		auto_free char *who =
			xasprintf("the switch of '%s': ", l->stage->networks[s->network].name);
		const struct link_info *br;

		v.who = who;
		if (s->kind == STEP_LINK && s->ends[0].kind == END_FABRIC)
			check_port(&v, l, s);
		if (s->kind != STEP_BRIDGE)
			continue;
		br = find_link(&v, l->networks[s->network].bridge);
		if (!br)
			strv_addf(ret, "the switch of '%s' is gone",
				  l->stage->networks[s->network].name);
		else if (!(br->flags & IFF_UP))
			strv_addf(ret, "the switch of '%s' is down",
				  l->stage->networks[s->network].name);
	}
}
