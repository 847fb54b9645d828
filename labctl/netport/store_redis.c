/* SPDX-License-Identifier: MIT */
/* store_redis.c - the operations of the lease book in Redis. */
#include "netport/store_redis.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <hiredis/hiredis.h>

#include "base/log.h"
#include "base/mem.h"
#include "netport/lease.h"

#include "base/banned.h"

enum {
	LOCK_TRIES = 2000,
	LOCK_STEP_NS = 3000000,
};

static struct store_redis *self(struct store *s)
{
	return (struct store_redis *)s;
}

static char *field_text(const char *resource, const char *value)
{
	return xasprintf("%s:%s", resource, value);
}

static bool alive(struct store_redis *s, const struct lease *l)
{
	return bound_is_alive(&s->view, l);
}

/* A lease whose process or boot is gone: only this side can tell. */
static int drop(struct store_redis *s, const struct lease *l, struct err *err)
{
	auto_free char *field = field_text(l->resource, l->value);
	auto_free char *id = xasprintf("%llu", (unsigned long long)l->id);
	const char *argv[] = { field, id, NULL };
	auto_redis_reply r = NULL;

	return redis_run(s, REDIS_DROP, argv, &r, err);
}

static void hand_over(struct lease *from, struct lease *ret)
{
	if (!ret)
		return;
	*ret = *from;
	*from = (struct lease){ 0 };
}

/* ---- acquire ---- */

static int acquire_once(struct store_redis *s, const struct store_want *want,
			const struct resource_value *v, bool dry, struct lease *ret,
			struct err *err)
{
	auto_free char *text = redis_lease_text(want->lease, v);
	auto_free char *ttl = xasprintf("%lld", (long long)want->ttl_ms);
	const char *argv[] = { text, want->again_ok ? "1" : "0", ttl, dry ? "1" : "0", NULL };
	auto_redis_reply r = NULL;

	if (!text)
		return err_set(err, ERR_USAGE, 0, "%s keeps UTF-8 text only", s->base.name);
	if (redis_run(s, REDIS_ACQUIRE, argv, &r, err) < 0)
		return -1;
	return redis_take_result(s, r, ret, err);
}

/* As acquire_once(), past holders that are gone. */
static int acquire_past(struct store_redis *s, const struct store_want *want,
			const struct resource_value *v, bool dry, struct lease *ret,
			struct err *err)
{
	for (;;) {
		auto_lease l = { 0 };
		int rc = acquire_once(s, want, v, dry, &l, err);

		if (rc != STORE_HELD || alive(s, &l)) {
			hand_over(&l, ret);
			return rc;
		}
		if (drop(s, &l, err) < 0)
			return -1;
	}
}

static int redis_acquire(struct store *base, const struct store_want *want,
			 const struct resource_value *v, store_usable_fn *usable, void *arg,
			 struct lease *ret, struct lease *ret_holder, struct err *err)
{
	struct store_redis *s = self(base);
	auto_lease l = { 0 };
	int rc = STORE_NONE;

	s->view = (struct bound_view){ 0 };
	/* To take one's own again nothing else has to be free. */
	if (usable && !want->again_ok) {
		rc = acquire_past(s, want, v, true, &l, err);
		if (rc == STORE_NONE && !usable(arg, v))
			return STORE_NONE;
	} else if (usable) {
		const struct store_want fresh = { want->lease, want->ttl_ms, false };

		rc = acquire_past(s, &fresh, v, true, &l, err);
		if (rc == STORE_NONE && !usable(arg, v))
			return STORE_NONE;
		if (rc == STORE_HELD) {
			lease_done(&l);
			rc = STORE_NONE;
		}
	}
	if (rc == STORE_NONE)
		rc = acquire_past(s, want, v, false, &l, err);
	hand_over(&l, rc == STORE_OK ? ret : rc == STORE_HELD ? ret_holder : NULL);
	return rc;
}

static bool concerns(const struct pool *pool, const struct lease *l)
{
	auto_resource_value v = { 0 };

	return !pool || (strcmp(pool->resource, l->resource) == 0 &&
			 resource_value_parse(l->resource, l->value, &v, ERR_IGNORED) == 0 &&
			 pool_contains(pool, &v));
}

