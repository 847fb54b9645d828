/* SPDX-License-Identifier: MIT */
/* wire.c - namespaces and links of a lab. */
#include "lab/wire.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/guard.h"
#include "net/netns.h"
#include "net/shape.h"

#include "base/banned.h"

#define CARRIER_WAIT_MS 5000

static int ns_open(struct wire_ns *ns, struct err *err)
{
	if (nl_open(ns->fd, &ns->nl, err) < 0)
		return -1;
	return offload_open(ns->fd, &ns->offload, err);
}

static void ns_close(struct wire_ns *ns)
{
	nl_close(ns->nl);
	offload_close(ns->offload);
	if (ns->fd >= 0)
		close(ns->fd);
	*ns = (struct wire_ns){ .fd = -1 };
}

int wiring_new(struct lab *l, struct wiring **ret, struct err *err)
{
	auto_wiring w = xcalloc(1, sizeof(*w));

	w->lab = l;
	w->seat.fd = w->fabric.fd = -1;
	w->bridges = xcalloc(l->stage->n_networks, sizeof(*w->bridges));
	w->clients = xcalloc(l->stage->n_clients, sizeof(*w->clients));
	for (size_t i = 0; i < l->stage->n_clients; i++)
		w->clients[i].fd = -1;
	/* The host's namespace is open from the start, a private one with STEP_SEAT. */
	if (!l->isolated && (netns_open_self(&w->seat.fd, err) < 0 || ns_open(&w->seat, err) < 0))
		return -1;
	*ret = steal_ptr(&w);
	return 0;
}

void wiring_free(struct wiring *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->lab->stage->n_clients; i++)
		ns_close(&w->clients[i]);
	ns_close(&w->seat);
	ns_close(&w->fabric);
	free(w->clients);
	free(w->bridges);
	free(w);
}

/* A setting that this kernel may lack (IPv6 compiled out or disabled at boot). */
static int sysctl_if_there(int ns, const char *key, const char *value, struct err *err)
{
	struct err e = { 0 };

	if (netns_sysctl_set(ns, key, value, &e) == 0 || err_is(&e, ERR_NOT_FOUND))
		return 0;
	if (err)
		*err = e;
	return -1;
}

static int private_ns(const char *name, struct wire_ns *ns, struct err *err)
{
	if (netns_create(name, &ns->fd, err) < 0 || ns_open(ns, err) < 0)
		return -1;
	if (sysctl_if_there(ns->fd, "net.ipv6.conf.all.disable_ipv6", "1", err) < 0 ||
	    sysctl_if_there(ns->fd, "net.ipv6.conf.default.disable_ipv6", "1", err) < 0)
		return -1;
	return netns_sysctl_set(ns->fd, "net.ipv4.ip_forward", "0", err);
}

/* br_netfilter, where some other program loaded it, would run bridged frames through iptables. */
static int bridges_without_filters(struct wire_ns *ns, struct err *err)
{
	static const char *const keys[] = {
		"net.bridge.bridge-nf-call-iptables",
		"net.bridge.bridge-nf-call-ip6tables",
		"net.bridge.bridge-nf-call-arptables",
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (sysctl_if_there(ns->fd, keys[i], "0", err) < 0)
			return -1;
	}
	return 0;
}

int wire_seat(struct wiring *w, struct err *err)
{
	return private_ns(w->lab->seat_ns, &w->seat, err);
}

int wire_fabric(struct wiring *w, struct err *err)
{
	if (private_ns(w->lab->fabric_ns, &w->fabric, err) < 0)
		return -1;
	return bridges_without_filters(&w->fabric, err);
}

int wire_bridge(struct wiring *w, size_t network, struct err *err)
{
	const struct stage_network *sn = &w->lab->stage->networks[network];

	return link_add_bridge(w->fabric.nl, w->lab->networks[network].bridge, w->lab->group,
			       sn->mtu, sn->group_fwd_mask, &w->bridges[network], err);
}

static bool wants_ipv6(const struct stage_client *c)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		if (c->interfaces[i].has_ipv6)
			return true;
	}
	return false;
}

