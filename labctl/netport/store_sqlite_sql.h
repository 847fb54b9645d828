/* SPDX-License-Identifier: MIT */
/* store_sqlite_sql.h - statements, rows and transactions of the SQLite store. */
#ifndef LABCTL_NETPORT_STORE_SQLITE_SQL_H
#define LABCTL_NETPORT_STORE_SQLITE_SQL_H

#include <sqlite3.h>

#include "netport/lease.h"
#include "netport/store_sqlite.h"

enum store_statement {
	SQL_BEGIN,
	SQL_BEGIN_VIEW,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_FIND,
	SQL_FIND_EXTENT,
	SQL_WALK_NUMBERS,
	SQL_INSERT,
	SQL_LAST_ID,
	SQL_TAKE_AGAIN,
	SQL_SET_EXPIRES,
	SQL_DELETE,
	SQL_DELETE_SOME_EXPIRED,
	SQL_DELETE_EXPIRED,
	SQL_LIST_BOUND,
	SQL_LIST_KEY,
	SQL_LIST_VALUE,
	SQL_LIST_OWNER,
	SQL_LIST_RESOURCE,
	SQL_LIST_ALL,
	SQL_PAGE_RESOURCE,
	SQL_PAGE_ALL,
	SQL_COUNT_RESOURCE,
	SQL_COUNT_ALL,
	SQL_COUNT_HOLDER,
	SQL_FIND_ID,
	SQL_GET,
	SQL_SET,
	SQL_UNSET,
	SQL_VERSION,
	SQL_CHECK,
	SQL_STATEMENT_MAX
};
/* Columns of the statements that bring whole leases. */
enum store_column {
	COL_ID,
	COL_RESOURCE,
	COL_VALUE,
	COL_OWNER,
	COL_NOTE,
	COL_UID,
	COL_CREATED,
	COL_EXPIRES,
	COL_BOUND,
	COL_HOST,
	COL_BOOT_ID,
	COL_PID,
	COL_START,
	COL_HI,
};

/* A statement in use is rewound, and forgets its parameters, when it goes out of scope. */
static inline void store_rewind(sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}
DEFINE_AUTO(statement, sqlite3_stmt *, store_rewind, NULL)
#define auto_statement auto_cleanup(statement) sqlite3_stmt *

static inline struct store_sqlite *sql_self(struct store *s)
{
	return (struct store_sqlite *)s;
}

int64_t sql_now_ms(void); /* the store's clock */

/* Ready to be bound; NULL with err when it cannot be prepared. */
sqlite3_stmt *sql_statement(struct store_sqlite *s, enum store_statement which, struct err *err);
/* text NULL: SQL's NULL; else it stays the caller's, and as it is until the statement is rewound.
 * Out of memory ends the program. */
void sql_bind_text(sqlite3_stmt *stmt, int at, const char *text);
void sql_bind_int(sqlite3_stmt *stmt, int at, int64_t v);
/* SQLITE_ROW, SQLITE_DONE or -1. */
int sql_step(struct store_sqlite *s, sqlite3_stmt *stmt, const char *doing, struct err *err);
/* A statement with at most the parameters id and arg, and without rows. */
int sql_run(struct store_sqlite *s, enum store_statement which, int64_t id, int64_t arg,
	    struct err *err);

/* One operation: a transaction of its own, or part of the batch. */
int sql_begin(struct store_sqlite *s, struct err *err);
/* Sets next_id: above every id in the book, and never one that was given back: the time in
 * microseconds, unless the clock went back. Nobody else writes before the transaction ends. */
int sql_look_up_id(struct store_sqlite *s, struct err *err);
/* result >= 0: commits and yields it; -1: rolls back. */
int sql_end(struct store_sqlite *s, int result, struct err *err);

int store_sqlite_begin(struct store *s, struct err *err);
int store_sqlite_commit(struct store *s, struct err *err);
void store_sqlite_rollback(struct store *s);
void store_sqlite_view(struct store *s, bool on);

int store_sqlite_page(struct store *s, const struct store_page *page, struct lease_list *ret,
		      size_t *ret_total, struct err *err);

char *sql_text(sqlite3_stmt *stmt, int at); /* heap text */
void sql_read_lease(sqlite3_stmt *stmt, struct lease *ret);
/* Within one operation. */
bool sql_is_held(struct store_sqlite *s, const struct lease *l, int64_t now);
bool sql_covers(const struct lease_claim *c, const struct lease *l);
/* Reads the rows of a bound statement that are held, or (held false) those that are not. */
int sql_collect(struct store_sqlite *s, sqlite3_stmt *stmt, bool held, struct lease_list *ret,
		struct err *err);

#endif
