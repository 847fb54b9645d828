/* SPDX-License-Identifier: MIT */
/*
 * store_redis.h - inside of the Redis store: store_redis_open.c has the addresses,
 * store_redis_link.c the connection, store_redis_lua.c the scripts, store_redis_text.c the leases'
 * form, store_redis.c the operations, store_redis_page.c those that read many. Others use store.h.
 *
 * Under one prefix: a hash of all leases as JSON by "RESOURCE:VALUE", and beside it indexes that the
 * scripts keep in step: in the order of lists (of all, of each uid, of each owner, of both), by
 * expiry, by number (one bit each), by extent, and those that are bound to something. Every operation
 * is one script, so one step for everybody else. Time is the server's. A book of an earlier version is
 * brought up to date by the first operation.
 */
#ifndef LABCTL_NETPORT_STORE_REDIS_H
#define LABCTL_NETPORT_STORE_REDIS_H

#include "netport/bound.h"
#include "netport/store.h"

struct redisContext;
struct redisReply;

enum redis_script {
	REDIS_ACQUIRE,	     /* lease, again_ok, ttl_ms, dry: -> code, lease */
	REDIS_RENEW,	     /* field, owner, uid, ttl_ms: -> code, lease */
	REDIS_RELEASE,	     /* field, owner, uid: -> code, lease */
	REDIS_RELEASE_OWNER, /* owner, uid: -> count */
	REDIS_COUNT,	     /* holder:UID:OWNER or uid:UID -> number */
	/* resource, value, owner, uid, two hidden resources, offset, limit (any may be ""): -> total,
	 * leases; without a limit the total counts expired ones, too */
	REDIS_PAGE,
	REDIS_BOUND, /* -> leases */
	REDIS_DROP,  /* field, id: -> 1 when it was that one */
	REDIS_SWEEP, /* -> count; 0: no more */
	REDIS_GAP,   /* resource, from, to: -> number, -1: none */
	REDIS_GET,   /* key */
	REDIS_SET,   /* key, value, present */
	REDIS_UNLOCK,
	REDIS_CHECK,   /* -> text, "ok" */
	REDIS_UPGRADE, /* -> count of leases that were in a book of an earlier version */
	REDIS_SCRIPT_MAX
};

#define REDIS_SHA 41

struct store_redis {
	struct store base;
	char *host, *password, *path; /* path: of a Unix socket, instead of a host */
	int port, db;
	struct redisContext *link; /* NULL: not connected */
	char sha[REDIS_SCRIPT_MAX][REDIS_SHA];
	char token[33]; /* of the batch; "" outside */
	bool broken;	/* the batch has failed */
	struct bound_view view;
};

int store_redis_open(const char *address, enum store_mode mode, struct store **ret,
		     struct err *err) MUST_CHECK;
void store_redis_close(struct store *s);

int store_redis_list(struct store *s, const char *resource, const char *value, const char *owner,
		     uid_t uid, struct lease_list *ret, struct err *err) MUST_CHECK;
int store_redis_page(struct store *s, const struct store_page *page, struct lease_list *ret,
		     size_t *ret_total, struct err *err) MUST_CHECK;
int store_redis_count(struct store *s, const char *owner, uid_t uid, size_t max, size_t *ret,
		      struct err *err) MUST_CHECK;
/* Removes those that ended with their process or boot, which only this side can tell: of this pool,
 * or (NULL) all; adds their number to *ret_n. */
int redis_drop_dead(struct store_redis *s, const struct pool *pool, size_t *ret_n,
		    struct err *err) MUST_CHECK;

/* The lease as JSON, heap; NULL: something of it is not UTF-8. */
char *redis_lease_text(const struct lease *l, const struct resource_value *v);
/* An array's elements from this one on, all leases. */
int redis_take_list(struct store_redis *s, const struct redisReply *r, size_t from,
		    struct lease_list *ret, struct err *err) MUST_CHECK;
/* {code, lease}: the code. */
int redis_take_result(struct store_redis *s, const struct redisReply *r, struct lease *ret,
		      struct err *err) MUST_CHECK;
/* "-1": any. */
void redis_uid_text(uid_t uid, char ret[static 12]);
/* -1 */
int redis_damaged(struct store_redis *s, const char *what, struct err *err);

/* The script's text, heap. */
char *redis_script_text(enum redis_script which);

int redis_connect(struct store_redis *s, struct err *err) MUST_CHECK;
void redis_disconnect(struct store_redis *s);
/* Runs a script, connecting first where need be. *ret is to be freed with redis_reply_free(). */
int redis_run(struct store_redis *s, enum redis_script which, const char *const *argv,
	      struct redisReply **ret, struct err *err) MUST_CHECK;
/* 1: the lock is ours; 0: somebody has it; -1. */
int redis_lock(struct store_redis *s, const char *token, struct err *err) MUST_CHECK;
void redis_reply_free(struct redisReply *r);
DEFINE_AUTO(redis_reply, struct redisReply *, redis_reply_free, NULL)
#define auto_redis_reply auto_cleanup(redis_reply) struct redisReply *

#endif
