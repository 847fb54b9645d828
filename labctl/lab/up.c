/* SPDX-License-Identifier: MIT */
/* up.c - bring a lab up: the steps of the plan and the kernel's side. */
#include "lab/up.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "docker/container.h"
#include "docker/exec.h"
#include "lab/bring.h"
#include "lab/bypass.h"
#include "lab/claim.h"
#include "lab/containers.h"
#include "lab/down.h"
#include "lab/forward.h"
#include "lab/publish.h"
#include "lab/srcmount.h"
#include "net/netns.h"

#include "base/banned.h"

#define PIPELINE_MIN 4
#define PIPELINE_MAX ENGINE_CONNECTIONS

const struct stage_client *bring_stage_client(const struct client_run *c)
{
	return &c->up->lab->stage->clients[c->index];
}

void bring_fail(struct bring *up, const struct err *err)
{
	if (up->failed)
		return;
	up->failed = true;
	up->err = *err;
	/* What went away meanwhile is not what the caller named. */
	if (err_is(err, ERR_NOT_FOUND))
		up->err.kind = ERR_ENV;
	/* Where exactly it was is of no use to who pressed Ctrl-C. */
	if (err_is(err, ERR_INTERRUPTED))
		err_set(&up->err, ERR_INTERRUPTED, 0, "interrupted: stage '%s' is not started",
			up->lab->stage->name);
}

void bring_fail_client(struct client_run *c, const struct err *err)
{
	struct err e = *err;

	err_wrap(&e, "client '%s'", bring_stage_client(c)->name);
	bring_fail(c->up, &e);
}

/* Steps of the kernel's side. */

static bool link_ready(const struct bring *up, const struct step *s)
{
	for (size_t i = 0; i < 2; i++) {
		if (s->ends[i].kind == END_CLIENT &&
		    up->clients[s->ends[i].client].phase != CLIENT_RUNNING)
			return false;
	}
	return true;
}

static bool step_ready(const struct bring *up, const struct step *s)
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
	case STEP_SCRIPT:
	case STEP_CONTAINER:
	case STEP_PORTS:
	case STEP_COMMANDS:
	case STEP_VERIFY:
	case STEP_PUBLISH:
	case STEP_KIND_MAX:
		break; /* taken by name, before or after the pipeline */
	}
	return false;
}

static int take_link(struct bring *up, const struct step *s, struct err *err)
{
	if (wire_link(up->wiring, s, err) < 0)
		return -1;
	for (size_t i = 0; i < 2; i++) {
		if (s->ends[i].kind == END_CLIENT)
			up->clients[s->ends[i].client].links_left--;
	}
	return 0;
}

static int take_routes(struct bring *up, const struct step *s, struct err *err)
{
	struct client_run *c = &up->clients[s->client];

	if (wire_routes(up->wiring, s->client, err) < 0)
		return -1;
	c->phase = CLIENT_WIRED;
	up->wired++;
	lab_ctx_progress(up->ctx, up->wired, (unsigned)up->lab->stage->n_clients, "%s is up",
			 bring_stage_client(c)->name);
	return 0;
}

static int take_client(struct bring *up, const struct step *s, struct err *err)
{
	struct client_run *c = &up->clients[s->client];

	if (wire_client(up->wiring, s->client, c->pid, err) < 0)
		return -1;
	c->phase = CLIENT_RUNNING;
	return 0;
}

static int take_src(struct bring *up, struct err *err)
{
	struct lab *l = up->lab;
	auto_free char *target = lab_path(l, LAB_SRC_MOUNT);

	/* The clients that run are bound to what they were started with. */
	if (up->repair && (l->src == LAB_SRC_NONE || srcmount_is_mounted(target)))
		return 0;
	if (srcmount_add(l->src_dir, &l->owner, target, &l->src, &l->src_why, err) < 0)
		return -1;
	if (l->src == LAB_SRC_NONE)
		log_warn("src is not mounted in the clients: %s; use --src with a directory of "
			 "your own on a local file system: mkdir -p ~/src; %s stage-start --src "
			 "~/src %s",
			 l->src_why, up->ctx->labctl, l->stage->name);
	return 0;
}

static int take_commands(struct bring *up, const struct step *s, struct err *err);
static int take_verify(struct bring *up, struct err *err);

