/* SPDX-License-Identifier: MIT */
/* store_sqlite_page.c - a part of the leases, at the cost of that part. */
#include <string.h>

#include "base/mem.h"
#include "netport/store_sqlite.h"
#include "netport/store_sqlite_sql.h"

#include "base/banned.h"

static void bind_page(sqlite3_stmt *stmt, const struct store_page *p, int64_t now)
{
	sql_bind_text(stmt, 2, p->value);
	sql_bind_text(stmt, 3, p->owner);
	if (p->uid != LEASE_ANY_UID)
		sql_bind_int(stmt, 4, p->uid);
	sql_bind_int(stmt, 5, now);
	if (p->resource) {
		sql_bind_text(stmt, 1, p->resource);
	} else {
		sql_bind_text(stmt, 6, p->hidden[0]);
		sql_bind_text(stmt, 7, p->hidden[1]);
	}
}

static bool is_of_page(const struct store_page *p, const struct lease *l)
{
	const struct lease_claim claim = { p->owner, p->uid };

	return (!p->value || strcmp(p->value, l->value) == 0) && sql_covers(&claim, l) &&
	       (p->resource ? strcmp(p->resource, l->resource) == 0
			    : !store_page_hides(p, l->resource));
}

static bool is_among(const struct lease_list *list, int64_t id)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i].id == (uint64_t)id)
			return true;
	}
	return false;
}

/* SQL knows which have expired, but not which ended with their process. */
static int count_page(struct store_sqlite *s, const struct store_page *page, int64_t now,
		      const struct lease_list *gone, size_t *ret, struct err *err)
{
	auto_statement stmt =
		sql_statement(s, page->resource ? SQL_COUNT_RESOURCE : SQL_COUNT_ALL, err);
	size_t n;

	if (!stmt)
		return -1;
	bind_page(stmt, page, now);
	if (sql_step(s, stmt, "read", err) < 0)
		return -1;
	n = (size_t)sqlite3_column_int64(stmt, 0);
	for (size_t i = 0; i < gone->n; i++) {
		const struct lease *l = &gone->v[i];

		if ((l->expires == 0 || l->expires > now) && is_of_page(page, l))
			n--;
	}
	*ret = n;
	return 0;
}

static int read_one(struct store_sqlite *s, int64_t id, struct lease_list *ret, struct err *err)
{
	auto_statement stmt = sql_statement(s, SQL_FIND_ID, err);
	int rc;

	if (!stmt)
		return -1;
	sql_bind_int(stmt, 1, id);
	rc = sql_step(s, stmt, "read", err);
	if (rc == SQLITE_ROW)
		sql_read_lease(stmt, array_push(ret->v, ret->n));
	return rc < 0 ? -1 : 0;
}

static int read_page(struct store_sqlite *s, const struct store_page *page, int64_t now,
		     const struct lease_list *gone, struct lease_list *ret, struct err *err)
{
	auto_statement stmt =
		sql_statement(s, page->resource ? SQL_PAGE_RESOURCE : SQL_PAGE_ALL, err);
	size_t skipped = 0;
	int rc = SQLITE_DONE;

	if (!stmt)
		return -1;
	bind_page(stmt, page, now);
	while (ret->n < page->limit && (rc = sql_step(s, stmt, "read", err)) == SQLITE_ROW) {
		int64_t id = sqlite3_column_int64(stmt, 0);

		if (is_among(gone, id) || skipped++ < page->offset)
			continue;
		if (read_one(s, id, ret, err) < 0)
			return -1;
	}
	return rc < 0 ? -1 : 0;
}

int store_sqlite_page(struct store *base, const struct store_page *page, struct lease_list *ret,
		      size_t *ret_total, struct err *err)
{
	struct store_sqlite *s = sql_self(base);
	auto_statement bound = sql_statement(s, SQL_LIST_BOUND, err);
	auto_lease_list gone = { 0 };
	int64_t now = sql_now_ms();

	s->view = (struct bound_view){ 0 };
	if (!bound || sql_collect(s, bound, false, &gone, err) < 0 ||
	    count_page(s, page, now, &gone, ret_total, err) < 0)
		return -1;
	return read_page(s, page, now, &gone, ret, err);
}
