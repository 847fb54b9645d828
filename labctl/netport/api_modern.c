/* SPDX-License-Identifier: MIT */
/* api_modern.c - labctl's own API: leases and pools. */
#include "netport/api.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "netport/hostview.h"
#include "netport/lease_text.h"
#include "netport/token.h"

#include "base/banned.h"

enum {
	LIST_DEFAULT = 1000,
	LIST_MAX = 10000,
	KEY_MAX = 255,
};

#define IDEMPOTENCY	   "IDEMPOTENCY"
#define IDEMPOTENCY_TTL_MS (24ll * 3600 * 1000)
#define TTL_MAX_S	   (10.0 * 366 * 24 * 3600)

bool lease_is_internal(const struct lease *l)
{
	return strcmp(l->resource, IDEMPOTENCY) == 0 || strcmp(l->resource, "PORTMASTER") == 0;
}

/* ---- leases ---- */

static void reply_lease(struct call *c, unsigned status, const struct lease *l)
{
	reply_empty(c, status);
	lease_text(&c->reply.body, l);
}

static bool wants(const char *text)
{
	return text && (strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0 ||
			strcasecmp(text, "yes") == 0 || strcasecmp(text, "on") == 0);
}

static int lease_index(struct call *c, struct err *err)
{
	bool mine = wants(call_query(c, "mine"));
	const struct lease_filter filter = {
		.resource = call_query(c, "resource"),
		.value = call_query(c, "value"),
		.owner = mine ? c->caller.owner : call_query(c, "owner"),
		.uid = mine ? c->caller.uid : LEASE_ANY_UID,
	};
	int64_t limit = call_query_int(c, "limit", LIST_DEFAULT);
	static const char *const none[2];
	const char *const hidden[2] = { IDEMPOTENCY, "PORTMASTER" };
	int64_t offset = call_query_int(c, "offset", 0);
	auto_lease_list list = { 0 };
	size_t total;

	if (limit < 1 || limit > LIST_MAX || offset < 0) {
		api_fail(c, 400, "'limit' is 1 to %d, 'offset' 0 or more", LIST_MAX);
		return 0;
	}
	if (lease_page(c->api->store, &filter, filter.resource ? none : hidden, (size_t)offset,
		       (size_t)limit, &list, &total, err) < 0)
		return -1;
	reply_empty(c, 200);
	str_add(&c->reply.body, "{\"leases\":[");
	for (size_t i = 0; i < list.n; i++) {
		str_add(&c->reply.body, i ? "," : "");
		lease_text(&c->reply.body, &list.v[i]);
	}
	str_addf(&c->reply.body, "],\"total\":%zu}", total);
	return 0;
}

struct wish {
	struct lease_request req;
	const char *range;
	char *value; /* owned; NULL: any */
	char *prefer;
	bool check, lowest;
};

static void wish_done(struct wish *w)
{
	free(w->value);
	free(w->prefer);
}
static inline void auto_wish_(struct wish *w)
{
	wish_done(w);
}
#define auto_wish auto_cleanup(wish) struct wish

/* A text or a whole number. */
static int take_value(const json_t *body, const char *name, char **ret, struct err *err)
{
	const json_t *v = json_object_get(body, name);

	if (!v || json_is_null(v))
		return 0;
	if (json_is_integer(v))
		*ret = xasprintf("%lld", (long long)json_integer_value(v));
	else if (json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v))
		*ret = xstrdup(json_string_value(v));
	else
		return err_set(err, ERR_USAGE, 0, "'%s' is a text or a whole number", name);
	return 0;
}

static int take_text(const json_t *body, const char *name, const char **ret, struct err *err)
{
	const json_t *v = json_object_get(body, name);

	if (!v || json_is_null(v))
		return 0;
	*ret = json_string_value(v);
	if (!*ret || strlen(*ret) != json_string_length(v))
		return err_set(err, ERR_USAGE, 0, "'%s' is a text", name);
	return 0;
}

static int take_ttl(const json_t *body, int64_t *ret, struct err *err)
{
	const json_t *v = json_object_get(body, "ttl");
	double s = json_number_value(v);

	*ret = 0;
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_number(v) || !isfinite(s) || s < 0.001 || s > TTL_MAX_S)
		return err_set(err, ERR_USAGE, 0, "'ttl' is a number of seconds, more than 0");
	*ret = (int64_t)(s * 1000);
	return 0;
}

static int check_keys(const json_t *body, const char *const *known, struct err *err)
{
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)(uintptr_t)body, key, v) {
		size_t i = 0;

		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (!known[i])
			return err_set(err, ERR_USAGE, 0, "there is no '%.64s' in this request",
				       key);
	}
	return 0;
}

