/* SPDX-License-Identifier: MIT */
/* hostview.c - what the host already uses. */
#include "netport/hostview.h"

#include <stdlib.h>
#include <string.h>

#include <linux/rtnetlink.h>

#include "base/mem.h"
#include "net/link.h"
#include "net/netns.h"

#include "base/banned.h"

void hostview_done(struct hostview *v)
{
	free(v->ports);
	strv_done(&v->links);
	free(v->macs);
	free(v->subnets);
	*v = (struct hostview){ 0 };
}

void hostview_add_subnet(struct hostview *v, const struct ipnet *net, const char *why)
{
	struct hostview_subnet *s = array_push(v->subnets, v->n_subnets);

	s->net = ipnet_network(net);
	s->why = why;
}

static int add_names(struct hostview *v, struct err *err)
{
	auto_strv names = { 0 };

	if (netns_list("", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		strv_add(&v->links, names.v[i]);
	return 0;
}

static int add_links(struct hostview *v, int netns_fd, struct err *err)
{
	auto_free struct link_info *links = NULL;
	auto_nl nl = NULL;
	size_t n;

	if (nl_open(netns_fd, &nl, err) < 0 || link_list(nl, &links, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		strv_add(&v->links, links[i].name);
		if (links[i].altname[0])
			strv_add(&v->links, links[i].altname);
		*array_push(v->macs, v->n_macs) = links[i].mac;
	}
	return 0;
}

static int add_routes(struct hostview *v, struct nl *nl, int family, struct err *err)
{
	auto_free struct route_info *routes = NULL;
	size_t n;

	if (route_list(nl, family, &routes, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		/* The default route leads everywhere, and multicast nowhere that a subnet could
		 * be; what is in the local table are addresses, which are read themselves. */
		if (routes[i].to.prefix == 0 || routes[i].type == RTN_MULTICAST ||
		    routes[i].table == RT_TABLE_LOCAL)
			continue;
		hostview_add_subnet(v, &routes[i].to, "a route of this host leads there");
	}
	return 0;
}

static int add_subnets(struct hostview *v, int netns_fd, struct err *err)
{
	auto_free struct addr_info *addrs = NULL;
	auto_nl nl = NULL;
	size_t n;

	if (nl_open(netns_fd, &nl, err) < 0 || addr_list(nl, &addrs, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		hostview_add_subnet(v, &addrs[i].net, "this host has an address in it");
	return add_routes(v, nl, AF_INET, err) < 0 || add_routes(v, nl, AF_INET6, err) < 0 ? -1 : 0;
}

int hostview_add(struct hostview *v, const char *resource, int netns_fd, struct err *err)
{
	enum resource r;

	if (resource_parse(resource, &r, err) < 0)
		return -1;
	switch (r) {
	case RESOURCE_PORT:
		if (!v->ports)
			v->ports = xcalloc(1, sizeof(*v->ports));
		return sockdiag_add_ports(netns_fd, v->ports, err);
	case RESOURCE_INTERFACE:
	case RESOURCE_MAC:
		return add_links(v, netns_fd, err);
	case RESOURCE_SUBNET:
		return add_subnets(v, netns_fd, err);
	case RESOURCE_NETNS:
		return add_names(v, err);
	default:
		return 0;
	}
}

static bool port_usable(const struct hostview *v, uint32_t port, const char **ret_why)
{
	if (!v->ports)
		return true;
	*ret_why = "a program uses it";
	if (sockdiag_has(v->ports->used, port))
		return false;
	*ret_why = "its last connection lingers (TIME_WAIT)";
	return v->lingering_ok || !sockdiag_has(v->ports->lingering, port);
}

static bool mac_usable(const struct hostview *v, const char *text, const char **ret_why)
{
	struct macaddr mac;

	*ret_why = "an interface has it";
	for (size_t i = 0; i < v->n_macs; i++) {
		if (macaddr_parse(text, &mac, ERR_IGNORED) == 0 && macaddr_equal(&mac, &v->macs[i]))
			return false;
	}
	return true;
}

static bool subnet_usable(const struct hostview *v, const struct ipnet *net, const char **ret_why)
{
	for (size_t i = 0; i < v->n_subnets; i++) {
		*ret_why = v->subnets[i].why;
		if (ipnet_overlaps(net, &v->subnets[i].net))
			return false;
	}
	return true;
}

bool hostview_usable(void *arg, const struct resource_value *value, const char **ret_why)
{
	const struct hostview *v = arg;
	const char *why;

	if (!ret_why)
		ret_why = &why;
	if (value->is_number)
		return port_usable(v, value->number, ret_why);
	if (value->net.addr.family)
		return subnet_usable(v, &value->net, ret_why);
	if (!mac_usable(v, value->text, ret_why))
		return false;
	*ret_why = "it exists";
	return !strv_has(&v->links, value->text);
}
