/* SPDX-License-Identifier: MIT */
/*
 * api_netport.c - netport's API: reservations, ports and paths.
 *
 * There a reservation is the text "R:V" of any resource and any value. What the book knows as a
 * resource is leased as such, so that labs and these clients keep out of each other's way; the rest
 * is leased under one name of its own.
 */
#include "netport/api.h"

#include <ifaddrs.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "netport/pattern.h"

#include "base/banned.h"

#define CUSTOM "CUSTOM" /* value: "R:V" */
#define ANY    "(.)+"

#define PORTS_FIRST 1024

struct key {
	const char *resource, *value;
	char *text; /* owned; what `value` may point into */
};

static void key_done(struct key *k)
{
	free(k->text);
}
static inline void auto_key_(struct key *k)
{
	key_done(k);
}
#define auto_key auto_cleanup(key) struct key

/* A resource that the book knows, but for those in which the service keeps its own records. */
static bool is_shared(const char *resource)
{
	const struct lease l = { .resource = (char *)(uintptr_t)resource };

	return strcmp(resource, CUSTOM) != 0 && !lease_is_internal(&l);
}

static void take_key(const char *resource, const char *value, struct key *ret)
{
	struct resource_value v = { 0 };

	if (is_shared(resource) && resource_value_parse(resource, value, &v, ERR_IGNORED) == 0) {
		*ret = (struct key){ resource, v.text, v.text };
		return;
	}
	ret->text = xasprintf("%s:%s", resource, value);
	ret->resource = CUSTOM;
	ret->value = ret->text;
}

/* A path may be any bytes; a text of JSON may not. */
static char *record_text(const struct lease *l)
{
	char *text = strcmp(l->resource, CUSTOM) == 0 ? xstrdup(l->value)
						      : xasprintf("%s:%s", l->resource, l->value);

	utf8_repair(text);
	return text;
}

/* 1: taken; 0: somebody has it; -1. */
static int reserve_value(struct call *c, const char *resource, const char *value, struct err *err)
{
	const struct lease_request req = call_request(c, resource);
	struct err why = { 0 };

	if (lease_acquire(c->api->store, &req, value, NULL, NULL, NULL, NULL, &why) == 0)
		return 1;
	if (err_is(&why, ERR_CONFLICT))
		return 0;
	*err = why;
	return -1;
}

static int reserve(struct call *c, struct err *err)
{
	auto_key k = { 0 };
	int rc;

	take_key(call_query(c, "resource"), call_query(c, "value"), &k);
	rc = reserve_value(c, k.resource, k.value, err);
	if (rc < 0)
		return -1;
	reply_data_bool(c, rc);
	return 0;
}

static int is_reserved(struct call *c, struct err *err)
{
	struct lease_filter filter = { .uid = LEASE_ANY_UID };
	auto_lease_list list = { 0 };
	auto_key k = { 0 };

	take_key(call_query(c, "resource"), call_query(c, "value"), &k);
	filter.resource = k.resource;
	filter.value = k.value;
	if (lease_list(c->api->store, &filter, &list, err) < 0)
		return -1;
	reply_data_bool(c, list.n > 0);
	return 0;
}

/* Searched for in "R:V", as the original does. */
static int compile(const char *resource, const char *value, struct pattern **ret, struct err *err)
{
	auto_free char *text = xasprintf("%s:%s", resource ? resource : ANY, value ? value : ANY);

	return pattern_compile(text, ret, err) < 0 ? err_wrap(err, "not a regular expression") : 0;
}