static int take_step(struct bring *up, struct step *s, struct err *err)
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
	case STEP_PORTS:
		return forward_start(up->ctx, up->lab, err);
	case STEP_COMMANDS:
		return take_commands(up, s, err);
	case STEP_VERIFY:
		return take_verify(up, err);
	case STEP_PUBLISH:
		if (lab_publish_stage(up->lab, err) < 0)
			return -1;
		return lab_save(up->lab, LAB_RUNNING, err);
	case STEP_CONTAINER: /* the pipeline's */
	case STEP_SCRIPT:    /* scripts.c's */
	case STEP_KIND_MAX:
		break;
	}
	return 0;
}

static bool is_of_client(const struct step *s)
{
	return s->kind == STEP_CLIENT || s->kind == STEP_ROUTES || s->kind == STEP_COMMANDS;
}

/* Says whose step it was; a step of the whole lab speaks for itself. A client that ended takes its
 * ends of the links along: what is missed then is told of it. */
static void fail_step(struct bring *up, const struct step *s, struct err *err)
{
	const struct stage *stage = up->lab->stage;

	if (is_of_client(s)) {
		err_wrap(err, "client '%s'", stage->clients[s->client].name);
		up->stumbled = &up->clients[s->client];
	} else {
		if (s->kind == STEP_BRIDGE || s->kind == STEP_LINK)
			err_wrap(err, "network '%s'", stage->networks[s->network].name);
		up->stumbled = crew_ended(up);
	}
	bring_fail(up, err);
}

static int do_step(struct bring *up, struct step *s)
{
	auto_str text = { 0 };
	struct err err = { 0 };

	step_describe(up->lab, s, &text);
	log_debug("%s: %s", step_name(s->kind), str_get(&text));
	if (take_step(up, s, &err) < 0) {
		fail_step(up, s, &err);
		return -1;
	}
	s->done = true;
	return 0;
}

/* Takes every step that has become possible, in the plan's order. */
void bring_advance(struct bring *up)
{
	for (size_t i = 0; i < up->plan.n && !up->failed; i++) {
		struct step *s = &up->plan.steps[i];

		if (!s->done && step_ready(up, s) && do_step(up, s) < 0)
			return;
	}
}

