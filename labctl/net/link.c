/* SPDX-License-Identifier: MIT */
/* link.c - links: veth pairs, bridges, their state and their marks. */
#include "net/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include <libmnl/libmnl.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/msg.h"

#include "base/banned.h"

static struct ifinfomsg *begin(struct msg *m, uint16_t type, uint16_t flags, unsigned ifindex)
{
	struct ifinfomsg *ifi = msg_begin(m, type, flags, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	return ifi;
}

static void put_end(struct msg *m, const struct link_end *end, const struct link_veth *spec)
{
	static const struct macaddr none;

	msg_put_text(m, IFLA_IFNAME, end->name);
	if (!macaddr_equal(&end->mac, &none))
		msg_put(m, IFLA_ADDRESS, end->mac.b, sizeof(end->mac.b));
	if (spec->mtu)
		msg_put_u32(m, IFLA_MTU, spec->mtu);
	msg_put_u32(m, IFLA_GROUP, spec->group);
}

static void build_veth(struct msg *m, const struct link_veth *spec)
{
	struct nlattr *info, *data, *peer;

	begin(m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	put_end(m, &spec->end, spec);
	if (spec->master)
		msg_put_u32(m, IFLA_MASTER, spec->master);
	info = msg_nest(m, IFLA_LINKINFO);
	msg_put_text(m, IFLA_INFO_KIND, "veth");
	data = msg_nest(m, IFLA_INFO_DATA);
	peer = msg_nest(m, VETH_INFO_PEER);
	/* No IFF_UP here: the peer cannot come up before its other end is registered. */
	msg_raw(m, sizeof(struct ifinfomsg));
	put_end(m, &spec->peer, spec);
	if (spec->peer.netns_fd >= 0)
		msg_put_u32(m, IFLA_NET_NS_FD, (uint32_t)spec->peer.netns_fd);
	msg_nest_end(m, peer);
	msg_nest_end(m, data);
	msg_nest_end(m, info);
}

/* Which of the two names was taken, and by what? The kernel does not tell. */
static int name_taken(struct nl *nl, const struct link_veth *spec, struct err *err)
{
	struct link_info there;

	if (link_get(nl, spec->end.name, &there, ERR_IGNORED) == 0)
		return msg_exists(err, "interface '%s'", spec->end.name);
	return msg_exists(err, "interface '%s' in the peer's namespace", spec->peer.name);
}

int link_add_veth(struct nl *nl, const struct link_veth *spec, struct err *err)
{
	struct err e = { 0 };
	struct msg m;

	build_veth(&m, spec);
	if (msg_do(nl, &m, &e) == 0)
		return 0;
	if (e.sys == EEXIST)
		return name_taken(nl, spec, err);
	*err = e;
	return err_wrap(err, "cannot create the veth pair '%s' and '%s'", spec->end.name,
			spec->peer.name);
}

int link_add_bridge(struct nl *nl, const char *name, uint32_t group, unsigned mtu,
		    uint16_t group_fwd_mask, unsigned *ret_ifindex, struct err *err)
{
	struct nlattr *info, *data;
	struct link_info made;
	struct ifinfomsg *ifi;
	struct err e = { 0 };
	struct msg m;

	ifi = begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	msg_put_text(&m, IFLA_IFNAME, name);
	msg_put_u32(&m, IFLA_GROUP, group);
	if (mtu)
		msg_put_u32(&m, IFLA_MTU, mtu);
	info = msg_nest(&m, IFLA_LINKINFO);
	msg_put_text(&m, IFLA_INFO_KIND, "bridge");
	data = msg_nest(&m, IFLA_INFO_DATA);
	msg_put_u32(&m, IFLA_BR_STP_STATE, 0);
	msg_put_u32(&m, IFLA_BR_FORWARD_DELAY, 0);
	msg_put_u8(&m, IFLA_BR_MCAST_SNOOPING, 0);
	msg_put_u16(&m, IFLA_BR_GROUP_FWD_MASK, group_fwd_mask);
	msg_nest_end(&m, data);
	msg_nest_end(&m, info);
	if (msg_do(nl, &m, &e) < 0) {
		if (e.sys == EEXIST)
			return msg_exists(err, "interface '%s'", name);
		*err = e;
		return err_wrap(err, "cannot create the bridge '%s'", name);
	}
	if (link_get(nl, name, &made, err) < 0)
		return -1;
	*ret_ifindex = made.ifindex;
	return 0;
}

int link_set_up(struct nl *nl, unsigned ifindex, bool up, struct err *err)
{
	struct ifinfomsg *ifi;
	struct msg m;

	ifi = begin(&m, RTM_NEWLINK, 0, ifindex);
	ifi->ifi_flags = up ? IFF_UP : 0;
	ifi->ifi_change = IFF_UP;
	if (msg_do(nl, &m, err) < 0)
		return err_wrap(err, "cannot bring interface %u %s", ifindex, up ? "up" : "down");
	return 0;
}

static int add_altname(struct nl *nl, unsigned ifindex, const char *altname, struct err *err)
{
	struct nlattr *list;
	struct msg m;

	begin(&m, RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND, ifindex);
	list = msg_nest(&m, NLA_F_NESTED | IFLA_PROP_LIST);
	msg_put_text(&m, IFLA_ALT_IFNAME, altname);
	msg_nest_end(&m, list);
	if (msg_do(nl, &m, err) < 0)
		return err_wrap(err, "cannot give interface %u the alternative name '%s'", ifindex,
				altname);
	return 0;
}

static int set_alias(struct nl *nl, unsigned ifindex, const char *alias, struct err *err)
{
	struct msg m;

	begin(&m, RTM_NEWLINK, 0, ifindex);
	msg_put_text(&m, IFLA_IFALIAS, alias);
	if (msg_do(nl, &m, err) < 0)
		return err_wrap(err, "cannot give interface %u the alias '%s'", ifindex, alias);
	return 0;
}

int link_set_label(struct nl *nl, unsigned ifindex, const char *altname, const char *alias,
		   struct err *err)
{
	if (altname && add_altname(nl, ifindex, altname, err) < 0)
		return -1;
	return alias ? set_alias(nl, ifindex, alias, err) : 0;
}

/* Deletes; nothing there to delete is success. */
static int do_delete(struct nl *nl, struct msg *m, struct err *err)
{
	struct err e = { 0 };

	if (msg_do(nl, m, &e) == 0 || e.sys == ENODEV)
		return 0;
	*err = e;
	return -1;
}

int link_delete(struct nl *nl, unsigned ifindex, struct err *err)
{
	struct msg m;

	if (!ifindex)
		return err_set(err, ERR_INTERNAL, 0, "deleting a link without a number");
	begin(&m, RTM_DELLINK, 0, ifindex);
	if (do_delete(nl, &m, err) < 0)
		return err_wrap(err, "cannot delete interface %u", ifindex);
	return 0;
}

int link_delete_group(struct nl *nl, uint32_t group, struct err *err)
{
	struct msg m;

	/* Group 0 is everybody's: the host's own interfaces are in it. */
	if (!group)
		return err_set(err, ERR_INTERNAL, 0, "deleting the links of group 0");
	begin(&m, RTM_DELLINK, 0, 0);
	msg_put_u32(&m, IFLA_GROUP, group);
	if (do_delete(nl, &m, err) < 0)
		return err_wrap(err, "cannot delete the interfaces of group %u", group);
	return 0;
}

static void read_kind(const struct nlattr *info, struct link_info *l)
{
	struct nlattr *attr;

	mnl_attr_for_each_nested (attr, info)
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			attr_text(attr, l->kind, sizeof(l->kind));
}

static void read_altname(const struct nlattr *list, struct link_info *l)
{
	struct nlattr *attr;

	mnl_attr_for_each_nested (attr, list)
		if (mnl_attr_get_type(attr) == IFLA_ALT_IFNAME && !l->altname[0])
			attr_text(attr, l->altname, sizeof(l->altname));
}

static void read_xdp(const struct nlattr *xdp, struct link_info *l)
{
	struct nlattr *attr;

	mnl_attr_for_each_nested (attr, xdp)
		if (mnl_attr_get_type(attr) == IFLA_XDP_ATTACHED)
			l->xdp = attr_u8(attr) != XDP_ATTACHED_NONE;
}

static void read_attr(const struct nlattr *attr, struct link_info *l, uint8_t *operstate)
{
	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		attr_text(attr, l->name, sizeof(l->name));
		break;
	case IFLA_IFALIAS:
		attr_text(attr, l->alias, sizeof(l->alias));
		break;
	case IFLA_ADDRESS:
		attr_mac(attr, &l->mac);
		break;
	case IFLA_MTU:
		l->mtu = attr_u32(attr);
		break;
	case IFLA_GROUP:
		l->group = attr_u32(attr);
		break;
	case IFLA_MASTER:
		l->master = attr_u32(attr);
		break;
	case IFLA_LINK:
		l->lower = attr_u32(attr);
		break;
	case IFLA_OPERSTATE:
		*operstate = attr_u8(attr);
		break;
	case IFLA_LINKINFO:
		read_kind(attr, l);
		break;
	case IFLA_PROP_LIST:
		read_altname(attr, l);
		break;
	case IFLA_XDP:
		read_xdp(attr, l);
		break;
	}
}

bool link_read(const struct nlmsghdr *msg, struct link_info *ret)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(msg);
	uint8_t operstate = IF_OPER_UNKNOWN;
	struct link_info l = { 0 };
	bool lower_elsewhere = false;
	struct nlattr *attr;

