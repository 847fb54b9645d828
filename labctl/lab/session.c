/* SPDX-License-Identifier: MIT */
/* session.c - start a stage, stop it, find its clients. */
#include "lab/session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/caller.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "lab/down.h"
#include "lab/leftovers.h"
#include "lab/limits.h"
#include "lab/scripts.h"
#include "lab/status.h"
#include "lab/up.h"
#include "stage/load.h"

#include "base/banned.h"

/* The host seat is for those who administer the host. */
static bool gets_private_seat(const struct caller *c)
{
	struct err err = { 0 };

	if (caller_check_host_seat(c, &err) == 0)
		return false;
	if (!err_is(&err, ERR_FAILED))
		log_warn("%s", err.msg);
	return true;
}

int session_prepare(struct lab_ctx *ctx, const char *stage, bool isolated,
		    struct stage_problems *problems, struct lab **ret, struct err *err)
{
	auto_free char *dir = NULL;
	struct limits ceiling;
	auto_stage s = NULL;

	if (stage_find(ctx->stages_dir, stage, &dir, err) < 0 ||
	    stage_load(dir, &s, problems, err) < 0)
		return -1;
	if (s->kind == STAGE_SCRIPTS && isolated)
		return err_set(err, ERR_USAGE, 0,
			       "stage '%s' has scripts of its own: it cannot be --isolated",
			       s->name);
	if (limits_ceiling(&ctx->caller, &ceiling, err) < 0 || limits_check(s, &ceiling, err) < 0)
		return -1;
	if (lab_new(ctx, s, isolated || (s->kind == STAGE_JSON && gets_private_seat(&ctx->caller)),
		    ret, err) < 0)
		return -1;
	s = NULL; /* the lab's now */
	(*ret)->isolated_by_choice = isolated;
	return 0;
}

static int take_down(struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	if (l->stage->kind == STAGE_SCRIPTS && scripts_down(ctx, l, err) < 0)
		return -1;
	return lab_down(ctx, l, err);
}

int session_start(struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	auto_lab_lock lock = { 0 };
	struct limits ceiling;
	auto_lab old = NULL;
	struct err e = { 0 };

	if (lab_lock(ctx, "stage-start", &lock, err) < 0 ||
	    limits_ceiling(&l->owner, &ceiling, err) < 0 ||
	    limits_check_clients(ctx, l, &ceiling, err) < 0)
		return -1;
	if (lab_load(ctx, ctx->lab, &old, &e) == 0) {
		if (lab_check_owner(ctx, old, err) < 0)
			return -1;
		old->orphaned |= lock.orphaned;
		lab_ctx_progress(ctx, 0, 0, "stopping %s", old->stage->name);
		if (take_down(ctx, old, err) < 0)
			return err_wrap(err, "cannot stop '%s', which runs in lab '%s'",
					old->stage->name, ctx->lab);
	} else if (!err_is(&e, ERR_NOT_FOUND)) {
		return err_pass(err, &e);
	}
	if (l->stage->kind == STAGE_SCRIPTS)
		return scripts_up(ctx, l, err);
	return lab_up(ctx, l, err);
}

int session_stop(struct lab_ctx *ctx, char **ret_stage, struct err *err)
{
	auto_lab_lock lock = { 0 };
	auto_lab l = NULL;
	struct err e = { 0 };

	if (lab_lock(ctx, "stage-stop", &lock, err) < 0)
		return -1;
	if (lab_load(ctx, ctx->lab, &l, &e) < 0) {
		if (err_is(&e, ERR_NOT_FOUND) && leftovers_sweep(ctx, ctx->lab, err) < 0)
			return -1;
		return err_pass(err, &e);
	}
	if (lab_check_owner(ctx, l, err) < 0)
		return -1;
	l->orphaned |= lock.orphaned;
	if (take_down(ctx, l, err) < 0) {
		if (!err->hint[0])
			err_hint(err, "mend that, then: %s stage-stop", ctx->labctl);
		return err_wrap(err, "cannot stop '%s' entirely", l->stage->name);
	}
	if (ret_stage)
		*ret_stage = xstrdup(l->stage->name);
	return 0;
}

/* A labctl died before it wrote the record, or after it removed it. */
static void sweep_orphaned(struct lab_ctx *ctx)
{
	auto_lab_lock lock = { 0 };
	auto_lab l = NULL;
	struct err e = { 0 }, none = { 0 };

	if (geteuid() != 0 || !lab_is_orphaned(ctx, ctx->lab))
		return;
	/* Another one that comes by at the same time does the same. */
	if (lab_lock(ctx, "recovery", &lock, &e) < 0)
		log_debug("%s", e.msg);
	else if (lab_load(ctx, ctx->lab, &l, &none) < 0 && err_is(&none, ERR_NOT_FOUND) &&
		 leftovers_sweep(ctx, ctx->lab, &e) < 0)
		log_warn("what a dead labctl left of lab '%s' stays: %s", ctx->lab, e.msg);
}

/* A labctl died over this lab: what it began is taken back before anything else. */
static int recover(struct lab_ctx *ctx, const struct lab *seen, struct err *err)
{
	auto_lab_lock lock = { 0 };
	auto_lab l = NULL;

	if (lab_lock(ctx, "recovery", &lock, err) < 0 || lab_load(ctx, ctx->lab, &l, err) < 0)
		return -1;
	if (l->state == LAB_RUNNING)
		return 0;
	l->orphaned |= lock.orphaned;
	log_warn("%s lab '%s' was not finished; what is left of it is removed first",
		 lab_state_name(seen->state), seen->name);
	return take_down(ctx, l, err);
}

