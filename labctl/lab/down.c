/* SPDX-License-Identifier: MIT */
/* down.c - take a lab down by its record. */
#include "lab/down.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "lab/containers.h"
#include "lab/forward.h"
#include "lab/publish.h"
#include "lab/srcmount.h"
#include "net/guard.h"
#include "net/link.h"
#include "net/netns.h"

#include "base/banned.h"

/* The first failure is the one that is told, of what (NULL: it says itself); the rest of the work
 * goes on. */
static void keep_first(struct err *first, const struct err *e, const char *what)
{
	log_debug("%s: %s", what ? what : "forgetting it", e->msg);
	if (first->kind != ERR_NONE)
		return;
	*first = *e;
	if (what)
		err_wrap(first, "%s", what);
}

static int remove_containers(struct lab_ctx *ctx, const struct lab *l, struct err *err)
{
	return l->stage->kind == STAGE_SCRIPTS ? 0 : lab_containers_remove(ctx, l->name, err);
}

static bool is_ours(const struct lab *l, const struct link_info *link)
{
	for (size_t i = 0; i < l->stage->n_networks && link->group == l->group; i++) {
		if (strcmp(l->networks[i].ifname, link->name) == 0)
			return true;
	}
	return false;
}

/* All at once, unless a lab of another book has the same group: one by one then. */
static int remove_seat_links(const struct lab *l, struct err *err)
{
	auto_nl nl = NULL;
	auto_free struct link_info *links = NULL;
	size_t n = 0, ours = 0, others = 0;

	if (nl_open(-1, &nl, err) < 0 || link_list(nl, &links, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		ours += is_ours(l, &links[i]);
		others += links[i].group == l->group && !is_ours(l, &links[i]);
	}
	if (ours && !others)
		return link_delete_group(nl, l->group, err);
	for (size_t i = 0; i < n && ours; i++) {
		if (is_ours(l, &links[i]) && link_delete(nl, links[i].ifindex, err) < 0)
			return -1;
	}
	return 0;
}

static int remove_kernel_side(const struct lab *l, struct err *err)
{
	static const char *const mounts[] = { LAB_SRC_MOUNT, "src" /* of earlier versions */ };

	if (l->isolated) {
		if (netns_delete(l->seat_ns, err) < 0)
			return -1;
	} else if (guard_delete(-1, l->guard, err) < 0 || remove_seat_links(l, err) < 0) {
		return -1;
	}
	if (l->fabric_ns[0] && netns_delete(l->fabric_ns, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		auto_free char *path = lab_path(l, mounts[i]);

		if (srcmount_remove(path, err) < 0)
			return -1;
	}
	return 0;
}

int lab_down(struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	struct err first = { 0 }, e = { 0 };

	interrupt_hold(true);
	/* Goes on with a full disk, too: only whoever finds it half-done would have read it. */
	if (lab_save(l, LAB_STOPPING, &e) < 0)
		log_debug("writing the record: %s", e.msg);
	if (forward_stop(l, &e) < 0)
		keep_first(&first, &e, "ending the forwarder");
	if (l->orphaned && lab_containers_settle(ctx, l, &e) < 0)
		keep_first(&first, &e, "waiting for the engine");
	if (remove_containers(ctx, l, &e) < 0)
		keep_first(&first, &e, "removing the containers");
	if (remove_kernel_side(l, &e) < 0)
		keep_first(&first, &e, "removing links and namespaces");
	/* The record goes last, and only when nothing is left that it names. */
	if (first.kind == ERR_NONE && lab_unpublish(l, &e) < 0)
		keep_first(&first, &e, "removing the lab's files");
	if (first.kind == ERR_NONE && lab_forget(ctx, l, &e) < 0)
		keep_first(&first, &e, NULL);
	interrupt_hold(false);
	if (first.kind == ERR_NONE)
		return 0;
	*err = first;
	return -1;
}
