/* SPDX-License-Identifier: MIT */
/* kernel_watch.c - rtnetlink's and nftables' notification groups, read and judged. */
#include "net/kernel_watch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netconf.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>

#include "base/mem.h"
#include "base/printable.h"
#include "net/link.h"
#include "net/msg.h"
#include "net/netns.h"

#include "base/banned.h"

enum {
	BUFFER_SIZE = 32768,
	/* Some ten thousand notifications. A grading itself causes a few dozen. */
	RECEIVE_BUFFER = 8 << 20,
	CHANGES_MAX = 4,
	ROUTE_SOCKET = 0,
	NFT_SOCKET = 1,
};

/* A link as it was last heard of. */
struct known {
	struct link_info info;
	const struct kernel_watch_net *net; /* NULL: none of the lab's */
};

struct kernel_watch {
	struct kernel_watch_spec spec;
	struct kernel_watch_net *nets; /* what spec points to */
	struct mnl_socket *sockets[2]; /* NULL: the kernel has none */
	struct known *links;
	size_t n_links;
	unsigned flapping; /* ifindex; 0: none */
	struct strv changes;
	char buf[BUFFER_SIZE] __attribute__((aligned(MNL_ALIGNTO)));
};

static void change(struct kernel_watch *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void change(struct kernel_watch *w, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printable_line(text);
	if (w->changes.n < CHANGES_MAX && !strv_has(&w->changes, text))
		strv_add(&w->changes, text);
}

/* Links */

static struct known *find(const struct kernel_watch *w, unsigned ifindex)
{
	for (size_t i = 0; i < w->n_links; i++) {
		if (w->links[i].info.ifindex == ifindex)
			return &w->links[i];
	}
	return NULL;
}

static const char *name_of(const struct kernel_watch *w, unsigned ifindex)
{
	const struct known *k = find(w, ifindex);

	return k ? k->info.name : "another interface";
}

static bool is_watched(const struct kernel_watch *w, unsigned ifindex)
{
	const struct known *k = find(w, ifindex);

	return k && k->net && k->net->watched;
}

/* An interface whose changes count: one of the lab's, or any in a namespace of its own. */
static bool concerns(const struct kernel_watch *w, unsigned ifindex)
{
	const struct known *k = find(w, ifindex);

	return is_watched(w, ifindex) || (w->spec.whole && !(k && k->net));
}

static const struct kernel_watch_net *net_named(const struct kernel_watch *w, const char *ifname)
{
	for (size_t i = 0; i < w->spec.n_nets; i++) {
		if (*ifname && strcmp(w->spec.nets[i].ifname, ifname) == 0)
			return &w->spec.nets[i];
	}
	return NULL;
}

static void add_link(struct kernel_watch *w, const struct link_info *l)
{
	*array_push(w->links, w->n_links) = (struct known){ *l, net_named(w, l->name) };
}

static void compare_link(struct kernel_watch *w, const struct link_info *was,
			 const struct link_info *is)
{
	unsigned both = was->flags & is->flags, either = was->flags | is->flags;

	if ((both ^ either) & IFF_UP && is->ifindex != w->flapping)
		change(w, "interface %s was set %s", was->name, is->flags & IFF_UP ? "up" : "down");
	if (was->master != is->master)
		change(w,
		       is->master ? "interface %s became a port of a bridge"
				  : "interface %s left its bridge",
		       was->name);
	if (was->xdp != is->xdp)
		change(w,
		       is->xdp ? "an XDP program was attached to %s"
			       : "an XDP program was removed from %s",
		       was->name);
	if (strcmp(was->name, is->name) != 0)
		change(w, "interface %s was renamed '%s'", was->name, is->name);
}

/* A link that is none of the lab's: it matters when it stands on one of them, or carries frames in
 * the lab's own namespace. */
static void compare_other(struct kernel_watch *w, const struct known *was,
			  const struct link_info *is)
{
	bool was_up = was && was->info.flags & IFF_UP;

	if (is->lower && is_watched(w, is->lower) && !(was && was->info.lower == is->lower))
		change(w, "interface '%s' was put on top of %s", is->name, name_of(w, is->lower));
	else if (w->spec.whole && is->flags & IFF_UP && !was_up)
		change(w, "interface '%s' appeared in the seat", is->name);
}

static void on_new_link(struct kernel_watch *w, const struct nlmsghdr *msg)
{
	struct link_info l;
	struct known *k;

	if (!link_read(msg, &l))
		return;
	k = find(w, l.ifindex);
	if (!k || !k->net)
		compare_other(w, k, &l);
	else if (k->net->watched)
		compare_link(w, &k->info, &l);
	if (k)
		k->info = l;
	else
		add_link(w, &l);
}

static void on_del_link(struct kernel_watch *w, unsigned ifindex)
{
	struct known *k = find(w, ifindex);

	if (!k)
		return;
	if (k->net && k->net->watched)
		change(w, "interface %s was removed from the seat", k->info.name);
	*k = w->links[--w->n_links];
}

static void on_link(struct kernel_watch *w, const struct nlmsghdr *msg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(msg);

	/* A bridge tells of its ports in messages of its own family. */
	if (mnl_nlmsg_get_payload_len(msg) < sizeof(*ifi) || ifi->ifi_family != AF_UNSPEC)
		return;
	if (msg->nlmsg_type == RTM_DELLINK)
		on_del_link(w, (unsigned)ifi->ifi_index);
	else
		on_new_link(w, msg);
}

/* Addresses, routes, rules */

static const char *added(bool yes)
{
	return yes ? "added" : "removed";
}

static bool is_another_labs(const struct kernel_watch *w, unsigned ifindex)
{
	const struct known *k = find(w, ifindex);

	return w->spec.others_mask && k && !k->net &&
	       (k->info.group & w->spec.others_mask) == w->spec.others_group;
}

/* ifindex 0: none */
static bool in_subnets(const struct kernel_watch *w, const struct ipnet *to, unsigned ifindex)
{
	if (is_another_labs(w, ifindex))
		return false;
	for (size_t i = 0; i < w->spec.n_nets; i++) {
		const struct kernel_watch_net *n = &w->spec.nets[i];

		if (n->watched && n->ifname[0] && to->addr.family == n->subnet.addr.family &&
		    to->prefix >= n->subnet.prefix && ipnet_contains(&n->subnet, &to->addr))
			return true;
	}
	return false;
}

static void on_address(struct kernel_watch *w, const struct nlmsghdr *msg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(msg);
	struct ipnet net = { 0 }, host;
	char text[IPNET_TEXT];
	struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(msg) < sizeof(*ifa) || ifa->ifa_index == w->flapping)
		return;
	mnl_attr_for_each (attr, msg, sizeof(*ifa)) {
		if (mnl_attr_get_type(attr) == IFA_LOCAL ||
		    (mnl_attr_get_type(attr) == IFA_ADDRESS && !net.addr.family))
			attr_ip(attr, ifa->ifa_family, &net.addr);
	}
	net.prefix = ifa->ifa_prefixlen;
	host = (struct ipnet){ net.addr, (unsigned)ipaddr_len(&net.addr) * 8 };
	if (concerns(w, ifa->ifa_index) || in_subnets(w, &host, ifa->ifa_index))
		change(w, "the address %s was %s on %s", ipnet_format(&net, text),
		       added(msg->nlmsg_type == RTM_NEWADDR), name_of(w, ifa->ifa_index));
}

