/* SPDX-License-Identifier: MIT */
/* publish.c - lab.json, hosts and .stage. */
#include "lab/publish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/printable.h"
#include "base/rights.h"

#include "base/banned.h"

static const char *const files[] = { "lab.json", "hosts", LAB_PRIVATE };

static json_t *addr_json(const struct ipaddr *a)
{
	char text[IPADDR_TEXT];

	return a->family ? json_string(ipaddr_format(a, text)) : NULL;
}

static json_t *net_json(const struct ipnet *n, bool there)
{
	char text[IPNET_TEXT];

	return there ? json_string(ipnet_format(n, text)) : NULL;
}

static json_t *describe_network(const struct lab *l, size_t i)
{
	const struct stage_network *sn = &l->stage->networks[i];
	const struct lab_network *ln = &l->networks[i];
	char mac[MACADDR_TEXT];
	json_t *n = json_pack("{s:o, s:i, s:o*}", "subnet", net_json(&sn->subnet, true), "mtu",
			      (int)sn->mtu, "ipv6", net_json(&sn->ipv6, sn->has_ipv6));

	if (!sn->has_router)
		return n;
	json_object_set_new(n, "interface", json_string(ln->ifname));
	json_object_set_new(n, "address", addr_json(&sn->router));
	json_object_set_new(n, "prefix", json_integer(sn->subnet.prefix));
	json_object_set_new(n, "mac", json_string(macaddr_format(&ln->mac, mac)));
	if (sn->ipv6_router.family)
		json_object_set_new(n, "ipv6_address", addr_json(&sn->ipv6_router));
	return n;
}

static json_t *describe_interface(const struct lab *l, const struct stage_interface *ifc)
{
	struct macaddr m = lab_client_mac(ifc);
	char mac[MACADDR_TEXT];
	json_t *i = json_pack("{s:s, s:s}", "network", l->stage->networks[ifc->network].name, "mac",
			      macaddr_format(&m, mac));

	if (ifc->has_address) {
		json_object_set_new(i, "address", addr_json(&ifc->address.addr));
		json_object_set_new(i, "prefix", json_integer(ifc->address.prefix));
	}
	if (ifc->has_ipv6)
		json_object_set_new(i, "ipv6", net_json(&ifc->ipv6, true));
	return i;
}

/* {"web": {"port": 80, "protocol": "tcp", "host": "127.0.0.1", "host_port": 20000}} */
static json_t *describe_ports(const struct lab *l, const struct stage_client *c)
{
	json_t *all = json_object();

	for (size_t i = 0; i < l->n_ports; i++) {
		const struct stage_port *p = &c->ports[l->ports[i].port];

		if (&l->stage->clients[l->ports[i].client] != c)
			continue;
		json_object_set_new(all, p->name,
				    json_pack("{s:i, s:s, s:s, s:i}", "port", (int)p->port,
					      "protocol", p->udp ? "udp" : "tcp", "host",
					      "127.0.0.1", "host_port",
					      (int)l->ports[i].host_port));
	}
	if (json_object_size(all))
		return all;
	json_decref(all);
	return NULL;
}

static json_t *describe_client(const struct lab *l, const struct stage_client *c)
{
	auto_free char *container = lab_container_name(l, c->name);
	json_t *ifs = json_object(), *routes = json_array();

	for (size_t i = 0; i < c->n_interfaces; i++)
		json_object_set_new(ifs, c->interfaces[i].name,
				    describe_interface(l, &c->interfaces[i]));
	for (size_t i = 0; i < c->n_routes; i++)
		json_array_append_new(routes,
				      json_pack("{s:o, s:o*, s:s*}", "to",
						net_json(&c->routes[i].to, true), "via",
						addr_json(&c->routes[i].via), "dev",
						c->routes[i].dev[0] ? c->routes[i].dev : NULL));
	return json_pack("{s:s, s:o, s:o*, s:o*, s:o, s:o*}", "container", container, "interfaces",
			 ifs, "gateway", addr_json(&c->gateway), "ipv6_gateway",
			 addr_json(&c->ipv6_gateway), "routes", routes, "ports",
			 describe_ports(l, c));
}