static int reply_records(struct call *c, const char *owner, uid_t uid, struct err *err)
{
	const char *resource = call_query(c, "resource"), *value = call_query(c, "value");
	const struct lease_filter filter = { .owner = owner, .uid = uid };
	auto_lease_list list = { 0 };
	auto_pattern re = NULL;
	json_t *data;

	if ((resource || value) && compile(resource, value, &re, err) < 0)
		return -1;
	if (lease_list(c->api->store, &filter, &list, err) < 0)
		return -1;
	data = json_array();
	for (size_t i = 0; i < list.n; i++) {
		auto_free char *record = record_text(&list.v[i]);
		bool fits = true;

		if (lease_is_internal(&list.v[i]))
			continue;
		if (re && pattern_matches(re, record, PATTERN_ANYWHERE, &fits, err) < 0) {
			json_decref(data);
			return -1;
		}
		if (fits)
			json_array_append_new(data, json_string(record));
	}
	reply_data(c, data);
	return 0;
}

static int my_resources(struct call *c, struct err *err)
{
	return reply_records(c, c->caller.owner, c->caller.uid, err);
}

static int get_client_resources(struct call *c, struct err *err)
{
	const char *client = call_query(c, "client_ip");

	if (str_empty(client))
		return my_resources(c, err);
	return reply_records(c, client, LEASE_ANY_UID, err);
}

static int release_resource(struct call *c, struct err *err)
{
	const struct lease_claim claim = { c->caller.owner, c->caller.uid };
	struct err why = { 0 };
	auto_key k = { 0 };

	take_key(call_query(c, "resource"), call_query(c, "value"), &k);
	if (lease_release(c->api->store, k.resource, k.value, &claim, &why) == 0) {
		ports_released(c->api->ports, k.resource, k.value);
		reply_data_bool(c, true);
		return 0;
	}
	if (!err_is(&why, ERR_CONFLICT) && !err_is(&why, ERR_NOT_FOUND)) {
		*err = why;
		return -1;
	}
	reply_data_bool(c, false);
	return 0;
}

static int release_client(struct call *c, struct err *err)
{
	const char *client = call_query(c, "client");
	bool own = str_empty(client) || strcmp(client, c->caller.owner) == 0;
	size_t n = 0;

	if (!own && !caller_is_admin(&c->caller)) {
		api_fail(c, 403, "only an administrator may release what another client holds");
		return 0;
	}
	if (!own && str_starts(client, LEASE_LAB_OWNER)) {
		api_fail(c, 403, "what a lab holds ends when that lab is stopped");
		return 0;
	}
	if (lease_release_owner(c->api->store, own ? c->caller.owner : client,
				own ? c->caller.uid : LEASE_ANY_UID, &n, err) < 0)
		return -1;
	if (n)
		ports_forget(c->api->ports);
	reply_data_bool(c, n > 0);
	return 0;
}

