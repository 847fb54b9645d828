/* SPDX-License-Identifier: MIT */
/*
 * up.c - bring a lab up.
 *
 * Every client goes through create, start, inspect, wire on its own; the engine works on some
 * while the kernel's side of others is made here. advance() takes whatever steps of the plan
 * have become possible.
 */
#include "lab/up.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "docker/container.h"
#include "docker/exec.h"
#include "lab/claim.h"
#include "lab/down.h"
#include "lab/plan.h"
#include "lab/publish.h"
#include "lab/srcmount.h"
#include "lab/wire.h"

#include "base/banned.h"

#define PIPELINE_MIN 4
#define PIPELINE_MAX ENGINE_CONNECTIONS

enum client_phase {
	CLIENT_WAITING,
	CLIENT_CREATING,
	CLIENT_STARTING,
	CLIENT_LOOKING, /* for its process */
	CLIENT_RUNNING, /* its namespace is set up */
	CLIENT_WIRED,
	CLIENT_EXITED,
};

struct client_run {
	struct up *up;
	size_t index;
	enum client_phase phase;
	char *container; /* name */
	char id[65];
	pid_t pid;
	unsigned links_left;
	bool retried; /* a remnant of ours was in the way once */
};

struct up {
	struct lab_ctx *ctx;
	struct lab *lab;
	struct engine *engine;
	struct wiring *wiring;
	struct plan plan;
	struct client_run *clients;
	size_t next;	  /* the first client that is still waiting */
	size_t in_flight; /* clients that the engine is busy with */
	size_t limit;
	unsigned wired;
	bool failed;
	struct err err; /* the first failure */
};

static void create_client(struct client_run *c);
static void inspect_client(struct client_run *c);

static const struct stage_client *stage_client_of(const struct client_run *c)
{
	return &c->up->lab->stage->clients[c->index];
}

static void fail(struct up *up, const struct err *err)
{
	if (up->failed)
		return;
	up->failed = true;
	up->err = *err;
	/* Where exactly it was is of no use to who pressed Ctrl-C. */
	if (err_is(err, ERR_INTERRUPTED))
		err_set(&up->err, ERR_INTERRUPTED, 0, "interrupted: stage '%s' is not started",
			up->lab->stage->name);
}

static void fail_client(struct client_run *c, const struct err *err)
{
	struct err e = *err;

	err_wrap(&e, "client '%s'", stage_client_of(c)->name);
	fail(c->up, &e);
}

/* Steps of the kernel's side. */

static bool link_ready(const struct up *up, const struct step *s)
{
	for (size_t i = 0; i < 2; i++) {
		if (s->ends[i].kind == END_CLIENT &&
		    up->clients[s->ends[i].client].phase != CLIENT_RUNNING)
			return false;
	}
	return true;
}

static bool step_ready(const struct up *up, const struct step *s)
{
	switch (s->kind) {
	case STEP_SEAT:
	case STEP_FABRIC:
	case STEP_BRIDGE:
		return true;
	case STEP_CLIENT:
		return up->clients[s->client].pid > 0;
	case STEP_LINK:
		return link_ready(up, s);
	case STEP_ROUTES:
		return up->clients[s->client].phase == CLIENT_RUNNING &&
		       up->clients[s->client].links_left == 0;
	case STEP_DIR:
	case STEP_SRC:
	case STEP_CONTAINER:
	case STEP_COMMANDS:
	case STEP_VERIFY:
	case STEP_PUBLISH:
	case STEP_KIND_MAX:
		break; /* taken by name, before or after the pipeline */
	}
	return false;
}

static int take_link(struct up *up, const struct step *s, struct err *err)
{
	if (wire_link(up->wiring, s, err) < 0)
		return -1;
	for (size_t i = 0; i < 2; i++) {
		if (s->ends[i].kind == END_CLIENT)
			up->clients[s->ends[i].client].links_left--;
	}
	return 0;
}

static int take_routes(struct up *up, const struct step *s, struct err *err)
{
	struct client_run *c = &up->clients[s->client];

	if (wire_routes(up->wiring, s->client, err) < 0)
		return -1;
	c->phase = CLIENT_WIRED;
	up->wired++;
	lab_ctx_progress(up->ctx, up->wired, (unsigned)up->lab->stage->n_clients, "%s is up",
			 stage_client_of(c)->name);
	return 0;
}

