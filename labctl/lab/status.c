/* SPDX-License-Identifier: MIT */
/* status.c - a lab's record against kernel and engine. */
#include "lab/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/caller.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "lab/bypass.h"
#include "lab/claim.h"
#include "lab/containers.h"
#include "lab/forward.h"
#include "lab/inside.h"
#include "lab/srcmount.h"
#include "net/link.h"
#include "net/netns.h"
#include "net/offload.h"

#include "base/banned.h"

/* The rest of the status must not wait long for an engine that hangs. */
#define PATIENCE_MS 5000

struct report {
	struct lab_ctx *ctx;
	const struct lab *lab;
	json_t *drift;
	bool running; /* drift is only told of a lab that should be whole */
	bool theirs;  /* another user's: there is nothing that the caller could do */
	char *repair; /* commands that mend */
	char *stop;
	char *start;
};

static void drift(struct report *r, const char *remedy, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* remedy NULL: none. */
static void drift(struct report *r, const char *remedy, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(r->drift, json_pack("{s:s, s:s*}", "text", text, "remedy",
						  r->theirs ? NULL : remedy));
}

static json_t *interfaces_json(const struct lab *l, const struct stage_client *c)
{
	json_t *all = json_array();

	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct stage_interface *ifc = &c->interfaces[i];
		struct macaddr m = lab_client_mac(ifc);
		char mac[MACADDR_TEXT], addr[IPNET_TEXT];

		json_array_append_new(all,
				      json_pack("{s:s, s:s, s:s, s:s*}", "name", ifc->name,
						"network", l->stage->networks[ifc->network].name,
						"mac", macaddr_format(&m, mac), "address",
						ifc->has_address ? ipnet_format(&ifc->address, addr)
								 : NULL));
	}
	return all;
}

/* "stopped (exit code 137)" for the engine's "exited", "Exited (137) 2 seconds ago". */
static char *state_words(const char *state, const struct container_info *info)
{
	int code;

	if (strcmp(state, "exited") == 0 && sscanf(info->status, "Exited (%d)", &code) == 1)
		return xasprintf("stopped (exit code %d)", code);
	if (strcmp(state, "exited") == 0 || strcmp(state, "created") == 0)
		return xstrdup("stopped");
	return xstrdup(strcmp(state, "removing") == 0 ? "being removed" : state);
}

static const struct container_info *find_container(const struct container_list *list,
						   const char *name)
{
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->v[i].name, name) == 0)
			return &list->v[i];
	}
	return NULL;
}

/* A client that runs, by its number in the stage, and what the engine told of its process. */
struct look {
	size_t client;
	struct container_state st;
};

static void on_looked(void *arg, json_t *reply, const struct err *failure)
{
	struct look *l = arg;

	if (failure || container_state_read(reply, &l->st, ERR_IGNORED) < 0)
		l->st = (struct container_state){ 0 };
}

/* Inside the clients' namespaces, as far as the engine tells where they are. */
static void check_inside(struct report *r, struct engine *e, struct look *looks, size_t n)
{
	auto_strv words = { 0 };

	if (engine_run(e, ERR_IGNORED) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		auto_fd ns = -1;

		if (looks[i].st.pid > 0 && netns_open_pid(looks[i].st.pid, &ns, ERR_IGNORED) == 0)
			inside_client(r->lab, looks[i].client, ns, &words);
	}
	for (size_t i = 0; i < words.n; i++)
		drift(r, r->repair, "%s", words.v[i]);
}

static void check_fabric(struct report *r)
{
	auto_strv words = { 0 };

	inside_fabric(r->lab, &words);
	for (size_t i = 0; i < words.n; i++)
		drift(r, r->repair, "%s", words.v[i]);
}

/* What is not allowed to be known is no fault; but root may know it. */
static void tell_engine(struct report *r, const struct err *err, json_t *doc)
{
	auto_free char *as_root = xasprintf("sudo %s status", r->ctx->labctl);

	if (err->sys == EACCES || err->sys == EPERM)
		json_object_set_new(doc, "engine_remedy", json_string(as_root));
	else if (r->running)
		drift(r, err->hint[0] ? err->hint : NULL,
		      "the clients are out of reach while the engine does not answer");
}

