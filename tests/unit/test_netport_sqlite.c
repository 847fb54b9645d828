/* SPDX-License-Identifier: MIT */
/* test_netport_sqlite.c - the SQLite book: its file, damage, versions, who may read it. */
#include "netport_lab.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>

#include <sqlite3.h>

#include "base/fs.h"
#include "netport/store_sqlite.h"

#include "base/banned.h"

#define NOBODY 65534

static struct store *open_path(const char *path, enum store_mode mode)
{
	struct store *s = NULL;

	ok(store_open(path, mode, &s, err));
	return s;
}

/* Runs SQL with a connection of its own; fails on an error. */
static void sql(const char *path, const char *text)
{
	sqlite3 *db = NULL;
	char *msg = NULL;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &msg) != SQLITE_OK)
		fail_msg("%s: %s", text, msg);
	sqlite3_close(db);
}

static char *sql_value(const char *path, const char *text)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;
	char *value;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	value = xstrdup((const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return value;
}

static void take(struct store *s, const char *value)
{
	struct lease_request r = by("anna", "COLOUR");

	ok(lease_acquire(s, &r, value, NULL, NULL, NULL, NULL, err));
}

static void test_new_book(void **state)
{
	const struct place *p = *state;
	auto_free char *nested = xasprintf("%s/a/b/netport.db", p->dir);
	auto_store s = open_path(nested, STORE_WRITE);
	struct stat st;

	assert_int_equal(stat(nested, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	auto_free char *id = sql_value(nested, "PRAGMA application_id");
	auto_free char *version = sql_value(nested, "PRAGMA user_version");
	auto_free char *mode = sql_value(nested, "PRAGMA journal_mode");
	assert_string_equal(id, "1279345230");
	assert_string_equal(version, "3");
	assert_string_equal(mode, "wal");
	ok(store_check(s, err));
}

/* Reading makes nothing: no book is an empty book. */
static void test_read_nothing(void **state)
{
	const struct place *p = *state;
	auto_store s = open_path(p->path, STORE_READ);

	assert_int_equal(held(s, NULL), 0);
	assert_false(fs_access(p->path, F_OK));
}

/* Uniqueness is the database's own constraint, not our code's. */
static void test_constraints(void **state)
{
	static const char *const rows[] = { "'C','red',NULL,NULL", "'SUBNET','x','4a','4c'",
					    "'SUBNET','y','4c','4d'", "'SUBNET','z','40','4f'" };
	const struct place *p = *state;
	auto_store s = open_path(p->path, STORE_WRITE);
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open_v2(p->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		auto_free char *text = xasprintf(
			"INSERT INTO lease (resource, value, lo, hi, owner, uid, note, created,"
			" expires, bound, host, boot_id, pid, start)"
			" VALUES (%s,'a',0,'',0,0,0,'','',0,0)",
			rows[i % ARRAY_SIZE(rows)]);

		assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL),
				 i < 2 ? SQLITE_OK : SQLITE_CONSTRAINT);
	}
	sqlite3_close(db);
}

static void expect_error(const char *path, enum err_kind kind, const char *msg, const char *hint)
{
	static const enum store_mode modes[] = { STORE_WRITE, STORE_READ };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct err err = { 0 };
		struct store *s = NULL;

		assert_int_equal(store_open(path, modes[i], &s, &err), -1);
		assert_string_equal(err.msg, msg);
		assert_int_equal(err.kind, kind);
		if (hint)
			assert_string_equal(err.hint, hint);
	}
}

#define DAMAGED                                                                                    \
	"it was left as it is; stop all labs, then put a backup in its place, or move it, its "    \
	"-wal "                                                                                    \
	"and its -shm away: the next lease begins a new book"