static int take_client(struct up *up, const struct step *s, struct err *err)
{
	struct client_run *c = &up->clients[s->client];

	if (wire_client(up->wiring, s->client, c->pid, err) < 0)
		return -1;
	c->phase = CLIENT_RUNNING;
	return 0;
}

static int take_src(struct up *up, struct err *err)
{
	auto_free char *target = lab_path(up->lab, "src");

	if (srcmount_add(up->lab->src_dir, &up->lab->owner, target, &up->lab->src, err) < 0)
		return -1;
	if (up->lab->src == LAB_SRC_READONLY)
		log_warn("this kernel or file system has no idmapped mounts: '%s' is read-only in "
			 "the "
			 "clients",
			 up->lab->src_dir);
	return 0;
}

static int take_commands(struct up *up, const struct step *s, struct err *err);
static int take_verify(struct up *up, struct err *err);

static int take_step(struct up *up, struct step *s, struct err *err)
{
	switch (s->kind) {
	case STEP_DIR:
		return lab_publish_files(up->lab, err);
	case STEP_SRC:
		return take_src(up, err);
	case STEP_SEAT:
		return wire_seat(up->wiring, err);
	case STEP_FABRIC:
		return wire_fabric(up->wiring, err);
	case STEP_BRIDGE:
		return wire_bridge(up->wiring, s->network, err);
	case STEP_CLIENT:
		return take_client(up, s, err);
	case STEP_LINK:
		return take_link(up, s, err);
	case STEP_ROUTES:
		return take_routes(up, s, err);
	case STEP_COMMANDS:
		return take_commands(up, s, err);
	case STEP_VERIFY:
		return take_verify(up, err);
	case STEP_PUBLISH:
		if (lab_publish_stage(up->lab, err) < 0)
			return -1;
		return lab_save(up->lab, LAB_RUNNING, err);
	case STEP_CONTAINER:
	case STEP_KIND_MAX:
		break; /* the pipeline's */
	}
	return 0;
}

/* Says whose step it was; a step of the whole lab speaks for itself. */
static void wrap_step(const struct up *up, const struct step *s, struct err *err)
{
	const struct stage *stage = up->lab->stage;

	switch (s->kind) {
	case STEP_BRIDGE:
	case STEP_LINK:
		err_wrap(err, "network '%s'", stage->networks[s->network].name);
		break;
	case STEP_CLIENT:
	case STEP_ROUTES:
	case STEP_COMMANDS:
		err_wrap(err, "client '%s'", stage->clients[s->client].name);
		break;
	case STEP_DIR:
	case STEP_SRC:
	case STEP_SEAT:
	case STEP_FABRIC:
	case STEP_CONTAINER:
	case STEP_VERIFY:
	case STEP_PUBLISH:
	case STEP_KIND_MAX:
		break;
	}
}

static int do_step(struct up *up, struct step *s)
{
	auto_str text = { 0 };
	struct err err = { 0 };

	step_describe(up->lab, s, &text);
	log_debug("%s: %s", step_name(s->kind), str_get(&text));
	if (take_step(up, s, &err) < 0) {
		wrap_step(up, s, &err);
		fail(up, &err);
		return -1;
	}
	s->done = true;
	return 0;
}

/* Takes every step that has become possible, in the plan's order. */
static void advance(struct up *up)
{
	for (size_t i = 0; i < up->plan.n && !up->failed; i++) {
		struct step *s = &up->plan.steps[i];

		if (!s->done && step_ready(up, s) && do_step(up, s) < 0)
			return;
	}
}

/* All steps of one kind, now. */
static int take_kind(struct up *up, enum step_kind kind)
{
	for (size_t i = 0; i < up->plan.n; i++) {
		if (up->plan.steps[i].kind == kind && do_step(up, &up->plan.steps[i]) < 0)
			return -1;
	}
	return 0;
}

/* The engine's side: create -> start -> inspect. */

static void pump(struct up *up)
{
	struct err err = { 0 };

	if (interrupt_pending() && !up->failed) {
		err_set(&err, ERR_INTERRUPTED, 0, "interrupted");
		fail(up, &err);
	}
	while (!up->failed && up->next < up->lab->stage->n_clients && up->in_flight < up->limit) {
		up->in_flight++;
		create_client(&up->clients[up->next++]);
	}
}