struct hop {
	struct ipnet to;
	unsigned ifindex; /* 0: none, or several */
};

static bool read_route(const struct nlmsghdr *msg, const struct rtmsg *rtm, struct hop *ret)
{
	struct hop h = { .to = { .addr.family = rtm->rtm_family, .prefix = rtm->rtm_dst_len } };
	struct nlattr *attr;

	mnl_attr_for_each (attr, msg, sizeof(*rtm)) {
		if (mnl_attr_get_type(attr) == RTA_DST)
			attr_ip(attr, rtm->rtm_family, &h.to.addr);
		else if (mnl_attr_get_type(attr) == RTA_OIF)
			h.ifindex = attr_u32(attr);
	}
	*ret = h;
	return !(rtm->rtm_flags & RTM_F_CLONED) &&
	       (rtm->rtm_family == AF_INET || rtm->rtm_family == AF_INET6);
}

static void on_route(struct kernel_watch *w, const struct nlmsghdr *msg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(msg);
	char text[IPNET_TEXT];
	struct hop h;

	if (mnl_nlmsg_get_payload_len(msg) < sizeof(*rtm) || !read_route(msg, rtm, &h))
		return;
	/* What an address brings and takes along. */
	if (h.ifindex && h.ifindex == w->flapping && rtm->rtm_protocol == RTPROT_KERNEL)
		return;
	if (h.ifindex ? concerns(w, h.ifindex) || in_subnets(w, &h.to, h.ifindex)
		      : w->spec.whole || in_subnets(w, &h.to, 0))
		change(w, "a route to %s was %s", ipnet_format(&h.to, text),
		       added(msg->nlmsg_type == RTM_NEWROUTE));
}

/* Forwarding */

static const char *const switches[NETCONFA_MAX + 1] = {
	[NETCONFA_FORWARDING] = "forwarding",
	[NETCONFA_MC_FORWARDING] = "multicast forwarding",
	[NETCONFA_PROXY_NEIGH] = "proxy ARP",
#ifdef NETCONFA_BC_FORWARDING
	[NETCONFA_BC_FORWARDING] = "forwarding of broadcasts",
#endif
};