static void test_damaged(void **state)
{
	static const char garbage[] = "this is not a database, but it is long enough to be one, "
				      "at least as far as its header goes, which has 100 bytes";
	const struct place *p = *state;
	auto_free char *empty = xasprintf("%s/empty.db", p->dir);
	auto_free char *junk = xasprintf("%s/junk.db", p->dir);
	auto_free char *cut = xasprintf("%s/cut.db", p->dir);
	auto_free char *dir = xasprintf("%s/dir.db", p->dir);
	auto_free char *before = NULL, *after = NULL;
	size_t len, len_after;

	ok(fs_write(empty, "", 0, 0644, false, err));
	auto_free char *msg = xasprintf("the lease book '%s' is damaged: it is empty", empty);
	expect_error(empty, ERR_ENV, msg, DAMAGED);

	ok(fs_write(junk, garbage, sizeof(garbage), 0644, false, err));
	auto_free char *msg2 =
		xasprintf("the lease book '%s' is damaged: file is not a database", junk);
	expect_error(junk, ERR_ENV, msg2, DAMAGED);
	ok(fs_read(junk, 1 << 20, &before, &len, err));
	assert_int_equal(len, sizeof(garbage));
	assert_memory_equal(before, garbage, len);
	free(steal_ptr(&before));

	auto_store s = open_path(p->path, STORE_WRITE);
	take(s, "red");
	store_close(steal_ptr(&s));
	sql(p->path, "PRAGMA wal_checkpoint(TRUNCATE)");
	ok(fs_read(p->path, 1 << 20, &before, &len, err));
	ok(fs_write(cut, before, len / 2 + 100, 0644, false, err));
	auto_free char *msg3 =
		xasprintf("the lease book '%s' is damaged: database disk image is malformed", cut);
	expect_error(cut, ERR_ENV, msg3, DAMAGED);
	ok(fs_read(cut, 1 << 20, &after, &len_after, err));
	assert_int_equal(len_after, len / 2 + 100);
	assert_memory_equal(before, after, len_after);

	ok(fs_mkdirs(dir, 0755, err));
	auto_free char *msg4 = xasprintf("the lease book '%s' is not a file", dir);
	expect_error(dir, ERR_ENV, msg4, NULL);
}

/* Garbage in the middle is found when it is looked for, or met. */
static void test_damaged_inside(void **state)
{
	const struct place *p = *state;
	auto_store s = open_path(p->path, STORE_WRITE);
	struct err err = { 0 };
	char noise[4096];

	take(s, "red");
	store_close(steal_ptr(&s));
	sql(p->path, "PRAGMA wal_checkpoint(TRUNCATE)");
	memset(noise, 0x5a, sizeof(noise));
	auto_fd fd = open(p->path, O_WRONLY | O_CLOEXEC);
	for (off_t page = 1; page < 6; page++)
		assert_int_equal(pwrite(fd, noise, sizeof(noise), page * 4096), sizeof(noise));
	s = open_path(p->path, STORE_WRITE);
	assert_int_equal(store_check(s, &err), -1);
	auto_free char *begin = xasprintf("the lease book '%s' is damaged: ", p->path);
	assert_int_equal(strncmp(err.msg, begin, strlen(begin)), 0);
	struct lease_request r = by("anna", "COLOUR");
	assert_int_equal(lease_acquire(s, &r, "blue", NULL, NULL, NULL, NULL, &err), -1);
	assert_int_equal(strncmp(err.msg, begin, strlen(begin)), 0);
	assert_string_equal(err.hint, DAMAGED);
}