static int take_wish(struct call *c, struct wish *w, struct err *err)
{
	static const char *const known[] = { "resource", "value", "prefer", "range", "ttl",
					     "note",	 "check", "order",  NULL };
	const json_t *check = json_object_get(c->body, "check");
	const char *order = NULL;

	w->req = call_request(c, NULL);
	if (check_keys(c->body, known, err) < 0 ||
	    take_text(c->body, "resource", &w->req.resource, err) < 0 ||
	    take_text(c->body, "note", &w->req.note, err) < 0 ||
	    take_text(c->body, "range", &w->range, err) < 0 ||
	    take_text(c->body, "order", &order, err) < 0 ||
	    take_value(c->body, "value", &w->value, err) < 0 ||
	    take_value(c->body, "prefer", &w->prefer, err) < 0 ||
	    take_ttl(c->body, &w->req.ttl_ms, err) < 0)
		return -1;
	if (!w->req.resource)
		return err_set(err, ERR_USAGE, 0, "'resource' is missing");
	if (w->value && (w->range || w->prefer))
		return err_set(err, ERR_USAGE, 0,
			       "'value' asks for one; 'range' and 'prefer' for any");
	if (check && !json_is_boolean(check))
		return err_set(err, ERR_USAGE, 0, "'check' is true or false");
	if (order && strcmp(order, "lowest") != 0 && strcmp(order, "spread") != 0)
		return err_set(err, ERR_USAGE, 0, "'order' is 'lowest' or 'spread'");
	w->check = !check || json_is_true(check);
	w->lowest = order && strcmp(order, "lowest") == 0;
	if (lease_is_internal(&(struct lease){ .resource = (char *)(uintptr_t)w->req.resource }))
		return err_set(err, ERR_USAGE, 0, "'%s' is kept by the service itself",
			       w->req.resource);
	return 0;
}

static int take_port(struct call *c, const struct wish *w, const struct pool *pool,
		     struct lease *ret, struct err *err)
{
	uint32_t wanted = 0;

	if (w->prefer && parse_u32(w->prefer, 1, PORTS_LAST, &wanted, err) < 0)
		return err_wrap(err, "prefer");
	return ports_acquire(c->api->ports, &w->req, wanted, pool->first, pool->last,
			     w->lowest ? pool->first
				       : ports_cursor(c->api->ports, pool->first, pool->last),
			     ret, err);
}

static int acquire_any(struct call *c, const struct wish *w, struct lease *ret, struct err *err)
{
	auto_hostview view = { 0 };
	auto_pool pool = { 0 };
	int rc = w->range ? pool_parse(w->req.resource, w->range, &pool, err)
			  : pool_get(c->api->store, w->req.resource, &pool, err);

	if (rc < 0 || (w->range && w->prefer && pool_check(&pool, w->prefer, err) < 0))
		return -1;
	if (strcmp(w->req.resource, "PORT") == 0)
		return take_port(c, w, &pool, ret, err);
	if (w->lowest)
		pool.order = POOL_LOWEST;
	if (hostview_add(&view, w->req.resource, -1, err) < 0)
		return -1;
	return lease_acquire_any(c->api->store, &w->req, &pool, w->prefer, hostview_usable, &view,
				 ret, err);
}

static int acquire(struct call *c, const struct wish *w, struct lease *ret, struct err *err)
{
	bool port = strcmp(w->req.resource, "PORT") == 0;
	auto_hostview view = { 0 };

	if (!w->value)
		return acquire_any(c, w, ret, err);
	if (w->check && !port && hostview_add(&view, w->req.resource, -1, err) < 0)
		return -1;
	if (lease_acquire(c->api->store, &w->req, w->value,
			  !w->check ? NULL
			  : port    ? ports_usable
				    : hostview_usable,
			  port ? (void *)c->api->ports : &view, ret, NULL, err) < 0)
		return -1;
	ports_leased(c->api->ports, ret);
	return 0;
}

/* What the same key of the same caller got before. 1: the reply is made; 0: nothing; -1. */
static int replay(struct call *c, const char *key, const char *hash, struct err *err)
{
	struct lease_filter filter = { .resource = IDEMPOTENCY,
				       .value = key,
				       .uid = LEASE_ANY_UID };
	auto_lease_list before = { 0 }, list = { 0 };
	const char *then, *resource, *value;
	json_int_t id;
	json_t *note;

	if (lease_list(c->api->store, &filter, &before, err) < 0)
		return -1;
	if (!before.n)
		return 0;
	note = json_loads(before.v[0].note, 0, NULL);
	if (json_unpack(note, "{s:s, s:s, s:s, s:I}", "request", &then, "resource", &resource,
			"value", &value, "id", &id) < 0) {
		json_decref(note);
		return err_set(err, ERR_INTERNAL, 0, "the record of an idempotency key is damaged");
	}
	filter.resource = resource;
	filter.value = value;
	if (strcmp(then, hash) != 0) {
		api_fail(c, 422, "this idempotency key came with another request before");
	} else if (lease_list(c->api->store, &filter, &list, err) < 0) {
		json_decref(note);
		return -1;
	} else if (list.n && list.v[0].id == (uint64_t)id) {
		reply_lease(c, 201, &list.v[0]);
	} else {
		api_fail(c, 409, "what this idempotency key got, %s '%s', has been given back",
			 resource_noun(resource), value);
	}
	json_decref(note);
	return 1;
}

