/* SPDX-License-Identifier: MIT */
/*
 * store.h - what a store of leases must be able to do. lease.h is what callers use.
 *
 * Every operation is atomic in the store itself, against every other process that uses it. What
 * an operation changed is on stable storage when it returns, or, inside a batch, when the batch
 * ends. Time is the store's clock. A row that is not held (lease_is_held()) counts as not there;
 * operations remove it where it is in their way. Values arrive in their canonical form.
 *
 * Results: STORE_OK; STORE_HELD (by *ret_holder); STORE_NONE (no such lease, nothing free); -1
 * with err: the store failed. Out-parameters may be NULL and are written only with the result
 * that they belong to.
 *
 * A handle belongs to one process and one thread; it does not survive fork().
 */
#ifndef LABCTL_NETPORT_STORE_H
#define LABCTL_NETPORT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "netport/resource.h"

struct lease;
struct lease_list;
struct lease_claim;
struct pool;

enum store_result {
	STORE_OK,
	STORE_HELD,
	STORE_NONE,
};

enum store_mode {
	STORE_READ,  /* needs only read permission; a book that is not there is an empty one */
	STORE_WRITE, /* makes the book when it is not there */
};

/* A lease to be: resource, owner, uid, note, bound, host, boot_id, pid, start of `lease`. */
struct store_want {
	const struct lease *lease;
	int64_t ttl_ms; /* 0: no expiry */
	bool again_ok;
};

/* May this value be handed out? Never called for one that is held. */
typedef bool store_usable_fn(void *arg, const struct resource_value *v);

/* Which leases, from which on, and how many. */
struct store_page {
	const char *resource, *value, *owner; /* exact; NULL: any */
	uid_t uid;			      /* LEASE_ANY_UID: any */
	const char *hidden[2];		      /* resources that do not count; NULL: none */
	size_t offset, limit;
};

static inline bool store_page_hides(const struct store_page *p, const char *resource)
{
	return (p->hidden[0] && strcmp(p->hidden[0], resource) == 0) ||
	       (p->hidden[1] && strcmp(p->hidden[1], resource) == 0);
}

struct store {
	const struct store_ops *ops;
	char *name; /* "the lease book '/var/lib/labctl/netport.db'", for messages */
};

struct store_ops {
	const char *scheme; /* "sqlite" */
	int (*open)(const char *address, enum store_mode mode, struct store **ret, struct err *err);
	void (*close)(struct store *s);

	/* STORE_OK, STORE_HELD. A holder overlaps the value if it is no equal. usable is asked
	 * when nobody holds it; false: STORE_NONE. */
	int (*acquire)(struct store *s, const struct store_want *want,
		       const struct resource_value *value, store_usable_fn *usable, void *arg,
		       struct lease *ret, struct lease *ret_holder, struct err *err);
	/* The first usable value of the pool, from index `start` on to its end and then from its
	 * beginning. STORE_OK, STORE_NONE. */
	int (*acquire_any)(struct store *s, const struct store_want *want, const struct pool *pool,
			   uint32_t start, store_usable_fn *usable, void *arg, struct lease *ret,
			   struct err *err);
	/* STORE_OK, STORE_HELD (by one whom the claim does not cover), STORE_NONE. */
	int (*renew)(struct store *s, const char *resource, const char *value,
		     const struct lease_claim *claim, int64_t ttl_ms, struct lease *ret,
		     struct lease *ret_holder, struct err *err);
	int (*release)(struct store *s, const char *resource, const char *value,
		       const struct lease_claim *claim, struct lease *ret_holder, struct err *err);
	int (*release_owner)(struct store *s, const struct lease_claim *claim, size_t *ret_n,
			     struct err *err);
	/* Exact texts, NULL: any; held ones only, by resource, number and value. */
	int (*list)(struct store *s, const char *resource, const char *value, const char *owner,
		    uid_t uid, struct lease_list *ret, struct err *err);
	/* A part of what list brings, in its order, at the cost of that part; *ret_total: of all. */
	int (*page)(struct store *s, const struct store_page *page, struct lease_list *ret,
		    size_t *ret_total, struct err *err);
	/* Leases of this uid, and (not NULL) this owner; those that have ended may count until
	 * they are swept. Counts no further than max. */
	int (*count)(struct store *s, const char *owner, uid_t uid, size_t max, size_t *ret,
		     struct err *err);
	int (*sweep)(struct store *s, size_t *ret_n, struct err *err);

	/* Settings of the book. get: STORE_OK with heap text, STORE_NONE. set with NULL removes. */
	int (*get)(struct store *s, const char *key, char **ret, struct err *err);
	int (*set)(struct store *s, const char *key, const char *value, struct err *err);

	/* Operations between begin and commit reach stable storage together, with commit: none of
	 * them may be acknowledged before it has returned 0. After a failure, of commit too, the
	 * batch is rolled back as far as the store can. No nesting. */
	int (*begin)(struct store *s, struct err *err);
	int (*commit)(struct store *s, struct err *err);
	void (*rollback)(struct store *s);

	/* Between view(true) and view(false) the book is read as it was at the first read, at less
	 * cost for each. A change ends the view. NULL: each read sees it anew. */
	void (*view)(struct store *s, bool on);

	/* This handle will live long and write a lot. NULL: all the same to it. */
	int (*serve)(struct store *s, struct err *err);

	/* A number that changes when another handle has changed the book. NULL: it cannot tell. */
	int (*version)(struct store *s, uint64_t *ret, struct err *err);

	/* Reads everything and compares. */
	int (*check)(struct store *s, struct err *err);
};

/* url: "sqlite:/path/netport.db", or a path; other schemes as store.c lists them. */
int store_open(const char *url, enum store_mode mode, struct store **ret,
	       struct err *err) MUST_CHECK;
/* The book of this host: $LABCTL_STORE, else netport.db in state_dir. */
int store_open_default(const char *state_dir, enum store_mode mode, struct store **ret,
		       struct err *err) MUST_CHECK;
/* May this process write it, or make it? False: opening for writing would fail. */
bool store_default_is_writable(const char *state_dir);
void store_close(struct store *s);
DEFINE_AUTO(store, struct store *, store_close, NULL)
#define auto_store auto_cleanup(store) struct store *

/* A group of operations with one wait for the disk. */
int store_begin(struct store *s, struct err *err) MUST_CHECK;
int store_commit(struct store *s, struct err *err) MUST_CHECK;
void store_rollback(struct store *s);
int store_check(struct store *s, struct err *err) MUST_CHECK;

extern const struct store_ops store_sqlite_ops, store_redis_ops;

#endif
