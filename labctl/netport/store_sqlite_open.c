/* SPDX-License-Identifier: MIT */
/* store_sqlite_open.c - opening and making the SQLite book. */
#include "netport/store_sqlite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#include "base/banned.h"

enum {
	BUSY_MS = 10000,
	BUSY_STEP_MAX_MS = 4,
	BOOK_MODE = 0644, /* status and list need no root */
	BOOK_MAX = 256 << 20,
	LOG_HEADER = 32, /* bytes; another one for each time the log begins anew */
	SNAPSHOT_TRIES = 10,
};

#define SERVE_CHECKPOINT_PAGES "2000"
#define CHECKPOINT_PAGES       "256" /* a book that nobody has open is read through its whole log */

DEFINE_AUTO(sqlite, sqlite3 *, sqlite3_close, NULL)
#define auto_sqlite auto_cleanup(sqlite) sqlite3 *

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Short waits: a writer holds the book for one wait for the disk. SQLite's own handler soon
 * sleeps 100 ms at a time, which starves some of many writers. */
static int on_busy(void *arg, int count)
{
	struct store_sqlite *s = arg;
	long ms = count < BUSY_STEP_MAX_MS ? count + 1 : BUSY_STEP_MAX_MS;
	struct timespec ts = { .tv_nsec = ms * 500000 + (long)(now_ms() * 7919 % 500) * 1000 };

	if (count == 0)
		s->busy_since = now_ms();
	if (interrupt_seen() || now_ms() - s->busy_since > s->busy_ms)
		return 0;
	nanosleep(&ts, NULL);
	return 1;
}

static int exec(struct store_sqlite *s, const char *sql, const char *doing, struct err *err)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : store_sqlite_error(s->db, s->path, rc, doing, err);
}

static int configure(struct store_sqlite *s, struct err *err)
{
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_busy_handler(s->db, on_busy, s);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* The log and its index stay when the last one closes: who may only read could not make
	 * them. It also saves every short command the checkpoint. */
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return exec(s,
		    "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
		    "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
		    "PRAGMA wal_autocheckpoint=" CHECKPOINT_PAGES,
		    "open", err);
}

/* Fewer checkpoints, as each is two more waits for the disk; what they save, short commands that
 * read the whole log, is paid at the end. */
int store_sqlite_serve(struct store *base, struct err *err)
{
	struct store_sqlite *s = (struct store_sqlite *)base;

	s->serves = true;
	return exec(s,
		    "PRAGMA wal_autocheckpoint=" SERVE_CHECKPOINT_PAGES
		    "; PRAGMA cache_size=-32768",
		    "open", err);
}

static int open_file(struct store_sqlite *s, const char *path, int flags, struct err *err)
{
	int rc = sqlite3_open_v2(path, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc != SQLITE_OK)
		return store_sqlite_error(s->db, s->path, rc, "open", err);
	return configure(s, err);
}

static void sync_dir(const char *path)
{
	auto_free char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');

	if (slash)
		*slash = '\0';
	auto_fd fd = open(slash ? (*dir ? dir : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fsync(fd);
}

static int build(const char *tmp, const char *path, struct err *err)
{
	auto_sqlite db = NULL;
	int rc = sqlite3_open_v2(tmp, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL", NULL,
				  NULL, NULL);
	if (rc != SQLITE_OK)
		return store_sqlite_error(db, path, rc, "make", err);
	if (store_schema_apply(db, path, store_schema_steps, store_schema_version, err) < 0)
		return -1;
	/* All of it into the file: what closing leaves in the log, on a full disk, would be lost. */
	rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	return rc == SQLITE_OK ? 0 : store_sqlite_error(db, path, rc, "make", err);
}

static void remove_draft(const char *tmp)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-journal" };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		auto_free char *file = xasprintf("%s%s", tmp, ends[i]);

		unlink(file);
	}
}

