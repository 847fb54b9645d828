/* SPDX-License-Identifier: MIT */
/*
 * store_sqlite.h - inside of the SQLite store: a file for opening, one for the schema, one for
 * statements, one for the operations. Others use store.h.
 */
#ifndef LABCTL_NETPORT_STORE_SQLITE_H
#define LABCTL_NETPORT_STORE_SQLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "netport/bound.h"
#include "netport/store.h"

struct sqlite3;
struct sqlite3_stmt;

#define STORE_APPLICATION_ID 0x4c41424e /* "LABN" */
#define STORE_STATEMENTS     32

struct store_sqlite {
	struct store base;
	char *path;
	struct sqlite3 *db;
	struct sqlite3_stmt *stmt[STORE_STATEMENTS]; /* prepared at first use */
	bool in_batch, in_view, serves;
	bool tidied;		/* in this transaction */
	int64_t next_id;	/* in this transaction; 0: not looked up */
	struct bound_view view; /* of one operation */
	unsigned busy_ms;	/* how long to wait for another writer */
	int64_t busy_since;	/* monotonic */
};

/* Step i brings a book from version i to i + 1. Steps are only ever added. */
extern const char *const store_schema_steps[];
extern const size_t store_schema_version;
/* Books from this version on can be read as they are: status and list need no root. */
#define STORE_SCHEMA_READABLE 1

/* The file's version, 0 for an empty database. ERR_ENV when it is no lease book. */
int store_schema_read(struct sqlite3 *db, const char *path, unsigned *ret,
		      struct err *err) MUST_CHECK;
/* Brings the book to version n, in one transaction. ERR_ENV when it is newer: it stays as it
 * is. */
int store_schema_apply(struct sqlite3 *db, const char *path, const char *const *steps, size_t n,
		       struct err *err) MUST_CHECK;

/* The one place where SQLite's codes become errors: names the file and what to do. rc: an
 * extended result code. */
int store_sqlite_error(struct sqlite3 *db, const char *path, int rc, const char *doing,
		       struct err *err);
int store_sqlite_damaged(const char *path, const char *what, struct err *err);

int store_sqlite_open(const char *path, enum store_mode mode, struct store **ret,
		      struct err *err) MUST_CHECK;
int store_sqlite_serve(struct store *s, struct err *err);
void store_sqlite_close(struct store *s);

#endif
