/* SPDX-License-Identifier: MIT */
/* store_sqlite.c - the operations of the lease book in SQLite. */
#include "netport/store_sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "netport/store_sqlite_sql.h"

#include "base/banned.h"

/* The row of this key. STORE_NONE: none that is held; a row that is not is gone then. */
static int find(struct store_sqlite *s, const char *resource, const char *value, struct lease *ret,
		struct err *err)
{
	auto_lease l = { 0 };
	int rc;

	{
		auto_statement stmt = sql_statement(s, SQL_FIND, err);

		if (!stmt)
			return -1;
		sql_bind_text(stmt, 1, resource);
		sql_bind_text(stmt, 2, value);
		rc = sql_step(s, stmt, "read", err);
		if (rc == SQLITE_ROW)
			sql_read_lease(stmt, &l);
	}
	if (rc != SQLITE_ROW)
		return rc < 0 ? -1 : STORE_NONE;
	if (!sql_is_held(s, &l, sql_now_ms()))
		return sql_run(s, SQL_DELETE, (int64_t)l.id, 0, err) < 0 ? -1 : STORE_NONE;
	*ret = l;
	l = (struct lease){ 0 };
	return STORE_HELD;
}

/* The next row that overlaps [lo, hi]. SQLITE_ROW, SQLITE_DONE, -1. */
static int next_overlap(struct store_sqlite *s, const char *resource,
			const struct resource_value *v, struct lease *ret, struct err *err)
{
	auto_statement stmt = sql_statement(s, SQL_FIND_EXTENT, err);
	int rc;

	if (!stmt)
		return -1;
	sql_bind_text(stmt, 1, resource);
	sql_bind_text(stmt, 2, v->hi);
	rc = sql_step(s, stmt, "read", err);
	if (rc != SQLITE_ROW)
		return rc;
	auto_free char *row_hi = sql_text(stmt, COL_HI);
	if (strcmp(row_hi, v->lo) < 0)
		return SQLITE_DONE;
	sql_read_lease(stmt, ret);
	return SQLITE_ROW;
}

/* As find(), of any row that overlaps the value's extent. */
static int find_overlap(struct store_sqlite *s, const char *resource,
			const struct resource_value *v, struct lease *ret, struct err *err)
{
	for (;;) {
		auto_lease l = { 0 };
		int rc = next_overlap(s, resource, v, &l, err);

		if (rc != SQLITE_ROW)
			return rc < 0 ? -1 : STORE_NONE;
		if (sql_is_held(s, &l, sql_now_ms())) {
			*ret = l;
			l = (struct lease){ 0 };
			return STORE_HELD;
		}
		if (sql_run(s, SQL_DELETE, (int64_t)l.id, 0, err) < 0)
			return -1;
	}
}

static int find_holder(struct store_sqlite *s, const char *resource, const struct resource_value *v,
		       struct lease *ret, struct err *err)
{
	return v->lo[0] ? find_overlap(s, resource, v, ret, err)
			: find(s, resource, v->text, ret, err);
}

static void hand_over(struct lease *from, struct lease *ret)
{
	if (!ret)
		return;
	*ret = *from;
	*from = (struct lease){ 0 };
}

/* What the wanted lease becomes: its own text and times. */
static void conclude(const struct store_want *want, const char *value, int64_t id, int64_t created,
		     int64_t expires, struct lease *ret)
{
	if (!ret)
		return;
	lease_copy(want->lease, ret);
	free(ret->value);
	ret->value = xstrdup(value);
	ret->id = (uint64_t)id;
	ret->created = created;
	ret->expires = expires;
}

/* A few expired rows a time, so that the book does not grow where nobody sweeps. */
static int tidy(struct store_sqlite *s, int64_t now, struct err *err)
{
	if (s->serves || s->tidied)
		return 0;
	s->tidied = true;
	return sql_run(s, SQL_DELETE_SOME_EXPIRED, now, 0, err);
}

