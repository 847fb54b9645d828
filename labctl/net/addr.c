/* SPDX-License-Identifier: MIT */
/* addr.c - addresses of links. */
#include "net/link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>

#include "base/mem.h"
#include "net/msg.h"

#include "base/banned.h"

static uint32_t addr_flags(const struct ipnet *net, bool noprefixroute)
{
	uint32_t flags = noprefixroute ? IFA_F_NOPREFIXROUTE : 0;

	/* Duplicates are ruled out when the stage is read; waiting a second for neighbours that
	 * cannot object would only delay the lab. */
	if (net->addr.family == AF_INET6)
		flags |= IFA_F_NODAD;
	return flags;
}

int addr_add(struct nl *nl, unsigned ifindex, const struct ipnet *net, bool noprefixroute,
	     struct err *err)
{
	char text[IPNET_TEXT];
	struct ifaddrmsg *ifa;
	struct err e = { 0 };
	struct msg m;

	ifa = msg_begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifa));
	ifa->ifa_family = (unsigned char)net->addr.family;
	ifa->ifa_prefixlen = (unsigned char)net->prefix;
	ifa->ifa_index = ifindex;
	msg_put_ip(&m, IFA_LOCAL, &net->addr);
	msg_put_ip(&m, IFA_ADDRESS, &net->addr);
	msg_put_u32(&m, IFA_FLAGS, addr_flags(net, noprefixroute));
	if (msg_do(nl, &m, &e) == 0)
		return 0;
	ipnet_format(net, text);
	if (e.sys == EEXIST)
		return msg_exists(err, "address '%s' on interface %u", text, ifindex);
	*err = e;
	return err_wrap(err, "cannot add address '%s' to interface %u", text, ifindex);
}

int addr_delete(struct nl *nl, unsigned ifindex, const struct ipnet *net, struct err *err)
{
	char text[IPNET_TEXT];
	struct ifaddrmsg *ifa;
	struct err e = { 0 };
	struct msg m;

	ifa = msg_begin(&m, RTM_DELADDR, 0, sizeof(*ifa));
	ifa->ifa_family = (unsigned char)net->addr.family;
	ifa->ifa_prefixlen = (unsigned char)net->prefix;
	ifa->ifa_index = ifindex;
	msg_put_ip(&m, IFA_LOCAL, &net->addr);
	msg_put_ip(&m, IFA_ADDRESS, &net->addr);
	if (msg_do(nl, &m, &e) == 0 || e.sys == EADDRNOTAVAIL)
		return 0;
	*err = e;
	return err_wrap(err, "cannot delete address '%s' of interface %u", ipnet_format(net, text),
			ifindex);
}

struct addrs {
	struct addr_info *v;
	size_t n;
};

static int add_addr(const struct nlmsghdr *msg, void *data)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(msg);
	struct addrs *addrs = data;
	struct addr_info a = { 0 };
	struct ipaddr local = { 0 };
	struct nlattr *attr;

	if (msg->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(msg) < sizeof(*ifa))
		return 0;
	a.ifindex = ifa->ifa_index;
	a.net.prefix = ifa->ifa_prefixlen;
	mnl_attr_for_each (attr, msg, sizeof(*ifa)) {
		if (mnl_attr_get_type(attr) == IFA_LOCAL)
			attr_ip(attr, ifa->ifa_family, &local);
		else if (mnl_attr_get_type(attr) == IFA_ADDRESS)
			attr_ip(attr, ifa->ifa_family, &a.net.addr);
	}
	/* On a point-to-point link IFA_ADDRESS is the other side's. */
	if (local.family)
		a.net.addr = local;
	if (a.net.addr.family)
		*array_push(addrs->v, addrs->n) = a;
	return 0;
}

static void forget_addrs(void *data)
{
	struct addrs *addrs = data;

	addrs->n = 0;
}

int addr_list(struct nl *nl, struct addr_info **ret, size_t *ret_n, struct err *err)
{
	struct addrs addrs = { 0 };
	struct msg m;

	msg_begin(&m, RTM_GETADDR, 0, sizeof(struct ifaddrmsg));
	if (msg_dump(nl, &m, add_addr, forget_addrs, &addrs, err) < 0) {
		free(addrs.v);
		return err_wrap(err, "cannot list the addresses");
	}
	*ret = addrs.v;
	*ret_n = addrs.n;
	return 0;
}
