/* SPDX-License-Identifier: MIT */
/* results.c - which checks of a stage are tried, and what came of them all. */
#include "grade/results.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "grade/check.h"
#include "grade/fit.h"

#include "base/banned.h"

void results_done(struct results *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].id);
		free(r->v[i].reason);
		free(r->v[i].sent);
		free(r->v[i].story);
		ladder_done(&r->v[i].ladder);
		free(r->v[i].output);
		free(r->v[i].prints);
		json_decref(r->v[i].expected);
		json_decref(r->v[i].seen);
	}
	free(r->v);
	free(r->notice);
	*r = (struct results){ 0 };
}

/* `only` names a check (all its uses, or one by "#n"), or else a family: "arp". */
static bool selects(const struct grader_options *o, bool family, const struct result *r)
{
	if (o->ids)
		return strv_has(o->ids, r->id);
	if (!o->only || strcmp(r->id, o->only) == 0 || strcmp(r->check->id, o->only) == 0)
		return true;
	return family && str_starts(r->id, o->only) && r->id[strlen(o->only)] == '.';
}

/* What a chosen check needs is tried, too, and so is what that needs: else its verdict would be
 * about another fault. */
static void mark_needed(struct results *r)
{
	for (size_t i = r->n; i-- > 0;) {
		const struct result *user = &r->v[i];

		if (!user->selected && !user->needed)
			continue;
		for (size_t k = 0; k < i; k++) {
			if (check_needs(user->check, r->v[k].check->id))
				r->v[k].needed = !r->v[k].selected;
		}
	}
}

void result_forget_lesson(struct result *r)
{
	free(steal_ptr(&r->reason));
	free(steal_ptr(&r->sent));
	free(steal_ptr(&r->story));
	ladder_done(&r->ladder);
	json_decref(steal_ptr(&r->expected));
	json_decref(steal_ptr(&r->seen));
	r->fault_hint = NULL;
}

/* A check that the stage does not ask for, tried as if it stood last, by its defaults. */
static int add_unasked(const struct stage *s, const struct check *c, struct results *ret,
		       struct err *err)
{
	struct err why = { 0 };
	struct result *r;

	if (fit_check(c, s, NULL, &why) < 0) {
		err_set(err, ERR_NOT_FOUND, 0,
			"stage '%s' does not ask for '%s', nor can it be tried there: %.255s",
			s->name, c->id, why.msg);
		return -1;
	}
	r = array_push(ret->v, ret->n);
	*r = (struct result){ .id = xstrdup(c->id),
			      .check = c,
			      .max_points = c->points,
			      .verdict = VERDICT_PENDING,
			      .selected = true };
	mark_needed(ret);
	return 0;
}

int results_make(const struct stage *s, const struct grader_options *o, struct results *ret,
		 struct err *err)
{
	const struct check *unasked = o->only ? check_find(o->only) : NULL;
	size_t selected = 0;

	for (size_t i = 0; i < s->n_checks; i++) {
		const struct stage_check *e = &s->checks[i];
		struct result *r = array_push(ret->v, ret->n);
		unsigned before = 0, all = 0;

		for (size_t k = 0; k < s->n_checks; k++) {
			bool same = strcmp(s->checks[k].use, e->use) == 0;

			all += same;
			before += same && k <= i;
		}
		r->args = e->args;
		r->id = all > 1 ? xasprintf("%s#%u", e->use, before) : xstrdup(e->use);
		if (check_lookup(e->use, &r->check, err) < 0 ||
		    check_args_valid(r->check, e->args, err) < 0)
			return err_wrap(err, "stage '%s'", s->name);
		r->max_points = json_object_get(e->args, "points") ? e->points : r->check->points;
		r->verdict = VERDICT_PENDING;
	}
	for (int family = 0; family < 2 && !selected; family++) {
		for (size_t i = 0; i < ret->n; i++) {
			ret->v[i].selected = selects(o, family, &ret->v[i]);
			selected += ret->v[i].selected;
		}
	}
	mark_needed(ret);
	if (selected)
		return 0;
	if (unasked)
		return add_unasked(s, unasked, ret, err);
	if (!s->n_checks)
		return err_set(err, ERR_STAGE, 0, "stage '%s' has no checks", s->name);
	if (!o->only)
		return err_set(err, ERR_USAGE, 0, "no check was chosen");
	err_set(err, ERR_NOT_FOUND, 0, "stage '%s' has no check '%.64s'", s->name, o->only);
	return err_hint(err, "'labctl check --explain all' lists the checks");
}

void results_count(struct results *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct result *c = &r->v[i];

		if (!c->selected)
			continue;
		r->passed += c->verdict == VERDICT_PASS;
		r->failed += c->verdict == VERDICT_FAIL;
		r->errors += c->verdict == VERDICT_ERROR;
		r->pending += c->verdict == VERDICT_PENDING;
		r->score += c->points;
		r->max_score += c->max_points;
	}
}

const struct result *results_blocked_by(const struct results *all, const struct result *r)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct result *o = &all->v[i];

		if (o == r)
			break;
		if ((o->selected || o->needed) && o->blocks && check_needs(r->check, o->check->id))
			return o;
	}
	return NULL;
}