static int insert(struct store_sqlite *s, const struct store_want *want,
		  const struct resource_value *v, struct lease *ret, struct err *err)
{
	auto_statement stmt = sql_statement(s, SQL_INSERT, err);
	const struct lease *l = want->lease;
	int64_t now = sql_now_ms(), expires = want->ttl_ms ? now + want->ttl_ms : 0;

	if (!stmt || tidy(s, now, err) < 0 || (!s->next_id && sql_look_up_id(s, err) < 0))
		return -1;
	sql_bind_int(stmt, 1, s->next_id);
	sql_bind_text(stmt, 2, l->resource);
	sql_bind_text(stmt, 3, v->text);
	if (v->is_number)
		sql_bind_int(stmt, 4, v->number);
	sql_bind_text(stmt, 5, v->lo[0] ? v->lo : NULL);
	sql_bind_text(stmt, 6, v->hi[0] ? v->hi : NULL);
	sql_bind_text(stmt, 7, l->owner);
	sql_bind_int(stmt, 8, l->uid);
	sql_bind_text(stmt, 9, l->note);
	sql_bind_int(stmt, 10, now);
	sql_bind_int(stmt, 11, expires);
	sql_bind_int(stmt, 12, l->bound);
	sql_bind_text(stmt, 13, l->host);
	sql_bind_text(stmt, 14, l->boot_id);
	sql_bind_int(stmt, 15, l->pid);
	sql_bind_int(stmt, 16, (int64_t)l->start);
	if (sql_step(s, stmt, "write", err) < 0)
		return -1;
	if (!sqlite3_changes(s->db))
		return STORE_HELD;
	conclude(want, v->text, s->next_id++, now, expires, ret);
	return STORE_OK;
}

static int take_again(struct store_sqlite *s, const struct store_want *want,
		      const struct lease *held, struct lease *ret, struct err *err)
{
	auto_statement stmt = sql_statement(s, SQL_TAKE_AGAIN, err);
	const struct lease *l = want->lease;
	int64_t expires = want->ttl_ms ? sql_now_ms() + want->ttl_ms : 0;

	if (!stmt)
		return -1;
	sql_bind_int(stmt, 1, (int64_t)held->id);
	sql_bind_text(stmt, 2, l->note);
	sql_bind_int(stmt, 3, expires);
	sql_bind_int(stmt, 4, l->bound);
	sql_bind_text(stmt, 5, l->host);
	sql_bind_text(stmt, 6, l->boot_id);
	sql_bind_int(stmt, 7, l->pid);
	sql_bind_int(stmt, 8, (int64_t)l->start);
	if (sql_step(s, stmt, "write", err) < 0)
		return -1;
	conclude(want, held->value, (int64_t)held->id, held->created, expires, ret);
	return STORE_OK;
}

/* Most values that are asked for are free: they are taken before anybody looks, and given back when
 * the host turns out to use them. STORE_OK, STORE_NONE (not usable), STORE_HELD (by somebody, alive
 * or not), -1. */
static int take_free(struct store_sqlite *s, const struct store_want *want,
		     const struct resource_value *v, store_usable_fn *usable, void *arg,
		     struct lease *ret, struct err *err)
{
	auto_lease l = { 0 };
	int rc = insert(s, want, v, &l, err);

	if (rc != STORE_OK)
		return rc;
	if (usable && !usable(arg, v))
		return sql_run(s, SQL_DELETE, (int64_t)l.id, 0, err) < 0 ? -1 : STORE_NONE;
	hand_over(&l, ret);
	return STORE_OK;
}

/* *ret: the lease with STORE_OK, its holder with STORE_HELD. */
static int acquire(struct store_sqlite *s, const struct store_want *want,
		   const struct resource_value *v, store_usable_fn *usable, void *arg,
		   struct lease *ret, struct err *err)
{
	const struct lease_claim holder = { want->lease->owner, want->lease->uid };
	auto_lease held = { 0 };
	int rc = STORE_HELD;

	if (!v->lo[0] && !want->again_ok)
		rc = take_free(s, want, v, usable, arg, ret, err);
	if (rc != STORE_HELD)
		return rc;
	rc = find_holder(s, want->lease->resource, v, &held, err);
	if (rc < 0)
		return -1;
	if (rc == STORE_NONE)
		return take_free(s, want, v, usable, arg, ret, err);
	if (want->again_ok && sql_covers(&holder, &held) && strcmp(held.value, v->text) == 0)
		return take_again(s, want, &held, ret, err);
	hand_over(&held, ret);
	return STORE_HELD;
}

static int sqlite_acquire(struct store *base, const struct store_want *want,
			  const struct resource_value *v, store_usable_fn *usable, void *arg,
			  struct lease *ret, struct lease *ret_holder, struct err *err)
{
	struct store_sqlite *s = sql_self(base);
	auto_lease l = { 0 };
	int rc;

