/* SPDX-License-Identifier: MIT */
/* seatcheck.c - is the seat free for this lab? If not, whose is what stands there? */
#include "lab/wire.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/mem.h"
#include "docker/engine.h"
#include "net/netns.h"

#include "base/banned.h"

/* The lab whose mark a link carries; NULL when none has a record. */
static struct lab *lab_of_group(const struct lab_ctx *ctx, uint32_t group)
{
	auto_strv names = { 0 };

	if (lab_names(ctx, &names, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < names.n; i++) {
		auto_lab l = NULL;

		if (lab_load(ctx, names.v[i], &l, NULL) == 0 && l->group == group)
			return steal_ptr(&l);
	}
	return NULL;
}

/* The Docker network that has this bridge; heap text or NULL. */
static char *docker_network_of(struct lab_ctx *ctx, const char *bridge)
{
	json_auto_t *all = NULL;
	struct engine *e;
	json_t *n;
	size_t i;

	if (lab_ctx_engine(ctx, &e, NULL) < 0 ||
	    engine_call(e, "GET", "/networks", NULL, &all, NULL) < 0)
		return NULL;
	json_array_foreach (all, i, n) {
		const char *name = json_string_value(json_object_get(n, "Name"));
		const char *dev =
			json_string_value(json_object_get(json_object_get(n, "Options"),
							  "com.docker.network.bridge.name"));

		if (name && dev && strcmp(dev, bridge) == 0)
			return xstrdup(name);
	}
	return NULL;
}

static int taken_by_lab(const struct lab_ctx *ctx, const struct link_info *info, struct err *err)
{
	auto_lab other = lab_of_group(ctx, info->group);
	char when[32];
	struct tm tm;

	if (!other) {
		err_set(err, ERR_CONFLICT, 0,
			"interface '%s' carries labctl's mark, but no lab owns it", info->name);
		return err_hint(err, "it is a remnant; remove it: ip link del %s", info->name);
	}
	localtime_r(&other->since, &tm);
	strftime(when, sizeof(when), "%H:%M on %F", &tm);
	err_set(err, ERR_CONFLICT, 0, "interface '%s' belongs to lab '%s' (%s, user %s) since %s",
		info->name, other->name, other->stage->name, other->owner.name, when);
	return err_hint(err, "stop it (labctl --lab %s stage-stop) or start yours with --isolated",
			other->name);
}

static int taken_by_stranger(struct lab_ctx *ctx, const struct link_info *info, struct err *err)
{
	auto_free char *net =
		strcmp(info->kind, "bridge") == 0 ? docker_network_of(ctx, info->name) : NULL;

	if (net) {
		err_set(err, ERR_CONFLICT, 0,
			"interface '%s' is there already: it belongs to the Docker network '%s'",
			info->name, net);
		return err_hint(
			err, "remove it (docker network rm %s) or start the stage with --isolated",
			net);
	}
	err_set(err, ERR_CONFLICT, 0,
		"interface '%s' is there already and is not labctl's: a %s%s%s%s", info->name,
		info->kind[0] ? info->kind : "device of the host",
		info->alias[0] ? ", called '" : "", info->alias, info->alias[0] ? "'" : "");
	return err_hint(err,
			"rename it (ip link set %s name other0) or start the stage with --isolated",
			info->name);
}

static int check_name(struct lab_ctx *ctx, struct wiring *w, const char *ifname, struct err *err)
{
	struct link_info info;
	struct err e = { 0 };

	if (link_get(w->seat.nl, ifname, &info, &e) < 0) {
		if (err_is(&e, ERR_NOT_FOUND))
			return 0;
		if (err)
			*err = e;
		return -1;
	}
	return (info.group & LAB_GROUP_MASK) == LAB_GROUP_BASE ? taken_by_lab(ctx, &info, err)
							       : taken_by_stranger(ctx, &info, err);
}

/* An address of the kernel's own brings a route: it must not hide one that the host has. */
static int check_subnet(struct wiring *w, const struct stage_network *sn, struct err *err)
{
	auto_free struct route_info *routes = NULL;
	char want[IPNET_TEXT], have[IPNET_TEXT];
	size_t n = 0;

	if (route_list(w->seat.nl, AF_INET, &routes, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (routes[i].to.prefix == 0 || routes[i].type != RTN_UNICAST ||
		    !ipnet_overlaps(&routes[i].to, &sn->subnet))
			continue;
		err_set(err, ERR_CONFLICT, 0, "subnet %s of '%s' overlaps the host's route to %s",
			ipnet_format(&sn->subnet, want), sn->name,
			ipnet_format(&routes[i].to, have));
		return err_hint(err, "start the stage with --isolated");
	}
	return 0;
}

/* A name that somebody took: a roll-back would take it from him. */
static int check_namespace(const char *name, struct err *err)
{
	struct err e = { 0 };
	auto_fd fd = -1;

	if (!name[0])
		return 0;
	if (netns_open_name(name, &fd, &e) < 0) {
		if (err_is(&e, ERR_NOT_FOUND))
			return 0;
		if (err)
			*err = e;
		return -1;
	}
	err_set(err, ERR_CONFLICT, 0,
		"a network namespace '%s' is there already and is not this lab's", name);
	return err_hint(err, "if nobody needs it: ip netns del %s; or use another lab name (--lab)",
			name);
}

int wire_check_seat(struct lab_ctx *ctx, struct wiring *w, struct err *err)
{
	const struct stage *s = w->lab->stage;

	if (check_namespace(w->lab->seat_ns, err) < 0 ||
	    check_namespace(w->lab->fabric_ns, err) < 0)
		return -1;
	if (w->lab->isolated)
		return 0; /* a new namespace is empty */
	for (size_t i = 0; i < s->n_networks; i++) {
		if (!w->lab->networks[i].ifname[0])
			continue;
		if (check_name(ctx, w, w->lab->networks[i].ifname, err) < 0)
			return -1;
		if (s->networks[i].address_mode == STAGE_ADDRESS_KERNEL &&
		    check_subnet(w, &s->networks[i], err) < 0)
			return -1;
	}
	return 0;
}
