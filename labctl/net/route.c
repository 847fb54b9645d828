/* SPDX-License-Identifier: MIT */
/* route.c - routes, and what an address leaves in the `local` table. */
#include "net/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>

#include "base/mem.h"
#include "net/msg.h"

#include "base/banned.h"

struct route {
	struct route_info info;
	struct ipaddr src; /* the preferred source; family 0: none */
};

struct routes {
	int family;
	struct route *v;
	size_t n;
};

static void auto_routes_(struct routes *r)
{
	free(r->v);
}
#define auto_routes auto_cleanup(routes) struct routes

static int new_route(struct nl *nl, const struct route_spec *spec, unsigned flags, struct err *err)
{
	char to[IPNET_TEXT], via[IPADDR_TEXT];
	struct rtmsg *rtm;
	struct msg m;

	if (spec->via.family && spec->via.family != spec->to.addr.family)
		return err_set(err, ERR_USAGE, 0, "route to '%s' via '%s': two address families",
			       ipnet_format(&spec->to, to), ipaddr_format(&spec->via, via));
	rtm = msg_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | flags, sizeof(*rtm));
	rtm->rtm_family = (unsigned char)spec->to.addr.family;
	rtm->rtm_dst_len = (unsigned char)spec->to.prefix;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_scope = spec->via.family ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	rtm->rtm_type = RTN_UNICAST;
	if (spec->to.prefix)
		msg_put_ip(&m, RTA_DST, &spec->to.addr);
	if (spec->via.family)
		msg_put_ip(&m, RTA_GATEWAY, &spec->via);
	if (spec->ifindex)
		msg_put_u32(&m, RTA_OIF, spec->ifindex);
	if (msg_do(nl, &m, err) == 0)
		return 0;
	ipnet_format(&spec->to, to);
	if (spec->via.family)
		return err_wrap(err, "cannot add the route to '%s' via '%s'", to,
				ipaddr_format(&spec->via, via));
	return err_wrap(err, "cannot add the route to '%s' on interface %u", to, spec->ifindex);
}

int route_add(struct nl *nl, const struct route_spec *spec, struct err *err)
{
	return new_route(nl, spec, NLM_F_EXCL, err);
}

int route_set(struct nl *nl, const struct route_spec *spec, struct err *err)
{
	return new_route(nl, spec, NLM_F_REPLACE, err);
}

static void read_first_hop(const struct nlattr *multipath, int family, struct route_info *r)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(multipath);
	size_t len = mnl_attr_get_payload_len(multipath);
	const struct nlattr *attr = (const struct nlattr *)(hop + 1);

	if (len < sizeof(*hop) || hop->rtnh_len < sizeof(*hop) || hop->rtnh_len > len)
		return;
	r->ifindex = (unsigned)hop->rtnh_ifindex;
	for (int left = hop->rtnh_len - (int)sizeof(*hop); mnl_attr_ok(attr, left);
	     left -= MNL_ALIGN(attr->nla_len), attr = mnl_attr_next(attr))
		if (mnl_attr_get_type(attr) == RTA_GATEWAY)
			attr_ip(attr, family, &r->via);
}

static void read_attr(const struct nlattr *attr, int family, struct route *r)
{
	switch (mnl_attr_get_type(attr)) {
	case RTA_DST:
		attr_ip(attr, family, &r->info.to.addr);
		break;
	case RTA_GATEWAY:
		attr_ip(attr, family, &r->info.via);
		break;
	case RTA_OIF:
		r->info.ifindex = attr_u32(attr);
		break;
	case RTA_TABLE:
		r->info.table = attr_u32(attr);
		break;
	case RTA_PREFSRC:
		attr_ip(attr, family, &r->src);
		break;
	case RTA_MULTIPATH:
		read_first_hop(attr, family, &r->info);
		break;
	}
}

static int add_route(const struct nlmsghdr *msg, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(msg);
	struct routes *routes = data;
	struct route r = { 0 };
	struct nlattr *attr;

	/* A kernel without this family answers with the routes of all others. */
	if (msg->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(msg) < sizeof(*rtm) ||
	    rtm->rtm_family != routes->family)
		return 0;
	r.info.to.addr.family = rtm->rtm_family;
	r.info.to.prefix = rtm->rtm_dst_len;
	r.info.table = rtm->rtm_table;
	r.info.type = rtm->rtm_type;
	mnl_attr_for_each (attr, msg, sizeof(*rtm))
		read_attr(attr, rtm->rtm_family, &r);
	*array_push(routes->v, routes->n) = r;
	return 0;
}

static void forget_routes(void *data)
{
	struct routes *routes = data;

	routes->n = 0;
}

