/* SPDX-License-Identifier: MIT */
/* crew.c - the engine's side of bringing a lab up: create -> start -> inspect, for each client. */
#include "lab/bring.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/caller.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "docker/container.h"
#include "docker/profile.h"
#include "net/netns.h"

#include "base/banned.h"

/* For what the engine has yet to hear of a process that is gone. */
#define END_TIMEOUT_MS 10000

static void create_client(struct client_run *c);
static void look_for_client(struct client_run *c);
static void inspect_client(struct client_run *c);

void crew_pump(struct bring *up)
{
	struct err err = { 0 };

	if (interrupt_pending() && !up->failed) {
		err_set(&err, ERR_INTERRUPTED, 0, "interrupted");
		bring_fail(up, &err);
	}
	while (!up->failed && up->next < up->lab->stage->n_clients && up->in_flight < up->limit) {
		struct client_run *c = &up->clients[up->next++];

		up->in_flight++;
		if (up->repair)
			look_for_client(c);
		else
			create_client(c);
	}
}

/* Is this the container's own process? A pid can be another's by now. */
static bool is_process_of(pid_t pid, const char *id)
{
	auto_free char *path = xasprintf("/proc/%d/cgroup", (int)pid);
	auto_free char *text = NULL;

	return fs_read(path, 1 << 20, &text, NULL, ERR_IGNORED) == 0 && strstr(text, id);
}

static void fail_ended(struct client_run *c, int exit_code)
{
	struct err err = { 0 };

	c->phase = CLIENT_EXITED;
	err_set(&err, bring_stage_client(c)->command.n ? ERR_STAGE : ERR_ENV, 0,
		"its command ended at once with exit code %d", exit_code);
	bring_fail_client(c, &err);
}

/* Its namespace goes with the process, before the engine hears of its end. */
static bool has_ended(const struct client_run *c)
{
	struct err err = { 0 };
	int ns;

	if (netns_open_pid(c->pid, &ns, &err) < 0)
		return err_is(&err, ERR_NOT_FOUND);
	close(ns);
	return false;
}

struct client_run *crew_ended(struct bring *up)
{
	for (size_t i = 0; i < up->lab->stage->n_clients; i++) {
		if (up->clients[i].pid > 0 && has_ended(&up->clients[i]))
			return &up->clients[i];
	}
	return NULL;
}

void crew_explain(struct bring *up)
{
	struct client_run *c = up->stumbled;
	struct err err = { 0 };
	int exit_code;

	if (!c || err_is(&up->err, ERR_INTERRUPTED) || !has_ended(c))
		return;
	if (container_wait_end(up->engine, c->id, END_TIMEOUT_MS, &exit_code, &err) < 0) {
		log_debug("client '%s': %s", bring_stage_client(c)->name, err.msg);
		return;
	}
	up->failed = false; /* this is the first failure, then */
	fail_ended(c, exit_code);
}

static void on_inspected(void *arg, json_t *reply, const struct err *failure)
{
	struct client_run *c = arg;
	struct container_state st;
	struct err err = { 0 };

	if (failure) {
		bring_fail_client(c, failure);
		return;
	}
	if (container_state_read(reply, &st, &err) < 0) {
		bring_fail_client(c, &err);
		return;
	}
	if (!st.running) {
		fail_ended(c, st.exit_code);
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
		bring_fail_client(c, &err);
		return;
	}
	c->pid = st.pid;
	bring_advance(c->up);
}

static void inspect_client(struct client_run *c)
{
	auto_free char *path = xasprintf("/containers/%s/json", c->id);

	engine_submit(c->up->engine, "GET", path, NULL, on_inspected, c);
}

/* What cannot be run is the stage's fault when the stage says what to run. */
static void fail_start(struct client_run *c, const struct err *failure)
{
	const struct stage_client *sc = bring_stage_client(c);
	struct err err = *failure;

	if (sc->command.n && err_is(failure, ERR_ENV) &&
	    (strstr(failure->msg, "exec: ") || strstr(failure->msg, "executable file"))) {
		err.kind = ERR_STAGE;
		err_wrap(&err, "its command '%s' cannot be run", sc->command.v[0]);
	} else {
		err_wrap(&err, "cannot start its container");
	}
	bring_fail_client(c, &err);
}

