/* SPDX-License-Identifier: MIT */
/* arena.c - seat and clients' namespaces of a running lab. */
#include "grade/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "docker/container.h"
#include "net/netns.h"

#include "base/banned.h"

void arena_init(struct arena *a, const struct stage *s)
{
	*a = (struct arena){ .stage = s, .labctl = "labctl", .seat_ns = -1 };
	a->client_ns = xcalloc(s->n_clients, sizeof(*a->client_ns));
	a->networks = xcalloc(s->n_networks, sizeof(*a->networks));
	for (size_t i = 0; i < s->n_clients; i++)
		a->client_ns[i] = -1;
}

void arena_done(struct arena *a)
{
	for (size_t i = 0; a->client_ns && i < a->stage->n_clients; i++) {
		if (a->client_ns[i] >= 0)
			close(a->client_ns[i]);
	}
	if (a->stage && a->seat_ns >= 0)
		close(a->seat_ns);
	free(a->client_ns);
	free(a->networks);
	*a = (struct arena){ 0 };
}

static int client_pid(struct lab_ctx *ctx, const char *container, pid_t *ret, struct err *err)
{
	auto_free char *path = xasprintf("/containers/%s/json", container);
	struct container_state st;
	json_auto_t *reply = NULL;
	struct err failed = { 0 };
	struct engine *e;

	if (lab_ctx_engine(ctx, &e, err) < 0)
		return -1;
	if (engine_call(e, "GET", path, NULL, &reply, &failed) < 0) {
		if (!err_is(&failed, ERR_NOT_FOUND))
			return err_pass(err, &failed);
		err_set(err, ERR_ENV, 0, "its container '%s' is gone", container);
		return err_hint(err, "bring it back: %s repair", ctx->labctl);
	}
	if (container_state_read(reply, &st, err) < 0)
		return -1;
	if (!st.running) {
		err_set(err, ERR_ENV, 0, "its container '%s' does not run", container);
		return err_hint(err, "bring it back: %s repair", ctx->labctl);
	}
	*ret = st.pid;
	return 0;
}

/* A pid can be another process's by the time it is opened: the engine is asked again after. */
static int open_client(struct lab_ctx *ctx, const struct lab *l, size_t client, int *ret_fd,
		       struct err *err)
{
	auto_free char *container = lab_container_name(l, l->stage->clients[client].name);
	auto_fd fd = -1;
	pid_t before, after;

	if (client_pid(ctx, container, &before, err) < 0 || netns_open_pid(before, &fd, err) < 0 ||
	    client_pid(ctx, container, &after, err) < 0)
		return -1;
	if (before != after)
		return err_set(err, ERR_ENV, 0, "container '%s' was restarted just now", container);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int arena_of_lab(struct lab_ctx *ctx, const struct lab *l, struct arena *ret, struct err *err)
{
	auto_arena a = { 0 };

	arena_init(&a, l->stage);
	if (l->isolated && netns_open_name(l->seat_ns, &a.seat_ns, err) < 0)
		return err_wrap(err, "the seat of lab '%s'", l->name);
	for (size_t i = 0; i < l->stage->n_clients; i++) {
		if (open_client(ctx, l, i, &a.client_ns[i], err) < 0)
			return err_wrap(err, "client '%s'", l->stage->clients[i].name);
	}
	for (size_t i = 0; i < l->stage->n_networks; i++) {
		memcpy(a.networks[i].ifname, l->networks[i].ifname, IFNAMSIZ);
		a.networks[i].mac = l->networks[i].mac;
		a.networks[i].guarded = l->networks[i].guarded;
	}
	a.labctl = ctx->labctl;
	a.guard = l->guard[0] ? l->guard : NULL;
	*ret = a;
	a = (struct arena){ 0 };
	return 0;
}
