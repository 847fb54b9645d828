/* SPDX-License-Identifier: MIT */
/* store_sqlite_sql.c - statements, rows and transactions of the SQLite store. */
#include "netport/store_sqlite_sql.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#include "base/banned.h"

/* In the order of enum store_column. */
#define COLUMNS                                                                                    \
	"id, resource, value, owner, note, uid, created, expires, bound, host, boot_id, pid, "     \
	"start, hi"
#define SELECT "SELECT " COLUMNS " FROM lease "
#define SORTED " ORDER BY resource, number, value"
#define PAGED                                                                                      \
	" AND (?2 IS NULL OR value = ?2) AND (?3 IS NULL OR owner = ?3)"                           \
	" AND (?4 IS NULL OR uid = ?4) AND (expires = 0 OR expires > ?5)"
#define OF_RESOURCE "FROM lease WHERE resource = ?1" PAGED
#define OF_ALL	    "FROM lease WHERE resource IS NOT ?6 AND resource IS NOT ?7" PAGED

static_assert(SQL_STATEMENT_MAX <= STORE_STATEMENTS, "no room for the statements");

static const char *const statements[SQL_STATEMENT_MAX] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_BEGIN_VIEW] = "BEGIN DEFERRED",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_FIND] = SELECT "WHERE resource = ?1 AND value = ?2",
	/* Rows with an extent never overlap each other: by descending begin their ends descend too,
	 * and the first that ends before lo ends the search. */
	[SQL_FIND_EXTENT] = SELECT "WHERE resource = ?1 AND lo IS NOT NULL AND lo <= ?2"
				   " ORDER BY lo DESC",
	[SQL_WALK_NUMBERS] = "SELECT number, expires, bound, id FROM lease WHERE resource = ?1"
			     " AND number IS NOT NULL AND number BETWEEN ?2 AND ?3 ORDER BY number",
	[SQL_INSERT] =
		"INSERT OR FAIL INTO lease (id, resource, value, number, lo, hi, owner, uid, "
		"note, created,"
		" expires, bound, host, boot_id, pid, start)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
		" ON CONFLICT (resource, value) DO NOTHING",
	[SQL_LAST_ID] = "SELECT max(id) FROM lease",
	[SQL_TAKE_AGAIN] = "UPDATE lease SET note = ?2, expires = ?3, bound = ?4, host = ?5,"
			   " boot_id = ?6, pid = ?7, start = ?8 WHERE id = ?1",
	[SQL_SET_EXPIRES] = "UPDATE lease SET expires = ?2 WHERE id = ?1",
	[SQL_DELETE] = "DELETE FROM lease WHERE id = ?1",
	[SQL_DELETE_SOME_EXPIRED] =
		"DELETE FROM lease WHERE id IN"
		" (SELECT id FROM lease WHERE expires > 0 AND expires <= ?1 LIMIT 8)",
	[SQL_DELETE_EXPIRED] = "DELETE FROM lease WHERE expires > 0 AND expires <= ?1",
	[SQL_LIST_BOUND] = SELECT "WHERE bound > 0",
	[SQL_LIST_KEY] = SELECT "WHERE resource = ?1 AND value = ?2",
	/* From one resource to the next by the index of (resource, value), not through all rows. */
	[SQL_LIST_VALUE] =
		"WITH RECURSIVE kind (name) AS (SELECT min(resource) FROM lease UNION ALL"
		" SELECT (SELECT min(resource) FROM lease WHERE resource > name) FROM kind"
		" WHERE name IS NOT NULL) " SELECT
		"WHERE value = ?2 AND resource IN (SELECT name FROM kind)" SORTED,
	/* Likewise from one user to the next. */
	[SQL_LIST_OWNER] = "WITH RECURSIVE user (holder) AS (SELECT min(uid) FROM lease UNION ALL"
			   " SELECT (SELECT min(uid) FROM lease WHERE uid > holder) FROM user"
			   " WHERE holder IS NOT NULL) " SELECT
			   "WHERE owner = ?3 AND uid IN (SELECT holder FROM user)" SORTED,
	[SQL_LIST_RESOURCE] = SELECT "WHERE resource = ?1" SORTED,
	[SQL_LIST_ALL] = SELECT SORTED,
	/* Along the index lease_sorted, which has all that is asked unless owner or uid are. */
	[SQL_PAGE_RESOURCE] = "SELECT id " OF_RESOURCE " ORDER BY number, value",
	[SQL_PAGE_ALL] = "SELECT id " OF_ALL SORTED,
	[SQL_COUNT_RESOURCE] = "SELECT count(*) " OF_RESOURCE,
	[SQL_COUNT_ALL] = "SELECT count(*) " OF_ALL,
	[SQL_COUNT_HOLDER] = "SELECT count(*) FROM (SELECT 1 FROM lease WHERE uid = ?1"
			     " AND (?2 IS NULL OR owner = ?2) LIMIT ?3)",
	[SQL_FIND_ID] = SELECT "WHERE id = ?1",
	[SQL_GET] = "SELECT value FROM setting WHERE key = ?1",
	[SQL_SET] = "INSERT OR REPLACE INTO setting (key, value) VALUES (?1, ?2)",
	[SQL_UNSET] = "DELETE FROM setting WHERE key = ?1",
	[SQL_VERSION] = "PRAGMA data_version",
	[SQL_CHECK] = "PRAGMA integrity_check(1)",
};

