/* SPDX-License-Identifier: MIT */
/* store_sqlite_schema.c - the SQLite book's versions, and SQLite's codes as errors. */
#include "netport/store_sqlite.h"

#include <errno.h>
#include <stdbool.h>

#include <sqlite3.h>

#include "base/cleanup.h"
#include "base/mem.h"

#include "base/banned.h"

/* Of every version so far. */
#define COLUMNS                                                                                    \
	"  resource TEXT NOT NULL,"                                                                \
	"  value TEXT NOT NULL,"                                                                   \
	"  number INTEGER,"                                                                        \
	"  lo TEXT, hi TEXT,"                                                                      \
	"  owner TEXT NOT NULL,"                                                                   \
	"  uid INTEGER NOT NULL,"                                                                  \
	"  note TEXT NOT NULL,"                                                                    \
	"  created INTEGER NOT NULL,"                                                              \
	"  expires INTEGER NOT NULL,"                                                              \
	"  bound INTEGER NOT NULL,"                                                                \
	"  host TEXT NOT NULL,"                                                                    \
	"  boot_id TEXT NOT NULL,"                                                                 \
	"  pid INTEGER NOT NULL,"                                                                  \
	"  start INTEGER NOT NULL,"                                                                \
	"  UNIQUE (resource, value)"                                                               \
	") STRICT;"

#define INDEXES                                                                                    \
	"CREATE INDEX lease_number ON lease (resource, number, expires, bound)"                    \
	" WHERE number IS NOT NULL;"                                                               \
	"CREATE INDEX lease_extent ON lease (resource, lo) WHERE lo IS NOT NULL;"                  \
	"CREATE INDEX lease_owner ON lease (owner);"                                               \
	"CREATE INDEX lease_expires ON lease (expires) WHERE expires > 0;"                         \
	"CREATE INDEX lease_bound ON lease (bound) WHERE bound > 0;"                               \
	"CREATE TRIGGER lease_overlap BEFORE INSERT ON lease WHEN NEW.lo IS NOT NULL BEGIN"        \
	"  SELECT RAISE(FAIL, 'overlap') WHERE EXISTS (SELECT 1 FROM lease"                        \
	"    WHERE resource = NEW.resource AND lo IS NOT NULL AND lo <= NEW.hi AND hi >= NEW.lo);" \
	"END;"

const char *const store_schema_steps[] = {
	/* lease_number covers the walk that looks for a gap. The trigger is the constraint that
	 * UNIQUE is for single values: rows with an extent never overlap, so of all that begin at
	 * or before an end the last one tells. It fails before anything is written, so there is
	 * nothing to take back: FAIL spares each insert a copy of every page that it changes. */
	"CREATE TABLE lease ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT," COLUMNS INDEXES
	"CREATE INDEX lease_value ON lease (value);"
	"CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;",
	/* Each index costs each new lease: a value is found under one resource after the other, as
	 * there are few. AUTOINCREMENT costs it a row in a table of SQLite's own: see sql_look_up_id(). */
	"CREATE TABLE lease_2 ("
	"  id INTEGER PRIMARY KEY," COLUMNS "INSERT INTO lease_2 SELECT * FROM lease;"
	"DROP TABLE lease;"
	"ALTER TABLE lease_2 RENAME TO lease;" INDEXES,
	/* What a user holds is counted. Pages come in the order in which leases are listed, and their
	 * index does for the walk that looks for a gap, too. Offers kept their secrets in the book,
	 * which everyone may read: they end. */
	"DROP INDEX lease_owner;"
	"CREATE INDEX lease_holder ON lease (uid, owner);"
	"DROP INDEX lease_number;"
	"CREATE INDEX lease_sorted ON lease (resource, number, value, expires, bound);"
	"DELETE FROM lease WHERE resource = 'PORT' AND owner LIKE 'portmaster:%'"
	"  AND note LIKE '%\"secret\"%';",
};
const size_t store_schema_version = ARRAY_SIZE(store_schema_steps);