/* Is this the container's own process? A pid can be another's by now. */
static bool is_process_of(pid_t pid, const char *id)
{
	auto_free char *path = xasprintf("/proc/%d/cgroup", (int)pid);
	auto_free char *text = NULL;

	return fs_read(path, 1 << 20, &text, NULL, NULL) == 0 && strstr(text, id);
}

static void on_inspected(void *arg, json_t *reply, const struct err *failure)
{
	struct client_run *c = arg;
	struct container_state st;
	struct err err = { 0 };

	if (failure) {
		fail_client(c, failure);
		return;
	}
	if (container_state_read(reply, &st, &err) < 0) {
		fail_client(c, &err);
		return;
	}
	if (!st.running) {
		c->phase = CLIENT_EXITED;
		err_set(&err, stage_client_of(c)->command.n ? ERR_STAGE : ERR_ENV, 0,
			"its command ended at once with exit code %d", st.exit_code);
		fail_client(c, &err);
		return;
	}
	/* Where the cgroup does not tell, two looks that agree do. */
	if (c->phase == CLIENT_STARTING && !is_process_of(st.pid, c->id)) {
		c->phase = CLIENT_LOOKING;
		c->pid = -st.pid;
		inspect_client(c);
		return;
	}
	if (c->phase == CLIENT_LOOKING && c->pid != -st.pid) {
		err_set(&err, ERR_ENV, 0, "its process changed while it was looked at");
		fail_client(c, &err);
		return;
	}
	c->pid = st.pid;
	advance(c->up);
}

static void inspect_client(struct client_run *c)
{
	auto_free char *path = xasprintf("/containers/%s/json", c->id);

	engine_submit(c->up->engine, "GET", path, NULL, on_inspected, c);
}

/* What cannot be run is the stage's fault when the stage says what to run. */
static void fail_start(struct client_run *c, const struct err *failure)
{
	const struct stage_client *sc = stage_client_of(c);
	struct err err = *failure;

	if (sc->command.n && err_is(failure, ERR_ENV) &&
	    (strstr(failure->msg, "exec: ") || strstr(failure->msg, "executable file"))) {
		err.kind = ERR_STAGE;
		err_wrap(&err, "its command '%s' cannot be run", sc->command.v[0]);
	} else {
		err_wrap(&err, "cannot start its container");
	}
	fail_client(c, &err);
}

static void on_started(void *arg, json_t *reply, const struct err *failure)
{
	struct client_run *c = arg;

	(void)reply;
	c->up->in_flight--;
	if (failure) {
		fail_start(c, failure);
		return;
	}
	pump(c->up); /* before looking: the engine should never be idle */
	inspect_client(c);
}

static void on_created(void *arg, json_t *reply, const struct err *failure);

static void on_remnant_removed(void *arg, json_t *reply, const struct err *failure)
{
	(void)reply;
	if (failure) {
		on_created(arg, NULL, failure);
		return;
	}
	create_client(arg);
}

/* The name is taken: by a remnant of this very lab, or by a stranger? */
static void on_holder_inspected(void *arg, json_t *reply, const struct err *failure)
{
	struct client_run *c = arg;
	const char *lab = json_string_value(
		json_object_get(json_object_get(json_object_get(reply, "Config"), "Labels"),
				LAB_LABEL));
	auto_free char *path = xasprintf("/containers/%s?force=1&v=1", c->container);
	struct err err = { 0 };

	if (failure) {
		on_created(arg, NULL, failure);
		return;
	}
	if (lab && strcmp(lab, c->up->lab->name) == 0) {
		engine_submit(c->up->engine, "DELETE", path, NULL, on_remnant_removed, c);
		return;
	}
	if (lab) {
		err_set(&err, ERR_CONFLICT, 0, "its container's name '%s' is taken by lab '%s'",
			c->container, lab);
		err_hint(&err, "stop that (labctl --lab %s stage-stop) or use another lab name",
			 lab);
	} else {
		err_set(&err, ERR_CONFLICT, 0,
			"a container '%s' is there already and is not labctl's", c->container);
		err_hint(&err, "rename it (docker rename %s other) or use another lab name (--lab)",
			 c->container);
	}
	on_created(arg, NULL, &err);
}

