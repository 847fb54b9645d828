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
#include "net/prove.h"
#include "net/shape.h"

#include "base/banned.h"

#define PROVE_MS 2000

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
	w->relink = xcalloc(l->stage->n_networks, sizeof(*w->relink));
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
	strv_done(&w->mended);
	free(w->clients);
	free(w->bridges);
	free(w->relink);
	free(w);
}

/* A setting that this kernel may lack (IPv6 compiled out or disabled at boot). */
static int sysctl_if_there(int ns, const char *key, const char *value, struct err *err)
{
	struct err e = { 0 };

	if (netns_sysctl_set(ns, key, value, &e) == 0 || err_is(&e, ERR_NOT_FOUND))
		return 0;
	return err_pass(err, &e);
}

/* In a repair, what is there already is as good as made: clears that error. */
static bool is_there(const struct wiring *w, struct err *err)
{
	if (!w->repair || !err_is(err, ERR_CONFLICT))
		return false;
	err_clear(err);
	return true;
}

static int private_ns(struct wiring *w, const char *name, struct wire_ns *ns, struct err *err)
{
	struct err e = { 0 };

	if (netns_create(name, &ns->fd, &e) == 0) {
		if (w->repair)
			strv_addf(&w->mended, "namespace '%s' was made anew", name);
	} else if (!is_there(w, &e) || netns_open_name(name, &ns->fd, &e) < 0) {
		return err_pass(err, &e);
	}
	if (ns_open(ns, err) < 0)
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
	return private_ns(w, w->lab->seat_ns, &w->seat, err);
}

int wire_fabric(struct wiring *w, struct err *err)
{
	if (private_ns(w, w->lab->fabric_ns, &w->fabric, err) < 0)
		return -1;
	return bridges_without_filters(&w->fabric, err);
}

int wire_bridge(struct wiring *w, size_t network, struct err *err)
{
	const struct stage_network *sn = &w->lab->stage->networks[network];
	const char *name = w->lab->networks[network].bridge;
	struct link_info info;
	struct err e = { 0 };

	if (link_add_bridge(w->fabric.nl, name, w->lab->group, sn->mtu, sn->group_fwd_mask,
			    &w->bridges[network], &e) == 0)
		return 0;
	if (!is_there(w, &e) || link_get(w->fabric.nl, name, &info, &e) < 0 ||
	    link_set_up(w->fabric.nl, info.ifindex, true, &e) < 0)
		return err_pass(err, &e);
	w->bridges[network] = info.ifindex;
	return 0;
}

static bool wants_ipv6(const struct stage_client *c)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		if (c->interfaces[i].has_ipv6)
			return true;
	}
	return false;
}

/* Is this a setting of one of the client's interfaces, as net.ipv4.conf.eth0.proxy_arp? */
static bool is_of_interface(const struct stage_client *c, const char *key)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		auto_free char *dots = xasprintf(".%s.", c->interfaces[i].name);
		auto_free char *slashes = xasprintf("/%s/", c->interfaces[i].name);

		if (strstr(key, dots) || strstr(key, slashes))
			return true;
	}
	return false;
}

/* Those of interfaces are there only once the interfaces are. */
static int stage_sysctls(struct wire_ns *ns, const struct stage_client *c, bool of_interfaces,
			 struct err *err)
{
	for (size_t i = 0; i < c->n_sysctls; i++) {
		const struct stage_sysctl *s = &c->sysctls[i];
		struct err e = { 0 };

		if (is_of_interface(c, s->key) != of_interfaces ||
		    netns_sysctl_set(ns->fd, s->key, s->value, &e) == 0)
			continue;
		if (e.sys == ENOENT)
			return err_set(err, ERR_STAGE, 0, "this kernel has no sysctl '%s'", s->key);
		return err_set(err, ERR_STAGE, e.sys,
			       "the kernel does not take sysctl '%s' as '%s'", s->key, s->value);
	}
	return 0;
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

