/* SPDX-License-Identifier: MIT */
/* claim.c - the leases that a lab stands on: its name, its mark, names of links and namespaces. */
#include "lab/claim.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/caller.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/parse.h"
#include "lab/seatcheck.h"
#include "net/link.h"
#include "netport/hostview.h"
#include "netport/lease.h"

#include "base/banned.h"

#define GROUP_POOL "g{1-99999}" /* within the 20 bits below LAB_GROUP_BASE */
#define GROUP_MAX  99999u

struct claim {
	struct lab_ctx *ctx;
	struct lab *lab;
	struct store *store;
	struct lease_request req; /* all but the resource */
};

static int take(struct claim *c, const char *resource, const char *value, lease_usable_fn *usable,
		void *arg, struct err *err)
{
	c->req.resource = resource;
	return lease_acquire(c->store, &c->req, value, usable, arg, NULL, NULL, err);
}

static int take_any(struct claim *c, const char *resource, const char *pool_text,
		    const char *preferred, lease_usable_fn *usable, void *arg, struct lease *ret,
		    struct err *err)
{
	auto_pool pool = { 0 };

	c->req.resource = resource;
	if (pool_parse(resource, pool_text, &pool, err) < 0)
		return -1;
	pool.order = POOL_LOWEST;
	return lease_acquire_any(c->store, &c->req, &pool, preferred, usable, arg, ret, err);
}

/* Groups that links carry already: those of labs in another book (LABCTL_STATE). Taking down by
 * group must not meet them. */
struct groups {
	struct link_info *links;
	size_t n;
};

static bool group_usable(void *arg, const struct resource_value *value, const char **ret_why)
{
	const struct groups *g = arg;
	uint32_t n;

	if (parse_u32(value->text + 1, 1, ~LAB_GROUP_MASK, &n, ERR_IGNORED) < 0)
		return false;
	for (size_t i = 0; i < g->n; i++) {
		if (g->links[i].group == (LAB_GROUP_BASE | n)) {
			if (ret_why)
				*ret_why = "a link carries it";
			return false;
		}
	}
	return true;
}

/* By its name, so that labs of different books differ, too. */
static char *preferred_group(const char *lab)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (const char *p = lab; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	return xasprintf("g%u", hash % GROUP_MAX + 1);
}

static int take_group(struct claim *c, struct err *err)
{
	auto_free char *preferred = preferred_group(c->lab->name);
	auto_free struct link_info *links = NULL;
	struct groups groups = { 0 };
	auto_lease lease = { 0 };
	auto_nl nl = NULL;
	uint32_t n;

	if (nl_open(-1, &nl, err) < 0 || link_list(nl, &links, &groups.n, err) < 0)
		return -1;
	groups.links = links;
	if (take_any(c, "GROUP", GROUP_POOL, preferred, group_usable, &groups, &lease, err) < 0 ||
	    parse_u32(lease.value + 1, 1, ~LAB_GROUP_MASK, &n, err) < 0)
		return -1;
	c->lab->group = LAB_GROUP_BASE | n;
	return 0;
}

/* A name that somebody took in /run/netns: a roll-back would take it from him. */
static int take_namespace(struct claim *c, const char *name, struct err *err)
{
	auto_hostview view = { 0 };

	if (hostview_add(&view, "NETNS", -1, err) < 0)
		return -1;
	if (take(c, "NETNS", name, hostview_usable, &view, err) == 0)
		return 0;
	return err->hint[0]
		       ? -1
		       : err_hint(err,
				  "use another lab name (--lab NAME); 'labctl doctor' tells of "
				  "namespaces that no lab has");
}

/* Names that another network of this stage wants are not handed out in its place. */
struct seat_names {
	struct hostview view;
	const struct stage *stage;
	size_t network;
};

static bool seat_name_usable(void *arg, const struct resource_value *value, const char **ret_why)
{
	struct seat_names *s = arg;

	for (size_t i = 0; i < s->stage->n_networks; i++) {
		if (i != s->network && s->stage->networks[i].has_router &&
		    strcmp(s->stage->networks[i].name, value->text) == 0)
			return false;
	}
	return hostview_usable(&s->view, value, ret_why);
}

/* "net1" -> "net{1-999}": the names that are like it. */
static char *names_like(const char *name)
{
	size_t n = strlen(name);

	while (n > 0 && isdigit((unsigned char)name[n - 1]))
		n--;
	if (n > IFNAMSIZ - 4)
		n = IFNAMSIZ - 4;
	return xasprintf("%.*s{1-999}", (int)n, name);
}

/* The network's own name; another lab's: the next free one. A stranger's is never taken nor
 * passed over: the student should know of it. */