int64_t sql_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int failed(struct store_sqlite *s, const char *doing, struct err *err)
{
	int rc = sqlite3_extended_errcode(s->db);

	if ((rc & 0xff) == SQLITE_BUSY && err_if_interrupted(err) < 0)
		return -1;
	return store_sqlite_error(s->db, s->path, rc, doing, err);
}

sqlite3_stmt *sql_statement(struct store_sqlite *s, enum store_statement which, struct err *err)
{
	if (!s->stmt[which] &&
	    sqlite3_prepare_v3(s->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT,
			       &s->stmt[which], NULL) != SQLITE_OK) {
		failed(s, "read", err);
		return NULL;
	}
	return s->stmt[which];
}

void sql_bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	if (sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC) != SQLITE_OK)
		abort();
}

void sql_bind_int(sqlite3_stmt *stmt, int at, int64_t v)
{
	if (sqlite3_bind_int64(stmt, at, v) != SQLITE_OK)
		abort();
}

int sql_step(struct store_sqlite *s, sqlite3_stmt *stmt, const char *doing, struct err *err)
{
	int rc = sqlite3_step(stmt);

	return rc == SQLITE_ROW || rc == SQLITE_DONE ? rc : failed(s, doing, err);
}

/* A statement without parameters or rows. */
static int run(struct store_sqlite *s, enum store_statement which, struct err *err)
{
	auto_statement stmt = sql_statement(s, which, err);

	return stmt && sql_step(s, stmt, "write", err) >= 0 ? 0 : -1;
}

int sql_run(struct store_sqlite *s, enum store_statement which, int64_t id, int64_t arg,
	    struct err *err)
{
	auto_statement stmt = sql_statement(s, which, err);

	if (!stmt)
		return -1;
	sql_bind_int(stmt, 1, id);
	if (sqlite3_bind_parameter_count(stmt) > 1)
		sql_bind_int(stmt, 2, arg);
	return sql_step(s, stmt, "write", err) >= 0 ? 0 : -1;
}

int sql_begin(struct store_sqlite *s, struct err *err)
{
	s->view = (struct bound_view){ 0 };
	store_sqlite_view(&s->base, false);
	if (!s->in_batch) {
		s->tidied = false;
		s->next_id = 0;
		return run(s, SQL_BEGIN, err);
	}
	/* SQLite itself rolls back when the disk is full: the rest must not count either. */
	if (sqlite3_get_autocommit(s->db))
		return err_set(err, ERR_ENV, 0, "the batch has failed already");
	return 0;
}

int sql_look_up_id(struct store_sqlite *s, struct err *err)
{
	auto_statement stmt = sql_statement(s, SQL_LAST_ID, err);
	int64_t now, last;
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	now = ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
	if (!stmt || sql_step(s, stmt, "read", err) < 0)
		return -1;
	last = sqlite3_column_int64(stmt, 0);
	s->next_id = last < now ? now : last + 1;
	return 0;
}