	if (netns_open_pid(pid, &ns->fd, err) < 0)
		return err_is(err, ERR_NOT_FOUND)
			       ? err_set(err, ERR_ENV, 0,
					 "its process %d ended while it was being wired", (int)pid)
			       : -1;
	if (ns_open(ns, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		if (netns_sysctl_set(ns->fd, settings[i][0], settings[i][1], err) < 0)
			return -1;
	}
	if (!wants_ipv6(c) &&
	    (sysctl_if_there(ns->fd, "net.ipv6.conf.all.disable_ipv6", "1", err) < 0 ||
	     sysctl_if_there(ns->fd, "net.ipv6.conf.default.disable_ipv6", "1", err) < 0))
		return -1;
	return stage_sysctls(ns, c, false, err);
}

void wire_port_name(const struct step *s, char name[static IFNAMSIZ])
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
		wire_port_name(s, ret->name);
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

static bool guard_is_on(const struct wiring *w, const char *ifname)
{
	auto_strv names = { 0 };

	return guard_list(w->seat.fd, w->lab->guard, &names, ERR_IGNORED) == 0 &&
	       strv_has(&names, ifname);
}

static int guard_seat_end(struct wiring *w, struct lab_network *ln, struct err *err)
{
	struct err e = { 0 };

	if (w->repair && guard_is_on(w, ln->ifname)) {
		ln->guarded = true;
		return 0;
	}
	if (!w->no_hook && guard_add(w->seat.fd, w->lab->guard, ln->ifname, &e) < 0) {
		if (e.sys != EOPNOTSUPP && e.sys != ENOENT) {
			return err_pass(err, &e);
		}
		log_debug("no ingress hook: %s", e.msg);
		w->no_hook = true;
	}
	ln->guarded = !w->no_hook;
	/* Without the hook at least no ARP is answered. */
	return w->no_hook ? set_conf(w, "ipv4", ln->ifname, "arp_ignore", "8", err) : 0;
}

/* The right address with a wrong subnet goes; others are the student's own. */
static int drop_wrong_prefix(struct wire_ns *ns, unsigned ifindex, const struct ipnet *addr,
			     struct err *err)
{
	auto_free struct addr_info *all = NULL;
	size_t n = 0;