int wire_client(struct wiring *w, size_t client, pid_t pid, struct err *err)
{
	const struct stage_client *c = &w->lab->stage->clients[client];
	struct wire_ns *ns = &w->clients[client];
	/* A new namespace inherits the host's IPv4 settings: say what a lab means by default. */
	static const char *const settings[][2] = {
		{ "net.ipv4.ip_forward", "0" },
		{ "net.ipv4.conf.all.rp_filter", "0" },
		{ "net.ipv4.conf.default.rp_filter", "0" },
	};

	if (netns_open_pid(pid, &ns->fd, err) < 0 || ns_open(ns, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		if (netns_sysctl_set(ns->fd, settings[i][0], settings[i][1], err) < 0)
			return -1;
	}
	if (!wants_ipv6(c) &&
	    (sysctl_if_there(ns->fd, "net.ipv6.conf.all.disable_ipv6", "1", err) < 0 ||
	     sysctl_if_there(ns->fd, "net.ipv6.conf.default.disable_ipv6", "1", err) < 0))
		return -1;
	for (size_t i = 0; i < c->n_sysctls; i++) {
		if (netns_sysctl_set(ns->fd, c->sysctls[i].key, c->sysctls[i].value, err) < 0)
			return -1;
	}
	return 0;
}

static void name_fabric_port(const struct step *s, char name[static IFNAMSIZ])
{
	const struct plan_end *peer = &s->ends[1];

	if (peer->kind == END_SEAT)
		snprintf(name, IFNAMSIZ, "s%u", (unsigned)s->network + 1);
	else
		snprintf(name, IFNAMSIZ, "c%u.%u", (unsigned)peer->client + 1, (unsigned)peer->ifc);
}

static struct wire_ns *end_ns(struct wiring *w, const struct plan_end *e)
{
	switch (e->kind) {
	case END_SEAT:
		return &w->seat;
	case END_FABRIC:
		return &w->fabric;
	case END_CLIENT:
		break;
	}
	return &w->clients[e->client];
}

static const struct stage_interface *client_ifc(const struct wiring *w, const struct plan_end *e)
{
	return &w->lab->stage->clients[e->client].interfaces[e->ifc];
}

static void fill_end(struct wiring *w, const struct step *s, const struct plan_end *e,
		     struct link_end *ret)
{
	ret->netns_fd = end_ns(w, e)->fd;
	switch (e->kind) {
	case END_SEAT:
		memcpy(ret->name, w->lab->networks[s->network].ifname, IFNAMSIZ);
		ret->mac = w->lab->networks[s->network].mac;
		break;
	case END_FABRIC:
		name_fabric_port(s, ret->name);
		/* Any station address will do; the client's or seat's own on both ends would not. */
		ret->mac = (struct macaddr){
			{ 0x06, 0x42, (uint8_t)(s->network >> 8), (uint8_t)s->network,
			  (uint8_t)(s->ends[1].client + 1),
			  (uint8_t)(s->ends[1].client >> 8 << 4 | (s->ends[1].ifc & 15)) }
		};
		break;
	case END_CLIENT:
		memcpy(ret->name, client_ifc(w, e)->name, IFNAMSIZ);
		ret->mac = lab_client_mac(client_ifc(w, e));
		break;
	}
}

static int set_conf(struct wiring *w, const char *proto, const char *ifname, const char *key,
		    const char *value, struct err *err)
{
	auto_free char *path = xasprintf("net/%s/conf/%s/%s", proto, ifname, key);

	return sysctl_if_there(w->seat.fd, path, value, err);
}

static int guard_seat_end(struct wiring *w, struct lab_network *ln, struct err *err)
{
	struct err e = { 0 };

	if (!w->no_hook && guard_add(w->seat.fd, w->lab->guard, ln->ifname, &e) < 0) {
		if (e.sys != EOPNOTSUPP && e.sys != ENOENT) {
			if (err)
				*err = e;
			return -1;
		}
		log_debug("no ingress hook: %s", e.msg);
		w->no_hook = true;
	}
	ln->guarded = !w->no_hook;
	/* Without the hook at least no ARP is answered. */
	return w->no_hook ? set_conf(w, "ipv4", ln->ifname, "arp_ignore", "8", err) : 0;
}

/* The order matters: silent before it is up, and the local route goes after the kernel has put
 * it there (again) on "up". */
static int config_seat_end(struct wiring *w, size_t network, struct err *err)
{
	const struct stage_network *sn = &w->lab->stage->networks[network];
	struct lab_network *ln = &w->lab->networks[network];
	const struct ipnet addr = { sn->router, sn->subnet.prefix };
	bool passive = sn->address_mode == STAGE_ADDRESS_PASSIVE;
	auto_free char *altname = xasprintf("labctl-%s-%s", w->lab->name, sn->name);
	auto_free char *alias = xasprintf("labctl lab '%s' stage '%s' network '%s'", w->lab->name,
					  w->lab->stage->name, sn->name);
	struct link_info info;

	if (link_get(w->seat.nl, ln->ifname, &info, err) < 0 ||
	    link_set_label(w->seat.nl, info.ifindex, altname, alias, err) < 0 ||
	    set_conf(w, "ipv6", ln->ifname, "disable_ipv6", "1", err) < 0 ||
	    set_conf(w, "ipv4", ln->ifname, "forwarding", "0", err) < 0)
		return -1;
	if (passive && guard_seat_end(w, ln, err) < 0)
		return -1;
	if (offload_disable(w->seat.offload, ln->ifname, err) < 0 ||
	    addr_add(w->seat.nl, info.ifindex, &addr, passive, err) < 0 ||
	    link_set_up(w->seat.nl, info.ifindex, true, err) < 0)
		return -1;
	return passive ? route_delete_local(w->seat.nl, info.ifindex, &sn->router, err) : 0;
}

static int config_client_end(struct wiring *w, const struct plan_end *e, struct err *err)
{
	const struct stage_interface *ifc = client_ifc(w, e);
	struct wire_ns *ns = &w->clients[e->client];
	struct link_info info;

	if (link_get(ns->nl, ifc->name, &info, err) < 0 ||
	    offload_disable(ns->offload, ifc->name, err) < 0)
		return -1;
	if (ifc->has_address && addr_add(ns->nl, info.ifindex, &ifc->address, false, err) < 0)
		return -1;
	if (link_set_up(ns->nl, info.ifindex, true, err) < 0)
		return -1;
	/* Needs the link up: an IPv6 address goes when its link goes down. */
	if (ifc->has_ipv6 && addr_add(ns->nl, info.ifindex, &ifc->ipv6, false, err) < 0)
		return -1;
	return 0;
}

static int config_fabric_end(struct wiring *w, const struct link_end *end, struct err *err)
{
	struct link_info info;

	if (link_get(w->fabric.nl, end->name, &info, err) < 0 ||
	    offload_disable(w->fabric.offload, end->name, err) < 0)
		return -1;
	return link_set_up(w->fabric.nl, info.ifindex, true, err);
}

static int shape_end(struct wiring *w, const struct step *s, const struct plan_end *e,
		     const struct link_end *end, struct err *err)
{
	const struct stage_network *sn = &w->lab->stage->networks[s->network];
	const struct shape_spec spec = { sn->impair.rate_bps, sn->impair.delay_us,
					 sn->impair.jitter_us, sn->impair.loss_ppm };
	struct link_info info;

	/* On a bridge the stations' ends shape; the ports would do it a second time. */
	if (e->kind == END_FABRIC ||
	    !(spec.rate_bps | spec.delay_us | spec.jitter_us | spec.loss_ppm))
		return 0;
	if (link_get(end_ns(w, e)->nl, end->name, &info, err) < 0)
		return -1;
	return shape_set(end_ns(w, e)->nl, info.ifindex, sn->mtu, &spec, err);
}

static int config_end(struct wiring *w, const struct step *s, const struct plan_end *e,
		      const struct link_end *end, struct err *err)
{
	int r = -1;

	if (shape_end(w, s, e, end, err) < 0)
		return -1;
	switch (e->kind) {
	case END_SEAT:
		r = config_seat_end(w, s->network, err);
		break;
	case END_FABRIC:
		r = config_fabric_end(w, end, err);
		break;
	case END_CLIENT:
		r = config_client_end(w, e, err);
		break;
	}
	return r;
}

int wire_link(struct wiring *w, const struct step *s, struct err *err)
{
	struct link_veth spec = {
		.mtu = w->lab->stage->networks[s->network].mtu,
		.group = w->lab->group,
		.master = s->ends[0].kind == END_FABRIC ? w->bridges[s->network] : 0,
	};

	fill_end(w, s, &s->ends[0], &spec.end);
	fill_end(w, s, &s->ends[1], &spec.peer);
	if (link_add_veth(end_ns(w, &s->ends[0])->nl, &spec, err) < 0)
		return -1;
	/* The stations first: a bridge port that is up has its peer ready. */
	if (config_end(w, s, &s->ends[1], &spec.peer, err) < 0)
		return -1;
	return config_end(w, s, &s->ends[0], &spec.end, err);
}

static int route_one(struct wire_ns *ns, const struct ipnet *to, const struct ipaddr *via,
		     const char *dev, struct err *err)
{
	struct route_spec spec = { .to = *to, .via = *via };
	struct link_info info;

	if (dev && dev[0]) {
		if (link_get(ns->nl, dev, &info, err) < 0)
			return -1;
		spec.ifindex = info.ifindex;
	}
	return route_add(ns->nl, &spec, err);
}

static int add_routes(struct wire_ns *ns, const struct stage_client *c, struct err *err)
{
	const struct ipnet any4 = { .addr.family = AF_INET }, any6 = { .addr.family = AF_INET6 };

	if (c->gateway.family && route_one(ns, &any4, &c->gateway, NULL, err) < 0)
		return -1;
	if (c->ipv6_gateway.family && route_one(ns, &any6, &c->ipv6_gateway, NULL, err) < 0)
		return -1;
	for (size_t i = 0; i < c->n_routes; i++) {
		if (route_one(ns, &c->routes[i].to, &c->routes[i].via, c->routes[i].dev, err) < 0)
			return -1;
	}
	return 0;
}

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

static int verify_client(struct wiring *w, size_t client, struct err *err)
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

int wire_routes(struct wiring *w, size_t client, struct err *err)
{
	const struct stage_client *c = &w->lab->stage->clients[client];

	/* A route is read back by its acknowledgement: the kernel resolved its next hop. */
	if (add_routes(&w->clients[client], c, err) < 0 || verify_client(w, client, err) < 0)
		return -1;
	ns_close(&w->clients[client]);
	return 0;
}

static int verify_guard(struct wiring *w, struct err *err)
{
	auto_strv guarded = { 0 };

	if (guard_list(w->seat.fd, w->lab->guard, &guarded, err) < 0)
		return -1;
	for (size_t i = 0; i < w->lab->stage->n_networks; i++) {
		const struct lab_network *ln = &w->lab->networks[i];
		bool found = false;

		for (size_t k = 0; k < guarded.n && !found; k++)
			found = strcmp(guarded.v[k], ln->ifname) == 0;
		if (ln->guarded && ln->ifname[0] && !found)
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