int session_running(struct lab_ctx *ctx, struct lab **ret, struct err *err)
{
	auto_lab l = NULL;

	if (lab_load(ctx, ctx->lab, &l, err) < 0) {
		if (err_is(err, ERR_NOT_FOUND))
			sweep_orphaned(ctx);
		return -1;
	}
	if (lab_check_owner(ctx, l, err) < 0)
		return -1;
	if (l->state != LAB_RUNNING && geteuid() == 0 && !lab_is_locked(ctx, ctx->lab)) {
		if (recover(ctx, l, err) < 0)
			return -1;
		lab_free(steal_ptr(&l));
		if (lab_load(ctx, ctx->lab, &l, err) < 0)
			return -1;
	}
	if (lab_is_before_boot(l)) {
		auto_free char *anew = lab_start_command(ctx, l);

		err_set(err, ERR_ENV, 0, "lab '%s' was started before the host's last boot",
			l->name);
		return err_hint(err, "bring it back: %s repair; or start it again: %s", ctx->labctl,
				anew);
	}
	if (l->state != LAB_RUNNING) {
		err_set(err, ERR_BUSY, 0, "stage '%s' is %s in lab '%s'", l->stage->name,
			lab_state_name(l->state), l->name);
		return err_hint(err, "wait for it; if nothing is at work on it: %s stage-stop",
				ctx->labctl);
	}
	*ret = steal_ptr(&l);
	return 0;
}

int session_check_seat(const struct lab_ctx *ctx, const struct lab *l, struct err *err)
{
	auto_free char *anew = lab_start_command(ctx, l);

	if (l->isolated || caller_check_host_seat(&ctx->caller, err) == 0)
		return 0;
	err_wrap(err, "lab '%s' is in the host's own namespace", l->name);
	if (l->stage->kind == STAGE_SCRIPTS)
		return -1;
	return err_hint(err, "start it again with a private seat: %s", anew);
}

/* A lab that a dead labctl left half-done is removed, not repaired. */
static int load_for_repair(struct lab_ctx *ctx, struct lab_lock *lock, struct lab **ret,
			   struct err *err)
{
	auto_lab l = NULL;

	if (lab_load(ctx, ctx->lab, &l, err) < 0 || lab_check_owner(ctx, l, err) < 0)
		return -1;
	if (l->state != LAB_RUNNING) {
		lab_free(steal_ptr(&l));
		if (session_running(ctx, &l, err) < 0)
			return -1;
	}
	lab_free(steal_ptr(&l));
	/* What was read without the lock may be of yesterday. */
	if (lab_lock(ctx, "repair", lock, err) < 0 || lab_load(ctx, ctx->lab, &l, err) < 0 ||
	    lab_check_owner(ctx, l, err) < 0)
		return -1;
	if (l->state != LAB_RUNNING)
		return err_set(err, ERR_BUSY, 0, "lab '%s' is %s", l->name,
			       lab_state_name(l->state));
	l->orphaned |= lock->orphaned;
	*ret = steal_ptr(&l);
	return 0;
}

static bool has_text(json_t *drift, const char *text)
{
	json_t *d;
	size_t i;

	json_array_foreach (drift, i, d) {
		if (strcmp(json_string_value(json_object_get(d, "text")), text) == 0)
			return true;
	}
	return false;
}

/* What was there before, and is not after. */
static json_t *texts_gone(json_t *before, json_t *after)
{
	json_t *gone = json_array(), *d;
	size_t i;

	json_array_foreach (before, i, d) {
		const char *text = json_string_value(json_object_get(d, "text"));

		if (!has_text(after, text))
			json_array_append_new(gone, json_string(text));
	}
	return gone;
}

int session_repair(struct lab_ctx *ctx, json_t **ret_report, struct err *err)
{
	auto_lab_lock lock = { 0 };
	auto_lab l = NULL;
	auto_strv made = { 0 };
	json_auto_t *before = NULL, *after = NULL;
	json_t *words = NULL;

	if (load_for_repair(ctx, &lock, &l, err) < 0 || session_check_seat(ctx, l, err) < 0)
		return -1;
	if (l->stage->kind == STAGE_SCRIPTS) {
		auto_free char *anew = lab_start_command(ctx, l);

		err_set(err, ERR_FAILED, 0,
			"stage '%s' has scripts of its own: it cannot be repaired", l->stage->name);
		return err_hint(err, "start it again: %s", anew);
	}
	if (lab_status(ctx, &before, err) < 0 || lab_repair(ctx, l, &made, err) < 0 ||
	    lab_status(ctx, &after, err) < 0)
		return -1;
	words = json_array();
	for (size_t i = 0; i < made.n; i++)
		json_array_append_new(words, json_string(made.v[i]));
	*ret_report = json_pack("{s:s, s:s, s:O, s:o, s:o, s:O}", "lab", l->name, "stage",
				l->stage->name, "was", json_object_get(before, "drift"), "mended",
				texts_gone(json_object_get(before, "drift"),
					   json_object_get(after, "drift")),
				"made", words, "left", json_object_get(after, "drift"));
	return 0;
}

int session_container(const struct lab *l, const char *client, char **ret, struct err *err)
{
	auto_strv names = { 0 };
	auto_str all = { 0 };
	const char *near;

	if (stage_find_client(l->stage, client)) {
		*ret = lab_container_name(l, client);
		return 0;
	}
	for (size_t i = 0; i < l->stage->n_clients; i++) {
		strv_add(&names, l->stage->clients[i].name);
		str_addf(&all, "%s%s", i ? ", " : "", l->stage->clients[i].name);
	}
	near = nearest_name(client, names.v, names.n);
	err_set(err, ERR_NOT_FOUND, 0, "there is no client '%.64s' in '%s'", client,
		l->stage->name);
	if (near)
		return err_hint(err, "did you mean '%s'?", near);
	return err_hint(err, "the clients are: %.300s", str_get(&all));
}