int redis_drop_dead(struct store_redis *s, const struct pool *pool, size_t *ret_n, struct err *err)
{
	const char *argv[] = { NULL };
	auto_lease_list list = { 0 };
	auto_redis_reply r = NULL;

	if (redis_run(s, REDIS_BOUND, argv, &r, err) < 0 ||
	    redis_take_list(s, r, 0, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.n; i++) {
		if (alive(s, &list.v[i]) || !concerns(pool, &list.v[i]))
			continue;
		if (drop(s, &list.v[i], err) < 0)
			return -1;
		*ret_n += 1;
	}
	return 0;
}

/* The first number of [from, to] that nobody holds. 1: *ret; 0: none; -1. */
static int gap(struct store_redis *s, const char *resource, uint32_t from, uint32_t to,
	       uint32_t *ret, struct err *err)
{
	auto_free char *first = xasprintf("%u", from);
	auto_free char *last = xasprintf("%u", to);
	const char *argv[] = { resource, first, last, NULL };
	auto_redis_reply r = NULL;

	if (redis_run(s, REDIS_GAP, argv, &r, err) < 0)
		return -1;
	if (r->type != REDIS_REPLY_INTEGER)
		return redis_damaged(s, "no number", err);
	*ret = (uint32_t)r->integer;
	return r->integer >= 0;
}

static int try_index(struct store_redis *s, const struct store_want *want, const struct pool *pool,
		     uint32_t i, store_usable_fn *usable, void *arg, struct lease *ret,
		     struct err *err)
{
	const struct store_want fresh = { want->lease, want->ttl_ms, false };
	auto_resource_value v = { 0 };
	auto_lease l = { 0 };
	int rc;

	if (!pool_value(pool, i, &v) || (usable && !usable(arg, &v)))
		return STORE_NONE;
	rc = acquire_past(s, &fresh, &v, false, &l, err);
	hand_over(&l, rc == STORE_OK ? ret : NULL);
	return rc == STORE_HELD ? (int)STORE_NONE : rc;
}

static int try_all(struct store_redis *s, const struct store_want *want, const struct pool *pool,
		   uint32_t from, uint32_t to, store_usable_fn *usable, void *arg,
		   struct lease *ret, struct err *err)
{
	for (uint64_t i = from; i <= to; i++) {
		uint32_t next = (uint32_t)i;
		int rc = 1;

		if (pool->kind == POOL_NUMBERS)
			rc = gap(s, pool->resource, next, to, &next, err);
		if (rc <= 0)
			return rc < 0 ? -1 : STORE_NONE;
		rc = try_index(s, want, pool, next, usable, arg, ret, err);
		if (rc != STORE_NONE)
			return rc;
		i = next;
	}
	return STORE_NONE;
}

static int redis_acquire_any(struct store *base, const struct store_want *want,
			     const struct pool *pool, uint32_t start, store_usable_fn *usable,
			     void *arg, struct lease *ret, struct err *err)
{
	struct store_redis *s = self(base);
	size_t dead = 0;
	int rc;

	s->view = (struct bound_view){ 0 };
	if (redis_drop_dead(s, pool, &dead, err) < 0)
		return -1;
	rc = try_all(s, want, pool, start, pool->last, usable, arg, ret, err);
	if (rc == STORE_NONE && start > pool->first)
		rc = try_all(s, want, pool, pool->first, start - 1, usable, arg, ret, err);
	return rc;
}

/* ---- the others ---- */

/* A result for one lease; one that is gone was none. */
static int conclude(struct store_redis *s, const struct redisReply *r, struct lease *ret,
		    struct lease *ret_holder, struct err *err)
{
	auto_lease l = { 0 };
	int rc = redis_take_result(s, r, &l, err);

	s->view = (struct bound_view){ 0 };
	if (rc == STORE_OK || rc == STORE_HELD) {
		if (!alive(s, &l))
			return drop(s, &l, err) < 0 ? -1 : STORE_NONE;
		hand_over(&l, rc == STORE_OK ? ret : ret_holder);
	}
	return rc;
}

static int redis_renew(struct store *base, const char *resource, const char *value,
		       const struct lease_claim *claim, int64_t ttl_ms, struct lease *ret,
		       struct lease *ret_holder, struct err *err)
{
	auto_free char *field = field_text(resource, value);
	auto_free char *ttl = xasprintf("%lld", (long long)ttl_ms);
	auto_redis_reply r = NULL;
	char uid[12];
	const char *argv[] = { field, claim->owner ? claim->owner : "", uid, ttl, NULL };

	redis_uid_text(claim->uid, uid);
	if (redis_run(self(base), REDIS_RENEW, argv, &r, err) < 0)
		return -1;
	return conclude(self(base), r, ret, ret_holder, err);
}

static int redis_release(struct store *base, const char *resource, const char *value,
			 const struct lease_claim *claim, struct lease *ret_holder, struct err *err)
{
	auto_free char *field = field_text(resource, value);
	auto_redis_reply r = NULL;
	char uid[12];
	const char *argv[] = { field, claim->owner ? claim->owner : "", uid, NULL };

	redis_uid_text(claim->uid, uid);
	if (redis_run(self(base), REDIS_RELEASE, argv, &r, err) < 0)
		return -1;
	return conclude(self(base), r, NULL, ret_holder, err);
}

static int redis_release_owner(struct store *base, const struct lease_claim *claim, size_t *ret_n,
			       struct err *err)
{
	struct store_redis *s = self(base);
	auto_redis_reply r = NULL;
	size_t dead = 0;
	char uid[12];
	const char *argv[] = { claim->owner ? claim->owner : "", uid, NULL };

	redis_uid_text(claim->uid, uid);
	s->view = (struct bound_view){ 0 };
	if (redis_drop_dead(s, NULL, &dead, err) < 0 ||
	    redis_run(s, REDIS_RELEASE_OWNER, argv, &r, err) < 0)
		return -1;
	if (r->type != REDIS_REPLY_INTEGER)
		return redis_damaged(s, "no number", err);
	if (ret_n)
		*ret_n = (size_t)r->integer;
	return STORE_OK;
}

static int redis_sweep(struct store *base, size_t *ret_n, struct err *err)
{
	struct store_redis *s = self(base);
	const char *argv[] = { NULL };
	size_t n = 0;

	s->view = (struct bound_view){ 0 };
	if (redis_drop_dead(s, NULL, &n, err) < 0)
		return -1;
	for (;;) {
		auto_redis_reply r = NULL;

		if (redis_run(s, REDIS_SWEEP, argv, &r, err) < 0)
			return -1;
		if (r->type != REDIS_REPLY_INTEGER || r->integer <= 0)
			break;
		n += (size_t)r->integer;
	}
	if (ret_n)
		*ret_n = n;
	return STORE_OK;
}

static int redis_get(struct store *base, const char *key, char **ret, struct err *err)
{
	const char *argv[] = { key, NULL };
	auto_redis_reply r = NULL;

	if (redis_run(self(base), REDIS_GET, argv, &r, err) < 0)
		return -1;
	if (r->type != REDIS_REPLY_STRING)
		return STORE_NONE;
	*ret = xstrdup(r->str);
	return STORE_OK;
}

static int redis_set(struct store *base, const char *key, const char *value, struct err *err)
{
	const char *argv[] = { key, value ? value : "", value ? "1" : "0", NULL };
	auto_redis_reply r = NULL;

	return redis_run(self(base), REDIS_SET, argv, &r, err) < 0 ? -1 : STORE_OK;
}

/* ---- batches ---- */

static int make_token(char ret[static 33], struct err *err)
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return err_set(err, ERR_ENV, errno, "no random numbers");
	for (size_t i = 0; i < sizeof(b); i++) {
		ret[2 * i] = "0123456789abcdef"[b[i] >> 4];
		ret[2 * i + 1] = "0123456789abcdef"[b[i] & 15];
	}
	ret[32] = '\0';
	return 0;
}