static void on_remnant_removed(void *arg, json_t *reply, const struct err *failure);

static void on_started(void *arg, json_t *reply, const struct err *failure)
{
	struct client_run *c = arg;

	(void)reply;
	if (failure && c->woken) {
		auto_free char *path = xasprintf("/containers/%s?force=1&v=1", c->id);

		c->woken = NULL; /* what it needs is gone: anew, then */
		engine_submit(c->up->engine, "DELETE", path, NULL, on_remnant_removed, c);
		return;
	}
	c->up->in_flight--;
	if (failure) {
		fail_start(c, failure);
		return;
	}
	crew_pump(c->up); /* before looking: the engine should never be idle */
	inspect_client(c);
}

static void on_created(void *arg, json_t *reply, const struct err *failure);

/* A repair's first look: a client that runs stays, a paused one goes on, one that has stopped is
 * started again with what it has on its disk, anything else is made anew. */

static void on_holder_inspected(void *arg, json_t *reply, const struct err *failure);

static void on_unpaused(void *arg, json_t *reply, const struct err *failure)
{
	struct client_run *c = arg;

	(void)reply;
	c->up->in_flight--;
	if (failure) {
		bring_fail_client(c, failure);
		return;
	}
	c->woken = "goes on";
	crew_pump(c->up);
	inspect_client(c);
}

/* Was it made for this client (and not only to hold its name), and has it run? */
static bool can_be_started(const struct client_run *c, json_t *reply)
{
	json_t *labels = json_object_get(json_object_get(reply, "Config"), "Labels");
	const char *client = json_string_value(json_object_get(labels, LAB_LABEL_CLIENT));
	const char *state =
		json_string_value(json_object_get(json_object_get(reply, "State"), "Status"));

	return client && strcmp(client, bring_stage_client(c)->name) == 0 && state &&
	       strcmp(state, "exited") == 0 && !c->retried;
}

static void start_client(struct client_run *c)
{
	auto_free char *path = xasprintf("/containers/%s/start", c->id);

	c->phase = CLIENT_STARTING;
	c->made = true;
	engine_submit(c->up->engine, "POST", path, NULL, on_started, c);
}

static void keep_client(struct client_run *c, json_t *reply)
{
	json_t *state = json_object_get(reply, "State");
	auto_free char *path = NULL;

	c->phase = CLIENT_STARTING;
	if (json_is_true(json_object_get(state, "Paused"))) {
		path = xasprintf("/containers/%s/unpause", c->id);
		engine_submit(c->up->engine, "POST", path, NULL, on_unpaused, c);
		return;
	}
	c->up->in_flight--;
	crew_pump(c->up);
	on_inspected(c, reply, NULL);
}

static void on_looked_for(void *arg, json_t *reply, const struct err *failure)
{
	struct client_run *c = arg;
	const struct lab *l = c->up->lab;
	auto_free char *path = xasprintf("/containers/%s?force=1&v=1", c->container);
	const char *id = json_string_value(json_object_get(reply, "Id"));
	json_t *labels = json_object_get(json_object_get(reply, "Config"), "Labels");

	if (failure && failure->kind == ERR_NOT_FOUND) {
		create_client(c);
	} else if (failure) {
		c->up->in_flight--;
		bring_fail_client(c, failure);
	} else if (!lab_marks_match(l->book, l->name, labels)) {
		on_holder_inspected(c, reply, NULL);
	} else if (!id || !str_copy(c->id, sizeof(c->id), id)) {
		engine_submit(c->up->engine, "DELETE", path, NULL, on_remnant_removed, c);
	} else if (json_is_true(json_object_get(json_object_get(reply, "State"), "Running"))) {
		keep_client(c, reply);
	} else if (can_be_started(c, reply)) {
		c->woken = "was started again";
		start_client(c);
	} else {
		engine_submit(c->up->engine, "DELETE", path, NULL, on_remnant_removed, c);
	}
}

