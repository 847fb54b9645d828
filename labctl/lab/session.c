/* SPDX-License-Identifier: MIT */
/* session.c - start a stage, stop it, find its clients. */
#include "lab/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "lab/down.h"
#include "lab/scripts.h"
#include "lab/up.h"
#include "stage/load.h"

#include "base/banned.h"

int session_prepare(struct lab_ctx *ctx, const char *stage, bool isolated,
		    struct stage_problems *problems, struct lab **ret, struct err *err)
{
	auto_free char *dir = NULL;
	auto_stage s = NULL;

	if (stage_find(ctx->stages_dir, stage, &dir, err) < 0 ||
	    stage_load(dir, &s, problems, err) < 0)
		return -1;
	if (s->kind == STAGE_SCRIPTS && isolated)
		return err_set(err, ERR_USAGE, 0,
			       "stage '%s' has scripts of its own: it cannot be --isolated",
			       s->name);
	if (lab_new(ctx, s, isolated, ret, err) < 0)
		return -1;
	s = NULL; /* the lab's now */
	return 0;
}

static int take_down(struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	if (l->stage->kind == STAGE_SCRIPTS && l->state != LAB_STARTING && scripts_down(l, err) < 0)
		return -1;
	return lab_down(ctx, l, err);
}

int session_start(struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	auto_lab_lock lock = { 0 };
	auto_lab old = NULL;
	struct err e = { 0 };

	if (lab_lock(ctx, "stage-start", &lock, err) < 0)
		return -1;
	if (lab_load(ctx, ctx->lab, &old, &e) == 0) {
		lab_ctx_progress(ctx, 0, 0, "stopping %s", old->stage->name);
		if (take_down(ctx, old, err) < 0)
			return err_wrap(err, "cannot stop '%s', which runs in lab '%s'",
					old->stage->name, ctx->lab);
	} else if (!err_is(&e, ERR_NOT_FOUND)) {
		if (err)
			*err = e;
		return -1;
	}
	if (l->stage->kind == STAGE_SCRIPTS)
		return scripts_up(ctx, l, err);
	return lab_up(ctx, l, err);
}

int session_stop(struct lab_ctx *ctx, char **ret_stage, struct err *err)
{
	auto_lab_lock lock = { 0 };
	auto_lab l = NULL;

	if (lab_lock(ctx, "stage-stop", &lock, err) < 0 || lab_load(ctx, ctx->lab, &l, err) < 0)
		return -1;
	if (take_down(ctx, l, err) < 0) {
		if (!err || !err->hint[0])
			err_hint(err, "mend that, then: labctl --lab %s stage-stop", l->name);
		return err_wrap(err, "cannot stop '%s' entirely", l->stage->name);
	}
	if (ret_stage)
		*ret_stage = xstrdup(l->stage->name);
	return 0;
}

int session_running(const struct lab_ctx *ctx, struct lab **ret, struct err *err)
{
	auto_lab l = NULL;

	if (lab_load(ctx, ctx->lab, &l, err) < 0)
		return -1;
	if (lab_is_before_boot(l)) {
		err_set(err, ERR_ENV, 0, "lab '%s' was started before the computer's last boot",
			l->name);
		return err_hint(err, "start it again: labctl stage-start %s", l->stage->name);
	}
	if (l->state != LAB_RUNNING) {
		err_set(err, ERR_BUSY, 0, "stage '%s' is %s in lab '%s'", l->stage->name,
			lab_state_name(l->state), l->name);
		return err_hint(err, "wait for it; if nothing is at work on it: labctl stage-stop");
	}
	*ret = steal_ptr(&l);
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
