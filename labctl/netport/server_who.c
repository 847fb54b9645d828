/* SPDX-License-Identifier: MIT */
/* server_who.c - who is at the other end, and what of a browser is let through. */
#include <arpa/inet.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/caller.h"
#include "base/ipaddr.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/sockowner.h"
#include "netport/server_internal.h"

#include "base/banned.h"

static bool has_no_quota(uid_t uid)
{
	struct caller user = { .uid = uid };
	struct passwd entry, *found = NULL;
	char buf[4096];

	if (uid == 0 || uid == geteuid())
		return true;
	if (getpwuid_r(uid, &entry, buf, sizeof(buf), &found) != 0 || !found ||
	    !str_copy(user.name, sizeof(user.name), entry.pw_name))
		snprintf(user.name, sizeof(user.name), "uid%u", uid);
	return caller_is_administrator(&user);
}

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
	c->caller.no_quota = has_no_quota(cred.uid);
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

static void take_address(struct connection *c, const struct sockaddr_storage *peer)
{
	struct ipaddr address;
	char text[IPADDR_TEXT];

	peer_address(peer, &address);
	c->loopback = is_loopback(&address);
	ipaddr_format(&address, text);
	snprintf(c->peer, sizeof(c->peer), "%s", text);
	snprintf(c->caller.owner, sizeof(c->caller.owner), "%s", text);
}

/* False: the kernel does not tell, so the peer is on another host, or nobody. */
static bool take_owner(struct server *s, struct connection *c, const struct sockaddr_storage *peer,
		       const struct sockaddr_storage *local)
{
	struct err err = { 0 };
	bool found;
	uid_t uid;

	if (sockowner_find(s->owners, peer, local, &found, &uid, &err) < 0) {
		log_warn("netport: %s", err.msg);
		return false;
	}
	if (found) {
		c->caller.uid = uid;
		c->caller.no_quota = has_no_quota(uid);
	}
	return found;
}

int who_connects(struct server *s, struct connection *c, struct err *err)
{
	struct sockaddr_storage peer = { 0 }, local = { 0 };
	socklen_t peer_len = sizeof(peer), local_len = sizeof(local);
	struct ipaddr here;
	char text[IPADDR_TEXT];
	bool known;

	c->caller = (struct api_caller){ .who = WHO_NOBODY, .uid = API_UID_NOBODY };
	if (getpeername(c->fd, (struct sockaddr *)&peer, &peer_len) < 0 ||
	    getsockname(c->fd, (struct sockaddr *)&local, &local_len) < 0)
		return err_set(err, ERR_ENV, errno, "the peer is gone");
	c->is_unix = peer.ss_family == AF_UNIX;
	if (c->is_unix)
		return take_user(c, err);
	take_address(c, &peer);
	peer_address(&local, &here);
	snprintf(c->local, sizeof(c->local), "%s", ipaddr_format(&here, text));
	known = take_owner(s, c, &peer, &local);
	if (c->loopback ? known : s->config->allow_remote) {
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

/* The address that the connection came to, or loopback's names. Any other name, some name server
 * could point here for a page that the browser shows; and 0.0.0.0 is no address of a host, but
 * browsers take it for one. This host's own name is for other hosts. */
static bool host_is_ours(const struct exchange *x, const char *host)
{
	const struct server_config *config = x->server->config;
	const struct connection *c = x->connection;
	struct ipaddr a, here;
	char name[256];

	host_name(host, name, sizeof(name));
	if (ipaddr_parse(name, &a, ERR_IGNORED) == 0)
		return is_loopback(&a) ||
		       (c && ipaddr_parse(c->local, &here, ERR_IGNORED) == 0 &&
			a.family == here.family && memcmp(a.b, here.b, ipaddr_len(&a)) == 0);
	return strcasecmp(name, "localhost") == 0 ||
	       (c && !c->loopback && strcasecmp(name, x->server->host) == 0) ||
	       (config->address && strcasecmp(name, config->address) == 0);
}

/* "http://HOST", then nothing or a path. */
static bool url_is_ours(const char *host, const char *url)
{
	const char *name = str_starts(url, "http://")	 ? url + 7
			   : str_starts(url, "https://") ? url + 8
							 : NULL;
	size_t len = name ? strcspn(name, "/?#") : 0;

	return name && host && len == strlen(host) && strncasecmp(name, host, len) == 0;
}

static bool site_is_ours(const struct origin *from)
{
	return (!from->origin || url_is_ours(from->host, from->origin)) &&
	       (!from->referer || url_is_ours(from->host, from->referer)) &&
	       (!from->site || strcmp(from->site, "same-origin") == 0 ||
		strcmp(from->site, "none") == 0);
}

/* A browser that says nothing of the page: an old one, or one that takes our address for one that
 * is not to be trusted. Other programs have no pages. */
static bool is_silent_browser(const struct origin *from)
{
	return !from->site && !from->origin && !from->referer && from->agent &&
	       str_starts(from->agent, "Mozilla/");
}

bool origin_may(struct exchange *x, const struct origin *from)
{
	bool is_unix = x->connection && x->connection->is_unix;
	bool token = x->call.caller.who == WHO_TOKEN;
	unsigned flags = x->call.route->flags;

	if (is_unix || token || flags & ROUTE_OPEN)
		return true;
	if (from->host && !host_is_ours(x, from->host))
		api_fail(&x->call, 403, "this host is not called '%.64s'", from->host);
	else if (!site_is_ours(from))
		api_fail(&x->call, 403, "a page of another site may not call this service");
	else if (flags & (ROUTE_WRITES | ROUTE_STARTS) && is_silent_browser(from))
		api_fail(&x->call, 403,
			 "a browser must say which page this call comes from (Sec-Fetch-Site)");
	else
		return true;
	return false;
}
