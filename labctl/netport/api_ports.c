/* SPDX-License-Identifier: MIT */
/* api_ports.c - the map of leased ports, and the next free one. */
#include "netport/api_ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "net/portahead.h"
#include "net/portprobe.h"
#include "net/sockdiag.h"

#include "base/banned.h"

#define NEVER INT64_MAX

enum {
	AHEAD_MIN = 4, /* fewer requests at once wait for the disk anyway */
};

struct ports {
	struct store *store;
	struct portprobe probe;
	bool known;
	uint64_t version; /* of the book that the map shows */
	uint64_t taken[(PORTS_LAST + 1) / 64];
	int64_t expires[PORTS_LAST + 1];      /* milliseconds, 0: never */
	int64_t next_expiry;		      /* the first of them, or NEVER */
	uint64_t used[(PORTS_LAST + 1) / 64]; /* by programs, as found in this turn */
	bool any_used;
	bool fresh;	 /* compared with the book in this turn */
	uint32_t cursor; /* the port that was found last */
	bool pool_known; /* in this turn */
	uint32_t pool_first, pool_last;
	struct portahead *ahead;
	uint32_t found; /* ports, since the last look ahead */
};

static uint32_t random_port(void)
{
	uint16_t r = 0;

	/* Before the kernel's generator is ready (early boot) the lowest will do. */
	return getrandom(&r, sizeof(r), GRND_NONBLOCK) == sizeof(r) ? r : 0;
}

struct ports *ports_new(struct store *s)
{
	struct ports *p = xcalloc(1, sizeof(*p));

	p->store = s;
	p->probe = portprobe_init();
	p->ahead = portahead_new(&p->probe);
	p->cursor = random_port();
	return p;
}

void ports_turn(struct ports *p)
{
	p->fresh = p->pool_known = false;
	if (p->any_used)
		memset(p->used, 0, sizeof(p->used));
	p->any_used = false;
}

void ports_free(struct ports *p)
{
	if (p)
		portahead_free(p->ahead);
	free(p);
}