static void look_for_client(struct client_run *c)
{
	auto_free char *path = xasprintf("/containers/%s/json", c->container);

	engine_submit(c->up->engine, "GET", path, NULL, on_looked_for, c);
}

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
	json_t *labels = json_object_get(json_object_get(reply, "Config"), "Labels");
	const char *lab = json_string_value(json_object_get(labels, LAB_LABEL));
	auto_free char *path = xasprintf("/containers/%s?force=1&v=1", c->container);
	struct err err = { 0 };

	if (failure) {
		if (failure->kind == ERR_NOT_FOUND)
			err_set(&err, ERR_BUSY, 0,
				"the engine is still making or removing a container '%s'",
				c->container);
		on_created(arg, NULL, failure->kind == ERR_NOT_FOUND ? &err : failure);
		return;
	}
	if (lab_marks_match(c->up->lab->book, c->up->lab->name, labels)) {
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
		const char *own = bring_stage_client(c)->image;

		err_set(&err, ERR_ENV, 0, "the image '%s' is not there",
			own ? own : c->up->lab->image);
		err_hint(&err,
			 own ? "load or build that image first (docker images lists what is there)"
			     : "run: sudo %s image-build",
			 c->up->ctx->exe);
	}
	if (err.kind != ERR_NONE) {
		c->up->in_flight--;
		bring_fail_client(c, &err);
		return;
	}
	if (c->up->failed) {
		c->up->in_flight--;
		return;
	}
	start_client(c);
	bring_advance(c->up); /* something to do while the engine works */
}

/* What root in a client has: the network's tools, files and processes of its own container, and
 * becoming another user. No MKNOD: a device in src/ would open on the host. */
static const char *const caps[] = { "CHOWN",	 "DAC_OVERRIDE",     "FOWNER",	"KILL",
				    "NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW", "SETGID",
				    "SETUID",	 "SYS_CHROOT",	     NULL };

static json_t *create_body(struct client_run *c)
{
	const struct stage_client *sc = bring_stage_client(c);
	const struct lab *l = c->up->lab;
	auto_free char *owner = xasprintf("%u", l->owner.uid);
	auto_free char *hosts = lab_path(l, "hosts");
	auto_free char *src = lab_path(l, LAB_SRC_MOUNT);
	const char *const labels[] = { LAB_LABEL,
				       l->name,
				       LAB_LABEL_BOOK,
				       l->book,
				       LAB_LABEL_STAGE,
				       l->stage->name,
				       LAB_LABEL_CLIENT,
				       sc->name,
				       LAB_LABEL_OWNER,
				       owner,
				       NULL };
	const struct container_bind binds[] = {
		{ hosts, "/etc/hosts", true },
		{ src, "/~/src", false },
	};
	const struct limits limits = limits_of(sc, &c->up->ceiling);
	/* Who administers the host has its network anyway. */
	bool apart = l->src != LAB_SRC_NONE && !caller_is_administrator(&l->owner);
	auto_free char *profile = apart ? container_profile() : NULL;
	const struct container_spec spec = {
		.image = sc->image ? sc->image : l->image,
		.hostname = sc->name,
		.command = sc->command.n ? (const char *const *)sc->command.v : NULL,
		.env = sc->env.n ? (const char *const *)sc->env.v : NULL,
		.labels = labels,
		.binds = binds,
		.n_binds = l->src == LAB_SRC_NONE ? 1 : 2,
		.caps = caps,
		.memory = limits.memory,
		.processes = limits.processes,
		.profile = profile,
	};

	return container_create_body(&spec);
}

static void create_client(struct client_run *c)
{
	auto_free char *path = xasprintf("/containers/create?name=%s", c->container);

	c->phase = CLIENT_CREATING;
	engine_submit(c->up->engine, "POST", path, create_body(c), on_created, c);
}
