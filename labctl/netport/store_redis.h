/* SPDX-License-Identifier: MIT */
/*
 * store_redis.h - inside of the Redis store: store_redis_open.c has the addresses,
 * store_redis_link.c the connection, store_redis_lua.c the scripts, store_redis.c the operations. Others use store.h.
 *
 * Under one prefix: a hash of all leases as JSON by "RESOURCE:VALUE", and beside it indexes that the
 * scripts keep in step: by expiry, by owner, by number (one bit each), by extent, and those that are
 * bound to something. Every operation is one script, so one step for everybody else. Time is the
 * server's.
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
	REDIS_COUNT,	     /* owner:OWNER or uid:UID -> number */
	REDIS_LIST,	     /* field, owner, any: -> leases */
	REDIS_BOUND,	     /* -> leases */
	REDIS_DROP,	     /* field, id: -> 1 when it was that one */
	REDIS_SWEEP,	     /* -> count; 0: no more */
	REDIS_GAP,	     /* resource, from, to: -> number, -1: none */
	REDIS_GET,	     /* key */
	REDIS_SET,	     /* key, value, present */
	REDIS_UNLOCK,
	REDIS_CHECK, /* -> text, "ok" */
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