static int remember(struct call *c, const char *key, const char *hash, const struct lease *l,
		    struct err *err)
{
	json_t *doc = json_pack("{s:s, s:s, s:s, s:I}", "request", hash, "resource", l->resource,
				"value", l->value, "id", (json_int_t)l->id);
	auto_free char *note = json_dumps(doc, JSON_COMPACT);
	struct lease_request req = call_request(c, IDEMPOTENCY);

	req.owner = "idempotency";
	req.ttl_ms = IDEMPOTENCY_TTL_MS;
	req.note = note;

	json_decref(doc);
	return lease_acquire(c->api->store, &req, key, NULL, NULL, NULL, NULL, err);
}

static int lease_create(struct call *c, struct err *err)
{
	const char *text = c->req->idempotency_key;
	char key[TOKEN_HASH], hash[TOKEN_HASH];
	auto_lease l = { 0 };
	auto_wish w = { 0 };
	int rc = 0;

	if (take_wish(c, &w, err) < 0)
		return -1;
	if (text) {
		auto_free char *whole =
			xasprintf("%u\n%s\n%s", c->caller.uid, c->caller.owner, text);

		if (!*text || strlen(text) > KEY_MAX)
			return err_set(err, ERR_USAGE, 0, "an Idempotency-Key has 1 to %d bytes",
				       KEY_MAX);
		sha256_hex(whole, strlen(whole), key);
		sha256_hex(c->req->body, c->req->body_len, hash);
		rc = replay(c, key, hash, err);
	}
	if (rc)
		return rc < 0 ? -1 : 0;
	if (acquire(c, &w, &l, err) < 0 || (text && remember(c, key, hash, &l, err) < 0))
		return -1;
	reply_lease(c, 201, &l);
	return 0;
}

static int lease_read(struct call *c, struct err *err)
{
	auto_lease_list list = { 0 };

	if (lease_who(c->api->store, c->arg[0], c->arg[1], &list, err) < 0)
		return -1;
	reply_lease(c, 200, &list.v[0]);
	return 0;
}

/* The caller's own, or anybody's for an administrator; a lab's for nobody. False: the reply is
 * made, or err is set. */
static int claim_of(struct call *c, struct lease_claim *ret, struct err *err)
{
	const struct lease_filter filter = { .resource = c->arg[0], .uid = LEASE_ANY_UID };
	auto_lease_list list = { 0 };

	*ret = (struct lease_claim){ c->caller.owner, c->caller.uid };
	if (!caller_is_admin(&c->caller))
		return 0;
	*ret = (struct lease_claim){ NULL, LEASE_ANY_UID };
	struct lease_filter one = filter;
	auto_resource_value v = { 0 };
	if (resource_value_parse(c->arg[0], c->arg[1], &v, err) < 0)
		return -1;
	one.value = v.text;
	if (lease_list(c->api->store, &one, &list, err) < 0)
		return -1;
	if (list.n && str_starts(list.v[0].owner, LEASE_LAB_OWNER))
		return err_set(err, ERR_CONFLICT, 0,
			       "'%.64s' is a lab's: it ends when that lab is stopped", c->arg[1]);
	return 0;
}

static int lease_renewal(struct call *c, struct err *err)
{
	static const char *const known[] = { "ttl", NULL };
	struct lease_claim claim;
	auto_lease l = { 0 };
	int64_t ttl_ms;

	if (check_keys(c->body, known, err) < 0 || take_ttl(c->body, &ttl_ms, err) < 0 ||
	    claim_of(c, &claim, err) < 0 ||
	    lease_renew(c->api->store, c->arg[0], c->arg[1], &claim, ttl_ms, &l, err) < 0)
		return -1;
	ports_leased(c->api->ports, &l);
	reply_lease(c, 200, &l);
	return 0;
}

static int lease_delete(struct call *c, struct err *err)
{
	struct lease_claim claim;

	if (claim_of(c, &claim, err) < 0 ||
	    lease_release(c->api->store, c->arg[0], c->arg[1], &claim, err) < 0)
		return -1;
	ports_released(c->api->ports, c->arg[0], c->arg[1]);
	reply_empty(c, 204);
	return 0;
}

