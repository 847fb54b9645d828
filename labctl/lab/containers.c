/* SPDX-License-Identifier: MIT */
/* containers.c - list, remove, wait for the containers of labs. */
#include "lab/containers.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "docker/engine.h"

#include "base/banned.h"

#define GONE_WAIT_MS   10000
#define SETTLE_WAIT_MS 10000
#define POLL_MS	       20

static int list_all(struct lab_ctx *ctx, const char *lab, struct container_list *ret,
		    struct err *err)
{
	auto_free char *label = lab ? xasprintf(LAB_LABEL "=%s", lab) : xstrdup(LAB_LABEL);
	struct engine *e;

	if (lab_ctx_engine(ctx, &e, err) < 0)
		return -1;
	return container_list_by_label(e, label, ret, err);
}

int lab_containers(struct lab_ctx *ctx, const char *lab, struct container_list *ret,
		   struct err *err)
{
	size_t kept = 0;

	if (list_all(ctx, lab, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < ret->n; i++) {
		if (lab_marks_match(ctx->state_dir, lab, ret->v[i].labels))
			ret->v[kept++] = ret->v[i];
		else
			json_decref(ret->v[i].labels);
	}
	ret->n = kept;
	return 0;
}

int lab_containers_check(struct lab_ctx *ctx, const char *lab, struct err *err)
{
	auto_container_list list = { 0 };

	if (list_all(ctx, lab, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.n; i++) {
		const char *book =
			json_string_value(json_object_get(list.v[i].labels, LAB_LABEL_BOOK));

		if (book && strcmp(book, ctx->state_dir) == 0)
			continue;
		err_set(err, ERR_CONFLICT, 0,
			"container '%s' belongs to a lab '%s' that this one is not: its record is "
			"in "
			"'%s'",
			list.v[i].name, lab, book ? book : "?");
		return err_hint(err, "use another lab name: labctl --lab NAME ...");
	}
	return 0;
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

int lab_containers_remove(struct lab_ctx *ctx, const char *lab, struct err *err)
{
	const struct timespec pause = { 0, POLL_MS * 1000000L };
	struct err first = { 0 };

	for (int waited = 0; first.kind == ERR_NONE; waited += POLL_MS) {
		auto_container_list left = { 0 };

		if (lab_containers(ctx, lab, &left, err) < 0)
			return -1;
		if (left.n == 0)
			return 0;
		if (waited >= GONE_WAIT_MS)
			return err_set(err, ERR_ENV, 0, "container '%s' does not go away",
				       left.v[0].name);
		if (waited)
			nanosleep(&pause, NULL);
		for (size_t i = 0; i < left.n; i++)
			submit_removal(ctx->engine, left.v[i].id, &first);
		if (engine_run(ctx->engine, err) < 0)
			return -1;
	}
	return err_pass(err, &first);
}

/* One client's name, tried out. */
struct probe {
	struct engine *engine;
	char *name;
	const char **busy; /* the name of one that is being made */
};

/* The name is taken, yet nobody has it: it is being made. */
static void on_holder(void *arg, json_t *reply, const struct err *failure)
{
	struct probe *p = arg;

	(void)reply;
	if (failure && failure->kind == ERR_NOT_FOUND)
		*p->busy = p->name;
}

static void on_tried(void *arg, json_t *reply, const struct err *failure)
{
	struct probe *p = arg;
	auto_free char *path = xasprintf("/containers/%s/json", p->name);

	(void)reply;
	if (failure && failure->kind == ERR_CONFLICT)
		engine_submit(p->engine, "GET", path, NULL, on_holder, p);
}

/* The engine reserves a name before it makes the container: who gets the name knows that nobody
 * else is about to. */
static void try_name(struct probe *p, const struct lab *l, const struct stage_client *c)
{
	auto_free char *path = xasprintf("/containers/create?name=%s", p->name);
	const char *const labels[] = { LAB_LABEL, l->name, LAB_LABEL_BOOK, l->book, NULL };
	const struct container_spec spec = {
		.image = c->image ? c->image : l->image,
		.hostname = c->name,
		.labels = labels,
	};

	engine_submit(p->engine, "POST", path, container_create_body(&spec), on_tried, p);
}

static bool has_name(const struct container_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->v[i].name, name) == 0)
			return true;
	}
	return false;
}

/* One round over all clients. *ret_busy: one whose container is being made, or NULL. */
static int try_names(struct lab_ctx *ctx, const struct lab *l, struct probe *probes,
		     const char **ret_busy, struct err *err)
{
	auto_container_list list = { 0 };

	*ret_busy = NULL;
	if (lab_containers(ctx, l->name, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < l->stage->n_clients; i++) {
		probes[i].engine = ctx->engine;
		probes[i].busy = ret_busy;
		if (!has_name(&list, probes[i].name))
			try_name(&probes[i], l, &l->stage->clients[i]);
	}
	return engine_run(ctx->engine, err);
}

int lab_containers_settle(struct lab_ctx *ctx, const struct lab *l, struct err *err)
{
	const struct timespec pause = { 0, POLL_MS * 1000000L };
	auto_free struct probe *probes = xcalloc(l->stage->n_clients + 1, sizeof(*probes));
	auto_strv names = { 0 };
	const char *busy = NULL;

	if (l->stage->kind == STAGE_SCRIPTS)
		return 0;
	for (size_t i = 0; i < l->stage->n_clients; i++) {
		auto_free char *name = lab_container_name(l, l->stage->clients[i].name);

		strv_add(&names, name);
		probes[i].name = names.v[i];
	}
	for (int waited = 0; waited <= SETTLE_WAIT_MS; waited += POLL_MS) {
		if (try_names(ctx, l, probes, &busy, err) < 0)
			return -1;
		if (!busy)
			return 0;
		nanosleep(&pause, NULL);
	}
	return err_set(err, ERR_ENV, 0, "the engine does not finish making container '%s'", busy);
}
