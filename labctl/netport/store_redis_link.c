/* SPDX-License-Identifier: MIT */
/* store_redis_link.c - the connection to Redis, and scripts run over it: the only file that knows
 * hiredis besides the operations. */
#include <fcntl.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "base/mem.h"
#include "base/str.h"
#include "netport/store_redis.h"

#include "base/banned.h"

enum {
	CONNECT_S = 3,
	REPLY_S = 10,
	ARGV_MAX = 8,
	LOCK_MS = 5000,
};

#define PREFIX "labctl:"

void redis_reply_free(struct redisReply *r)
{
	freeReplyObject(r);
}

void redis_disconnect(struct store_redis *s)
{
	if (s->link)
		redisFree(s->link);
	s->link = NULL;
}

static int lost(struct store_redis *s, struct err *err)
{
	char why[160] = "no reply";

	if (s->link && s->link->err)
		snprintf(why, sizeof(why), "%s", s->link->errstr);
	redis_disconnect(s);
	s->broken = true;
	err_set(err, ERR_ENV, 0, "the connection to %s is lost: %s", s->base.name, why);
	return err_hint(err, "it is made anew at the next call; what was asked for last may or may "
			     "not have happened");
}

/* A command that answers with a status or a text. */
static int simple(struct store_redis *s, const char *what, int argc, const char **argv,
		  struct redisReply **ret, struct err *err)
{
	auto_redis_reply r = redisCommandArgv(s->link, argc, argv, NULL);

	if (!r)
		return lost(s, err);
	if (r->type == REDIS_REPLY_ERROR) {
		err_set(err, ERR_ENV, 0, "%s refuses to %s: %s", s->base.name, what, r->str);
		redis_disconnect(s);
		return -1;
	}
	if (ret)
		*ret = steal_ptr(&r);
	return 0;
}

static int load_scripts(struct store_redis *s, struct err *err)
{
	for (int i = 0; i < REDIS_SCRIPT_MAX; i++) {
		auto_free char *text = redis_script_text((enum redis_script)i);
		const char *argv[] = { "SCRIPT", "LOAD", text };
		auto_redis_reply r = NULL;

		if (simple(s, "take a script", 3, argv, &r, err) < 0)
			return -1;
		if (r->type != REDIS_REPLY_STRING ||
		    !str_copy(s->sha[i], sizeof(s->sha[i]), r->str))
			return err_set(err, ERR_ENV, 0, "%s does not run scripts", s->base.name);
	}
	return 0;
}

static int greet(struct store_redis *s, struct err *err)
{
	auto_free char *db = xasprintf("%d", s->db);
	const char *auth[] = { "AUTH", s->password };
	const char *select[] = { "SELECT", db };

	if (s->password && simple(s, "let us in", 2, auth, NULL, err) < 0)
		return -1;
	if (simple(s, "choose the database", 2, select, NULL, err) < 0)
		return -1;
	return load_scripts(s, err);
}

int redis_connect(struct store_redis *s, struct err *err)
{
	struct timeval connect = { .tv_sec = CONNECT_S }, reply = { .tv_sec = REPLY_S };

	if (s->link)
		return 0;
	s->link = s->path ? redisConnectUnixWithTimeout(s->path, connect)
			  : redisConnectWithTimeout(s->host, s->port, connect);
	if (!s->link || s->link->err) {
		err_set(err, ERR_ENV, 0, "cannot reach %s: %s", s->base.name,
			s->link ? s->link->errstr : "out of memory");
		redis_disconnect(s);
		return err_hint(err, "does the Redis server run?");
	}
	/* hiredis opens it without. */
	fcntl(s->link->fd, F_SETFD, FD_CLOEXEC);
	redisSetTimeout(s->link, reply);
	if (greet(s, err) < 0) {
		redis_disconnect(s);
		return -1;
	}
	return 0;
}

static struct redisReply *evaluate(struct store_redis *s, enum redis_script which,
				   const char *const *args)
{
	const char *argv[5 + ARGV_MAX] = { "EVALSHA", s->sha[which], "1", PREFIX, s->token };
	int argc = 5;

	for (; *args; args++)
		argv[argc++] = *args;
	return redisCommandArgv(s->link, argc, argv, NULL);
}

static bool is_error(const struct redisReply *r, const char *word)
{
	return r && r->type == REDIS_REPLY_ERROR && strncmp(r->str, word, strlen(word)) == 0;
}

/* A new book, too, gets its version thus. */
static int upgrade(struct store_redis *s, struct err *err)
{
	const char *const none[] = { NULL };
	auto_redis_reply r = evaluate(s, REDIS_UPGRADE, none);

	if (!r)
		return lost(s, err);
	if (r->type == REDIS_REPLY_INTEGER)
		return 0;
	if (!is_error(r, "NEWER"))
		return err_set(err, ERR_ENV, 0, "%s cannot be brought up to date: %s", s->base.name,
			       r->str ? r->str : "?");
	err_set(err, ERR_ENV, 0, "%s has version %.16s, this labctl knows up to 2", s->base.name,
		r->str + strlen("NEWER "));
	return err_hint(err, "it was left as it is; use the newer labctl that wrote it");
}

int redis_run(struct store_redis *s, enum redis_script which, const char *const *args,
	      struct redisReply **ret, struct err *err)
{
	auto_redis_reply r = NULL;

	if (s->broken && s->token[0])
		return err_set(err, ERR_ENV, 0, "the batch has failed already");
	if (redis_connect(s, err) < 0)
		return -1;
	r = evaluate(s, which, args);
	/* The server has been started anew meanwhile. */
	if (is_error(r, "NOSCRIPT")) {
		redis_reply_free(steal_ptr(&r));
		if (load_scripts(s, err) < 0)
			return -1;
		r = evaluate(s, which, args);
	}
	if (is_error(r, "UPGRADE")) {
		redis_reply_free(steal_ptr(&r));
		if (upgrade(s, err) < 0) {
			s->broken = true;
			return -1;
		}
		r = evaluate(s, which, args);
	}
	if (!r)
		return lost(s, err);
	if (r->type == REDIS_REPLY_ERROR) {
		s->broken = true;
		return err_set(err, ERR_ENV, 0, "%s failed: %s", s->base.name, r->str);
	}
	*ret = steal_ptr(&r);
	return 0;
}

int redis_lock(struct store_redis *s, const char *token, struct err *err)
{
	auto_free char *ms = xasprintf("%d", LOCK_MS);
	const char *argv[] = { "SET", PREFIX "lock", token, "NX", "PX", ms };
	auto_redis_reply r = NULL;

	if (redis_connect(s, err) < 0 || simple(s, "lock the book", 6, argv, &r, err) < 0)
		return -1;
	return r->type == REDIS_REPLY_STATUS;
}