/* Returns what is wrong with the engine, or NULL. */
static char *add_clients(struct report *r, json_t *doc)
{
	const struct lab *l = r->lab;
	auto_container_list list = { 0 };
	auto_free struct look *looks = xcalloc(l->stage->n_clients + 1, sizeof(*looks));
	bool enter = r->running && geteuid() == 0;
	json_t *all = json_array();
	struct err err = { 0 };
	struct engine *e;
	size_t n = 0;
	bool known = lab_ctx_engine(r->ctx, &e, &err) == 0;

	if (known) {
		engine_set_patience(e, PATIENCE_MS);
		known = lab_containers(r->ctx, l->name, &list, &err) == 0;
	}
	for (size_t i = 0; i < l->stage->n_clients; i++) {
		const struct stage_client *c = &l->stage->clients[i];
		auto_free char *name = lab_container_name(l, c->name);
		const struct container_info *info = find_container(&list, name);
		const char *state = !known ? "unknown" : info ? info->state : "gone";

		json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:o}", "name", c->name,
						     "container", name, "state", state,
						     "interfaces", interfaces_json(l, c)));
		if (enter && info && strcmp(state, "running") == 0) {
			auto_free char *path = xasprintf("/containers/%s/json", info->id);

			looks[n].client = i;
			engine_submit(e, "GET", path, NULL, on_looked, &looks[n++]);
		}
		if (known && strcmp(state, "running") != 0) {
			auto_free char *words = state_words(state, info);

			drift(r, r->repair, "client '%s' is %s", c->name, words);
		}
	}
	if (n)
		check_inside(r, e, looks, n);
	json_object_set_new(doc, "clients", all);
	if (!known)
		tell_engine(r, &err, doc);
	return known ? NULL : xstrdup(err.msg);
}

struct seat_view {
	bool known; /* the seat could be looked into */
	int fd;	    /* -1: the current namespace */
	struct nl *nl;
	struct link_info *links;
	size_t n_links;
	struct addr_info *addrs;
	size_t n_addrs;
	struct offload *offload;
};

static void seat_view_done(struct seat_view *v)
{
	nl_close(v->nl);
	offload_close(v->offload);
	free(v->links);
	free(v->addrs);
	if (v->fd >= 0)
		close(v->fd);
}

static void look_into_seat(struct report *r, struct seat_view *v)
{
	struct err err = { 0 };

	v->fd = -1;
	if (r->lab->isolated && netns_open_name(r->lab->seat_ns, &v->fd, &err) < 0) {
		if (err_is(&err, ERR_NOT_FOUND))
			drift(r, r->repair, "the seat's namespace '%s' is gone", r->lab->seat_ns);
		return;
	}
	if (r->lab->isolated && geteuid() != 0)
		return; /* nobody else may enter */
	v->known = nl_open(v->fd, &v->nl, &err) == 0 &&
		   link_list(v->nl, &v->links, &v->n_links, &err) == 0 &&
		   addr_list(v->nl, &v->addrs, &v->n_addrs, &err) == 0;
	if (geteuid() != 0)
		return;
	if (offload_open(v->fd, &v->offload, ERR_IGNORED) < 0)
		v->offload = NULL;
}

static void check_bypasses(struct report *r, const struct seat_view *v)
{
	auto_bypasses found = { 0 };
	struct err err = { 0 };

	if (bypass_find_in_lab(r->lab, v->fd, &found, &err) < 0)
		log_debug("%s", err.msg);
	for (size_t i = 0; i < found.n; i++)
		drift(r, found.v[i].by_hand ? NULL : r->repair, "%s", found.v[i].text);
}

static void check_link(struct report *r, struct seat_view *v, size_t i, const struct link_info *got)
{
	const struct stage_network *sn = &r->lab->stage->networks[i];
	const struct lab_network *ln = &r->lab->networks[i];
	auto_strv on = { 0 };
	bool addr = false;

	if (got->group != r->lab->group) {
		drift(r, r->start, "'%s' is not this lab's link any more", ln->ifname);
		return;
	}
	if (!(got->flags & IFF_UP))
		drift(r, r->repair, "'%s' is down", ln->ifname);
	else if (!got->carrier)
		drift(r, r->repair, "'%s' has lost its other end", ln->ifname);
	if (got->mtu != sn->mtu)
		drift(r, r->repair, "'%s' has mtu %u, not %u", ln->ifname, got->mtu, sn->mtu);
	if (!macaddr_equal(&got->mac, &ln->mac))
		drift(r, r->repair, "'%s' has another MAC address than the lab gave it",
		      ln->ifname);
	for (size_t k = 0; k < v->n_addrs && !addr; k++)
		addr = v->addrs[k].ifindex == got->ifindex &&
		       ipaddr_equal(&v->addrs[k].net.addr, &sn->router);
	if (!addr)
		drift(r, r->repair, "'%s' has lost the router's address", ln->ifname);
	if (v->offload && offload_check(v->offload, ln->ifname, &on, ERR_IGNORED) == 0 && on.n)
		drift(r, r->repair,
		      "'%s' has the offload '%s' on: frames are not what the wire would carry",
		      ln->ifname, on.v[0]);
}