static void on_switch(struct kernel_watch *w, int family, int ifindex, const char *what, bool on)
{
	static const char *const words[] = { "off", "on" };
	const char *ip = family == AF_INET6 ? "IPv6" : "IPv4";

	if (ifindex == NETCONFA_IFINDEX_ALL)
		change(w, "%s %s was switched %s for all interfaces", ip, what, words[on]);
	else if (ifindex == NETCONFA_IFINDEX_DEFAULT ? w->spec.whole
						     : is_watched(w, (unsigned)ifindex))
		change(w, "%s %s was switched %s for %s", ip, what, words[on],
		       ifindex == NETCONFA_IFINDEX_DEFAULT ? "new interfaces"
							   : name_of(w, (unsigned)ifindex));
}

static void on_netconf(struct kernel_watch *w, const struct nlmsghdr *msg)
{
	const struct netconfmsg *nc = mnl_nlmsg_get_payload(msg);
	int ifindex = 0;
	struct nlattr *attr;

	if (msg->nlmsg_type != RTM_NEWNETCONF || mnl_nlmsg_get_payload_len(msg) < sizeof(*nc))
		return;
	mnl_attr_for_each (attr, msg, sizeof(*nc)) {
		if (mnl_attr_get_type(attr) == NETCONFA_IFINDEX)
			ifindex = (int)attr_u32(attr);
	}
	mnl_attr_for_each (attr, msg, sizeof(*nc)) {
		unsigned type = mnl_attr_get_type(attr);

		if (type < ARRAY_SIZE(switches) && switches[type])
			on_switch(w, nc->ncm_family, ifindex, switches[type], attr_u32(attr) != 0);
	}
}

/* tc and nftables */

static void on_tc(struct kernel_watch *w, const struct nlmsghdr *msg)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(msg);
	bool qdisc = msg->nlmsg_type == RTM_NEWQDISC || msg->nlmsg_type == RTM_DELQDISC;
	char kind[16] = "";
	struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(msg) < sizeof(*tc) || !concerns(w, (unsigned)tc->tcm_ifindex))
		return;
	mnl_attr_for_each (attr, msg, sizeof(*tc)) {
		if (mnl_attr_get_type(attr) == TCA_KIND)
			attr_text(attr, kind, sizeof(kind));
	}
	/* Queues for what leaves change nothing about who forwards. */
	if (qdisc && strcmp(kind, "ingress") != 0 && strcmp(kind, "clsact") != 0)
		return;
	change(w, "a tc filter%s on %s was added or removed", qdisc ? " point" : "",
	       name_of(w, (unsigned)tc->tcm_ifindex));
}

/* Whatever the object is, its table's name is the first attribute. */
static void on_nft(struct kernel_watch *w, const struct nlmsghdr *msg)
{
	const char *payload = mnl_nlmsg_get_payload(msg);
	size_t len = mnl_nlmsg_get_payload_len(msg);
	char table[NFT_TABLE_MAXNAMELEN] = "";
	bool ours = w->spec.whole;
	struct nlattr *attr;

	if (NFNL_SUBSYS_ID(msg->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    NFNL_MSG_TYPE(msg->nlmsg_type) == NFT_MSG_NEWGEN || len < sizeof(struct nfgenmsg))
		return;
	mnl_attr_for_each (attr, msg, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME)
			attr_text(attr, table, sizeof(table));
	}
	ours = ours || (w->spec.nft_table && strcmp(table, w->spec.nft_table) == 0);
	/* An interface is named at several depths, always with its NUL. */
	for (size_t i = 0; i < w->spec.n_nets && !ours; i++) {
		const struct kernel_watch_net *n = &w->spec.nets[i];

		ours = n->watched && n->ifname[0] &&
		       memmem(payload, len, n->ifname, strlen(n->ifname) + 1);
	}
	if (ours)
		change(w, "the nftables table '%s' was changed", table);
}

/* Sockets */

static void on_message(struct kernel_watch *w, const struct nlmsghdr *msg)
{
	switch (msg->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		on_link(w, msg);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		on_address(w, msg);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		on_route(w, msg);
		break;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		change(w, "a routing rule was %s", added(msg->nlmsg_type == RTM_NEWRULE));
		break;
	case RTM_NEWNETCONF:
		on_netconf(w, msg);
		break;
	case RTM_NEWQDISC:
	case RTM_DELQDISC:
	case RTM_NEWTFILTER:
	case RTM_DELTFILTER:
	case RTM_NEWCHAIN:
	case RTM_DELCHAIN:
		on_tc(w, msg);
		break;
	}
}