static void on_created(void *arg, json_t *reply, const struct err *failure)
{
	struct client_run *c = arg;
	const char *id = json_string_value(json_object_get(reply, "Id"));
	auto_free char *path = NULL;
	struct err err = failure ? *failure : (struct err){ 0 };

	if (failure && failure->kind == ERR_CONFLICT && !c->retried) {
		c->retried = true;
		path = xasprintf("/containers/%s/json", c->container);
		engine_submit(c->up->engine, "GET", path, NULL, on_holder_inspected, c);
		return;
	}
	if (!failure && (!id || !str_copy(c->id, sizeof(c->id), id)))
		err_set(&err, ERR_ENV, 0, "the engine's reply to 'create' has no id");
	if (err.kind == ERR_NOT_FOUND) {
		const char *own = stage_client_of(c)->image;

		err_set(&err, ERR_ENV, 0, "the image '%s' is not there",
			own ? own : c->up->lab->image);
		err_hint(&err,
			 own ? "load or build that image first (docker images lists what is there)"
			     : "run: sudo %s image-build",
			 c->up->ctx->exe);
	}
	if (err.kind != ERR_NONE) {
		c->up->in_flight--;
		fail_client(c, &err);
		return;
	}
	if (c->up->failed) {
		c->up->in_flight--;
		return;
	}
	c->phase = CLIENT_STARTING;
	path = xasprintf("/containers/%s/start", c->id);
	engine_submit(c->up->engine, "POST", path, NULL, on_started, c);
	advance(c->up); /* something to do while the engine works */
}

static json_t *create_body(struct client_run *c)
{
	const struct stage_client *sc = stage_client_of(c);
	const struct lab *l = c->up->lab;
	auto_free char *owner = xasprintf("%u", l->owner.uid);
	auto_free char *hosts = lab_path(l, "hosts");
	auto_free char *src = lab_path(l, "src");
	const char *const labels[] = { LAB_LABEL,
				       l->name,
				       LAB_LABEL_STAGE,
				       l->stage->name,
				       LAB_LABEL_CLIENT,
				       sc->name,
				       LAB_LABEL_OWNER,
				       owner,
				       NULL };
	const struct container_bind binds[] = {
		{ hosts, "/etc/hosts", true },
		{ src, "/~/src", l->src == LAB_SRC_READONLY },
	};
	static const char *const caps[] = { "NET_ADMIN", NULL };
	const struct container_spec spec = {
		.image = sc->image ? sc->image : l->image,
		.hostname = sc->name,
		.command = sc->command.n ? (const char *const *)sc->command.v : NULL,
		.env = sc->env.n ? (const char *const *)sc->env.v : NULL,
		.labels = labels,
		.binds = binds,
		.n_binds = l->src == LAB_SRC_NONE ? 1 : 2,
		.cap_add = caps,
	};

	return container_create_body(&spec);
}

static void create_client(struct client_run *c)
{
	auto_free char *path = xasprintf("/containers/create?name=%s", c->container);

	c->phase = CLIENT_CREATING;
	engine_submit(c->up->engine, "POST", path, create_body(c), on_created, c);
}

/* After the pipeline. */

/* What a client printed, for a hint: its lines in one. */
static int hint_output(struct err *err, const char *text)
{
	auto_str line = { 0 };

	for (const char *p = text; *p; p++) {
		if (*p != '\n')
			str_addn(&line, p, 1);
		else if (p[1])
			str_add(&line, " | ");
	}
	return line.len ? err_hint(err, "it printed: %s", str_get(&line)) : -1;
}

static int take_commands(struct up *up, const struct step *s, struct err *err)
{
	const struct stage_client *sc = &up->lab->stage->clients[s->client];

	for (size_t i = 0; i < sc->start.n; i++) {
		const char *const argv[] = { "sh", "-c", sc->start.v[i], NULL };
		auto_free char *out = NULL;
		int code, r;

		/* A command may take any time; the roll-back takes its container. */
		interrupt_hold(false);
		r = exec_capture(up->engine, up->clients[s->client].container, argv, &code, &out,
				 err);
		interrupt_hold(true);
		if (r < 0)
			return -1;
		if (code != 0) {
			err_set(err, ERR_STAGE, 0, "start command '%s' ended with exit code %d",
				sc->start.v[i], code);
			return hint_output(err, out ? out : "");
		}
	}
	return 0;
}