static void test_versions(void **state)
{
	const struct place *p = *state;
	auto_free char *other = xasprintf("%s/other.db", p->dir);
	struct err err = { 0 };
	struct store *none = NULL;
	auto_store s = open_path(p->path, STORE_WRITE);
	sqlite3 *db = NULL;

	store_close(steal_ptr(&s));
	sql(p->path, "PRAGMA user_version=7");
	auto_free char *msg =
		xasprintf("the lease book '%s' has version 7, this labctl knows up to 3", p->path);
	assert_int_equal(store_open(p->path, STORE_WRITE, &none, &err), -1);
	assert_string_equal(err.msg, msg);
	assert_string_equal(err.hint,
			    "it was left as it is; use the newer labctl that wrote it, or "
			    "choose another place with LABCTL_STATE");
	auto_free char *msg2 =
		xasprintf("the lease book '%s' has version 7, this labctl reads 3", p->path);
	assert_int_equal(store_open(p->path, STORE_READ, &none, &err), -1);
	assert_string_equal(err.msg, msg2);
	assert_string_equal(err.hint, "use the newer labctl that wrote it");
	auto_free char *version = sql_value(p->path, "PRAGMA user_version");
	assert_string_equal(version, "7");

	assert_int_equal(sqlite3_open(other, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE mine (a)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	auto_free char *msg3 = xasprintf("'%s' is a database, but not a lease book", other);
	expect_error(other, ERR_ENV, msg3,
		     "it was left as it is; move it away, or choose another place with "
		     "LABCTL_STATE");
}

/* The way that a later version will take: an old book, with leases, gets the steps it lacks. */
static void test_migration(void **state)
{
	const struct place *p = *state;
	const char *const steps[] = { store_schema_steps[0], store_schema_steps[1],
				      store_schema_steps[2],
				      "ALTER TABLE lease ADD COLUMN colour TEXT;",
				      "UPDATE lease SET colour = value;" };
	const char *const broken[] = {
		steps[0], steps[1], steps[2],
		steps[3], steps[4], "CREATE TABLE half (a); SELECT nonsense"
	};
	auto_store s = open_path(p->path, STORE_WRITE);
	sqlite3 *db = NULL;

	take(s, "red");
	store_close(steal_ptr(&s));
	assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
	ok(store_schema_apply(db, p->path, steps, 5, err));
	ok(store_schema_apply(db, p->path, steps, 5, err));
	struct err err = { 0 };
	assert_int_equal(store_schema_apply(db, p->path, broken, 6, &err), -1);
	sqlite3_close(db);
	auto_free char *msg = xasprintf("from version 5 to 6: cannot set up the lease book '%s': "
					"no such column: nonsense (code 1)",
					p->path);
	assert_string_equal(err.msg, msg);
	auto_free char *version = sql_value(p->path, "PRAGMA user_version");
	auto_free char *colour = sql_value(p->path, "SELECT colour FROM lease");
	auto_free char *half =
		sql_value(p->path, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'");
	assert_string_equal(version, "5");
	assert_string_equal(colour, "red");
	assert_string_equal(half, "0");
}

/* A book of the first version keeps its leases, their ids, and what must not overlap. */
static void test_first_version(void **state)
{
	const struct place *p = *state;
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
	ok(store_schema_apply(db, p->path, store_schema_steps, 1, err));
	assert_int_equal(
		sqlite3_exec(db,
			     "PRAGMA journal_mode=WAL;"
			     "INSERT INTO lease VALUES (7, 'COLOUR', 'red', NULL, NULL, NULL, "
			     "'me', 0, 'mine', 1, 0, 0, 'h', 'b', 0, 0);"
			     "INSERT INTO lease VALUES (8, 'PORT', '5000', 5000, NULL, NULL, "
			     "'portmaster:web/a', 0, '{\"by\":\"me\",\"secret\":\"x\"}', 1, 0, "
			     "0, 'h', 'b', 0, 0);"
			     "INSERT INTO lease VALUES (9, 'PORT', '5001', 5001, NULL, NULL, "
			     "'portmaster:web/b', 0, '{\"by\":\"me\",\"created\":1}', 1, 0, 0, "
			     "'h', 'b', 0, 0);"
			     "INSERT INTO setting VALUES ('pool.COLOUR', 'red,blue')",
			     NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	auto_store as_it_is = open_path(p->path, STORE_READ);
	auto_lease_list read = { 0 };
	ok(lease_who(as_it_is, "COLOUR", "red", &read, err));
	store_close(steal_ptr(&as_it_is));
	auto_store s = open_path(p->path, STORE_WRITE);
	auto_lease_list l = { 0 };
	ok(lease_who(s, "COLOUR", "red", &l, err));
	assert_int_equal(l.v[0].id, 7);
	assert_string_equal(l.v[0].owner, "me");
	assert_string_equal(l.v[0].note, "mine");
	take(s, "blue");
	const struct lease_filter by_value = { .value = "blue", .uid = LEASE_ANY_UID };
	auto_lease_list found = { 0 };
	ok(lease_list(s, &by_value, &found, err));
	assert_int_equal(found.n, 1);
	assert_true(found.v[0].id > 9);
	/* Of a service's ports the registered one stays; an offer with its secret goes. */
	const struct lease_filter ports = { .resource = "PORT", .uid = LEASE_ANY_UID };
	auto_lease_list kept = { 0 };
	ok(lease_list(s, &ports, &kept, err));
	assert_int_equal(kept.n, 1);
	assert_string_equal(kept.v[0].value, "5001");
	auto_free char *version = sql_value(p->path, "PRAGMA user_version");
	auto_free char *trigger =
		sql_value(p->path,
			  "SELECT count(*) FROM sqlite_schema WHERE name = 'lease_overlap'");
	assert_string_equal(version, "3");
	assert_string_equal(trigger, "1");
	ok(store_check(s, err));
}

/* An id that was given back is not given out again. */
static void test_ids(void **state)
{
	const struct lease_claim me = { NULL, LEASE_ANY_UID };
	const struct place *p = *state;
	auto_store s = open_path(p->path, STORE_WRITE);
	uint64_t last = 0;

	for (int i = 0; i < 50; i++) {
		auto_lease_list l = { 0 };

		take(s, "red");
		ok(lease_who(s, "COLOUR", "red", &l, err));
		assert_true(l.v[0].id > last);
		last = l.v[0].id;
		ok(lease_release(s, "COLOUR", "red", &me, err));
	}
}

static void wait_children(int n)
{
	for (int i = 0; i < n; i++) {
		int status = -1;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

/* One lease each, by many at once. */
static void take_at_once(const struct place *p, int round, int many)
{
	for (int i = 0; i < many; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			struct lease_request r = by("anna", "COLOUR");
			auto_free char *value = xasprintf("c%d", round * many + i);
			struct store *s = NULL;
			struct err err = { 0 };

			signal(SIGBUS, SIG_DFL);
			if (store_open(p->path, STORE_WRITE, &s, &err) < 0 ||
			    lease_acquire(s, &r, value, NULL, NULL, NULL, NULL, &err) < 0)
				fprintf(stderr, "# %s\n", err.msg);
			_exit(err.kind);
		}
	}
	wait_children(many);
}

/* The first leases of a host: one book, all leases in it. */
static void test_made_at_once(void **state)
{
	const struct place *p = *state;

	take_at_once(p, 0, 16);
	auto_store s = open_path(p->path, STORE_READ);
	assert_int_equal(held(s, "COLOUR"), 16);
	auto_free char *stray = xasprintf("ls %s/*.new.* 2>/dev/null | wc -l | grep -qx 0", p->dir);
	assert_int_equal(system(stray), 0);
}

/* The first of them makes the index while the others already use it. */
static void test_indexed_at_once(void **state)
{
	enum {
		ROUNDS = 40,
		MANY = 8
	};
	const struct place *p = *state;
	auto_free char *index = xasprintf("%s-shm", p->path);

	for (int i = 0; i < ROUNDS; i++) {
		take_at_once(p, i, MANY);
		assert_int_equal(unlink(index), 0);
	}
	auto_store s = open_path(p->path, STORE_READ);
	assert_int_equal(held(s, "COLOUR"), ROUNDS * MANY);
}

/* What the book looks like to user nobody: the number of leases, or -1 and the error. */
static int as_nobody_at(int line, const char *path, enum store_mode mode, struct err *ret)
{
	struct {
		int n;
		struct err err;
	} answer = { 0 };
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct lease_filter all = { .uid = LEASE_ANY_UID };
		auto_lease_list l = { 0 };
		struct store *s = NULL;

		if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
		    setresuid(NOBODY, NOBODY, NOBODY) < 0)
			_exit(1);
		answer.n = store_open(path, mode, &s, &answer.err);
		if (answer.n == 0)
			answer.n = lease_list(s, &all, &l, &answer.err) < 0 ? -1 : (int)l.n;
		_exit(write(fds[1], &answer, sizeof(answer)) != sizeof(answer));
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &answer, sizeof(answer)), sizeof(answer));
	close(fds[0]);
	wait_children(1);
	if (ret)
		*ret = answer.err;
	if (answer.n < 0 && !ret)
		fail_msg("line %d: %s", line, answer.err.msg);
	return answer.n;
}
#define as_nobody(path, mode, ret) as_nobody_at(__LINE__, path, mode, ret)

static void test_read_by_others(void **state)
{
	need_root();
	const struct place *p = *state;
	auto_free char *wal = xasprintf("%s-wal", p->path);
	auto_free char *shm = xasprintf("%s-shm", p->path);
	auto_store s = open_path(p->path, STORE_WRITE);
	struct err err = { 0 };
	struct stat st;

	take(s, "red");
	assert_int_equal(as_nobody(p->path, STORE_READ, NULL), 1);
	/* Nobody has it open; the last lease is still in the log alone. */
	store_close(steal_ptr(&s));
	assert_int_equal(stat(wal, &st), 0);
	assert_true(st.st_size > 0);
	assert_int_equal(as_nobody(p->path, STORE_READ, NULL), 1);
	/* Whoever may open the index may lock it: everyone could stop everyone else. */
	assert_int_equal(stat(shm, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* One that an earlier labctl left. */
	assert_int_equal(chmod(shm, 0644), 0);
	s = open_path(p->path, STORE_READ);
	assert_int_equal(stat(shm, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	store_close(steal_ptr(&s));
	/* Somebody else's tool closed it: the log is gone. */
	sql(p->path, "SELECT count(*) FROM lease");
	assert_false(fs_access(wal, F_OK));
	assert_int_equal(as_nobody(p->path, STORE_READ, NULL), 1);
	s = open_path(p->path, STORE_WRITE);
	take(s, "blue");
	assert_int_equal(as_nobody(p->path, STORE_READ, NULL), 2);
	store_close(steal_ptr(&s));
	unlink(shm);
	assert_int_equal(as_nobody(p->path, STORE_READ, NULL), 2);
	s = open_path(p->path, STORE_READ);
	assert_int_equal(held(s, NULL), 2);
	assert_int_equal(stat(shm, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	store_close(steal_ptr(&s));
	assert_int_equal(as_nobody(p->path, STORE_READ, NULL), 2);

	assert_int_equal(as_nobody(p->path, STORE_WRITE, &err), -1);
	auto_free char *msg2 =
		xasprintf("cannot write the lease book '%s': Permission denied", p->path);
	assert_string_equal(err.msg, msg2);
	assert_string_equal(err.hint, "only its owner keeps it: use sudo");
	auto_free char *there = xasprintf("%s/new.db", p->dir);
	assert_int_equal(as_nobody(there, STORE_WRITE, &err), -1);
	auto_free char *msg3 =
		xasprintf("cannot make the lease book '%s': Permission denied", there);
	assert_string_equal(err.msg, msg3);
	assert_string_equal(err.hint, "only root keeps it: use sudo");
	assert_int_equal(chmod(p->path, 0600), 0);
	assert_int_equal(as_nobody(p->path, STORE_READ, &err), -1);
	auto_free char *msg4 =
		xasprintf("cannot read the lease book '%s': Permission denied", p->path);
	assert_string_equal(err.msg, msg4);
}

static bool is_blocked(int sig)
{
	sigset_t now;

	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &now), 0);
	return sigismember(&now, sig) == 1;
}

/* Ctrl-Z at the wrong moment would keep everybody from the book. */
static void test_not_stopped(void **state)
{
	const struct place *p = *state;
	struct store *s = open_path(p->path, STORE_WRITE);
	struct store *again = open_path(p->path, STORE_READ);

	store_close(again);
	assert_true(is_blocked(SIGTSTP) && is_blocked(SIGTTIN) && is_blocked(SIGTTOU));
	assert_false(is_blocked(SIGINT));
	store_close(s);
	assert_false(is_blocked(SIGTSTP) || is_blocked(SIGTTIN) || is_blocked(SIGTTOU));
}

/* Readers see whole states while others write. */
static void test_read_while_written(void **state)
{
	const struct place *p = *state;
	auto_store s = open_path(p->path, STORE_WRITE);
	pid_t writer;

	writer = fork();
	assert_true(writer >= 0);
	if (writer == 0) {
		struct store *w = NULL;
		struct err err = { 0 };
		int rc = store_open(p->path, STORE_WRITE, &w, &err);
		struct lease_request a = by("anna", "VNI");

		for (int i = 1; rc == 0 && i <= 400; i += 2) {
			auto_free char *one = xasprintf("%d", i), *two = xasprintf("%d", i + 1);

			rc = store_begin(w, &err) < 0 ||
			     lease_acquire(w, &a, one, NULL, NULL, NULL, NULL, &err) < 0 ||
			     lease_acquire(w, &a, two, NULL, NULL, NULL, NULL, &err) < 0 ||
			     store_commit(w, &err) < 0;
		}
		if (rc)
			fprintf(stderr, "# %s\n", err.msg);
		_exit(rc ? 1 : 0);
	}
	size_t n, before = 0;
	bool root = geteuid() == 0;
	do {
		n = root ? (size_t)as_nobody(p->path, STORE_READ, NULL) : held(s, "VNI");
		assert_int_equal(n % 2, 0);
		assert_true(n >= before);
		before = n;
	} while (n < 400 && waitpid(writer, NULL, WNOHANG) == 0);
	waitpid(writer, NULL, 0);
	assert_int_equal(held(s, "VNI"), 400);
}

static void test_busy(void **state)
{
	const struct place *p = *state;
	auto_store s = open_path(p->path, STORE_WRITE);
	auto_store other = open_path(p->path, STORE_WRITE);
	struct lease_request r = by("anna", "COLOUR");

	((struct store_sqlite *)s)->busy_ms = 50;
	ok(store_begin(other, err));
	auto_free char *msg = xasprintf("the lease book '%s' is held by another program", p->path);
	fails(lease_acquire(s, &r, "red", NULL, NULL, NULL, NULL, err), ERR_BUSY, msg);
	fails(store_begin(s, err), ERR_BUSY, msg);
	assert_int_equal(held(s, NULL), 0);
	store_rollback(other);
	ok(lease_acquire(s, &r, "red", NULL, NULL, NULL, NULL, err));
	store_rollback(other);
}

/* A full disk: a clear word, nothing lost, and it goes on when there is room again. */
static int on_full_disk(const char *dir)
{
	auto_free char *path = xasprintf("%s/netport.db", dir);
	auto_free char *fill = xasprintf("%s/fill", dir);
	auto_free char *note = xcalloc(1, 1000);
	struct lease_request r = by("anna", "VNI");
	const struct lease_filter all = { .uid = LEASE_ANY_UID };
	auto_lease_list l = { 0 };
	struct store *s = NULL;
	struct err err = { 0 };
	size_t n = 0;

	memset(note, 'x', 999);
	r.note = note;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=512k") < 0 ||
	    store_open(path, STORE_WRITE, &s, &err) < 0)
		return 1;
	for (;; n++) {
		auto_free char *value = xasprintf("%zu", n + 1);

		if (lease_acquire(s, &r, value, NULL, NULL, NULL, NULL, &err) < 0)
			break;
	}
	auto_free char *msg = xasprintf("no space for the lease book '%s'", path);
	if (strcmp(err.msg, msg) != 0 || n < 10) {
		fprintf(stderr, "# after %zu: %s\n", n, err.msg);
		return 2;
	}
	/* A batch reaches the disk at its end: then all of it fails. */
	err_clear(&err);
	if (store_begin(s, &err) < 0 ||
	    lease_acquire(s, &r, "999999", NULL, NULL, NULL, NULL, &err) < 0 ||
	    lease_acquire(s, &r, "999998", NULL, NULL, NULL, NULL, &err) < 0)
		return 3;
	if (store_commit(s, &err) == 0 || strcmp(err.msg, msg) != 0)
		return 4;
	if (lease_list(s, &all, &l, &err) < 0 || l.n != n)
		return 5;
	if (mount(NULL, dir, NULL, MS_REMOUNT, "size=2m") < 0)
		return 6;
	if (lease_acquire(s, &r, "999997", NULL, NULL, NULL, NULL, &err) < 0 ||
	    store_check(s, &err) < 0) {
		fprintf(stderr, "# %s\n", err.msg);
		return 7;
	}
	return 0;
}

static void test_full_disk(void **state)
{
	const struct place *p = *state;
	int status = -1;
	pid_t pid;

	need_root();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(on_full_disk(p->dir));
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void test_urls(void **state)
{
	struct store *s = NULL;

	(void)state;
	fails(store_open("mysql://x", STORE_READ, &s, err), ERR_USAGE,
	      "'mysql://x' is no store of leases");
	fails(store_open("netport.db", STORE_READ, &s, err), ERR_USAGE,
	      "'netport.db' is no store of leases");
}

#define test(f) cmocka_unit_test_setup_teardown(f, place_make, place_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_new_book),
		test(test_read_nothing),
		test(test_constraints),
		test(test_damaged),
		test(test_damaged_inside),
		test(test_versions),
		test(test_migration),
		test(test_made_at_once),
		test(test_indexed_at_once),
		test(test_first_version),
		test(test_ids),
		test(test_read_by_others),
		test(test_not_stopped),
		test(test_read_while_written),
		test(test_busy),
		test(test_full_disk),
		test(test_urls),
	};

	unsetenv("LABCTL_TEST_STORE"); /* this one is about files */
	return cmocka_run_group_tests_name("netport_sqlite", tests, NULL, NULL);
}