	if (sql_begin(s, err) < 0)
		return -1;
	rc = sql_end(s, acquire(s, want, v, usable, arg, &l, err), err);
	hand_over(&l, rc == STORE_OK ? ret : rc == STORE_HELD ? ret_holder : NULL);
	return rc;
}

/* Takes candidate i of the pool when it is free. STORE_OK, STORE_NONE, -1. */
static int try_index(struct store_sqlite *s, const struct store_want *want, const struct pool *pool,
		     uint32_t i, store_usable_fn *usable, void *arg, struct lease *ret,
		     struct err *err)
{
	auto_resource_value v = { 0 };
	auto_lease held = { 0 };
	int rc;

	if (!pool_value(pool, i, &v) || (usable && !usable(arg, &v)))
		return STORE_NONE;
	rc = find_holder(s, pool->resource, &v, &held, err);
	if (rc != STORE_NONE)
		return rc < 0 ? -1 : STORE_NONE;
	return insert(s, want, &v, ret, err);
}

/* The first usable number of [from, to] that nobody holds: one walk along the index, in step with
 * the candidates. STORE_OK, STORE_NONE, -1. */
static int walk_numbers(struct store_sqlite *s, const struct store_want *want,
			const struct pool *pool, uint32_t from, uint32_t to,
			store_usable_fn *usable, void *arg, struct lease *ret, struct err *err)
{
	auto_statement walk = sql_statement(s, SQL_WALK_NUMBERS, err);
	int64_t next = from;

	if (!walk)
		return -1;
	sql_bind_text(walk, 1, pool->resource);
	sql_bind_int(walk, 2, from);
	sql_bind_int(walk, 3, to);
	for (;;) {
		int rc = sql_step(s, walk, "read", err);
		bool row = rc == SQLITE_ROW, doubtful = false;
		int64_t taken = row ? sqlite3_column_int64(walk, 0) : (int64_t)to + 1;

		if (rc < 0)
			return -1;
		/* A row that may not be held is tried as if it were a gap. */
		if (row)
			doubtful = sqlite3_column_int64(walk, 1) ||
				   sqlite3_column_int(walk, 2) != LEASE_LASTS;
		for (; next < taken + (doubtful ? 1 : 0); next++) {
			rc = try_index(s, want, pool, (uint32_t)next, usable, arg, ret, err);
			if (rc != STORE_NONE)
				return rc;
		}
		if (!row)
			return STORE_NONE;
		next = taken + 1;
	}
}

static int try_all(struct store_sqlite *s, const struct store_want *want, const struct pool *pool,
		   uint32_t from, uint32_t to, store_usable_fn *usable, void *arg,
		   struct lease *ret, struct err *err)
{
	if (pool->kind == POOL_NUMBERS)
		return walk_numbers(s, want, pool, from, to, usable, arg, ret, err);
	for (uint64_t i = from; i <= to; i++) {
		int rc = try_index(s, want, pool, (uint32_t)i, usable, arg, ret, err);

		if (rc != STORE_NONE)
			return rc;
	}
	return STORE_NONE;
}

static int sqlite_acquire_any(struct store *base, const struct store_want *want,
			      const struct pool *pool, uint32_t start, store_usable_fn *usable,
			      void *arg, struct lease *ret, struct err *err)
{
	struct store_sqlite *s = sql_self(base);
	auto_lease l = { 0 };
	int rc;

	if (sql_begin(s, err) < 0)
		return -1;
	rc = try_all(s, want, pool, start, pool->last, usable, arg, &l, err);
	if (rc == STORE_NONE && start > pool->first)
		rc = try_all(s, want, pool, pool->first, start - 1, usable, arg, &l, err);
	rc = sql_end(s, rc, err);
	hand_over(&l, rc == STORE_OK ? ret : NULL);
	return rc;
}

/* The held lease of this key: STORE_OK when the claim covers it, STORE_HELD when not; STORE_NONE,
 * -1. */
static int find_mine(struct store_sqlite *s, const char *resource, const char *value,
		     const struct lease_claim *claim, struct lease *ret, struct err *err)
{
	int rc = find(s, resource, value, ret, err);

	return rc == STORE_HELD && sql_covers(claim, ret) ? (int)STORE_OK : rc;
}

static int renew(struct store_sqlite *s, const char *resource, const char *value,
		 const struct lease_claim *claim, int64_t ttl_ms, struct lease *ret,
		 struct err *err)
{
	int rc = find_mine(s, resource, value, claim, ret, err);