static int take_verify(struct up *up, struct err *err)
{
	auto_free char *label = xasprintf(LAB_LABEL "=%s", up->lab->name);
	auto_container_list list = { 0 };

	if (wire_verify_seat(up->wiring, err) < 0 ||
	    container_list_by_label(up->engine, label, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < up->lab->stage->n_clients; i++) {
		struct client_run *c = &up->clients[i];
		const struct container_info *info = NULL;

		for (size_t k = 0; k < list.n && !info; k++)
			info = strcmp(list.v[k].id, c->id) == 0 ? &list.v[k] : NULL;
		if (info && strcmp(info->state, "running") == 0)
			continue;
		c->phase = CLIENT_EXITED;
		return err_set(err, stage_client_of(c)->command.n ? ERR_STAGE : ERR_ENV, 0,
			       "client '%s': its command ended at once: %s",
			       stage_client_of(c)->name,
			       info ? info->status : "its container is gone");
	}
	return 0;
}

/* What an exited client printed is the best explanation there is. */
static void quote_log(struct up *up)
{
	for (size_t i = 0; i < up->lab->stage->n_clients; i++) {
		struct client_run *c = &up->clients[i];
		auto_free char *text = NULL;

		if (c->phase != CLIENT_EXITED)
			continue;
		if (container_log_tail(up->engine, c->id, 5, &text, NULL) == 0 && text)
			hint_output(&up->err, text);
		return;
	}
}

static void up_prepare(struct up *up)
{
	const struct stage *s = up->lab->stage;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	plan_make(up->lab, &up->plan);
	up->limit = cpus > 0 ? (size_t)cpus * 2 : PIPELINE_MIN;
	if (up->limit < PIPELINE_MIN)
		up->limit = PIPELINE_MIN;
	if (up->limit > PIPELINE_MAX)
		up->limit = PIPELINE_MAX;
	up->clients = xcalloc(s->n_clients, sizeof(*up->clients));
	for (size_t i = 0; i < s->n_clients; i++) {
		up->clients[i].up = up;
		up->clients[i].index = i;
		up->clients[i].container = lab_container_name(up->lab, s->clients[i].name);
		for (size_t k = 0; k < up->plan.n; k++)
			up->clients[i].links_left += step_touches(&up->plan.steps[k], i);
	}
}

static void up_run(struct up *up)
{
	struct err err = { 0 };

	if (take_kind(up, STEP_DIR) < 0 || take_kind(up, STEP_SRC) < 0)
		return;
	pump(up);
	if (engine_run(up->engine, &err) < 0)
		fail(up, &err);
	pump(up); /* an interrupt that came last */
	if (up->failed)
		return;
	advance(up);
	if (up->failed || take_kind(up, STEP_COMMANDS) < 0 || take_kind(up, STEP_VERIFY) < 0)
		return;
	if (interrupt_pending())
		err_set(&err, ERR_INTERRUPTED, 0, "interrupted");
	if (err.kind)
		fail(up, &err);
	else
		take_kind(up, STEP_PUBLISH);
}

static void up_done(struct up *up)
{
	for (size_t i = 0; i < up->lab->stage->n_clients && up->clients; i++)
		free(up->clients[i].container);
	free(up->clients);
	plan_done(&up->plan);
}

static int roll_back(struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	struct err down = { 0 };

	lab_ctx_progress(ctx, 0, 0, "taking lab '%s' down again", l->name);
	if (lab_down(ctx, l, &down) < 0) {
		log_debug("roll-back: %s", down.msg);
		err_hint(err,
			 "not all could be taken down (%.300s); once that is mended: labctl --lab "
			 "%s stage-stop",
			 down.msg, l->name);
	}
	return -1;
}

int lab_up(struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	struct up up = { .ctx = ctx, .lab = l };
	auto_wiring w = NULL;

	if (lab_ctx_engine(ctx, &up.engine, err) < 0 || wiring_new(l, &w, err) < 0 ||
	    claim_take(ctx, l, err) < 0)
		return -1;
	up.wiring = w;
	if (lab_save(l, LAB_STARTING, err) < 0) {
		if (lab_forget(ctx, l, NULL) < 0)
			log_debug("the link group of lab '%s' stays taken", l->name);
		return -1;
	}
	interrupt_hold(true);
	up_prepare(&up);
	up_run(&up);
	if (up.failed) {
		quote_log(&up);
		if (err)
			*err = up.err;
		roll_back(ctx, l, err);
	}
	interrupt_hold(false);
	up_done(&up);
	return up.failed ? -1 : 0;
}
