/* SPDX-License-Identifier: MIT */
/* seatcheck.c - whose is an interface that stands where a lab wants one? */
#include "lab/seatcheck.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "base/mem.h"
#include "docker/engine.h"
#include "lab/lab.h"
#include "net/link.h"
#include "net/netns.h"

#include "base/banned.h"

static bool has_lab(const struct lab_ctx *ctx, uint32_t group)
{
	auto_strv names = { 0 };

	if (lab_names(ctx, &names, ERR_IGNORED) < 0)
		return false;
	for (size_t i = 0; i < names.n; i++) {
		auto_lab l = NULL;

		struct err e = { 0 };

		if (lab_load(ctx, names.v[i], &l, &e) == 0 && l->group == group)
			return true;
		if (e.kind != ERR_NONE && !err_is(&e, ERR_NOT_FOUND))
			log_warn("%s", e.msg);
	}
	return false;
}

/* The Docker network that has this bridge; heap text or NULL. */
static char *docker_network_of(struct lab_ctx *ctx, const char *bridge)
{
	json_auto_t *all = NULL;
	struct engine *e;
	json_t *n;
	size_t i;

	if (lab_ctx_engine(ctx, &e, ERR_IGNORED) < 0 ||
	    engine_call(e, "GET", "/networks", NULL, &all, ERR_IGNORED) < 0)
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

static int taken_by_stranger(struct lab_ctx *ctx, const struct link_info *info, struct err *err)
{
	auto_free char *net =
		strcmp(info->kind, "bridge") == 0 ? docker_network_of(ctx, info->name) : NULL;

	if (net) {
		err_set(err, ERR_CONFLICT, 0,
			"interface '%s' is there already: it belongs to the Docker network '%s'",
			info->name, net);
		return err_hint(err, "use a seat of your own: %s stage-start --isolated STAGE",
				ctx->labctl);
	}
	err_set(err, ERR_CONFLICT, 0,
		"interface '%s' is there already and is not labctl's: a %s%s%s%s", info->name,
		info->kind[0] ? info->kind : "device of the host",
		info->alias[0] ? ", called '" : "", info->alias, info->alias[0] ? "'" : "");
	return err_hint(err, "use a seat of your own: %s stage-start --isolated STAGE",
			ctx->labctl);
}

int seatcheck_stranger(struct lab_ctx *ctx, const char *ifname, struct err *err)
{
	struct link_info info;
	struct err e = { 0 };
	auto_nl nl = NULL;

	if (nl_open(-1, &nl, err) < 0)
		return -1;
	if (link_get(nl, ifname, &info, &e) < 0)
		return err_is(&e, ERR_NOT_FOUND) ? 0 : err_pass(err, &e);
	if ((info.group & LAB_GROUP_MASK) != LAB_GROUP_BASE)
		return taken_by_stranger(ctx, &info, err);
	if (has_lab(ctx, info.group))
		return 0;
	err_set(err, ERR_CONFLICT, 0,
		"interface '%s' carries labctl's mark, but no lab of this lease book owns it",
		ifname);
	return err_hint(err,
			"a remnant: 'sudo %s gc' removes it; a lab of another LABCTL_STATE: use a "
			"seat of your own: %s stage-start --isolated STAGE",
			ctx->exe, ctx->labctl);
}