/* Of processes that died while they made the book. */
static void remove_old_drafts(const char *path)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	auto_free char *dir = xasprintf("%.*s.", (int)(name - path), path);
	auto_free char *prefix = xasprintf("%s.new.", name);
	auto_dir d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		int pid;

		if (str_starts(e->d_name, prefix) &&
		    sscanf(e->d_name + strlen(prefix), "%d", &pid) == 1 && pid > 0 &&
		    kill(pid, 0) < 0 && errno == ESRCH)
			unlinkat(dirfd(d), e->d_name, 0);
	}
}

/* A book appears whole or not at all: it is built beside its place and linked into it. Two that
 * do it at once agree on the first. */
static int make_book(const char *path, struct err *err)
{
	auto_free char *tmp = xasprintf("%s.new.%d", path, (int)getpid());
	auto_free char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');
	int sys = 0;

	if (slash && slash != dir) {
		*slash = '\0';
		if (fs_mkdirs(dir, 0755, err) < 0)
			return -1;
	}
	if (!fs_access(slash ? dir : ".", W_OK)) {
		sys = errno;
		err_set(err, ERR_ENV, sys, "cannot make the lease book '%s'", path);
		return sys == EACCES ? err_hint(err, "only root keeps it: use sudo") : -1;
	}
	remove_old_drafts(path);
	remove_draft(tmp);
	if (build(tmp, path, err) < 0) {
		remove_draft(tmp);
		return -1;
	}
	if (chmod(tmp, BOOK_MODE) < 0 || (link(tmp, path) < 0 && errno != EEXIST))
		sys = errno;
	remove_draft(tmp);
	sync_dir(path);
	return sys ? err_set(err, ERR_ENV, sys, "cannot make the lease book '%s'", path) : 0;
}

static int cannot_write(const struct store_sqlite *s, int sys, struct err *err)
{
	err_set(err, ERR_ENV, sys, "cannot write the lease book '%s'", s->path);
	return sys == EACCES ? err_hint(err, "only its owner keeps it: use sudo") : -1;
}

static int open_write(struct store_sqlite *s, struct err *err)
{
	if (!fs_access(s->path, W_OK))
		return cannot_write(s, errno, err);
	if (open_file(s, s->path, SQLITE_OPEN_READWRITE, err) < 0)
		return -1;
	if (sqlite3_db_readonly(s->db, "main"))
		return cannot_write(s, EACCES, err);
	if (store_schema_apply(s->db, s->path, store_schema_steps, store_schema_version, err) < 0)
		return -1;
	/* Nothing happens when it is so already. */
	return exec(s, "PRAGMA journal_mode=WAL", "open", err);
}

static int check_version(struct store_sqlite *s, struct err *err)
{
	unsigned version;

	if (store_schema_read(s->db, s->path, &version, err) < 0)
		return -1;
	if (version >= STORE_SCHEMA_READABLE && version <= store_schema_version)
		return 0;
	err_set(err, ERR_ENV, 0, "the lease book '%s' has version %u, this labctl reads %zu",
		s->path, version, store_schema_version);
	return err_hint(err, version < store_schema_version
				     ? "the next lease that is taken brings it up to date"
				     : "use the newer labctl that wrote it");
}