static const char *guard_word(const struct lab *l, size_t i)
{
	if (l->stage->networks[i].address_mode == STAGE_ADDRESS_KERNEL)
		return "none";
	return l->networks[i].guarded ? "ingress" : "weak";
}

static json_t *network_json(const struct lab *l, size_t i, const char *state)
{
	const struct stage_network *sn = &l->stage->networks[i];
	const struct lab_network *ln = &l->networks[i];
	char subnet[IPNET_TEXT], addr[IPADDR_TEXT], mac[MACADDR_TEXT];
	json_t *n = json_pack("{s:s, s:s, s:i}", "name", sn->name, "subnet",
			      ipnet_format(&sn->subnet, subnet), "mtu", (int)sn->mtu);

	if (!ln->ifname[0])
		return n;
	json_object_set_new(n, "interface", json_string(ln->ifname));
	json_object_set_new(n, "address", json_string(ipaddr_format(&sn->router, addr)));
	json_object_set_new(n, "mac", json_string(macaddr_format(&ln->mac, mac)));
	json_object_set_new(n, "state", json_string(state));
	json_object_set_new(n, "guard", json_string(guard_word(l, i)));
	return n;
}

static void add_networks(struct report *r, json_t *doc)
{
	const struct lab *l = r->lab;
	json_t *all = json_array();
	struct seat_view v = { 0 };

	look_into_seat(r, &v);
	for (size_t i = 0; i < l->stage->n_networks; i++) {
		const struct link_info *got = NULL;
		const char *ifname = l->networks[i].ifname;

		for (size_t k = 0; k < v.n_links && !got; k++)
			got = strcmp(v.links[k].name, ifname) == 0 ? &v.links[k] : NULL;
		json_array_append_new(all, network_json(l, i,
							!v.known	      ? "unknown"
							: !got		      ? "gone"
							: got->flags & IFF_UP ? "up"
									      : "down"));
		if (!ifname[0] || !v.known)
			continue;
		if (!got)
			drift(r, r->repair, "interface '%s' is gone", ifname);
		else
			check_link(r, &v, i, got);
	}
	if (v.known)
		check_bypasses(r, &v);
	seat_view_done(&v);
	json_object_set_new(doc, "networks", all);
}

static void add_state(struct report *r, json_t *doc)
{
	const struct lab *l = r->lab;
	bool before_boot = lab_is_before_boot(l);
	const char *state = before_boot ? "stopped" : lab_state_name(l->state);

	json_object_set_new(doc, "state", json_string(state));
	if (before_boot)
		drift(r, l->stage->kind == STAGE_SCRIPTS ? r->start : r->repair,
		      "the host was booted since: links and namespaces are gone");
	else if (l->state != LAB_RUNNING && !lab_is_locked(r->ctx, l->name))
		drift(r, r->stop, "%s it was not finished", state);
	r->running = !before_boot && l->state == LAB_RUNNING;
	if (r->running && l->stage->kind == STAGE_JSON && !fs_is_dir(l->stage->dir))
		drift(r, NULL, "the stage's directory '%s' is gone; the lab runs on without it",
		      l->stage->dir);
}

/* What programs in the seat and the clients read. */
static void check_files(struct report *r)
{
	static const char *const names[] = { "lab.json", "hosts" };

	for (size_t i = 0; i < ARRAY_SIZE(names) && r->running; i++) {
		auto_free char *path = lab_path(r->lab, names[i]);

		if (!fs_access(path, F_OK) && errno == ENOENT)
			drift(r, r->repair, "'%s' is gone", path);
	}
}

