/* SPDX-License-Identifier: MIT */
/*
 * pool.h - where values come from when the caller wants any: ranges and patterns.
 *
 *   PORT, VNI         "20000-29999", or one number
 *   SUBNET            "10.192.0.0/12:24": the /24 networks of 10.192.0.0/12
 *   MAC               "02:6c:61": addresses that begin so
 *   any other         "net{1-99}": net1, net2, ...; or a list: "red,green,blue"
 */
#ifndef LABCTL_NETPORT_POOL_H
#define LABCTL_NETPORT_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/ipaddr.h"
#include "base/str.h"
#include "netport/resource.h"

enum pool_kind {
	POOL_NUMBERS,
	POOL_SUBNETS,
	POOL_MACS,
	POOL_NAMES, /* prefix, number, suffix */
	POOL_LIST,
};

/* Which free value comes first. */
enum pool_order {
	POOL_LOWEST, /* the lowest: names and numbers that people read */
	POOL_SPREAD, /* from a random place on: a value just given back is not handed out next */
};

struct pool {
	enum pool_kind kind;
	enum pool_order order;
	char resource[RESOURCE_NAME_MAX + 1];
	char *text;	      /* as written */
	uint32_t first, last; /* NUMBERS, NAMES; index of the others: 0..last */
	struct ipnet net;     /* SUBNETS: the whole */
	unsigned prefix;      /* SUBNETS: of one */
	uint8_t mac[6];	      /* MACS: the given bytes, zeros */
	char *before, *after; /* NAMES */
	struct strv list;     /* LIST */
};

/* ERR_USAGE says what a range of this resource looks like. */
int pool_parse(const char *resource, const char *text, struct pool *ret,
	       struct err *err) MUST_CHECK;
void pool_done(struct pool *p);
static inline void auto_pool_(struct pool *p)
{
	pool_done(p);
}
#define auto_pool auto_cleanup(pool) struct pool

uint64_t pool_size(const struct pool *p);
/* Value number i of first..last. False when that is no value of the resource. */
bool pool_value(const struct pool *p, uint32_t i, struct resource_value *ret);
bool pool_contains(const struct pool *p, const struct resource_value *v);
/* ERR_USAGE: "port '22' is not in '1-10'". */
int pool_check(const struct pool *p, const char *value, struct err *err) MUST_CHECK;
/* Where to begin: first, or a random place. */
uint32_t pool_start(const struct pool *p);

/* What is used when nothing is configured; NULL: the resource has none. */
const char *pool_builtin(const char *resource);

struct store;
/* The configured pool of a resource, else the built-in one. ERR_NOT_FOUND when there is
 * neither. */
int pool_get(struct store *s, const char *resource, struct pool *ret, struct err *err) MUST_CHECK;
/* text NULL: back to the built-in one. */
int pool_set(struct store *s, const char *resource, const char *text, struct err *err) MUST_CHECK;

#endif