int sql_end(struct store_sqlite *s, int result, struct err *err)
{
	if (s->in_batch)
		return result;
	if (result >= 0 && run(s, SQL_COMMIT, err) == 0)
		return result;
	run(s, SQL_ROLLBACK, ERR_IGNORED);
	return -1;
}

/* Without a view each statement locks the file for itself. */
void store_sqlite_view(struct store *base, bool on)
{
	struct store_sqlite *s = sql_self(base);

	if (on == s->in_view || s->in_batch)
		return;
	if (on)
		s->in_view = run(s, SQL_BEGIN_VIEW, ERR_IGNORED) == 0;
	else if (run(s, SQL_COMMIT, ERR_IGNORED) == 0 || run(s, SQL_ROLLBACK, ERR_IGNORED) == 0)
		s->in_view = false;
}

int store_sqlite_begin(struct store *base, struct err *err)
{
	struct store_sqlite *s = sql_self(base);

	if (s->in_batch)
		return err_set(err, ERR_INTERNAL, 0, "a batch within a batch");
	store_sqlite_view(base, false);
	if (run(s, SQL_BEGIN, err) < 0)
		return -1;
	s->tidied = false;
	s->next_id = 0;
	s->in_batch = true;
	return 0;
}

void store_sqlite_rollback(struct store *base)
{
	struct store_sqlite *s = sql_self(base);

	if (s->in_batch)
		run(s, SQL_ROLLBACK, ERR_IGNORED);
	s->in_batch = false;
}

int store_sqlite_commit(struct store *base, struct err *err)
{
	struct store_sqlite *s = sql_self(base);

	if (!s->in_batch)
		return err_set(err, ERR_INTERNAL, 0, "no batch to commit");
	if (run(s, SQL_COMMIT, err) < 0) {
		store_sqlite_rollback(base);
		return -1;
	}
	s->in_batch = false;
	return 0;
}

char *sql_text(sqlite3_stmt *stmt, int at)
{
	const unsigned char *text = sqlite3_column_text(stmt, at);

	return xstrdup(text ? (const char *)text : "");
}

void sql_read_lease(sqlite3_stmt *stmt, struct lease *ret)
{
	*ret = (struct lease){
		.id = (uint64_t)sqlite3_column_int64(stmt, COL_ID),
		.resource = sql_text(stmt, COL_RESOURCE),
		.value = sql_text(stmt, COL_VALUE),
		.owner = sql_text(stmt, COL_OWNER),
		.note = sql_text(stmt, COL_NOTE),
		.uid = (uid_t)sqlite3_column_int64(stmt, COL_UID),
		.created = sqlite3_column_int64(stmt, COL_CREATED),
		.expires = sqlite3_column_int64(stmt, COL_EXPIRES),
		.bound = (enum lease_bound)sqlite3_column_int(stmt, COL_BOUND),
		.pid = sqlite3_column_int(stmt, COL_PID),
		.start = (uint64_t)sqlite3_column_int64(stmt, COL_START),
	};
	auto_free char *host = sql_text(stmt, COL_HOST);
	auto_free char *boot_id = sql_text(stmt, COL_BOOT_ID);
	/* Too long is foreign: then it is of no host that we could judge. */
	if (!str_copy(ret->host, sizeof(ret->host), host) ||
	    !str_copy(ret->boot_id, sizeof(ret->boot_id), boot_id))
		ret->bound = LEASE_LASTS;
}

bool sql_is_held(struct store_sqlite *s, const struct lease *l, int64_t now)
{
	return (l->expires == 0 || l->expires > now) && bound_is_alive(&s->view, l);
}

bool sql_covers(const struct lease_claim *c, const struct lease *l)
{
	return (!c->owner || strcmp(c->owner, l->owner) == 0) &&
	       (c->uid == LEASE_ANY_UID || c->uid == l->uid);
}

int sql_collect(struct store_sqlite *s, sqlite3_stmt *stmt, bool held, struct lease_list *ret,
		struct err *err)
{
	int64_t now = sql_now_ms();
	int rc;

	while ((rc = sql_step(s, stmt, "read", err)) == SQLITE_ROW) {
		struct lease *l = array_push(ret->v, ret->n);

		sql_read_lease(stmt, l);
		if (sql_is_held(s, l, now) == held)
			continue;
		lease_done(l);
		ret->n--;
	}
	return rc < 0 ? -1 : 0;
}