static void add_src(struct report *r, json_t *doc)
{
	auto_free char *target = lab_path(r->lab, LAB_SRC_MOUNT);

	json_object_set_new(doc, "src",
			    json_pack("{s:s*, s:s, s:s*}", "directory", r->lab->src_dir, "mode",
				      lab_src_name(r->lab->src), "why", r->lab->src_why));
	if (r->running && r->lab->src != LAB_SRC_NONE && !srcmount_is_mounted(target))
		drift(r, r->repair, "the mount of '%s' is gone", r->lab->src_dir);
}

static void check_leases(struct report *r)
{
	auto_strv missing = { 0 };
	struct err err = { 0 };

	if (claim_missing(r->ctx, r->lab, &missing, &err) < 0) {
		drift(r, err.hint[0] ? err.hint : NULL, "the lease book cannot be read: %s",
		      err.msg);
		return;
	}
	for (size_t i = 0; i < missing.n; i++)
		drift(r, r->repair, "the lease of %s is gone", missing.v[i]);
}

static void add_ports(struct report *r, json_t *doc)
{
	const struct lab *l = r->lab;
	json_t *all = json_array();

	for (size_t i = 0; i < l->n_ports; i++) {
		const struct stage_client *c = &l->stage->clients[l->ports[i].client];
		const struct stage_port *p = &c->ports[l->ports[i].port];

		json_array_append_new(all, json_pack("{s:s, s:s, s:i, s:s, s:i}", "client", c->name,
						     "name", p->name, "port", (int)p->port,
						     "protocol", p->udp ? "udp" : "tcp",
						     "host_port", (int)l->ports[i].host_port));
	}
	json_object_set_new(doc, "ports", all);
	if (r->running && l->n_ports && !forward_is_alive(l))
		drift(r, r->repair, "the process that forwards the clients' ports is gone");
}

/* Why the lab has the seat that it has. */
static char *seat_why(const struct lab *l)
{
	const char *list = caller_host_seat_file();
	const char *name = l->owner.name;

	if (l->isolated_by_choice)
		return xstrdup("--isolated");
	if (l->isolated)
		return xasprintf("user '%s' was not listed in '%s'", name, list);
	if (caller_is_real_root(&l->owner))
		return xstrdup("root has the host seat");
	return xasprintf("user '%s' is %slisted in '%s'", name,
			 caller_is_administrator(&l->owner) ? "" : "not ", list);
}

static void set_remedies(struct report *r)
{
	r->theirs = lab_check_owner(r->ctx, r->lab, ERR_IGNORED) < 0;
	r->repair = xasprintf("%s repair", r->ctx->labctl);
	r->stop = xasprintf("%s stage-stop", r->ctx->labctl);
	r->start = lab_start_command(r->ctx, r->lab);
}

static void auto_report_(struct report *r)
{
	free(r->repair);
	free(r->stop);
	free(r->start);
}

int lab_status(struct lab_ctx *ctx, json_t **ret, struct err *err)
{
	auto_lab l = NULL;
	json_auto_t *doc = NULL;
	auto_free char *engine = NULL;
	auto_free char *why = NULL;
	auto_cleanup(report) struct report r = { .ctx = ctx };

	if (lab_load(ctx, ctx->lab, &l, err) < 0)
		return -1;
	r.lab = l;
	r.drift = json_array();
	set_remedies(&r);
	why = seat_why(l);
	doc = json_pack("{s:s, s:s, s:s, s:I, s:s, s:b, s:s?, s:s, s:o}", "lab", l->name, "stage",
			l->stage->name, "title", l->stage->title, "since", (json_int_t)l->since,
			"owner", l->owner.name, "isolated", l->isolated, "seat",
			l->isolated ? l->seat_ns : NULL, "seat_why", why, "drift", r.drift);
	if (!doc)
		return err_set(err, ERR_INTERNAL, 0, "cannot pack the status");
	add_state(&r, doc);
	engine = add_clients(&r, doc);
	json_object_set_new(doc, "engine", json_string(engine ? engine : "ok"));
	if (r.running) {
		add_networks(&r, doc);
		if (geteuid() == 0)
			check_fabric(&r);
	} else {
		json_t *all = json_array();

		for (size_t i = 0; i < l->stage->n_networks; i++)
			json_array_append_new(all, network_json(l, i, "unknown"));
		json_object_set_new(doc, "networks", all);
	}
	add_src(&r, doc);
	check_files(&r);
	add_ports(&r, doc);
	check_leases(&r);
	*ret = steal_ptr(&doc);
	return 0;
}