static int take_interface(struct claim *c, struct seat_names *names, struct err *err)
{
	struct lab_network *ln = &c->lab->networks[names->network];
	const char *wanted = c->lab->stage->networks[names->network].name;
	auto_free char *pool = names_like(wanted);
	auto_lease lease = { 0 };

	if (seatcheck_stranger(c->ctx, wanted, err) < 0)
		return -1;
	if (take_any(c, "INTERFACE", pool, wanted, seat_name_usable, names, &lease, err) < 0)
		return -1;
	if (!str_copy(ln->ifname, sizeof(ln->ifname), lease.value))
		return err_set(err, ERR_INTERNAL, 0, "interface name '%s' is too long",
			       lease.value);
	return 0;
}

static int take_interfaces(struct claim *c, struct err *err)
{
	struct seat_names names = { .stage = c->lab->stage };
	int r = hostview_add(&names.view, "INTERFACE", -1, err);

	for (size_t i = 0; r == 0 && i < c->lab->stage->n_networks; i++) {
		names.network = i;
		if (c->lab->networks[i].ifname[0])
			r = take_interface(c, &names, err);
	}
	hostview_done(&names.view);
	return r;
}

/* Where the kernel has the address, the subnet is the host's business too. */
static int take_subnets(struct claim *c, struct err *err)
{
	const struct stage *s = c->lab->stage;
	auto_hostview view = { 0 };
	char text[IPNET_TEXT];

	for (size_t i = 0; i < s->n_networks; i++) {
		if (!s->networks[i].has_router ||
		    s->networks[i].address_mode != STAGE_ADDRESS_KERNEL)
			continue;
		if (!view.n_subnets && hostview_add(&view, "SUBNET", -1, err) < 0)
			return -1;
		if (take(c, "SUBNET", ipnet_format(&s->networks[i].subnet, text), hostview_usable,
			 &view, err) < 0) {
			err_wrap(err, "network '%s'", s->networks[i].name);
			return err->hint[0] ? -1 : err_hint(err, "start the stage with --isolated");
		}
	}
	return 0;
}

/* A port of this computer for each port of a client that the stage wants reachable. */
static int take_ports(struct claim *c, struct err *err)
{
	auto_hostview view = { 0 };
	auto_pool pool = { 0 };

	if (!c->lab->n_ports)
		return 0;
	if (pool_get(c->store, "PORT", &pool, err) < 0 || hostview_add(&view, "PORT", -1, err) < 0)
		return -1;
	c->req.resource = "PORT";
	for (size_t i = 0; i < c->lab->n_ports; i++) {
		auto_lease lease = { 0 };
		uint32_t n;

		if (lease_acquire_any(c->store, &c->req, &pool, NULL, hostview_usable, &view,
				      &lease, err) < 0 ||
		    parse_u32(lease.value, 1, 65535, &n, err) < 0)
			return -1;
		c->lab->ports[i].host_port = (uint16_t)n;
	}
	return 0;
}

/* Each lab takes names and numbers of which others need some, too. */
static int check_quota(const struct claim *c, struct err *err)
{
	const struct caller *caller = &c->ctx->caller;
	const struct lease_filter filter = { .resource = "LAB", .uid = c->lab->owner.uid };
	auto_lease_list labs = { 0 };

	if (geteuid() != 0 || caller_is_administrator(caller))
		return 0;
	if (lease_list(c->store, &filter, &labs, err) < 0)
		return -1;
	if (labs.n < CLAIM_LABS_MAX)
		return 0;
	err_set(err, ERR_FAILED, 0, "user '%s' runs %zu labs, and may have no more", caller->name,
		labs.n);
	return err_hint(err, "stop one that is not needed: labctl --lab NAME stage-stop; 'labctl "
			     "lab-list' shows them");
}

static int take_all(struct claim *c, struct err *err)
{
	const struct lab *l = c->lab;

	if (check_quota(c, err) < 0)
		return -1;
	if (take(c, "LAB", l->name, NULL, NULL, err) < 0 || take_group(c, err) < 0)
		return -1;
	if (l->fabric_ns[0] && take_namespace(c, l->fabric_ns, err) < 0)
		return -1;
	if (take_ports(c, err) < 0)
		return -1;
	if (l->isolated)
		return take_namespace(c, l->seat_ns, err);
	return take_interfaces(c, err) < 0 ? -1 : take_subnets(c, err);
}

/* Whose leases the caller may give back. */
static uid_t releasable(const struct lab_ctx *ctx)
{
	return ctx->caller.uid == 0 ? LEASE_ANY_UID : ctx->caller.uid;
}

