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

/* One client's name, asked for. */
struct probe {
	char *name;
	bool taken; /* as far as is known, by a container that no list has */
};

static void on_probed(void *arg, json_t *reply, const struct err *failure)
{
	struct probe *p = arg;

	(void)reply;
	p->taken = failure && failure->kind == ERR_CONFLICT;
}

static void on_looked_at(void *arg, json_t *reply, const struct err *failure)
{
	struct probe *p = arg;

	(void)reply;
	p->taken = failure && failure->kind == ERR_NOT_FOUND;
}

static void submit_probe(struct engine *e, const struct lab *l, const char *image, struct probe *p)
{
	auto_free char *path = xasprintf("/containers/create?name=%s", p->name);

	engine_submit(e, "POST", path,
		      json_pack("{s:s, s:b, s:{s:s, s:s}}", "Image", image, "NetworkDisabled", 1,
				"Labels", LAB_LABEL, l->name, LAB_LABEL_BOOK, l->book),
		      on_probed, p);
}

static void submit_look(struct engine *e, struct probe *p)
{
	auto_free char *path = xasprintf("/containers/%s/json", p->name);

	engine_submit(e, "GET", path, NULL, on_looked_at, p);
}

/* The engine finishes what a labctl that died has asked of it, and a container on its way into
 * being is in no list. But its name is taken: who asks for the same name is refused, or else has
 * made a container that goes with the others. */
static int probe_names(struct engine *e, const struct lab *l, struct probe *probes, struct err *err)
{
	const struct timespec pause = { 0, GONE_POLL_MS * 1000000L };
	const struct stage *s = l->stage;

	for (int waited = 0; waited < GONE_WAIT_MS; waited += GONE_POLL_MS) {
		bool any = false;

		for (size_t i = 0; i < s->n_clients; i++) {
			const char *own = s->clients[i].image;

			if (probes[i].taken)
				submit_probe(e, l, own ? own : l->image, &probes[i]);
		}
		if (engine_run(e, err) < 0)
			return -1;
		for (size_t i = 0; i < s->n_clients; i++) {
			any |= probes[i].taken;
			if (probes[i].taken)
				submit_look(e, &probes[i]);
		}
		if (!any)
			return 0;
		if (engine_run(e, err) < 0)
			return -1;
		nanosleep(&pause, NULL);
	}
	return err_set(err, ERR_ENV, 0, "the engine does not finish a container that it is making");
}

static int await_creations(struct engine *e, const struct lab *l, struct err *err)
{
	struct probe *probes = xcalloc(l->stage->n_clients, sizeof(*probes));
	int r;

	for (size_t i = 0; i < l->stage->n_clients; i++) {
		probes[i].name = lab_container_name(l, l->stage->clients[i].name);
		probes[i].taken = true;
	}
	r = probe_names(e, l, probes, err);
	for (size_t i = 0; i < l->stage->n_clients; i++)
		free(probes[i].name);
	free(probes);
	return r;
}

static int list_ours(struct engine *e, const struct lab *l, struct container_list *ret,
		     struct err *err)
{
	return lab_containers(e, l, ret, err);
}

/* By label, never by name: a stranger's container may have the name that this lab wanted. */
static int remove_containers(struct lab_ctx *ctx, const struct lab *l, struct err *err)
{
	const struct timespec pause = { 0, GONE_POLL_MS * 1000000L };
	struct err first = { 0 };
	struct engine *e;

	if (l->stage->kind == STAGE_SCRIPTS)
		return 0;
	if (lab_ctx_engine(ctx, &e, err) < 0 || (l->died && await_creations(e, l, err) < 0))
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
