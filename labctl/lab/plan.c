/* SPDX-License-Identifier: MIT */
/* plan.c - the steps that bring a lab up, in order. */
#include "lab/plan.h"

#include <stdlib.h>

#include "base/mem.h"

#include "base/banned.h"

static struct step *add(struct plan *p, enum step_kind kind)
{
	struct step *s = array_push(p->steps, p->n);

	s->kind = kind;
	return s;
}

static void add_client_step(struct plan *p, enum step_kind kind, size_t client)
{
	add(p, kind)->client = client;
}

/* The ends of a network, the seat first; fabric ports are not among them. */
static size_t network_ends(const struct lab *l, size_t network, struct plan_end **ret)
{
	const struct stage *s = l->stage;
	struct plan_end *ends = NULL;
	size_t n = 0;

	if (s->networks[network].has_router)
		array_push(ends, n)->kind = END_SEAT;
	for (size_t c = 0; c < s->n_clients; c++) {
		for (size_t i = 0; i < s->clients[c].n_interfaces; i++) {
			if (s->clients[c].interfaces[i].network == network)
				*array_push(ends, n) = (struct plan_end){ END_CLIENT, c, i };
		}
	}
	*ret = ends;
	return n;
}

static void add_links(const struct lab *l, struct plan *p, size_t network)
{
	auto_free struct plan_end *ends = NULL;
	size_t n = network_ends(l, network, &ends);

	if (l->networks[network].wire == LAB_WIRE_DIRECT) {
		struct step *s = add(p, STEP_LINK);

		s->network = network;
		s->ends[0] = ends[0];
		s->ends[1] = ends[1];
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct step *s = add(p, STEP_LINK);

		s->network = network;
		s->ends[0].kind = END_FABRIC;
		s->ends[1] = ends[i];
	}
}

void plan_make(const struct lab *l, struct plan *ret)
{
	const struct stage *s = l->stage;
	struct plan p = { 0 };

	add(&p, STEP_DIR);
	if (s->kind == STAGE_SCRIPTS) {
		add(&p, STEP_SCRIPT);
		add(&p, STEP_PUBLISH);
		*ret = p;
		return;
	}
	if (l->src_dir)
		add(&p, STEP_SRC);
	if (l->isolated)
		add(&p, STEP_SEAT);
	if (l->fabric_ns[0])
		add(&p, STEP_FABRIC);
	for (size_t i = 0; i < s->n_networks; i++) {
		if (l->networks[i].wire == LAB_WIRE_BRIDGE)
			add(&p, STEP_BRIDGE)->network = i;
	}
	for (size_t i = 0; i < s->n_clients; i++) {
		add_client_step(&p, STEP_CONTAINER, i);
		add_client_step(&p, STEP_CLIENT, i);
	}
	for (size_t i = 0; i < s->n_networks; i++)
		add_links(l, &p, i);
	for (size_t i = 0; i < s->n_clients; i++)
		add_client_step(&p, STEP_ROUTES, i);
	for (size_t i = 0; i < s->n_clients; i++) {
		if (s->clients[i].start.n)
			add_client_step(&p, STEP_COMMANDS, i);
	}
	if (l->n_ports)
		add(&p, STEP_PORTS);
	add(&p, STEP_VERIFY);
	add(&p, STEP_PUBLISH);
	*ret = p;
}

void plan_done(struct plan *p)
{
	free(p->steps);
	*p = (struct plan){ 0 };
}

bool step_touches(const struct step *s, size_t client)
{
	for (size_t i = 0; s->kind == STEP_LINK && i < 2; i++) {
		if (s->ends[i].kind == END_CLIENT && s->ends[i].client == client)
			return true;
	}
	return false;
}

static void describe_end(const struct lab *l, const struct step *s, const struct plan_end *e,
			 struct str *ret)
{
	const struct stage_network *sn = &l->stage->networks[s->network];
	const struct lab_network *ln = &l->networks[s->network];
	const struct stage_client *c;
	const struct stage_interface *ifc;
	char mac[MACADDR_TEXT], addr[IPNET_TEXT];
	struct macaddr m;

	switch (e->kind) {
	case END_FABRIC:
		str_addf(ret, "bridge %s", ln->bridge);
		return;
	case END_SEAT:
		str_addf(ret, "%s %s %s/%u%s", ln->ifname, macaddr_format(&ln->mac, mac),
			 ipaddr_format(&sn->router, addr), sn->subnet.prefix,
			 sn->address_mode == STAGE_ADDRESS_KERNEL ? " (the kernel's)" : "");
		return;
	case END_CLIENT:
		c = &l->stage->clients[e->client];
		ifc = &c->interfaces[e->ifc];
		m = lab_client_mac(ifc);
		str_addf(ret, "%s %s %s", c->name, ifc->name, macaddr_format(&m, mac));
		if (ifc->has_address)
			str_addf(ret, " %s", ipnet_format(&ifc->address, addr));
		return;
	}
}

static void describe_dir(const struct lab *l, const struct step *s, struct str *ret)
{
	(void)s;
	str_addf(ret, "%s with lab.json and hosts", l->dir);
}

static void describe_src(const struct lab *l, const struct step *s, struct str *ret)
{
	(void)s;
	str_addf(ret, "%s at %s/" LAB_SRC_MOUNT ", owned by %s, nosuid, nodev", l->src_dir, l->dir,
		 l->owner.name);
}

