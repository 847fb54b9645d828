/* SPDX-License-Identifier: MIT */
/* wire_verify.c - reading back what was wired: nothing is called done on its word alone. */
#include "lab/wire.h"

#include <stdlib.h>
#include <string.h>

#include "net/guard.h"

#include "base/banned.h"

#define CARRIER_WAIT_MS 5000

static const struct link_info *find_link(const struct link_info *links, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(links[i].name, name) == 0)
			return &links[i];
	}
	return NULL;
}

static bool has_addr(const struct addr_info *addrs, size_t n, unsigned ifindex,
		     const struct ipaddr *a)
{
	for (size_t i = 0; i < n; i++) {
		if (addrs[i].ifindex == ifindex && ipaddr_equal(&addrs[i].net.addr, a))
			return true;
	}
	return false;
}

/* What was asked for against what the kernel says, for one end. */
static int verify_end(const struct lab *l, const struct link_info *got, const char *name,
		      unsigned mtu, const struct macaddr *mac, struct err *err)
{
	char want_mac[MACADDR_TEXT], got_mac[MACADDR_TEXT];

	if (!got)
		return err_set(err, ERR_ENV, 0, "'%s' is not there after it was made", name);
	if (!(got->flags & IFF_UP) || got->group != l->group || got->mtu != mtu ||
	    !macaddr_equal(&got->mac, mac))
		return err_set(err, ERR_ENV, 0,
			       "'%s' is %s with mtu %u, MAC %s, group %x; expected up, %u, %s, %x",
			       name, got->flags & IFF_UP ? "up" : "down", got->mtu,
			       macaddr_format(&got->mac, got_mac), got->group, mtu,
			       macaddr_format(mac, want_mac), l->group);
	return 0;
}

int wire_verify_client(struct wiring *w, size_t client, struct err *err)
{
	const struct stage_client *c = &w->lab->stage->clients[client];
	struct wire_ns *ns = &w->clients[client];
	auto_free struct link_info *links = NULL;
	auto_free struct addr_info *addrs = NULL;
	size_t n_links = 0, n_addrs = 0;

	if (link_list(ns->nl, &links, &n_links, err) < 0 ||
	    addr_list(ns->nl, &addrs, &n_addrs, err) < 0)
		return -1;
	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct stage_interface *ifc = &c->interfaces[i];
		const struct link_info *got = find_link(links, n_links, ifc->name);
		struct macaddr mac = lab_client_mac(ifc);
		char text[IPNET_TEXT];

		if (verify_end(w->lab, got, ifc->name, w->lab->stage->networks[ifc->network].mtu,
			       &mac, err) < 0)
			return -1;
		if (ifc->has_address && !has_addr(addrs, n_addrs, got->ifindex, &ifc->address.addr))
			return err_set(err, ERR_ENV, 0,
				       "address %s is not on '%s' after it was set",
				       ipnet_format(&ifc->address, text), ifc->name);
	}
	return 0;
}

static int verify_guard(struct wiring *w, struct err *err)
{
	auto_strv guarded = { 0 };

	if (guard_list(w->seat.fd, w->lab->guard, &guarded, err) < 0)
		return -1;
	for (size_t i = 0; i < w->lab->stage->n_networks; i++) {
		const struct lab_network *ln = &w->lab->networks[i];

		if (ln->guarded && ln->ifname[0] && !strv_has(&guarded, ln->ifname))
			return err_set(err, ERR_ENV, 0, "the guard is not on '%s' after it was set",
				       ln->ifname);
	}
	return 0;
}

int wire_verify_seat(struct wiring *w, struct err *err)
{
	auto_free struct link_info *links = NULL;
	auto_free struct addr_info *addrs = NULL;
	size_t n_links = 0, n_addrs = 0;
	bool any = false;

	if (link_list(w->seat.nl, &links, &n_links, err) < 0 ||
	    addr_list(w->seat.nl, &addrs, &n_addrs, err) < 0)
		return -1;
	for (size_t i = 0; i < w->lab->stage->n_networks; i++) {
		const struct stage_network *sn = &w->lab->stage->networks[i];
		const struct lab_network *ln = &w->lab->networks[i];
		const struct link_info *got;
		bool local = false;

		if (!ln->ifname[0])
			continue;
		any |= ln->guarded;
		got = find_link(links, n_links, ln->ifname);
		if (verify_end(w->lab, got, ln->ifname, sn->mtu, &ln->mac, err) < 0)
			return -1;
		if (link_wait_carrier(w->seat.nl, ln->ifname, CARRIER_WAIT_MS, err) < 0)
			return -1;
		if (!has_addr(addrs, n_addrs, got->ifindex, &sn->router))
			return err_set(err, ERR_ENV, 0, "the router's address is not on '%s'",
				       ln->ifname);
		if (sn->address_mode == STAGE_ADDRESS_KERNEL)
			continue;
		if (route_has_local(w->seat.nl, got->ifindex, &sn->router, &local, err) < 0)
			return -1;
		if (local)
			return err_set(err, ERR_ENV, 0,
				       "the kernel took the address of '%s' as its own",
				       ln->ifname);
	}
	return any ? verify_guard(w, err) : 0;
}