/* What a dead labctl of this lab had goes first. */
static int take_anew(struct claim *c, struct err *err)
{
	if (lease_release_owner(c->store, c->req.owner, releasable(c->ctx), NULL, err) < 0)
		return -1;
	return take_all(c, err);
}

/* Runs fn on the open book, all or none, with one wait for the disk. */
static int in_book(struct lab_ctx *ctx, struct lab *l, int (*fn)(struct claim *c, struct err *err),
		   struct err *err)
{
	auto_free char *owner = xasprintf(LEASE_LAB_OWNER "%s", l->name);
	auto_store store = NULL;
	struct claim c = {
		.ctx = ctx,
		.lab = l,
		.req = { .owner = owner,
			 .uid = l->owner.uid,
			 .note = l->stage->name,
			 .again_ok = true,
			 .labs_ok = true,
			 .quota = LEASE_NO_QUOTA },
	};

	if (fault_point("leases", err) < 0 ||
	    store_open_default(ctx->state_dir, STORE_WRITE, &store, err) < 0 ||
	    store_begin(store, err) < 0)
		return -1;
	c.store = store;
	if (fn(&c, err) < 0) {
		store_rollback(store);
		return -1;
	}
	return store_commit(store, err);
}

int claim_take(struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	return in_book(ctx, l, take_anew, err);
}

typedef int each_lease_fn(void *arg, const char *resource, const char *value, struct err *err);

/* What the record says that the lab holds, one by one. */
static int each_lease(const struct lab *l, each_lease_fn *fn, void *arg, struct err *err)
{
	auto_free char *group = xasprintf("g%u", l->group & ~LAB_GROUP_MASK);
	char text[IPNET_TEXT];

	if (fn(arg, "LAB", l->name, err) < 0 || fn(arg, "GROUP", group, err) < 0 ||
	    (l->fabric_ns[0] && fn(arg, "NETNS", l->fabric_ns, err) < 0) ||
	    (l->isolated && fn(arg, "NETNS", l->seat_ns, err) < 0))
		return -1;
	for (size_t i = 0; i < l->n_ports; i++) {
		snprintf(text, sizeof(text), "%u", l->ports[i].host_port);
		if (fn(arg, "PORT", text, err) < 0)
			return -1;
	}
	for (size_t i = 0; !l->isolated && i < l->stage->n_networks; i++) {
		const struct stage_network *sn = &l->stage->networks[i];

		if (l->networks[i].ifname[0] &&
		    fn(arg, "INTERFACE", l->networks[i].ifname, err) < 0)
			return -1;
		if (sn->has_router && sn->address_mode == STAGE_ADDRESS_KERNEL &&
		    fn(arg, "SUBNET", ipnet_format(&sn->subnet, text), err) < 0)
			return -1;
	}
	return 0;
}

struct missing {
	const struct lease_list *held;
	struct strv *ret;
};

static int note_missing(void *arg, const char *resource, const char *value, struct err *err)
{
	struct missing *m = arg;

	(void)err;
	for (size_t i = 0; i < m->held->n; i++) {
		if (strcmp(m->held->v[i].resource, resource) == 0 &&
		    strcmp(m->held->v[i].value, value) == 0)
			return 0;
	}
	strv_addf(m->ret, "%s '%s'", resource_noun(resource), value);
	return 0;
}

int claim_missing(const struct lab_ctx *ctx, const struct lab *l, struct strv *ret, struct err *err)
{
	auto_free char *owner = xasprintf(LEASE_LAB_OWNER "%s", l->name);
	const struct lease_filter filter = { .owner = owner, .uid = LEASE_ANY_UID };
	auto_lease_list held = { 0 };
	auto_store store = NULL;
	struct missing m = { &held, ret };

	if (store_open_default(ctx->state_dir, STORE_READ, &store, err) < 0 ||
	    lease_list(store, &filter, &held, err) < 0)
		return -1;
	return each_lease(l, note_missing, &m, err);
}

static int retake(void *arg, const char *resource, const char *value, struct err *err)
{
	return take(arg, resource, value, NULL, NULL, err);
}

static int retake_all(struct claim *c, struct err *err)
{
	return each_lease(c->lab, retake, c, err);
}

int claim_restore(struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	return in_book(ctx, l, retake_all, err);
}

int claim_release(const struct lab_ctx *ctx, const char *lab, struct err *err)
{
	auto_free char *owner = xasprintf(LEASE_LAB_OWNER "%s", lab);
	auto_store store = NULL;

	if (fault_point("leases' end", err) < 0 ||
	    store_open_default(ctx->state_dir, STORE_WRITE, &store, err) < 0)
		return -1;
	return lease_release_owner(store, owner, releasable(ctx), NULL, err);
}