/* A batch keeps other batches out. Each of its operations counts at once, and single operations of
 * others come between: those are whole in themselves. */
static int redis_begin(struct store *base, struct err *err)
{
	struct timespec step = { .tv_nsec = LOCK_STEP_NS };
	struct store_redis *s = self(base);
	char token[33];

	if (s->token[0])
		return err_set(err, ERR_INTERNAL, 0, "a batch within a batch");
	if (make_token(token, err) < 0)
		return -1;
	for (int i = 0; i < LOCK_TRIES; i++) {
		int rc = redis_lock(s, token, err);

		if (rc < 0 || err_if_interrupted(err) < 0)
			return -1;
		if (rc) {
			memcpy(s->token, token, sizeof(s->token));
			s->broken = false;
			return 0;
		}
		nanosleep(&step, NULL);
	}
	err_set(err, ERR_BUSY, 0, "%s is held by another program", base->name);
	return err_hint(err, "try again");
}

static int end(struct store_redis *s, struct err *err)
{
	const char *argv[] = { NULL };
	auto_redis_reply r = NULL;
	int rc = redis_run(s, REDIS_UNLOCK, argv, &r, err);

	s->token[0] = '\0';
	s->broken = false;
	return rc;
}

static int redis_commit(struct store *base, struct err *err)
{
	if (!self(base)->token[0])
		return err_set(err, ERR_INTERNAL, 0, "no batch to commit");
	return end(self(base), err);
}

static void redis_rollback(struct store *base)
{
	struct store_redis *s = self(base);

	if (!s->token[0])
		return;
	s->broken = false;
	if (end(s, ERR_IGNORED) < 0)
		log_debug("the lock of %s ends by itself", base->name);
}

static int redis_check(struct store *base, struct err *err)
{
	const char *argv[] = { NULL };
	auto_redis_reply r = NULL;

	if (redis_run(self(base), REDIS_CHECK, argv, &r, err) < 0)
		return -1;
	if (r->type != REDIS_REPLY_STRING || strcmp(r->str, "ok") != 0)
		return redis_damaged(self(base), r->str ? r->str : "?", err);
	return 0;
}

const struct store_ops store_redis_ops = {
	.scheme = "redis",
	.open = store_redis_open,
	.close = store_redis_close,
	.acquire = redis_acquire,
	.acquire_any = redis_acquire_any,
	.renew = redis_renew,
	.release = redis_release,
	.release_owner = redis_release_owner,
	.list = store_redis_list,
	.page = store_redis_page,
	.count = store_redis_count,
	.sweep = redis_sweep,
	.get = redis_get,
	.set = redis_set,
	.begin = redis_begin,
	.commit = redis_commit,
	.rollback = redis_rollback,
	.check = redis_check,
};
