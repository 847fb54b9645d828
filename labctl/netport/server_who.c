/* SPDX-License-Identifier: MIT */
/* server_who.c - who is at the other end, and what of a browser is let through. */
#include <arpa/inet.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/ipaddr.h"
#include "base/log.h"
#include "base/mem.h"
#include "netport/server_internal.h"

#include "base/banned.h"

static int take_user(struct connection *c, struct err *err)
{
	struct passwd entry, *found = NULL;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	char buf[4096];

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return err_set(err, ERR_ENV, errno, "no peer at the Unix socket");
	if (getpwuid_r(cred.uid, &entry, buf, sizeof(buf), &found) != 0 || !found ||
	    !str_copy(c->caller.owner, sizeof(c->caller.owner), entry.pw_name))
		snprintf(c->caller.owner, sizeof(c->caller.owner), "uid%u", cred.uid);
	snprintf(c->peer, sizeof(c->peer), "uid %u", cred.uid);
	c->caller.who = WHO_USER;
	c->caller.uid = cred.uid;
	c->caller.scopes = SCOPE_READ | SCOPE_LEASE;
	if (cred.uid == 0 || cred.uid == geteuid())
		c->caller.scopes = SCOPE_ALL;
	return 0;
}

static bool is_loopback(const struct ipaddr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == AF_INET ? a->b[0] == 127 : memcmp(a->b, one, sizeof(one)) == 0;
}

/* An IPv4 address that came through an IPv6 socket is one. */
static void peer_address(const struct sockaddr_storage *from, struct ipaddr *ret)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const struct sockaddr_in6 *six = (const void *)from;
	const struct sockaddr_in *four = (const void *)from;

	*ret = (struct ipaddr){ .family = from->ss_family };
	if (from->ss_family == AF_INET) {
		memcpy(ret->b, &four->sin_addr, 4);
	} else if (memcmp(&six->sin6_addr, mapped, sizeof(mapped)) == 0) {
		ret->family = AF_INET;
		memcpy(ret->b, six->sin6_addr.s6_addr + sizeof(mapped), 4);
	} else {
		memcpy(ret->b, &six->sin6_addr, sizeof(ret->b));
	}
}

int who_connects(struct server *s, struct connection *c, struct err *err)
{
	struct sockaddr_storage from = { 0 };
	socklen_t len = sizeof(from);
	struct ipaddr address;
	char text[IPADDR_TEXT];

	c->caller = (struct api_caller){ .who = WHO_NOBODY, .uid = API_UID_NOBODY };
	if (getpeername(c->fd, (struct sockaddr *)&from, &len) < 0)
		return err_set(err, ERR_ENV, errno, "the peer is gone");
	c->is_unix = from.ss_family == AF_UNIX;
	if (c->is_unix)
		return take_user(c, err);
	peer_address(&from, &address);
	c->loopback = is_loopback(&address);
	ipaddr_format(&address, text);
	snprintf(c->peer, sizeof(c->peer), "%s", text);
	snprintf(c->caller.owner, sizeof(c->caller.owner), "%s", text);
	if (c->loopback || s->config->allow_remote) {
		c->caller.who = WHO_ADDRESS;
		c->caller.scopes = SCOPE_READ | SCOPE_LEASE;
	}
	return 0;
}

static bool take_token(struct exchange *x, const char *text)
{
	struct server *s = x->server;
	struct connection *c = x->connection;
	const struct token *token;
	struct err err = { 0 };

	if (!s->tokens_fresh && tokens_load(&s->tokens, &err) < 0)
		log_warn("netport: %s", err.msg);
	s->tokens_fresh = true;
	/* The same token as with the last request on this connection, and the same file. */
	if (c && c->token_load == s->tokens.loads && strcmp(c->token, text) == 0) {
		x->call.caller = c->token_caller;
		return true;
	}
	token = tokens_find(&s->tokens, text);
	if (!token)
		return false;
	x->call.caller = (struct api_caller){ .who = WHO_TOKEN,
					      .uid = API_UID_NOBODY,
					      .scopes = token->scopes };
	snprintf(x->call.caller.owner, sizeof(x->call.caller.owner), "token:%s", token->name);
	if (c && str_copy(c->token, sizeof(c->token), text)) {
		c->token_load = s->tokens.loads;
		c->token_caller = x->call.caller;
	}
	return true;
}

bool who_calls(struct exchange *x, const char *authorization)
{
	if (x->connection)
		x->call.caller = x->connection->caller;
	else
		x->call.caller = (struct api_caller){ .uid = API_UID_NOBODY };
	if (!authorization)
		return true;
	if (strncasecmp(authorization, "Bearer ", 7) == 0 && take_token(x, authorization + 7))
		return true;
	api_fail(&x->call, 401, "the Authorization header has no valid token");
	return false;
}

/* The name before the port. */
static void host_name(const char *host, char *ret, size_t size)
{
	size_t len = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":");
	size_t skip = host[0] == '[';

	snprintf(ret, size, "%.*s", (int)(len - skip), host + skip);
}

/* A name that some name server could point here is not enough: it may belong to the page that the
 * browser shows. */
static bool host_is_ours(const struct server *s, const char *host)
{
	char name[256];
	struct ipaddr a;

	host_name(host, name, sizeof(name));
	return ipaddr_parse(name, &a, ERR_IGNORED) == 0 || strcasecmp(name, "localhost") == 0 ||
	       strcasecmp(name, s->host) == 0 ||
	       (s->config->address && strcasecmp(name, s->config->address) == 0);
}

static bool origin_is_ours(const char *host, const char *origin)
{
	const char *name = str_starts(origin, "http://")    ? origin + 7
			   : str_starts(origin, "https://") ? origin + 8
							    : NULL;

	return name && host && strcasecmp(name, host) == 0;
}

bool browser_may(struct exchange *x, const char *host, const char *origin, const char *site)
{
	bool is_unix = x->connection && x->connection->is_unix;
	bool token = x->call.caller.who == WHO_TOKEN;

	if (is_unix || token || x->call.route->flags & ROUTE_OPEN)
		return true;
	if (host && !host_is_ours(x->server, host)) {
		api_fail(&x->call, 403, "this host is not called '%.64s'", host);
		return false;
	}
	if ((origin && !origin_is_ours(host, origin)) ||
	    (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)) {
		api_fail(&x->call, 403, "a page of another site may not call this service");
		return false;
	}
	return true;
}