	if (addr_list(ns->nl, &all, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (all[i].ifindex == ifindex && ipaddr_equal(&all[i].net.addr, &addr->addr) &&
		    all[i].net.prefix != addr->prefix &&
		    addr_delete(ns->nl, ifindex, &all[i].net, err) < 0)
			return -1;
	}
	return 0;
}

static int put_address(struct wiring *w, struct wire_ns *ns, unsigned ifindex,
		       const struct ipnet *addr, bool passive, struct err *err)
{
	struct err e = { 0 };

	if (w->repair && drop_wrong_prefix(ns, ifindex, addr, err) < 0)
		return -1;
	if (addr_add(ns->nl, ifindex, addr, passive, &e) == 0 || is_there(w, &e))
		return 0;
	return err_pass(err, &e);
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

	if (link_get(w->seat.nl, ln->ifname, &info, err) < 0)
		return -1;
	if (strcmp(info.altname, altname) != 0 &&
	    link_set_label(w->seat.nl, info.ifindex, altname, alias, err) < 0)
		return -1;
	if (set_conf(w, "ipv6", ln->ifname, "disable_ipv6", "1", err) < 0 ||
	    set_conf(w, "ipv4", ln->ifname, "forwarding", "0", err) < 0)
		return -1;
	if (passive && guard_seat_end(w, ln, err) < 0)
		return -1;
	if (offload_disable(w->seat.offload, ln->ifname, err) < 0 ||
	    put_address(w, &w->seat, info.ifindex, &addr, passive, err) < 0 ||
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
	if (ifc->has_address && put_address(w, ns, info.ifindex, &ifc->address, false, err) < 0)
		return -1;
	if (link_set_up(ns->nl, info.ifindex, true, err) < 0)
		return -1;
	/* Needs the link up: an IPv6 address goes when its link goes down. */
	if (ifc->has_ipv6 && put_address(w, ns, info.ifindex, &ifc->ipv6, false, err) < 0)
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

/* An end as it should be, as far as it cannot be mended in place. */
static bool end_is_sound(struct wiring *w, const struct plan_end *e, const struct link_end *end,
			 const struct link_veth *spec, unsigned *ret_ifindex)
{
	struct link_info info;

	*ret_ifindex = 0;
	if (link_get(end_ns(w, e)->nl, end->name, &info, ERR_IGNORED) < 0)
		return false;
	if (info.group == spec->group)
		*ret_ifindex = info.ifindex;
	return info.group == spec->group && info.mtu == spec->mtu &&
	       macaddr_equal(&info.mac, &end->mac) && strcmp(info.kind, "veth") == 0 &&
	       (e->kind != END_FABRIC || info.master == spec->master);
}

/* Makes the pair; in a repair, keeps one that is sound and replaces one that is not. Only links
 * with the lab's mark are ever removed. */
static int make_veth(struct wiring *w, const struct step *s, const struct link_veth *spec,
		     struct err *err)
{
	unsigned a = 0, b = 0;
	bool sound;

	if (!w->repair)
		return link_add_veth(end_ns(w, &s->ends[0])->nl, spec, err);
	/* Both are looked at: what is to be replaced must go, even if its other end is lost. */
	sound = end_is_sound(w, &s->ends[0], &spec->end, spec, &a);
	sound &= end_is_sound(w, &s->ends[1], &spec->peer, spec, &b);
	if (w->relink[s->network] && (s->ends[0].kind == END_SEAT || s->ends[1].kind == END_SEAT))
		sound = false;
	if (sound)
		return 0;
	if (a && link_delete(end_ns(w, &s->ends[0])->nl, a, err) < 0)
		return -1;
	if (b && link_delete(end_ns(w, &s->ends[1])->nl, b, err) < 0)
		return -1;
	if (link_add_veth(end_ns(w, &s->ends[0])->nl, spec, err) < 0)
		return -1;
	strv_addf(&w->mended,
		  "link '%s' -- '%s' of network '%s' was made anew: programs that use it must be "
		  "started again",
		  spec->end.name, spec->peer.name, w->lab->stage->networks[s->network].name);
	return 0;
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
	if (make_veth(w, s, &spec, err) < 0)
		return -1;
	/* The stations first: a bridge port that is up has its peer ready. */
	if (config_end(w, s, &s->ends[1], &spec.peer, err) < 0)
		return -1;
	return config_end(w, s, &s->ends[0], &spec.end, err);
}

static int route_one(struct wire_ns *ns, const struct ipnet *to, const struct ipaddr *via,
		     const char *dev, bool replace, struct err *err)
{
	struct route_spec spec = { .to = *to, .via = *via };
	struct link_info info;

	if (dev && dev[0]) {
		if (link_get(ns->nl, dev, &info, err) < 0)
			return -1;
		spec.ifindex = info.ifindex;
	}
	/* In a repair, a route of the student's own that stands there gives way. */
	return replace ? route_set(ns->nl, &spec, err) : route_add(ns->nl, &spec, err);
}

static int add_routes(struct wiring *w, struct wire_ns *ns, const struct stage_client *c,
		      struct err *err)
{
	const struct ipnet any4 = { .addr.family = AF_INET }, any6 = { .addr.family = AF_INET6 };

	if (c->gateway.family && route_one(ns, &any4, &c->gateway, NULL, w->repair, err) < 0)
		return -1;
	if (c->ipv6_gateway.family &&
	    route_one(ns, &any6, &c->ipv6_gateway, NULL, w->repair, err) < 0)
		return -1;
	for (size_t i = 0; i < c->n_routes; i++) {
		if (route_one(ns, &c->routes[i].to, &c->routes[i].via, c->routes[i].dev, w->repair,
			      err) < 0)
			return -1;
	}
	return 0;
}

int wire_routes(struct wiring *w, size_t client, struct err *err)
{
	const struct stage_client *c = &w->lab->stage->clients[client];

	/* A route is read back by its acknowledgement: the kernel resolved its next hop. */
	if (stage_sysctls(&w->clients[client], c, true, err) < 0 ||
	    add_routes(w, &w->clients[client], c, err) < 0 ||
	    wire_verify_client(w, client, err) < 0)
		return -1;
	if (!w->repair)
		ns_close(&w->clients[client]);
	return 0;
}

int wire_prove(struct wiring *w, const struct step *s, struct err *err)
{
	struct link_end a, b;

	fill_end(w, s, &s->ends[0], &a);
	fill_end(w, s, &s->ends[1], &b);
	return link_prove(&(const struct prove_end){ a.netns_fd, a.name },
			  &(const struct prove_end){ b.netns_fd, b.name }, PROVE_MS, err);
}
