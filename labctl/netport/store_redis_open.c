/* SPDX-License-Identifier: MIT */
/* store_redis_open.c - opening the Redis store: addresses. */
#include "netport/store_redis.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"

#include "base/banned.h"

enum {
	PORT_DEFAULT = 6379,
	DB_MAX = 65535,
};

static int bad_url(const char *address, struct err *err)
{
	err_set(err, ERR_USAGE, 0, "'redis:%.128s' is no address of Redis", address);
	return err_hint(err, "redis://HOST:PORT/DB, redis://:PASSWORD@HOST:PORT/DB, or "
			     "redis:/PATH/OF/SOCKET");
}

/* "//[:PASSWORD@]HOST[:PORT][/DB]", or the path of a socket. */
static int parse_url(const char *address, struct store_redis *s, struct err *err)
{
	auto_free char *copy = xstrdup(address);
	char *host = copy + 2, *at, *slash, *colon;
	uint32_t number;

	s->port = PORT_DEFAULT;
	if (address[0] == '/' && address[1] != '/') {
		s->path = xstrdup(address);
		return 0;
	}
	if (!str_starts(address, "//"))
		return bad_url(address, err);
	at = strrchr(host, '@');
	if (at) {
		*at = '\0';
		colon = strchr(host, ':');
		s->password = xstrdup(colon ? colon + 1 : host);
		host = at + 1;
	}
	slash = strchr(host, '/');
	if (slash) {
		*slash++ = '\0';
		if (*slash && parse_u32(slash, 0, DB_MAX, &number, ERR_IGNORED) < 0)
			return bad_url("//...", err);
		s->db = *slash ? (int)number : 0;
	}
	colon = strrchr(host, ':');
	if (colon && !strchr(colon, ']')) {
		*colon++ = '\0';
		if (parse_u32(colon, 1, UINT16_MAX, &number, ERR_IGNORED) < 0)
			return bad_url("//...", err);
		s->port = (int)number;
	}
	if (*host == '[') {
		host++;
		host[strcspn(host, "]")] = '\0';
	}
	if (!*host)
		return bad_url("//...", err);
	s->host = xstrdup(host);
	return 0;
}

void store_redis_close(struct store *base)
{
	struct store_redis *s = (struct store_redis *)base;

	base->ops->rollback(base);
	redis_disconnect(s);
	if (s->password)
		explicit_bzero(s->password, strlen(s->password));
	free(s->password);
	free(s->host);
	free(s->path);
	free(s->base.name);
	free(s);
}

int store_redis_open(const char *address, enum store_mode mode, struct store **ret, struct err *err)
{
	struct store_redis *s = xcalloc(1, sizeof(*s));

	(void)mode;
	s->base.ops = &store_redis_ops;
	if (parse_url(address, s, err) < 0) {
		store_redis_close(&s->base);
		return -1;
	}
	/* Never with the password. */
	s->base.name = s->path ? xasprintf("the lease book at 'redis:%s'", s->path)
			       : xasprintf("the lease book at 'redis://%s:%d/%d'", s->host, s->port,
					   s->db);
	if (redis_connect(s, err) < 0) {
		store_redis_close(&s->base);
		return -1;
	}
	*ret = &s->base;
	return 0;
}