int store_sqlite_damaged(const char *path, const char *what, struct err *err)
{
	err_set(err, ERR_ENV, 0, "the lease book '%s' is damaged: %s", path, what);
	return err_hint(err,
			"it was left as it is; stop all labs, then put a backup in its place, or "
			"move it, its -wal and its -shm away: the next lease begins a new book");
}

int store_sqlite_error(struct sqlite3 *db, const char *path, int rc, const char *doing,
		       struct err *err)
{
	const char *what =
		db && sqlite3_extended_errcode(db) == rc ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
	int sys = db ? sqlite3_system_errno(db) : 0;

	switch (rc & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return store_sqlite_damaged(path, what, err);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		err_set(err, ERR_BUSY, 0, "the lease book '%s' is held by another program", path);
		return err_hint(err, "try again; 'fuser -v %s' shows who has it open", path);
	case SQLITE_FULL:
		err_set(err, ERR_ENV, 0, "no space for the lease book '%s'", path);
		return err_hint(err, "it is as it was; make room on that file system");
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return err_set(err, ERR_ENV, 0, "cannot %s the lease book '%s': %s", doing, path,
			       what);
	default:
		return err_set(err, ERR_ENV, sys, "cannot %s the lease book '%s': %s (code %d)",
			       doing, path, what, rc);
	}
}

static int pragma_number(struct sqlite3 *db, const char *path, const char *sql, int *ret,
			 struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? 0 : store_sqlite_error(db, path, rc, "read", err);
}

int store_schema_read(struct sqlite3 *db, const char *path, unsigned *ret, struct err *err)
{
	int id, version, tables;

	if (pragma_number(db, path, "PRAGMA application_id", &id, err) < 0 ||
	    pragma_number(db, path, "PRAGMA user_version", &version, err) < 0 ||
	    pragma_number(db, path, "SELECT count(*) FROM sqlite_schema", &tables, err) < 0)
		return -1;
	if (id != STORE_APPLICATION_ID && (id || version || tables)) {
		err_set(err, ERR_ENV, 0, "'%s' is a database, but not a lease book", path);
		return err_hint(err, "it was left as it is; move it away, or choose another "
				     "place with LABCTL_STATE");
	}
	*ret = (unsigned)version;
	return 0;
}

static int exec(struct sqlite3 *db, const char *path, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : store_sqlite_error(db, path, rc, "set up", err);
}

/* The version, which must not be above n. */
static int read_known(struct sqlite3 *db, const char *path, size_t n, unsigned *ret,
		      struct err *err)
{
	if (store_schema_read(db, path, ret, err) < 0)
		return -1;
	if (*ret <= n)
		return 0;
	err_set(err, ERR_ENV, 0, "the lease book '%s' has version %u, this labctl knows up to %zu",
		path, *ret, n);
	return err_hint(err, "it was left as it is; use the newer labctl that wrote it, or choose "
			     "another place with LABCTL_STATE");
}

static int apply_steps(struct sqlite3 *db, const char *path, const char *const *steps, size_t n,
		       struct err *err)
{
	auto_free char *marks = xasprintf("PRAGMA application_id=%d; PRAGMA user_version=%zu;",
					  STORE_APPLICATION_ID, n);
	unsigned version;

	/* Read inside the transaction: another process may just have done it. */
	if (read_known(db, path, n, &version, err) < 0)
		return -1;
	for (size_t i = version; i < n; i++) {
		if (exec(db, path, steps[i], err) < 0)
			return err_wrap(err, "from version %zu to %zu", i, i + 1);
	}
	return version < n ? exec(db, path, marks, err) : 0;
}

int store_schema_apply(struct sqlite3 *db, const char *path, const char *const *steps, size_t n,
		       struct err *err)
{
	unsigned version;

	if (read_known(db, path, n, &version, err) < 0)
		return -1;
	if (version == n)
		return 0;
	if (exec(db, path, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	if (apply_steps(db, path, steps, n, err) < 0 || exec(db, path, "COMMIT", err) < 0) {
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	return 0;
}