	if (rc != STORE_OK)
		return rc;
	ret->expires = ttl_ms ? sql_now_ms() + ttl_ms : 0;
	return sql_run(s, SQL_SET_EXPIRES, (int64_t)ret->id, ret->expires, err) < 0 ? -1 : STORE_OK;
}

static int sqlite_renew(struct store *base, const char *resource, const char *value,
			const struct lease_claim *claim, int64_t ttl_ms, struct lease *ret,
			struct lease *ret_holder, struct err *err)
{
	struct store_sqlite *s = sql_self(base);
	auto_lease l = { 0 };
	int rc;

	if (sql_begin(s, err) < 0)
		return -1;
	rc = sql_end(s, renew(s, resource, value, claim, ttl_ms, &l, err), err);
	hand_over(&l, rc == STORE_OK ? ret : rc == STORE_HELD ? ret_holder : NULL);
	return rc;
}

static int release(struct store_sqlite *s, const char *resource, const char *value,
		   const struct lease_claim *claim, struct lease *ret, struct err *err)
{
	int rc = find_mine(s, resource, value, claim, ret, err);

	if (rc != STORE_OK)
		return rc;
	return sql_run(s, SQL_DELETE, (int64_t)ret->id, 0, err) < 0 ? -1 : STORE_OK;
}

static int sqlite_release(struct store *base, const char *resource, const char *value,
			  const struct lease_claim *claim, struct lease *ret_holder,
			  struct err *err)
{
	struct store_sqlite *s = sql_self(base);
	auto_lease l = { 0 };
	int rc;

	if (sql_begin(s, err) < 0)
		return -1;
	rc = sql_end(s, release(s, resource, value, claim, &l, err), err);
	hand_over(&l, rc == STORE_HELD ? ret_holder : NULL);
	return rc;
}

static int list(struct store_sqlite *s, const char *resource, const char *value, const char *owner,
		struct lease_list *ret, struct err *err)
{
	int which = resource && value ? SQL_LIST_KEY
		    : value	      ? SQL_LIST_VALUE
		    : owner	      ? SQL_LIST_OWNER
		    : resource	      ? SQL_LIST_RESOURCE
				      : SQL_LIST_ALL;
	auto_statement stmt = sql_statement(s, which, err);

	if (!stmt)
		return -1;
	if (which == SQL_LIST_KEY || which == SQL_LIST_RESOURCE)
		sql_bind_text(stmt, 1, resource);
	if (which == SQL_LIST_KEY || which == SQL_LIST_VALUE)
		sql_bind_text(stmt, 2, value);
	if (which == SQL_LIST_OWNER)
		sql_bind_text(stmt, 3, owner);
	return sql_collect(s, stmt, true, ret, err);
}