static void describe_script(const struct lab *l, const struct step *s, struct str *ret)
{
	(void)s;
	str_addf(ret, "%s/up.sh as user %s", l->stage->dir, l->owner.name);
}

static void describe_seat(const struct lab *l, const struct step *s, struct str *ret)
{
	(void)s;
	str_addf(ret, "namespace %s", l->seat_ns);
}

static void describe_fabric(const struct lab *l, const struct step *s, struct str *ret)
{
	(void)s;
	str_addf(ret, "namespace %s", l->fabric_ns);
}

static void describe_bridge(const struct lab *l, const struct step *s, struct str *ret)
{
	str_addf(ret, "%s for %s", l->networks[s->network].bridge,
		 l->stage->networks[s->network].name);
}

static void describe_container(const struct lab *l, const struct step *s, struct str *ret)
{
	const struct stage_client *c = &l->stage->clients[s->client];
	auto_free char *name = lab_container_name(l, c->name);

	str_addf(ret, "%s: %s from %s", c->name, name, c->image ? c->image : l->image);
}

static void describe_client(const struct lab *l, const struct step *s, struct str *ret)
{
	const struct stage_client *c = &l->stage->clients[s->client];

	str_addf(ret, "%s: forwarding off", c->name);
	for (size_t i = 0; i < c->n_sysctls; i++)
		str_addf(ret, ", %s=%s", c->sysctls[i].key, c->sysctls[i].value);
}

static void describe_link(const struct lab *l, const struct step *s, struct str *ret)
{
	const struct stage_network *sn = &l->stage->networks[s->network];

	str_addf(ret, "%s: ", sn->name);
	describe_end(l, s, &s->ends[0], ret);
	str_add(ret, " -- ");
	describe_end(l, s, &s->ends[1], ret);
	str_addf(ret, ", mtu %u", sn->mtu);
}

static void describe_routes(const struct lab *l, const struct step *s, struct str *ret)
{
	const struct stage_client *c = &l->stage->clients[s->client];
	char to[IPNET_TEXT], via[IPADDR_TEXT];
	const char *sep = " ";

	str_addf(ret, "%s:", c->name);
	if (c->gateway.family) {
		str_addf(ret, "%sdefault via %s", sep, ipaddr_format(&c->gateway, via));
		sep = ", ";
	}
	for (size_t i = 0; i < c->n_routes; i++) {
		str_addf(ret, "%s%s", sep, ipnet_format(&c->routes[i].to, to));
		if (c->routes[i].via.family)
			str_addf(ret, " via %s", ipaddr_format(&c->routes[i].via, via));
		if (c->routes[i].dev[0])
			str_addf(ret, " dev %s", c->routes[i].dev);
		sep = ", ";
	}
	if (!c->gateway.family && !c->n_routes)
		str_add(ret, " none");
}

static void describe_commands(const struct lab *l, const struct step *s, struct str *ret)
{
	const struct stage_client *c = &l->stage->clients[s->client];

	str_addf(ret, "%s:", c->name);
	for (size_t i = 0; i < c->start.n; i++)
		str_addf(ret, "%s %s", i ? ";" : "", c->start.v[i]);
}

static void describe_ports(const struct lab *l, const struct step *s, struct str *ret)
{
	(void)s;
	for (size_t i = 0; i < l->n_ports; i++) {
		const struct stage_client *c = &l->stage->clients[l->ports[i].client];
		const struct stage_port *p = &c->ports[l->ports[i].port];

		str_addf(ret, "%s%s %s %u/%s at 127.0.0.1:", i ? ", " : "", c->name, p->name,
			 p->port, p->udp ? "udp" : "tcp");
		if (l->ports[i].host_port)
			str_addf(ret, "%u", l->ports[i].host_port);
		else
			str_add(ret, "(a free port)");
	}
}

static void describe_verify(const struct lab *l, const struct step *s, struct str *ret)
{
	(void)l;
	(void)s;
	str_add(ret, "read back clients, links, addresses, routes, offloads, guard");
}

static void describe_publish(const struct lab *l, const struct step *s, struct str *ret)
{
	(void)s;
	str_addf(ret, "%s%s%s", l->record, l->stage_file ? ", " : "",
		 l->stage_file ? l->stage_file : "");
}

static const struct {
	const char *name;
	void (*describe)(const struct lab *l, const struct step *s, struct str *ret);
} steps[] = {
	[STEP_DIR] = { "directory", describe_dir },
	[STEP_SRC] = { "mount", describe_src },
	[STEP_SCRIPT] = { "script", describe_script },
	[STEP_SEAT] = { "seat", describe_seat },
	[STEP_FABRIC] = { "fabric", describe_fabric },
	[STEP_BRIDGE] = { "bridge", describe_bridge },
	[STEP_CONTAINER] = { "container", describe_container },
	[STEP_CLIENT] = { "client", describe_client },
	[STEP_LINK] = { "link", describe_link },
	[STEP_ROUTES] = { "routes", describe_routes },
	[STEP_PORTS] = { "ports", describe_ports },
	[STEP_COMMANDS] = { "commands", describe_commands },
	[STEP_VERIFY] = { "verify", describe_verify },
	[STEP_PUBLISH] = { "publish", describe_publish },
};
_Static_assert(ARRAY_SIZE(steps) == STEP_KIND_MAX, "a step lacks its row");

const char *step_name(enum step_kind kind)
{
	return steps[kind].name;
}

void step_describe(const struct lab *l, const struct step *s, struct str *ret)
{
	steps[s->kind].describe(l, s, ret);
}
