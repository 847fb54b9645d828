/* SPDX-License-Identifier: MIT */
/* store_redis_page.c - all leases that fit, or a part of them at the cost of that part. */
#include "netport/store_redis.h"

#include <string.h>

#include <hiredis/hiredis.h>

#include "base/mem.h"
#include "netport/lease.h"

#include "base/banned.h"

/* "" stands for any: what nobody can hold must not get that far. */
static bool may_be_held(const struct store_page *p)
{
	enum resource r;

	return (!p->resource || resource_parse(p->resource, &r, ERR_IGNORED) == 0) &&
	       (!p->value || *p->value) && (!p->owner || *p->owner);
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

/* limit "": all. */
static int run_page(struct store_redis *s, const struct store_page *p, const char *limit,
		    struct lease_list *ret, size_t *ret_total, struct err *err)
{
	auto_free char *offset = xasprintf("%zu", p->offset);
	auto_redis_reply r = NULL;
	char uid[12];
	const char *argv[] = { or_empty(p->resource),
			       or_empty(p->value),
			       or_empty(p->owner),
			       uid,
			       or_empty(p->hidden[0]),
			       or_empty(p->hidden[1]),
			       offset,
			       limit,
			       NULL };

	redis_uid_text(p->uid, uid);
	if (redis_run(s, REDIS_PAGE, argv, &r, err) < 0)
		return -1;
	if (r->type != REDIS_REPLY_ARRAY || r->elements < 1 ||
	    r->element[0]->type != REDIS_REPLY_INTEGER)
		return redis_damaged(s, "no list of leases", err);
	*ret_total = (size_t)r->element[0]->integer;
	return redis_take_list(s, r, 1, ret, err);
}

int store_redis_page(struct store *base, const struct store_page *page, struct lease_list *ret,
		     size_t *ret_total, struct err *err)
{
	auto_free char *limit = xasprintf("%zu", page->limit);
	struct store_redis *s = (struct store_redis *)base;
	size_t dead = 0;

	*ret_total = 0;
	if (!may_be_held(page))
		return STORE_OK;
	s->view = (struct bound_view){ 0 };
	if (redis_drop_dead(s, NULL, &dead, err) < 0)
		return -1;
	return run_page(s, page, limit, ret, ret_total, err);
}

/* Changes nothing, so those that ended with their process are left out here. */
int store_redis_list(struct store *base, const char *resource, const char *value, const char *owner,
		     uid_t uid, struct lease_list *ret, struct err *err)
{
	const struct store_page page = {
		.resource = resource, .value = value, .owner = owner, .uid = uid
	};
	struct store_redis *s = (struct store_redis *)base;
	auto_lease_list all = { 0 };
	size_t n = 0, total;

	s->view = (struct bound_view){ 0 };
	if (may_be_held(&page) && run_page(s, &page, "", &all, &total, err) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		if (bound_is_alive(&s->view, &all.v[i])) {
			struct lease kept = all.v[i];

			all.v[i] = all.v[n];
			all.v[n++] = kept;
		}
	}
	while (all.n > n)
		lease_done(&all.v[--all.n]);
	*ret = all;
	all = (struct lease_list){ 0 };
	return STORE_OK;
}

int store_redis_count(struct store *base, const char *owner, uid_t uid, size_t max, size_t *ret,
		      struct err *err)
{
	auto_free char *index =
		owner ? xasprintf("holder:%u:%s", uid, owner) : xasprintf("uid:%u", uid);
	struct store_redis *s = (struct store_redis *)base;
	const char *argv[] = { index, NULL };
	auto_redis_reply r = NULL;

	(void)max;
	if (redis_run(s, REDIS_COUNT, argv, &r, err) < 0)
		return -1;
	if (r->type != REDIS_REPLY_INTEGER)
		return redis_damaged(s, "no number", err);
	*ret = (size_t)r->integer;
	return STORE_OK;
}