/* All steps of one kind, now. */
static int take_kind(struct bring *up, enum step_kind kind)
{
	for (size_t i = 0; i < up->plan.n; i++) {
		if (up->plan.steps[i].kind == kind && do_step(up, &up->plan.steps[i]) < 0)
			return -1;
	}
	return 0;
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

static int take_commands(struct bring *up, const struct step *s, struct err *err)
{
	const struct stage_client *sc = &up->lab->stage->clients[s->client];

	for (size_t i = 0; up->clients[s->client].made && i < sc->start.n; i++) {
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

static int take_verify(struct bring *up, struct err *err)
{
	auto_container_list list = { 0 };
	const struct client_run *ended;

	if (wire_verify_seat(up->wiring, err) < 0 ||
	    lab_containers(up->ctx, up->lab->name, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < up->lab->stage->n_clients; i++) {
		const struct client_run *c = &up->clients[i];
		const struct container_info *info = NULL;

		for (size_t k = 0; k < list.n && !info; k++)
			info = strcmp(list.v[k].id, c->id) == 0 ? &list.v[k] : NULL;
		if (info && strcmp(info->state, "running") == 0)
			continue;
		return err_set(err, ERR_ENV, 0, "client '%s': its container is %s",
			       bring_stage_client(c)->name, info ? info->state : "gone");
	}
	/* The engine hears of an end some time after the process is gone. */
	ended = crew_ended(up);
	return ended ? err_set(err, ERR_ENV, 0, "client '%s': its process %d ended at once",
			       bring_stage_client(ended)->name, (int)ended->pid)
		     : 0;
}

/* A client that ended is the best explanation there is, and what it printed. */
static void explain(struct bring *up)
{
	crew_explain(up);
	for (size_t i = 0; i < up->lab->stage->n_clients; i++) {
		struct client_run *c = &up->clients[i];
		auto_free char *text = NULL;

		if (c->phase != CLIENT_EXITED)
			continue;
		if (container_log_tail(up->engine, c->id, 5, &text, ERR_IGNORED) == 0 && text)
			hint_output(&up->err, text);
		return;
	}
}

/* What is said to be mended is shown to be. */
static int prove_links(struct bring *up)
{
	for (size_t i = 0; i < up->plan.n; i++) {
		const struct step *s = &up->plan.steps[i];
		struct err err = { 0 };

		if (s->kind != STEP_LINK || wire_prove(up->wiring, s, &err) == 0)
			continue;
		err_wrap(&err, "network '%s'", up->lab->stage->networks[s->network].name);
		bring_fail(up, &err);
		return -1;
	}
	return 0;
}

static void up_prepare(struct bring *up)
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

static void up_run(struct bring *up)
{
	struct err err = { 0 };

	if (take_kind(up, STEP_DIR) < 0 || take_kind(up, STEP_SRC) < 0)
		return;
	crew_pump(up);
	if (engine_run(up->engine, &err) < 0)
		bring_fail(up, &err);
	crew_pump(up); /* an interrupt that came last */
	if (up->failed)
		return;
	bring_advance(up);
	if (up->failed || take_kind(up, STEP_COMMANDS) < 0 || take_kind(up, STEP_PORTS) < 0 ||
	    take_kind(up, STEP_VERIFY) < 0 || (up->repair && prove_links(up) < 0))
		return;
	if (interrupt_pending())
		err_set(&err, ERR_INTERRUPTED, 0, "interrupted");
	if (err.kind)
		bring_fail(up, &err);
	else
		take_kind(up, STEP_PUBLISH);
}

static void up_done(struct bring *up)
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
			 "not all could be taken down (%.300s); once that is mended: %s stage-stop",
			 down.msg, ctx->labctl);
	}
	return -1;
}

int lab_up(struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	struct bring up = { .ctx = ctx, .lab = l };
	auto_wiring w = NULL;

	/* An engine that is down is told of before there is anything to take back. */
	if (lab_ctx_engine(ctx, &up.engine, err) < 0 ||
	    limits_ceiling(&l->owner, &up.ceiling, err) < 0 ||
	    lab_containers_check(ctx, l->name, err) < 0 || wiring_new(l, &w, err) < 0 ||
	    claim_take(ctx, l, err) < 0)
		return -1;
	up.wiring = w;
	if (lab_save(l, LAB_STARTING, err) < 0 ||
	    limits_check_clients(ctx, l, &up.ceiling, err) < 0) {
		if (lab_forget(ctx, l, ERR_IGNORED) < 0)
			log_debug("the link group of lab '%s' stays taken", l->name);
		return -1;
	}
	interrupt_hold(true);
	up_prepare(&up);
	up_run(&up);
	if (up.failed) {
		explain(&up);
		*err = up.err;
		roll_back(ctx, l, err);
	}
	interrupt_hold(false);
	up_done(&up);
	return up.failed ? -1 : 0;
}

static void tell_mended(const struct bring *up, struct strv *ret)
{
	for (size_t i = 0; i < up->lab->stage->n_clients; i++) {
		const struct client_run *c = &up->clients[i];

		if (c->made || c->woken)
			strv_addf(ret, "client '%s' %s", bring_stage_client(c)->name,
				  c->woken ? c->woken : "was made anew");
	}
	for (size_t i = 0; i < up->wiring->mended.n; i++)
		strv_add(ret, up->wiring->mended.v[i]);
}

/* What hangs on a link and lets the kernel do the router's work goes with the link. */
static void find_relinks(const struct lab *l, struct wiring *w)
{
	auto_bypasses found = { 0 };
	auto_fd ns = -1;

	if ((l->isolated && netns_open_name(l->seat_ns, &ns, ERR_IGNORED) < 0) ||
	    bypass_find_in_lab(l, ns, &found, ERR_IGNORED) < 0)
		return;
	for (size_t i = 0; i < found.n; i++)
		w->relink[found.v[i].network] |= found.v[i].relink;
}

int lab_repair(struct lab_ctx *ctx, struct lab *l, struct strv *ret_mended, struct err *err)
{
	struct bring up = { .ctx = ctx, .lab = l, .repair = true };
	auto_wiring w = NULL;

	if (lab_ctx_engine(ctx, &up.engine, err) < 0 ||
	    limits_ceiling(&l->owner, &up.ceiling, err) < 0 || claim_restore(ctx, l, err) < 0 ||
	    (l->orphaned && lab_containers_settle(ctx, l, err) < 0) || wiring_new(l, &w, err) < 0 ||
	    proc_boot_id(l->boot_id, err) < 0)
		return -1;
	w->repair = true;
	find_relinks(l, w);
	up.wiring = w;
	interrupt_hold(true);
	up_prepare(&up);
	up_run(&up);
	if (up.failed)
		explain(&up);
	else
		tell_mended(&up, ret_mended);
	interrupt_hold(false);
	up_done(&up);
	return up.failed ? err_pass(err, &up.err) : 0;
}