void ports_forget(struct ports *p)
{
	p->known = p->fresh = false;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void mark(struct ports *p, uint32_t port, int64_t expires)
{
	p->taken[port / 64] |= 1ull << port % 64;
	p->expires[port] = expires;
	if (expires && expires < p->next_expiry)
		p->next_expiry = expires;
}

static void clear(struct ports *p, uint32_t port)
{
	p->taken[port / 64] &= ~(1ull << port % 64);
	p->expires[port] = 0;
}

static bool port_number(const char *text, uint32_t *ret)
{
	return parse_u32(text, 1, PORTS_LAST, ret, ERR_IGNORED) == 0;
}

static int load(struct ports *p, struct err *err)
{
	const struct lease_filter filter = { .resource = "PORT", .uid = LEASE_ANY_UID };
	auto_lease_list leases = { 0 };
	uint32_t port;

	if (lease_list(p->store, &filter, &leases, err) < 0)
		return -1;
	memset(p->taken, 0, sizeof(p->taken));
	memset(p->expires, 0, sizeof(p->expires));
	p->next_expiry = NEVER;
	for (size_t i = 0; i < leases.n; i++) {
		if (port_number(leases.v[i].value, &port))
			mark(p, port, leases.v[i].expires);
	}
	return 0;
}

static void expire(struct ports *p)
{
	int64_t now = now_ms();

	if (now < p->next_expiry)
		return;
	p->next_expiry = NEVER;
	for (uint32_t port = 0; port <= PORTS_LAST; port++) {
		if (!p->expires[port])
			continue;
		if (p->expires[port] <= now)
			clear(p, port);
		else if (p->expires[port] < p->next_expiry)
			p->next_expiry = p->expires[port];
	}
}

static int refresh(struct ports *p, struct err *err)
{
	uint64_t version;

	if (p->fresh)
		return 0;
	if (p->store->ops->version(p->store, &version, err) < 0)
		return -1;
	if (!p->known || version != p->version) {
		if (load(p, err) < 0)
			return -1;
		p->version = version;
		p->known = true;
	}
	expire(p);
	p->fresh = true;
	return 0;
}

/* The first port of [from, to] that the map shows free; 0: none. */
static uint32_t next_free(const struct ports *p, uint32_t from, uint32_t to)
{
	for (uint32_t port = from; port <= to;) {
		uint64_t free_ones = ~(p->taken[port / 64] | p->used[port / 64]) >> port % 64;

		if (free_ones) {
			port += (uint32_t)__builtin_ctzll(free_ones);
			return port <= to ? port : 0;
		}
		port = (port / 64 + 1) * 64;
	}
	return 0;
}

int ports_in_use(const struct ports *p, uint32_t port, bool *ret, struct err *err)
{
	auto_free struct sockdiag_ports *all = NULL;
	bool is_free;

	if (portprobe(&p->probe, port, &is_free, err) < 0)
		return -1;
	if (!is_free) {
		all = xcalloc(1, sizeof(*all));
		if (sockdiag_add_ports(-1, all, err) < 0)
			return -1;
		is_free = !sockdiag_has(all->used, port) && sockdiag_has(all->lingering, port);
	}
	*ret = !is_free;
	return 0;
}

bool ports_usable(void *arg, const struct resource_value *v, const char **ret_why)
{
	const struct ports *p = arg;
	struct err err = { 0 };
	bool is_free = portahead_is_free(p->ahead, v->number);

	if (!is_free && portprobe(&p->probe, v->number, &is_free, &err) < 0)
		log_warn("%s", err.msg);
	if (ret_why)
		*ret_why = "a program uses it";
	return is_free;
}

/* The port that was asked for: a server that begins again may have it while old connections
 * linger. */
static bool wanted_usable(void *arg, const struct resource_value *v, const char **ret_why)
{
	struct err err = { 0 };
	bool used = true;

	if (ports_in_use(arg, v->number, &used, &err) < 0)
		log_warn("%s", err.msg);
	if (ret_why)
		*ret_why = "a program uses it";
	return !used;
}

/* 1: taken; 0: not this one; -1. */
static int try_port(struct ports *p, const struct lease_request *req, uint32_t port,
		    lease_usable_fn *usable, struct lease *ret, struct err *err)
{
	auto_lease holder = { 0 };
	struct err why = { 0 };
	char text[12];

	snprintf(text, sizeof(text), "%u", port);
	if (lease_acquire(p->store, req, text, usable, p, ret, &holder, &why) == 0) {
		mark(p, port, req->ttl_ms ? now_ms() + req->ttl_ms : 0);
		return 1;
	}
	if (!err_is(&why, ERR_CONFLICT)) {
		*err = why;
		return -1;
	}
	if (holder.value) {
		mark(p, port, holder.expires);
	} else {
		p->used[port / 64] |= 1ull << port % 64;
		p->any_used = true;
	}
	return 0;
}

static int try_range(struct ports *p, const struct lease_request *req, uint32_t from, uint32_t to,
		     struct lease *ret, struct err *err)
{
	uint32_t port;

	while (from <= to && (port = next_free(p, from, to))) {
		int rc = try_port(p, req, port, ports_usable, ret, err);

		if (rc > 0) {
			p->cursor = port;
			p->found++;
		}
		if (rc)
			return rc;
		from = port + 1;
	}
	return 0;
}

static int none(uint32_t first, uint32_t last, struct err *err)
{
	return err_set(err, ERR_CONFLICT, 0, "no port of '%u-%u' is free", first, last);
}

/* A store that keeps its own order, and cannot tell when others change it. */
static int acquire_by_store(struct ports *p, const struct lease_request *req, uint32_t first,
			    uint32_t last, uint32_t start, struct lease *ret, struct err *err)
{
	auto_free char *range = xasprintf("%u-%u", first, last);
	auto_pool pool = { 0 };

	if (pool_parse("PORT", range, &pool, err) < 0)
		return -1;
	pool.order = start == first ? POOL_LOWEST : POOL_SPREAD;
	return lease_acquire_any(p->store, req, &pool, NULL, ports_usable, p, ret, err);
}

int ports_acquire(struct ports *p, const struct lease_request *req, uint32_t wanted, uint32_t first,
		  uint32_t last, uint32_t start, struct lease *ret, struct err *err)
{
	int rc = 0;

	if (wanted)
		rc = try_port(p, req, wanted, wanted_usable, ret, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	if (!p->store->ops->version)
		return acquire_by_store(p, req, first, last, start, ret, err);
	if (refresh(p, err) < 0)
		return -1;
	rc = try_range(p, req, start, last, ret, err);
	if (!rc && start > first)
		rc = try_range(p, req, first, start - 1, ret, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	return none(first, last, err);
}

/* As many again as were found since the last time: with clients that each wait for their reply, the next
 * turn brings as many. */
void ports_look_ahead(struct ports *p)
{
	uint32_t wanted[PORTAHEAD_MAX];
	uint32_t port = p->cursor + 1, found = p->found;
	size_t n = 0;

	p->found = 0;
	if (found < AHEAD_MIN || !p->pool_known || p->cursor < p->pool_first)
		return;
	while (n < found && n < PORTAHEAD_MAX && port <= p->pool_last &&
	       (port = next_free(p, port, p->pool_last)))
		wanted[n++] = port++;
	portahead_begin(p->ahead, wanted, n);
}

void ports_leased(struct ports *p, const struct lease *l)
{
	uint32_t port;

	if (strcmp(l->resource, "PORT") == 0 && port_number(l->value, &port))
		mark(p, port, l->expires);
}

void ports_released(struct ports *p, const char *resource, const char *value)
{
	uint32_t port;

	if (strcmp(resource, "PORT") == 0 && port_number(value, &port))
		clear(p, port);
}

void ports_forget_expiry(struct ports *p, const char *value)
{
	uint32_t port;

	if (port_number(value, &port))
		p->expires[port] = 0;
}

uint32_t ports_cursor(const struct ports *p, uint32_t first, uint32_t last)
{
	return p->cursor >= first && p->cursor < last ? p->cursor + 1
						      : first + p->cursor % (last - first + 1);
}

int ports_pool(struct ports *p, uint32_t *ret_first, uint32_t *ret_last, struct err *err)
{
	auto_pool pool = { 0 };

	if (!p->pool_known) {
		if (pool_get(p->store, "PORT", &pool, err) < 0)
			return -1;
		p->pool_first = pool.first;
		p->pool_last = pool.last;
		p->pool_known = true;
	}
	*ret_first = p->pool_first;
	*ret_last = p->pool_last;
	return 0;
}