/* ---- pools ---- */

static json_t *pool_json(const struct pool *p)
{
	const char *builtin = pool_builtin(p->resource);

	return json_pack("{s:s, s:s, s:I, s:b}", "resource", p->resource, "range", p->text, "size",
			 (json_int_t)pool_size(p), "builtin",
			 builtin && strcmp(builtin, p->text) == 0);
}

static int pool_index(struct call *c, struct err *err)
{
	json_t *pools = json_array();

	for (int r = 0; r < RESOURCE_OTHER; r++) {
		auto_pool p = { 0 };
		struct err why = { 0 };

		if (pool_get(c->api->store, resource_name((enum resource)r), &p, &why) == 0) {
			json_array_append_new(pools, pool_json(&p));
		} else if (!err_is(&why, ERR_NOT_FOUND)) {
			json_decref(pools);
			*err = why;
			return -1;
		}
	}
	reply_json(c, 200, json_pack("{s:o}", "pools", pools));
	return 0;
}

static int pool_read(struct call *c, struct err *err)
{
	auto_pool p = { 0 };

	if (pool_get(c->api->store, c->arg[0], &p, err) < 0)
		return -1;
	reply_json(c, 200, pool_json(&p));
	return 0;
}

static int pool_update(struct call *c, struct err *err)
{
	static const char *const known[] = { "range", NULL };
	const char *range = NULL;

	if (check_keys(c->body, known, err) < 0 || take_text(c->body, "range", &range, err) < 0)
		return -1;
	if (!range)
		return err_set(err, ERR_USAGE, 0, "'range' is missing");
	if (pool_set(c->api->store, c->arg[0], range, err) < 0)
		return -1;
	return pool_read(c, err);
}

static int pool_delete(struct call *c, struct err *err)
{
	if (pool_set(c->api->store, c->arg[0], NULL, err) < 0)
		return -1;
	reply_empty(c, 204);
	return 0;
}

static const struct param list_params[] = {
	{ "resource", PARAM_TEXT, false, "only of this resource" },
	{ "value", PARAM_TEXT, false, "only this value" },
	{ "owner", PARAM_TEXT, false, "only of this owner" },
	{ "mine", PARAM_BOOL, false, "only the caller's" },
	{ "limit", PARAM_INTEGER, false, "at most so many (default 1000)" },
	{ "offset", PARAM_INTEGER, false, "leave out so many" },
	{ 0 },
};

#define OWN_READS   .family = API_MODERN, .method = "GET", .scope = SCOPE_READ, .status = 200
#define OWN_CHANGES .family = API_MODERN, .scope = SCOPE_LEASE, .flags = ROUTE_WRITES
#define OWN_POOLS   .family = API_MODERN, .scope = SCOPE_ADMIN, .flags = ROUTE_WRITES

#define LEASES "/api/leases"
#define LEASE  LEASES "/{resource}/{value}"
#define POOLS  "/api/pools"

const struct route routes_modern[] = {
	{ OWN_READS, .path = LEASES, .summary = "Leases", .params = list_params, .result = "Leases",
	  .handle = lease_index },
	{ OWN_CHANGES, .method = "POST", .path = LEASES, .status = 201,
	  .summary = "Lease a value, or any value of a range; an Idempotency-Key header makes it "
		     "safe to repeat",
	  .body = "LeaseRequest", .result = "Lease", .handle = lease_create },
	{ OWN_READS, .path = LEASE, .summary = "Who holds this value?", .result = "Lease",
	  .handle = lease_read },
	{ OWN_CHANGES, .method = "DELETE", .path = LEASE, .status = 204,
	  .summary = "Give a lease back", .handle = lease_delete },
	{ OWN_CHANGES, .method = "POST", .path = LEASE "/renew", .status = 200,
	  .summary = "Let a lease end later, or (without ttl) never", .body = "Renewal",
	  .result = "Lease", .handle = lease_renewal },
	{ OWN_READS, .path = POOLS, .summary = "Where values come from", .result = "Pools",
	  .handle = pool_index },
	{ OWN_READS, .path = POOLS "/{resource}", .summary = "The pool of one resource",
	  .result = "Pool", .handle = pool_read },
	{ OWN_POOLS, .method = "PUT", .path = POOLS "/{resource}", .status = 200,
	  .summary = "Set a pool (administrators)", .body = "PoolRange", .result = "Pool",
	  .handle = pool_update },
	{ OWN_POOLS, .method = "DELETE", .path = POOLS "/{resource}", .status = 204,
	  .summary = "Back to the built-in pool (administrators)", .handle = pool_delete },
	{ 0 },
};