static int sqlite_list(struct store *base, const char *resource, const char *value,
		       const char *owner, uid_t uid, struct lease_list *ret, struct err *err)
{
	const struct lease_claim claim = { owner, uid };
	auto_lease_list all = { 0 };
	size_t n = 0;

	sql_self(base)->view = (struct bound_view){ 0 };
	if (list(sql_self(base), resource, value, owner, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		if (sql_covers(&claim, &all.v[i]) &&
		    (!resource || strcmp(resource, all.v[i].resource) == 0)) {
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

static int sqlite_count(struct store *base, const char *owner, uid_t uid, size_t max, size_t *ret,
			struct err *err)
{
	struct store_sqlite *s = sql_self(base);
	auto_statement stmt = sql_statement(s, SQL_COUNT_HOLDER, err);

	if (!stmt)
		return -1;
	sql_bind_int(stmt, 1, uid);
	sql_bind_text(stmt, 2, owner);
	sql_bind_int(stmt, 3, (int64_t)max);
	if (sql_step(s, stmt, "read", err) < 0)
		return -1;
	*ret = (size_t)sqlite3_column_int64(stmt, 0);
	return STORE_OK;
}

static int delete_all(struct store_sqlite *s, const struct lease_list *l, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		if (sql_run(s, SQL_DELETE, (int64_t)l->v[i].id, 0, err) < 0)
			return -1;
	}
	return STORE_OK;
}

static int sqlite_release_owner(struct store *base, const struct lease_claim *claim, size_t *ret_n,
				struct err *err)
{
	struct store_sqlite *s = sql_self(base);
	auto_lease_list mine = { 0 };
	int rc;

	if (sql_begin(s, err) < 0)
		return -1;
	rc = sqlite_list(base, NULL, NULL, claim->owner, claim->uid, &mine, err);
	rc = sql_end(s, rc < 0 ? -1 : delete_all(s, &mine, err), err);
	if (rc >= 0 && ret_n)
		*ret_n = mine.n;
	return rc;
}

static int sweep(struct store_sqlite *s, size_t *ret_n, struct err *err)
{
	auto_statement expired = sql_statement(s, SQL_DELETE_EXPIRED, err);
	auto_statement bound = sql_statement(s, SQL_LIST_BOUND, err);
	auto_lease_list gone = { 0 };

	if (!expired || !bound)
		return -1;
	sql_bind_int(expired, 1, sql_now_ms());
	if (sql_step(s, expired, "write", err) < 0)
		return -1;
	*ret_n = (size_t)sqlite3_changes(s->db);
	if (sql_collect(s, bound, false, &gone, err) < 0)
		return -1;
	*ret_n += gone.n;
	return delete_all(s, &gone, err);
}

static int sqlite_sweep(struct store *base, size_t *ret_n, struct err *err)
{
	struct store_sqlite *s = sql_self(base);
	size_t n = 0;
	int rc;

	if (sql_begin(s, err) < 0)
		return -1;
	rc = sql_end(s, sweep(s, &n, err), err);
	if (rc >= 0 && ret_n)
		*ret_n = n;
	return rc;
}

static int sqlite_get(struct store *base, const char *key, char **ret, struct err *err)
{
	struct store_sqlite *s = sql_self(base);
	auto_statement stmt = sql_statement(s, SQL_GET, err);
	int rc;

	if (!stmt)
		return -1;
	sql_bind_text(stmt, 1, key);
	rc = sql_step(s, stmt, "read", err);
	if (rc != SQLITE_ROW)
		return rc < 0 ? -1 : STORE_NONE;
	*ret = sql_text(stmt, 0);
	return STORE_OK;
}

static int set(struct store_sqlite *s, const char *key, const char *value, struct err *err)
{
	auto_statement stmt = sql_statement(s, value ? SQL_SET : SQL_UNSET, err);

	if (!stmt)
		return -1;
	sql_bind_text(stmt, 1, key);
	if (value)
		sql_bind_text(stmt, 2, value);
	return sql_step(s, stmt, "write", err) < 0 ? -1 : STORE_OK;
}

static int sqlite_set(struct store *base, const char *key, const char *value, struct err *err)
{
	struct store_sqlite *s = sql_self(base);

	if (sql_begin(s, err) < 0)
		return -1;
	return sql_end(s, set(s, key, value, err), err);
}

static int sqlite_version(struct store *base, uint64_t *ret, struct err *err)
{
	struct store_sqlite *s = sql_self(base);
	auto_statement stmt = sql_statement(s, SQL_VERSION, err);

	if (!stmt || sql_step(s, stmt, "read", err) < 0)
		return -1;
	*ret = (uint64_t)sqlite3_column_int64(stmt, 0);
	return 0;
}

static int sqlite_check(struct store *base, struct err *err)
{
	struct store_sqlite *s = sql_self(base);
	auto_statement stmt = sql_statement(s, SQL_CHECK, err);

	if (!stmt || sql_step(s, stmt, "read", err) < 0)
		return -1;
	auto_free char *text = sql_text(stmt, 0);
	return strcmp(text, "ok") == 0 ? 0 : store_sqlite_damaged(s->path, text, err);
}

const struct store_ops store_sqlite_ops = {
	.scheme = "sqlite",
	.open = store_sqlite_open,
	.close = store_sqlite_close,
	.acquire = sqlite_acquire,
	.acquire_any = sqlite_acquire_any,
	.renew = sqlite_renew,
	.release = sqlite_release,
	.release_owner = sqlite_release_owner,
	.list = sqlite_list,
	.page = store_sqlite_page,
	.count = sqlite_count,
	.sweep = sqlite_sweep,
	.get = sqlite_get,
	.set = sqlite_set,
	.begin = store_sqlite_begin,
	.commit = store_sqlite_commit,
	.rollback = store_sqlite_rollback,
	.view = store_sqlite_view,
	.serve = store_sqlite_serve,
	.version = sqlite_version,
	.check = sqlite_check,
};