/* False: nothing is there. */
static bool read_once(struct kernel_watch *w, size_t which)
{
	const struct nlmsghdr *msg = (const struct nlmsghdr *)w->buf;
	int fd = mnl_socket_get_fd(w->sockets[which]);
	struct sockaddr_nl from = { 0 };
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(fd, w->buf, sizeof(w->buf), MSG_DONTWAIT | MSG_TRUNC,
			     (struct sockaddr *)&from, &from_len);
	int left = (int)n;

	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 0 || (size_t)n > sizeof(w->buf)) {
		change(w, "the kernel reported more changes than could be read");
		return n >= 0 || errno == ENOBUFS;
	}
	if (from.nl_pid != 0)
		return true; /* only the kernel's word counts */
	for (; mnl_nlmsg_ok(msg, left); msg = mnl_nlmsg_next(msg, &left)) {
		if (which == NFT_SOCKET)
			on_nft(w, msg);
		else
			on_message(w, msg);
	}
	return true;
}

void kernel_watch_read(struct kernel_watch *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(w->sockets); i++) {
		while (w->sockets[i] && read_once(w, i))
			;
	}
}

const struct strv *kernel_watch_changes(const struct kernel_watch *w)
{
	return &w->changes;
}

int kernel_watch_fd(const struct kernel_watch *w, size_t i)
{
	for (size_t k = 0; k < ARRAY_SIZE(w->sockets); k++) {
		if (w->sockets[k] && i-- == 0)
			return mnl_socket_get_fd(w->sockets[k]);
	}
	return -1;
}

void kernel_watch_expect_flap(struct kernel_watch *w, const char *ifname)
{
	kernel_watch_read(w);
	w->flapping = 0;
	for (size_t i = 0; ifname && i < w->n_links; i++) {
		if (strcmp(w->links[i].info.name, ifname) == 0)
			w->flapping = w->links[i].info.ifindex;
	}
}

static int join(struct mnl_socket *s, const int *groups, size_t n, struct err *err)
{
	int size = RECEIVE_BUFFER, fd = mnl_socket_get_fd(s);

	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0)
		return err_set(err, ERR_ENV, errno, "cannot bind a netlink socket");
	/* Without the right over the host, as much as the host allows everyone. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0)
		return err_set(err, ERR_ENV, errno, "cannot set a netlink socket's buffer");
	for (size_t i = 0; i < n; i++) {
		int group = groups[i];

		if (mnl_socket_setsockopt(s, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
			return err_set(err, ERR_ENV, errno, "cannot join netlink group %d", group);
	}
	return 0;
}

static int open_here(void *arg, struct err *err)
{
	static const int route_groups[] = {
		RTNLGRP_LINK,	      RTNLGRP_IPV4_IFADDR,  RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
		RTNLGRP_IPV6_ROUTE,   RTNLGRP_IPV4_RULE,    RTNLGRP_IPV6_RULE,	 RTNLGRP_TC,
		RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF,
	};
	static const int nft_groups[] = { NFNLGRP_NFTABLES };
	struct kernel_watch *w = arg;

	w->sockets[ROUTE_SOCKET] = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!w->sockets[ROUTE_SOCKET])
		return err_set(err, ERR_ENV, errno, "cannot open a netlink socket");
	if (join(w->sockets[ROUTE_SOCKET], route_groups, ARRAY_SIZE(route_groups), err) < 0)
		return -1;
	w->sockets[NFT_SOCKET] = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!w->sockets[NFT_SOCKET])
		return errno == EPROTONOSUPPORT
			       ? 0
			       : err_set(err, ERR_ENV, errno, "cannot open a netlink socket");
	return join(w->sockets[NFT_SOCKET], nft_groups, ARRAY_SIZE(nft_groups), err);
}

static int learn_links(struct kernel_watch *w, struct err *err)
{
	auto_free struct link_info *links = NULL;
	auto_nl nl = NULL;
	size_t n = 0;

	if (nl_open(w->spec.netns_fd, &nl, err) < 0 || link_list(nl, &links, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		add_link(w, &links[i]);
	return 0;
}

int kernel_watch_open(const struct kernel_watch_spec *spec, struct kernel_watch **ret,
		      struct err *err)
{
	auto_kernel_watch w = xcalloc(1, sizeof(*w));

	w->spec = *spec;
	w->nets = xcalloc(spec->n_nets + 1, sizeof(*w->nets));
	for (size_t i = 0; i < spec->n_nets; i++)
		w->nets[i] = spec->nets[i];
	w->spec.nets = w->nets;
	/* Listening first: what changes while the links are read is in one of the two. */
	if (netns_run(spec->netns_fd, open_here, w, err) < 0 || learn_links(w, err) < 0)
		return err_wrap(err, "cannot watch the kernel");
	*ret = steal_ptr(&w);
	return 0;
}

void kernel_watch_close(struct kernel_watch *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(w->sockets); i++) {
		if (w->sockets[i])
			mnl_socket_close(w->sockets[i]);
	}
	free(w->links);
	free(w->nets);
	strv_done(&w->changes);
	free(w);
}
