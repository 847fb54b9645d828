/* SPDX-License-Identifier: MIT */
/* down.c - take a lab down by its record. */
#include "lab/down.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "docker/container.h"
#include "lab/forward.h"
#include "lab/publish.h"
#include "lab/srcmount.h"
#include "net/guard.h"
#include "net/link.h"
#include "net/netns.h"

#include "base/banned.h"

#define GONE_WAIT_MS 10000
#define GONE_POLL_MS 20

/* The first failure is the one that is told; the rest of the work goes on. */
static void keep_first(struct err *first, const struct err *e, const char *what)
{
	log_debug("%s: %s", what, e->msg);
	if (first->kind != ERR_NONE)
		return;
	*first = *e;
	err_wrap(first, "%s", what);
}

static void on_removed(void *arg, json_t *reply, const struct err *failure)
{
	struct err *first = arg;

	(void)reply;
	/* Already gone, or on its way: the next list tells. */
	if (!failure || failure->kind == ERR_NOT_FOUND || failure->kind == ERR_CONFLICT)
		return;
	*first = first->kind == ERR_NONE ? *failure : *first;
}

static void submit_removal(struct engine *e, const char *id, struct err *first)
{
	auto_free char *path = xasprintf("/containers/%s?force=1&v=1", id);

	engine_submit(e, "DELETE", path, NULL, on_removed, first);
}

static int list_ours(struct engine *e, const struct lab *l, struct container_list *ret,
		     struct err *err)
{
	auto_free char *label = xasprintf(LAB_LABEL "=%s", l->name);

	return container_list_by_label(e, label, ret, err);
}

/* By label, never by name: a stranger's container may have the name that this lab wanted. */
static int remove_containers(struct lab_ctx *ctx, const struct lab *l, struct err *err)
{
	const struct timespec pause = { 0, GONE_POLL_MS * 1000000L };
	struct err first = { 0 };
	struct engine *e;

	if (l->stage->kind == STAGE_SCRIPTS)
		return 0;
	if (lab_ctx_engine(ctx, &e, err) < 0)
		return -1;
	for (int waited = 0; first.kind == ERR_NONE; waited += GONE_POLL_MS) {
		auto_container_list left = { 0 };

		if (list_ours(e, l, &left, err) < 0)
			return -1;
		if (left.n == 0)
			return 0;
		if (waited >= GONE_WAIT_MS)
			return err_set(err, ERR_ENV, 0, "container '%s' does not go away",
				       left.v[0].name);
		if (waited)
			nanosleep(&pause, NULL);
		for (size_t i = 0; i < left.n; i++)
			submit_removal(e, left.v[i].id, &first);
		if (engine_run(e, err) < 0)
			return -1;
	}
	if (err)
		*err = first;
	return -1;
}

static int remove_seat_links(const struct lab *l, struct err *err)
{
	auto_nl nl = NULL;
	auto_free struct link_info *links = NULL;
	size_t n = 0;

	if (nl_open(-1, &nl, err) < 0 || link_list(nl, &links, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (links[i].group == l->group)
			return link_delete_group(nl, l->group, err);
	}
	return 0;
}

static int remove_kernel_side(const struct lab *l, struct err *err)
{
	auto_free char *src = lab_path(l, "src");

	if (l->isolated) {
		if (netns_delete(l->seat_ns, err) < 0)
			return -1;
	} else if (guard_delete(-1, l->guard, err) < 0 || remove_seat_links(l, err) < 0) {
		return -1;
	}
	if (l->fabric_ns[0] && netns_delete(l->fabric_ns, err) < 0)
		return -1;
	return srcmount_remove(src, err);
}

int lab_down(struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	struct err first = { 0 }, e = { 0 };

	interrupt_hold(true);
	if (lab_save(l, LAB_STOPPING, &e) < 0)
		keep_first(&first, &e, "writing the record");
	if (forward_stop(l, &e) < 0)
		keep_first(&first, &e, "ending the forwarder");
	if (remove_containers(ctx, l, &e) < 0)
		keep_first(&first, &e, "removing the containers");
	if (remove_kernel_side(l, &e) < 0)
		keep_first(&first, &e, "removing links and namespaces");
	/* The record goes last, and only when nothing is left that it names. */
	if (first.kind == ERR_NONE && lab_unpublish(l, &e) < 0)
		keep_first(&first, &e, "removing the lab's files");
	if (first.kind == ERR_NONE && lab_forget(ctx, l, &e) < 0)
		keep_first(&first, &e, "removing the record");
	interrupt_hold(false);
	if (first.kind == ERR_NONE)
		return 0;
	if (err)
		*err = first;
	return -1;
}