/* All leases, those of one owner together: order[] by owner. */
static int by_owner(const void *a, const void *b)
{
	const struct lease *const *x = a, *const *y = b;
	int rc = strcmp((*x)->owner, (*y)->owner);

	return rc ? rc : ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static int reply_all(struct call *c, bool names_only, struct err *err)
{
	const struct lease_filter filter = { .uid = LEASE_ANY_UID };
	auto_free const struct lease **order = NULL;
	auto_lease_list list = { 0 };
	json_t *data, *group = NULL;
	size_t n = 0;

	if (lease_list(c->api->store, &filter, &list, err) < 0)
		return -1;
	order = xcalloc(list.n + 1, sizeof(*order));
	for (size_t i = 0; i < list.n; i++) {
		if (!lease_is_internal(&list.v[i]))
			order[n++] = &list.v[i];
	}
	qsort(order, n, sizeof(*order), by_owner);
	data = names_only ? json_array() : json_object();
	for (size_t i = 0; i < n; i++) {
		bool first = !i || strcmp(order[i]->owner, order[i - 1]->owner) != 0;
		auto_free char *record = names_only ? NULL : record_text(order[i]);

		if (first && names_only) {
			json_array_append_new(data, json_string(order[i]->owner));
		} else if (first) {
			group = json_array();
			json_object_set_new(data, order[i]->owner, group);
		}
		if (!names_only)
			json_array_append_new(group, json_pack("[s]", record));
	}
	reply_data(c, data);
	return 0;
}

static int get_all_resources(struct call *c, struct err *err)
{
	return reply_all(c, false, err);
}

static int get_all_clients(struct call *c, struct err *err)
{
	return reply_all(c, true, err);
}

static int get_port(struct call *c, struct err *err)
{
	const struct lease_request req = call_request(c, "PORT");
	uint32_t wanted = (uint32_t)call_query_int(c, "port", 0), port;
	struct api *api = c->api;
	struct err why = { 0 };
	auto_lease l = { 0 };
	uint32_t first, last;
	int rc;

	if (ports_pool(api->ports, &first, &last, err) < 0)
		return -1;
	rc = ports_acquire(api->ports, &req, wanted, first, last,
			   ports_cursor(api->ports, first, last), &l, &why);
	/* "Any free one" ends only with the numbers. */
	if (rc < 0 && err_is(&why, ERR_CONFLICT))
		rc = ports_acquire(api->ports, &req, 0, PORTS_FIRST, PORTS_LAST,
				   ports_cursor(api->ports, PORTS_FIRST, PORTS_LAST), &l, &why);
	if (rc < 0 && !err_is(&why, ERR_CONFLICT)) {
		*err = why;
		return -1;
	}
	if (rc < 0) {
		reply_data_bool(c, false);
		return 0;
	}
	if (parse_u32(l.value, 1, PORTS_LAST, &port, err) < 0)
		return -1;
	str_addf(&c->reply.body, "{\"data\":{\"port\":%u}}", port);
	return 0;
}

static int is_port_in_use(struct call *c, struct err *err)
{
	uint32_t port = (uint32_t)call_query_int(c, "port", 0);
	bool used = false;

	if (port && ports_in_use(c->api->ports, port, &used, err) < 0)
		return -1;
	reply_data_bool(c, used);
	return 0;
}

static int whats_my_ip(struct call *c, struct err *err)
{
	(void)err;
	reply_data(c, json_string(c->caller.owner));
	return 0;
}

static int list_interfaces(struct call *c, struct err *err)
{
	struct ifaddrs *all, *a;
	json_t *data;

	if (getifaddrs(&all) < 0)
		return err_set(err, ERR_ENV, errno, "cannot list the interfaces");
	data = json_array();
	for (a = all; a; a = a->ifa_next) {
		bool known = false;
		size_t i;
		json_t *name;

		json_array_foreach (data, i, name)
			known |= strcmp(json_string_value(name), a->ifa_name) == 0;
		if (!known)
			json_array_append_new(data, json_string(a->ifa_name));
	}
	freeifaddrs(all);
	reply_data(c, data);
	return 0;
}

static int is_path_exist(struct call *c, struct err *err)
{
	const char *path = call_query(c, "path");
	bool there;
	size_t len;

	path += strspn(path, " \t\r\n");
	len = strlen(path);
	while (len && strchr(" \t\r\n", path[len - 1]))
		len--;
	auto_free char *bare = xstrndup(path, len);
	if (call_path_exists(c, bare, &there, err) < 0)
		return -1;
	reply_data_bool(c, there);
	return 0;
}

static int reserve_path(struct call *c, struct err *err)
{
	const char *path = call_query(c, "path");
	auto_key k = { 0 };
	bool there;
	int rc = 0;

	if (call_path_exists(c, path, &there, err) < 0)
		return -1;
	if (there) {
		take_key("PATH", path, &k);
		rc = reserve_value(c, k.resource, k.value, err);
	}
	if (rc < 0)
		return -1;
	reply_data_bool(c, rc);
	return 0;
}

static const struct param key_params[] = {
	{ "resource", PARAM_TEXT, true, "kind of resource: PORT, PATH, PROCESS, or any name" },
	{ "value", PARAM_TEXT, true, "which one" },
	{ 0 },
};
static const struct param my_params[] = {
	{ "resource", PARAM_TEXT, false, "regular expression; default: all" },
	{ "value", PARAM_TEXT, false, "regular expression; default: all" },
	{ 0 },
};
static const struct param client_params[] = {
	{ "client_ip", PARAM_TEXT, false, "whose; default: the caller's" },
	{ "resource", PARAM_TEXT, false, "regular expression; default: all" },
	{ "value", PARAM_TEXT, false, "regular expression; default: all" },
	{ 0 },
};
static const struct param release_params[] = {
	{ "client", PARAM_TEXT, false, "whose; default: the caller's own" },
	{ 0 },
};
static const struct param wanted_params[] = {
	{ "port", PARAM_PORT, false, "the wanted port; any other if it is not free" },
	{ 0 },
};
static const struct param port_params[] = {
	{ "port", PARAM_PORT, true, "the port" },
	{ 0 },
};
static const struct param path_params[] = {
	{ "path", PARAM_TEXT, true, "a path on this host" },
	{ 0 },
};

#define NETPORT	   .family = API_NETPORT, .method = "GET", .status = 200
#define NP_READS   NETPORT, .scope = SCOPE_READ
#define NP_CHANGES NETPORT, .scope = SCOPE_LEASE, .flags = ROUTE_WRITES

const struct route routes_netport[] = {
	{ NP_CHANGES, .path = "/db/reserve", .summary = "Reserve this value for the caller",
	  .params = key_params, .result = "DataBool", .handle = reserve },
	{ NP_READS, .path = "/db/is_reserved", .summary = "Is this value reserved, by anyone?",
	  .params = key_params, .result = "DataBool", .handle = is_reserved },
	{ NP_READS, .path = "/db/my_resources", .summary = "What the caller holds, as \"R:V\"",
	  .params = my_params, .result = "DataTexts", .handle = my_resources },
	{ NP_READS, .path = "/db/get_client_resources",
	  .summary = "What a client holds, as \"R:V\"", .params = client_params,
	  .result = "DataTexts", .handle = get_client_resources },
	{ NP_CHANGES, .path = "/db/release_resource",
	  .summary = "Release a value that the caller holds", .params = key_params,
	  .result = "DataBool", .handle = release_resource },
	{ NP_CHANGES, .path = "/db/release_client",
	  .summary = "Release all that a client holds; another one's only as an administrator",
	  .params = release_params, .result = "DataBool", .handle = release_client },
	{ NP_READS, .path = "/db/get_all_resources", .summary = "What each client holds",
	  .result = "DataResources", .handle = get_all_resources },
	{ NP_READS, .path = "/db/get_all_clients", .summary = "The clients that hold something",
	  .result = "DataTexts", .handle = get_all_clients },
	{ NP_CHANGES, .path = "/networking/get_port",
	  .summary = "Reserve a free port, that one if possible", .params = wanted_params,
	  .result = "DataPort", .handle = get_port },
	{ NP_READS, .path = "/networking/is_port_in_use",
	  .summary = "Does a program on this host use the port?", .params = port_params,
	  .result = "DataBool", .handle = is_port_in_use },
	{ NP_READS, .path = "/networking/whats_my_ip",
	  .summary = "The caller, as the service sees it", .result = "DataText",
	  .handle = whats_my_ip },
	{ NP_READS, .path = "/networking/list_interfaces",
	  .summary = "The network interfaces of this host", .result = "DataTexts",
	  .handle = list_interfaces },
	{ NP_READS, .path = "/fs/is_path_exist", .summary = "Does the path exist on this host?",
	  .params = path_params, .result = "DataBool", .handle = is_path_exist },
	{ NP_CHANGES, .path = "/fs/reserve_path", .summary = "Reserve a path that exists",
	  .params = path_params, .result = "DataBool", .handle = reserve_path },
	{ 0 },
};