/* The table of the student's router, beside its interfaces' own subnets. */
static json_t *describe_table(const struct lab *l)
{
	json_t *table = json_array();

	for (size_t i = 0; i < l->stage->n_routes; i++) {
		const struct stage_table_route *r = &l->stage->routes[i];

		json_array_append_new(table,
				      json_pack("{s:o, s:o, s:s}", "to", net_json(&r->to, true),
						"via", addr_json(&r->via), "interface",
						l->networks[r->network].ifname));
	}
	return table;
}

json_t *lab_describe(const struct lab *l)
{
	json_t *nets = json_object(), *clients = json_object();

	for (size_t i = 0; i < l->stage->n_networks; i++)
		json_object_set_new(nets, l->stage->networks[i].name, describe_network(l, i));
	for (size_t i = 0; i < l->stage->n_clients; i++)
		json_object_set_new(clients, l->stage->clients[i].name,
				    describe_client(l, &l->stage->clients[i]));
	return json_pack("{s:i, s:s, s:s, s:s, s:{s:s?}, s:o, s:o, s:o}", "version", 1, "lab",
			 l->name, "stage", l->stage->name, "title", l->stage->title, "seat",
			 "netns", l->isolated ? l->seat_ns : NULL, "networks", nets, "clients",
			 clients, "routes", describe_table(l));
}

static void hosts_text(const struct lab *l, struct str *t)
{
	char text[IPADDR_TEXT];

	str_add(t, "127.0.0.1\tlocalhost\n::1\tlocalhost\n");
	for (size_t i = 0; i < l->stage->n_clients; i++) {
		const struct stage_client *c = &l->stage->clients[i];

		for (size_t k = 0; k < c->n_interfaces; k++) {
			if (c->interfaces[k].has_address)
				str_addf(t, "%s\t%s\n",
					 ipaddr_format(&c->interfaces[k].address.addr, text),
					 c->name);
		}
	}
	for (size_t i = 0; i < l->stage->n_networks; i++) {
		if (l->stage->networks[i].has_router)
			str_addf(t, "%s\trouter.%s\n",
				 ipaddr_format(&l->stage->networks[i].router, text),
				 l->stage->networks[i].name);
	}
}

int lab_publish_files(const struct lab *l, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the lab's run directory");
	auto_free char *hosts = lab_path(l, "hosts");
	auto_free char *path = lab_path(l, "lab.json");
	auto_free char *text = NULL;
	json_auto_t *doc = lab_describe(l);
	auto_str h = { 0 };

	if (!doc)
		return err_set(err, ERR_INTERNAL, 0, "cannot pack lab.json");
	text = printable_json(doc, JSON_INDENT(2));
	hosts_text(l, &h);
	if (fs_mkdirs(l->dir, 0755, err) < 0 ||
	    fs_write(hosts, str_get(&h), h.len, 0644, false, err) < 0)
		return -1;
	return fs_write(path, text, strlen(text), 0644, false, err);
}

/* In a tree of another user there is no .stage of the owner's: it would be everyone's. */
static bool is_not_his(const struct err *e)
{
	return e->sys == EACCES || e->sys == EPERM || e->sys == EROFS;
}

int lab_publish_stage(const struct lab *l, struct err *err)
{
	auto_free char *line = xasprintf("%s\n", l->stage->name);
	auto_file_rights as_owner = { 0 };
	struct err e = { 0 };

	if (!l->stage_file)
		return 0;
	if (file_rights_of(&l->owner, &as_owner, err) < 0)
		return -1;
	if (fs_write(l->stage_file, line, strlen(line), 0644, false, &e) < 0 && !is_not_his(&e))
		return err_pass(err, &e);
	return 0;
}

/* The owner's file, in a directory that is his: with his rights, whoever stops the lab. */
static int unpublish_stage(const struct lab *l, struct err *err)
{
	auto_file_rights as_owner = { 0 };
	struct err e = { 0 };

	if (file_rights_of(&l->owner, &as_owner, err) < 0)
		return -1;
	fs_remove_drafts(l->stage_file);
	if (fs_remove(l->stage_file, &e) < 0 && !is_not_his(&e))
		return err_pass(err, &e);
	return 0;
}

int lab_unpublish(const struct lab *l, struct err *err)
{
	auto_file_rights as_root = { 0 };

	if (l->stage_file && unpublish_stage(l, err) < 0)
		return -1;
	as_root = file_rights_root("the lab's run directory");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		auto_free char *path = lab_path(l, files[i]);

		fs_remove_drafts(path);
		if (fs_remove(path, err) < 0)
			return -1;
	}
	return fs_remove(l->dir, err);
}