	if (msg->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(msg) < sizeof(*ifi))
		return false;
	l.ifindex = (unsigned)ifi->ifi_index;
	l.flags = ifi->ifi_flags;
	mnl_attr_for_each (attr, msg, sizeof(*ifi)) {
		read_attr(attr, &l, &operstate);
		lower_elsewhere |= mnl_attr_get_type(attr) == IFLA_LINK_NETNSID;
	}
	if (lower_elsewhere)
		l.lower = 0;
	/* operstate lags behind the flag in both directions. */
	l.carrier = (l.flags & IFF_LOWER_UP) &&
		    (operstate == IF_OPER_UP || operstate == IF_OPER_UNKNOWN);
	*ret = l;
	return true;
}

static int got_link(const struct nlmsghdr *msg, void *data)
{
	struct link_info *l = data;

	link_read(msg, l);
	return 0;
}

int link_get(struct nl *nl, const char *name, struct link_info *ret, struct err *err)
{
	struct link_info l = { 0 };
	struct err e = { 0 };
	struct msg m;

	if (strlen(name) >= IFNAMSIZ)
		return err_set(err, ERR_NOT_FOUND, ENODEV, "interface '%s'", name);
	begin(&m, RTM_GETLINK, 0, 0);
	msg_put_text(&m, IFLA_IFNAME, name);
	msg_put_u32(&m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (nl_get(nl, &m.hdr, got_link, &l, &e) == 0) {
		*ret = l;
		return 0;
	}
	if (err_is(&e, ERR_NOT_FOUND))
		return err_set(err, ERR_NOT_FOUND, ENODEV, "interface '%s'", name);
	*err = e;
	return err_wrap(err, "cannot read interface '%s'", name);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int link_wait_carrier(struct nl *nl, const char *name, int ms, struct err *err)
{
	int64_t limit = now_ms() + ms;
	struct link_info l;

	for (;;) {
		if (link_get(nl, name, &l, err) < 0)
			return -1;
		if (l.carrier)
			return 0;
		if (now_ms() >= limit)
			return err_set(err, ERR_ENV, 0, "interface '%s' has no carrier after %d ms",
				       name, ms);
		usleep(1000);
	}
}

struct links {
	struct link_info *v;
	size_t n;
};

static int add_link(const struct nlmsghdr *msg, void *data)
{
	struct links *links = data;
	struct link_info l;

	if (link_read(msg, &l))
		*array_push(links->v, links->n) = l;
	return 0;
}

static void forget_links(void *data)
{
	struct links *links = data;

	links->n = 0;
}

int link_list(struct nl *nl, struct link_info **ret, size_t *ret_n, struct err *err)
{
	struct links links = { 0 };
	struct msg m;

	begin(&m, RTM_GETLINK, 0, 0);
	msg_put_u32(&m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (msg_dump(nl, &m, add_link, forget_links, &links, err) < 0) {
		free(links.v);
		return err_wrap(err, "cannot list the interfaces");
	}
	*ret = links.v;
	*ret_n = links.n;
	return 0;
}