/* table 0, ifindex 0: all of them. */
static int dump(struct nl *nl, uint32_t table, unsigned ifindex, struct routes *routes,
		struct err *err)
{
	struct err e = { 0 };
	struct rtmsg *rtm;
	struct msg m;

	rtm = msg_begin(&m, RTM_GETROUTE, 0, sizeof(*rtm));
	rtm->rtm_family = (unsigned char)routes->family;
	if (table)
		msg_put_u32(&m, RTA_TABLE, table);
	if (ifindex)
		msg_put_u32(&m, RTA_OIF, ifindex);
	if (msg_dump(nl, &m, add_route, forget_routes, routes, &e) == 0)
		return 0;
	/* No such table yet, or no such interface any more: no routes. */
	if (table && err_is(&e, ERR_NOT_FOUND))
		return 0;
	*err = e;
	return err_wrap(err, "cannot list the routes");
}

static bool is_host_route(const struct route *r, const struct ipaddr *addr)
{
	return r->info.to.prefix == 8 * ipaddr_len(addr) && ipaddr_equal(&r->info.to.addr, addr);
}

/* Not only the route to the address itself: IPv4 also brings one for the subnet's broadcast
 * address, whose preferred source tells where it came from. */
static bool came_with(const struct route *r, const struct ipaddr *addr)
{
	if (r->info.type == RTN_LOCAL)
		return is_host_route(r, addr);
	return r->info.type == RTN_BROADCAST && ipaddr_equal(&r->src, addr);
}

static int delete_route(struct nl *nl, const struct route *r, struct err *err)
{
	char text[IPNET_TEXT];
	struct err e = { 0 };
	struct rtmsg *rtm;
	struct msg m;

	rtm = msg_begin(&m, RTM_DELROUTE, 0, sizeof(*rtm));
	rtm->rtm_family = (unsigned char)r->info.to.addr.family;
	rtm->rtm_dst_len = (unsigned char)r->info.to.prefix;
	rtm->rtm_table = RT_TABLE_LOCAL;
	rtm->rtm_scope = RT_SCOPE_NOWHERE; /* any */
	rtm->rtm_type = r->info.type;
	msg_put_ip(&m, RTA_DST, &r->info.to.addr);
	msg_put_u32(&m, RTA_OIF, r->info.ifindex);
	if (msg_do(nl, &m, &e) == 0 || err_is(&e, ERR_NOT_FOUND))
		return 0;
	*err = e;
	return err_wrap(err, "cannot delete the local route to '%s' on interface %u",
			ipnet_format(&r->info.to, text), r->info.ifindex);
}

static int delete_local(struct nl *nl, unsigned ifindex, const struct ipaddr *addr, bool *ret_found,
			struct err *err)
{
	auto_routes routes = { .family = addr->family };

	*ret_found = false;
	if (dump(nl, RT_TABLE_LOCAL, ifindex, &routes, err) < 0)
		return -1;
	for (size_t i = 0; i < routes.n; i++) {
		if (!came_with(&routes.v[i], addr))
			continue;
		if (delete_route(nl, &routes.v[i], err) < 0)
			return -1;
		*ret_found = true;
	}
	return 0;
}

int route_delete_local(struct nl *nl, unsigned ifindex, const struct ipaddr *addr, struct err *err)
{
	/* The kernel adds IPv6's from a work queue, a moment after the address. */
	int looks = addr->family == AF_INET6 ? 20 : 1;
	bool found = false;

	for (int i = 0; i < looks && !found; i++) {
		if (i)
			usleep(5000);
		if (delete_local(nl, ifindex, addr, &found, err) < 0)
			return -1;
	}
	return 0;
}

int route_has_local(struct nl *nl, unsigned ifindex, const struct ipaddr *addr, bool *ret,
		    struct err *err)
{
	auto_routes routes = { .family = addr->family };
	bool found = false;

	if (dump(nl, RT_TABLE_LOCAL, ifindex, &routes, err) < 0)
		return -1;
	for (size_t i = 0; i < routes.n; i++)
		found |= routes.v[i].info.type == RTN_LOCAL && is_host_route(&routes.v[i], addr);
	*ret = found;
	return 0;
}

int route_list(struct nl *nl, int family, struct route_info **ret, size_t *ret_n, struct err *err)
{
	auto_routes routes = { .family = family };
	struct route_info *list = NULL;
	size_t n = 0;

	if (dump(nl, 0, 0, &routes, err) < 0)
		return -1;
	for (size_t i = 0; i < routes.n; i++)
		*array_push(list, n) = routes.v[i].info;
	*ret = list;
	*ret_n = n;
	return 0;
}