static bool has_log(const char *path)
{
	auto_free char *wal = xasprintf("%s-wal", path);
	struct stat st;

	return stat(wal, &st) == 0 && st.st_size > 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A book without its log (somebody else's tool closed it) cannot be opened by one who may only
 * read. It is then complete in itself: a copy in memory serves, if it did not change while it was
 * read. */
static int open_copy(struct store_sqlite *s, struct err *err)
{
	enum {
		READ_VERSION = 19,
		WRITE_VERSION = 18,
		ROLLBACK_MODE = 1
	};
	auto_free char *text = NULL;
	struct stat before, after;
	unsigned char *copy;
	size_t len;
	int rc;

	if (stat(s->path, &before) < 0 || fs_read(s->path, BOOK_MAX, &text, &len, err) < 0)
		return -1;
	if (stat(s->path, &after) < 0 || !same_file(&before, &after) || has_log(s->path) ||
	    len <= READ_VERSION)
		return err_set(err, ERR_BUSY, 0, "the lease book '%s' is being changed", s->path);
	/* A database in memory has no log. */
	text[READ_VERSION] = text[WRITE_VERSION] = ROLLBACK_MODE;
	copy = sqlite3_malloc64(len);
	if (!copy)
		return err_set(err, ERR_ENV, ENOMEM, "cannot read the lease book '%s'", s->path);
	memcpy(copy, text, len);
	sqlite3_close(steal_ptr(&s->db));
	if (open_file(s, ":memory:", SQLITE_OPEN_READWRITE, err) < 0)
		return -1;
	rc = sqlite3_deserialize(s->db, "main", copy, (sqlite3_int64)len, (sqlite3_int64)len,
				 SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY);
	if (rc != SQLITE_OK)
		return store_sqlite_error(s->db, s->path, rc, "read", err);
	return check_version(s, err);
}

/* The log or its index is not there, or not for the caller, and cannot be made. */
static bool lacks_files(int rc)
{
	return (rc & 0xff) == SQLITE_CANTOPEN || rc == SQLITE_READONLY_DIRECTORY;
}

static bool read_log_header(const char *wal, char ret[static LOG_HEADER])
{
	auto_fd fd = open(wal, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && pread(fd, ret, LOG_HEADER, 0) == LOG_HEADER;
}

/* The book, then its log. As long as the log has not begun anew meanwhile, all that was written to
 * the book meanwhile stands in the log, too: together they are whole. */
static int read_both(const char *path, const char *wal, char *ret_text[2], size_t ret_len[2],
		     struct err *err)
{
	char header[LOG_HEADER];

	for (int i = 0; i < SNAPSHOT_TRIES && read_log_header(wal, header); i++) {
		auto_free char *book = NULL, *log = NULL;

		if (fs_read(path, BOOK_MAX, &book, &ret_len[0], err) < 0 ||
		    fs_read(wal, BOOK_MAX, &log, &ret_len[1], err) < 0)
			return -1;
		if (ret_len[1] < LOG_HEADER || memcmp(log, header, LOG_HEADER) != 0)
			continue;
		ret_text[0] = steal_ptr(&book);
		ret_text[1] = steal_ptr(&log);
		return 0;
	}
	return err_set(err, ERR_BUSY, 0, "the lease book '%s' is being changed", path);
}

/* For one who may not have the index: a copy of his own, without a name as soon as it is open. */
static int open_snapshot(struct store_sqlite *s, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	auto_free char *dir = xasprintf("%s/labctl-book.XXXXXX", str_empty(tmp) ? "/tmp" : tmp);
	auto_free char *wal = xasprintf("%s-wal", s->path);
	auto_free char *copy = NULL, *copy_wal = NULL, *book = NULL, *log = NULL;
	char *text[2] = { NULL, NULL };
	size_t len[2];
	int r = read_both(s->path, wal, text, len, err);

	book = text[0];
	log = text[1];
	if (r < 0)
		return -1;
	if (!mkdtemp(dir))
		return err_set(err, ERR_ENV, errno, "cannot make the directory '%s'", dir);
	copy = xasprintf("%s/book", dir);
	copy_wal = xasprintf("%s-wal", copy);
	sqlite3_close(steal_ptr(&s->db));
	if (fs_write(copy, book, len[0], 0600, false, err) < 0 ||
	    fs_write(copy_wal, log, len[1], 0600, false, err) < 0 ||
	    open_file(s, copy, SQLITE_OPEN_READWRITE, err) < 0 || check_version(s, err) < 0)
		r = -1;
	remove_draft(copy);
	rmdir(dir);
	return r;
}

static int open_read(struct store_sqlite *s, struct err *err)
{
	struct err first = { 0 };

	if (open_file(s, s->path, SQLITE_OPEN_READONLY, &first) == 0 &&
	    check_version(s, &first) == 0)
		return 0;
	if (s->db && lacks_files(sqlite3_extended_errcode(s->db)))
		return has_log(s->path) ? open_snapshot(s, err) : open_copy(s, err);
	*err = first;
	return -1;
}

/* What can be told of the file before SQLite sees it. *ret_there: it exists. */
static int look_at(const char *path, bool *ret_there, struct err *err)
{
	struct stat st;

	*ret_there = stat(path, &st) == 0;
	if (!*ret_there && errno != ENOENT)
		return err_set(err, ERR_ENV, errno, "cannot open the lease book '%s'", path);
	if (!*ret_there)
		return 0;
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_ENV, 0, "the lease book '%s' is not a file", path);
	/* SQLite would take this for a new database. */
	return st.st_size == 0 ? store_sqlite_damaged(path, "it is empty", err) : 0;
}

/* Who may open the index may lock it, and with it the book for all others: it is for those who may
 * write the book. Made here, because SQLite would give it the book's mode, as it does with an empty
 * one. Never opened when it is there: to close it would end this process's own locks on it. The byte
 * is appended, not set: another process may have mapped the file meanwhile. */
static void guard_index(const char *path)
{
	auto_free char *shm = xasprintf("%s-shm", path);
	auto_fd fd = -1;
	struct stat book, index;
	mode_t mode;

	if (stat(path, &book) < 0)
		return;
	mode = (book.st_mode & 0222) | (book.st_mode & 0222) << 1;
	if (lstat(shm, &index) < 0)
		fd = open(shm, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	else if (!S_ISREG(index.st_mode) || (index.st_mode & 0777) == mode)
		return;
	/* Not ours: then it is for its owner to do. */
	if ((fd >= 0 && write(fd, "", 1) != 1) || chmod(shm, mode) < 0)
		log_debug("the mode of '%s' stays: %m", shm);
}

static int open_store(struct store_sqlite *s, enum store_mode mode, struct err *err)
{
	bool there;

	if (look_at(s->path, &there, err) < 0)
		return -1;
	if (there && !fs_access(s->path, R_OK))
		return err_set(err, ERR_ENV, errno, "cannot read the lease book '%s'", s->path);
	if (mode == STORE_WRITE && !there && make_book(s->path, err) < 0)
		return -1;
	guard_index(s->path);
	if (mode == STORE_WRITE)
		return open_write(s, err);
	if (there)
		return open_read(s, err);
	if (open_file(s, ":memory:", SQLITE_OPEN_READWRITE, err) < 0)
		return -1;
	return store_schema_apply(s->db, s->path, store_schema_steps, store_schema_version, err);
}

int store_sqlite_open(const char *path, enum store_mode mode, struct store **ret, struct err *err)
{
	struct store_sqlite *s = xcalloc(1, sizeof(*s));

	/* Nobody asks how much memory it takes. Without effect once a book has been opened. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	s->base.ops = &store_sqlite_ops;
	s->base.name = xasprintf("the lease book '%s'", path);
	s->path = xstrdup(path);
	s->busy_ms = BUSY_MS;
	stop_hold(true);
	if (open_store(s, mode, err) < 0) {
		store_sqlite_close(&s->base);
		return -1;
	}
	*ret = &s->base;
	return 0;
}

void store_sqlite_close(struct store *base)
{
	struct store_sqlite *s = (struct store_sqlite *)base;

	for (size_t i = 0; i < STORE_STATEMENTS; i++)
		sqlite3_finalize(s->stmt[i]);
	if (s->serves)
		sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	sqlite3_close(s->db);
	stop_hold(false);
	free(s->path);
	free(s->base.name);
	free(s);
}
