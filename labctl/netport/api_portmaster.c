/* SPDX-License-Identifier: MIT */
/*
 * api_portmaster.c - portmaster's API: offers and registered ports.
 *
 * An offer is the port's lease with an expiry; accepting it takes the expiry away, so a port that
 * was offered is never in nobody's hands between. The secret carries the port's number, whereby an
 * offer is found without a search. The book, which everyone may read, has only its hash: it is told
 * to whoever asked for the offer, once, and not listed.
 */
#include "netport/api_service.h"

#include <ctype.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/mem.h"
#include "base/parse.h"
#include "netport/token.h"

#include "base/banned.h"

enum {
	INSTANCE_MAX = 128,
	UUID_LEN = 36,
};

void service_port_done(struct service_port *p)
{
	free(p->service);
	free(p->name);
	free(p->hash);
	free(p->by);
	*p = (struct service_port){ 0 };
}

bool service_port_of(const struct lease *l, struct service_port *ret)
{
	const char *name, *hash = NULL, *by = "";
	json_int_t created = l->created;
	json_t *note;

	if (strcmp(l->resource, "PORT") != 0 || !str_starts(l->owner, SERVICE_PORT_OWNER))
		return false;
	name = strchr(l->owner, '/');
	note = json_loads(l->note, 0, NULL);
	if (!name || json_unpack(note, "{s:s, s?:s, s?:I}", "by", &by, "offer", &hash, "created",
				 &created) < 0) {
		json_decref(note);
		return false;
	}
	const char *service = l->owner + strlen(SERVICE_PORT_OWNER);
	*ret = (struct service_port){
		.lease = l,
		.service = xstrndup(service, (size_t)(name - service)),
		.name = xstrdup(name + 1),
		.hash = hash ? xstrdup(hash) : NULL,
		.by = xstrdup(by),
		.state = hash ? PORT_OFFERED : PORT_REGISTERED,
		.created = created,
	};
	json_decref(note);
	return true;
}

int service_ports(struct store *store, const char *service, struct lease_list *ret, struct err *err)
{
	const struct lease_filter filter = { .resource = "PORT", .uid = LEASE_ANY_UID };
	auto_free char *prefix = xasprintf(SERVICE_PORT_OWNER "%s/", service);
	auto_lease_list all = { 0 };

	if (lease_list(store, &filter, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		if (!str_starts(all.v[i].owner, prefix))
			continue;
		*array_push(ret->v, ret->n) = all.v[i];
		all.v[i] = (struct lease){ 0 };
	}
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* With six places after the second, as the original writes it. */
static json_t *created_text(int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	char day[32], text[64];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(day, sizeof(day), "%FT%T", &tm);
	snprintf(text, sizeof(text), "%s.%03d000Z", day, (int)(ms % 1000));
	return json_string(text);
}

/* secret NULL: not told. */
static json_t *to_json(const struct service_port *p, const char *secret)
{
	json_t *doc = json_pack("{s:s, s:s, s:o}", "service", p->service, "name", p->name, "port",
				json_integer(strtoll(p->lease->value, NULL, 10)));

	if (secret)
		json_object_set_new(doc, "secret", json_string(secret));
	json_object_set_new(doc, "created", created_text(p->created));
	return doc;
}

/* A random UUID (RFC 9562, version 4), the last four digits of which are the port, masked. */
static int make_secret(uint32_t port, char ret[static UUID_LEN + 1], struct err *err)
{
	uint8_t b[16];
	size_t n = 0;

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return err_set(err, ERR_ENV, errno, "no random numbers");
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	b[14] = (uint8_t)(b[12] ^ port >> 8);
	b[15] = (uint8_t)(b[13] ^ port);
	for (size_t i = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret[n++] = '-';
		ret[n++] = "0123456789abcdef"[b[i] >> 4];
		ret[n++] = "0123456789abcdef"[b[i] & 15];
	}
	ret[n] = '\0';
	return 0;
}

static uint32_t secret_port(const char *secret)
{
	uint32_t v[4] = { 0 };

	if (strlen(secret) != UUID_LEN)
		return 0;
	for (size_t i = 0; i < 4; i++) {
		const char *s = secret + UUID_LEN - 8 + 2 * i;
		int hi = parse_hex_digit(s[0]), lo = parse_hex_digit(s[1]);

		if (hi < 0 || lo < 0)
			return 0;
		v[i] = (uint32_t)(hi << 4 | lo);
	}
	return (v[0] ^ v[2]) << 8 | (v[1] ^ v[3]);
}

/* 122 random bits need no slow hash. A UUID may be written in upper case. */
static void hash_secret(const char *secret, char ret[static TOKEN_HASH])
{
	auto_free char *text = xstrdup(secret);

	for (char *s = text; *s; s++)
		*s = (char)tolower((unsigned char)*s);
	sha256_hex(text, strlen(text), ret);
}

/* What its time tells is a hash's beginning, which leads to no secret. */
static bool is_secret_of(const struct service_port *p, const char *secret)
{
	char hash[TOKEN_HASH];

	hash_secret(secret, hash);
	return strcmp(hash, p->hash) == 0;
}

/* A list that keeps the lease which *ret borrows. 1: found; 0; -1. */
static int find_port(struct call *c, const char *value, const char *owner, struct lease_list *list,
		     struct service_port *ret, struct err *err)
{
	const struct lease_filter filter = {
		.resource = "PORT", .value = value, .owner = owner, .uid = LEASE_ANY_UID
	};

	if (lease_list(c->api->store, &filter, list, err) < 0)
		return -1;
	for (size_t i = 0; i < list->n; i++) {
		service_port_done(ret);
		if (service_port_of(&list->v[i], ret) && strcmp(ret->service, c->arg[0]) == 0)
			return 1;
	}
	return 0;
}

static char *owner_text(const char *service, const char *instance)
{
	return xasprintf(SERVICE_PORT_OWNER "%s/%s", service, instance);
}

static int reply_list(struct call *c, enum port_state state, struct err *err)
{
	auto_lease_list list = { 0 };
	json_t *doc;

	if (service_ports(c->api->store, c->arg[0], &list, err) < 0)
		return -1;
	doc = json_array();
	for (size_t i = 0; i < list.n; i++) {
		auto_service_port p = { 0 };

		if (service_port_of(&list.v[i], &p) && p.state == state)
			json_array_append_new(doc, to_json(&p, NULL));
	}
	reply_json(c, 200, doc);
	return 0;
}

static int offer_list(struct call *c, struct err *err)
{
	return reply_list(c, PORT_OFFERED, err);
}

static int port_list(struct call *c, struct err *err)
{
	return reply_list(c, PORT_REGISTERED, err);
}

/* 1: nobody has the name; 0: the reply says who does. */
static int name_is_free(struct call *c, const char *owner, struct err *err)
{
	auto_lease_list list = { 0 };
	auto_service_port p = { 0 };
	int rc = find_port(c, NULL, owner, &list, &p, err);

	if (rc <= 0)
		return rc < 0 ? -1 : 1;
	reply_field_error(c, "name",
			  p.state == PORT_OFFERED
				  ? "offer with this name already exists."
				  : "Service instance with this name already exists.");
	return 0;
}

/* The number is known only once the lease is there; then the secret goes into its note. */
static int make_offer(struct call *c, const struct service *s, const char *owner, struct err *err)
{
	struct lease_request req = call_request(c, "PORT");
	char secret[UUID_LEN + 1], hash[TOKEN_HASH];
	auto_lease l = { 0 }, noted = { 0 };
	auto_service_port p = { 0 };
	struct err why = { 0 };
	json_t *note;

	req.owner = owner;
	req.ttl_ms = c->api->offer_ms;
	if (ports_acquire(c->api->ports, &req, 0, s->start, s->end, s->start, &l, &why) < 0) {
		if (!err_is(&why, ERR_CONFLICT)) {
			*err = why;
			return -1;
		}
		reply_field_error(c, "port", "Port range has been completely utilized.");
		return 0;
	}
	if (make_secret((uint32_t)strtoul(l.value, NULL, 10), secret, err) < 0)
		return -1;
	hash_secret(secret, hash);
	note = json_pack("{s:s, s:s}", "by", c->caller.owner, "offer", hash);
	auto_free char *text = json_dumps(note, JSON_COMPACT);
	json_decref(note);
	req.note = text;
	req.again_ok = true;
	if (lease_acquire(c->api->store, &req, l.value, NULL, NULL, &noted, NULL, err) < 0)
		return -1;
	if (!service_port_of(&noted, &p))
		return err_set(err, ERR_INTERNAL, 0, "an offer without a note");
	reply_json(c, 201, to_json(&p, secret));
	return 0;
}

static int offer_create(struct call *c, struct err *err)
{
	json_t *errors = json_object();
	auto_free char *owner = NULL;
	auto_service s = { 0 };
	const char *name;
	int rc = service_get(c->api->store, c->arg[0], &s, err);

	if (rc == 1) {
		name = body_text(c->body, "name", INSTANCE_MAX, errors);
		if (name)
			owner = owner_text(s.name, name);
	} else if (rc == 0) {
		service_missing(c);
	}
	if (json_object_size(errors))
		reply_json(c, 400, json_incref(errors));
	json_decref(errors);
	if (rc < 0)
		return -1;
	if (!owner)
		return 0;
	rc = name_is_free(c, owner, err);
	if (rc <= 0)
		return rc;
	return make_offer(c, &s, owner, err);
}

/* 1: c->arg[1] is the secret of this offer; 0: the reply says 404; -1. */
static int find_offer(struct call *c, struct lease_list *list, struct service_port *ret,
		      struct err *err)
{
	uint32_t port = secret_port(c->arg[1]);
	char value[12];
	int rc = 0;

	snprintf(value, sizeof(value), "%u", port);
	if (port)
		rc = find_port(c, value, NULL, list, ret, err);
	if (rc < 0)
		return -1;
	if (rc && ret->state == PORT_OFFERED && is_secret_of(ret, c->arg[1]))
		return 1;
	service_missing(c);
	return 0;
}

static int offer_read(struct call *c, struct err *err)
{
	auto_lease_list list = { 0 };
	auto_service_port p = { 0 };
	int rc = find_offer(c, &list, &p, err);

	if (rc > 0)
		reply_json(c, 200, to_json(&p, c->arg[1]));
	return rc < 0 ? -1 : 0;
}

static int offer_accept(struct call *c, struct err *err)
{
	auto_lease_list list = { 0 };
	auto_service_port p = { 0 };
	int rc = find_offer(c, &list, &p, err);
	json_t *note;

	if (rc <= 0)
		return rc;
	p.created = now_ms();
	note = json_pack("{s:s, s:I}", "by", p.by, "created", (json_int_t)p.created);
	auto_free char *text = json_dumps(note, JSON_COMPACT);
	json_decref(note);
	const struct lease_request req = { .resource = "PORT",
					   .owner = p.lease->owner,
					   .uid = p.lease->uid,
					   .note = text,
					   .again_ok = true };
	if (lease_acquire(c->api->store, &req, p.lease->value, NULL, NULL, NULL, NULL, err) < 0)
		return -1;
	ports_forget_expiry(c->api->ports, p.lease->value);
	p.state = PORT_REGISTERED;
	reply_json(c, 201, to_json(&p, NULL));
	return 0;
}

static int release(struct call *c, const struct lease *l, struct err *err)
{
	const struct lease_claim claim = { l->owner, LEASE_ANY_UID };

	if (lease_release(c->api->store, l->resource, l->value, &claim, err) < 0)
		return -1;
	ports_released(c->api->ports, l->resource, l->value);
	reply_empty(c, 204);
	return 0;
}

static int offer_reject(struct call *c, struct err *err)
{
	auto_lease_list list = { 0 };
	auto_service_port p = { 0 };
	int rc = find_offer(c, &list, &p, err);

	return rc <= 0 ? rc : release(c, p.lease, err);
}

/* By number, or by the instance's name. 1: found; 0: the reply says 404. */
static int find_registered(struct call *c, struct lease_list *list, struct service_port *ret,
			   struct err *err)
{
	const char *key = c->arg[1];
	bool number = key[strspn(key, "0123456789")] == '\0';
	auto_free char *owner = number ? NULL : owner_text(c->arg[0], key);
	int rc = find_port(c, number ? key : NULL, owner, list, ret, err);

	if (rc < 0)
		return -1;
	if (rc && ret->state == PORT_REGISTERED)
		return 1;
	service_missing(c);
	return 0;
}

static int port_read(struct call *c, struct err *err)
{
	auto_lease_list list = { 0 };
	auto_service_port p = { 0 };
	int rc = find_registered(c, &list, &p, err);

	if (rc > 0)
		reply_json(c, 200, to_json(&p, NULL));
	return rc < 0 ? -1 : 0;
}

static int port_delete(struct call *c, struct err *err)
{
	auto_lease_list list = { 0 };
	auto_service_port p = { 0 };
	int rc = find_registered(c, &list, &p, err);

	if (rc <= 0)
		return rc;
	if (!service_is_mine(c, p.by, p.lease->uid)) {
		service_forbidden(c);
		return 0;
	}
	return release(c, p.lease, err);
}

#define PM_READS   .family = API_PORTMASTER, .method = "GET", .scope = SCOPE_READ, .status = 200
#define PM_CHANGES .family = API_PORTMASTER, .scope = SCOPE_LEASE, .flags = ROUTE_WRITES

#define SERVICES "/v1/services"
#define SERVICE	 SERVICES "/{name}"
#define OFFERS	 SERVICES "/{service}/offers"
#define OFFER	 OFFERS "/{secret}"
#define PORTS	 SERVICES "/{service}/ports"
#define ONE_PORT PORTS "/{port}"

const struct route routes_portmaster[] = {
	{ PM_READS, .path = SERVICES, .summary = "All services", .result = "Services",
	  .handle = service_list },
	{ PM_CHANGES, .method = "POST", .path = SERVICES, .status = 201,
	  .summary = "Make a service: a named range of ports", .body = "Service",
	  .result = "Service", .handle = service_create },
	{ PM_READS, .path = SERVICE, .summary = "One service", .result = "Service",
	  .handle = service_read },
	{ PM_CHANGES, .method = "PUT", .path = SERVICE, .status = 200,
	  .summary = "Change a service", .body = "Service", .result = "Service",
	  .handle = service_update },
	{ PM_CHANGES, .method = "PATCH", .path = SERVICE, .status = 200,
	  .summary = "Change parts of a service", .body = "ServicePatch", .result = "Service",
	  .handle = service_patch },
	{ PM_CHANGES, .method = "DELETE", .path = SERVICE, .status = 204,
	  .summary = "Delete a service, its ports and its offers", .handle = service_delete },
	{ PM_READS, .path = OFFERS, .summary = "A service's open offers", .result = "Offers",
	  .handle = offer_list },
	{ PM_CHANGES, .method = "POST", .path = OFFERS, .status = 201,
	  .summary = "Ask for a port: the lowest that is free is kept until the offer ends",
	  .body = "Instance", .result = "Offer", .handle = offer_create },
	{ PM_READS, .path = OFFER, .summary = "One offer", .result = "Offer",
	  .handle = offer_read },
	{ PM_CHANGES, .method = "PUT", .path = OFFER, .status = 201, .summary = "Accept an offer",
	  .body = "Empty", .result = "RegisteredPort", .handle = offer_accept },
	{ PM_CHANGES, .method = "DELETE", .path = OFFER, .status = 204,
	  .summary = "Reject an offer", .handle = offer_reject },
	{ PM_CHANGES, .method = "POST", .path = OFFER "/accept", .status = 201,
	  .summary = "Accept an offer", .body = "Empty", .result = "RegisteredPort",
	  .handle = offer_accept },
	{ PM_CHANGES, .method = "POST", .path = OFFER "/reject", .status = 204,
	  .summary = "Reject an offer", .body = "Empty", .handle = offer_reject },
	{ PM_READS, .path = PORTS, .summary = "A service's registered ports",
	  .result = "RegisteredPorts", .handle = port_list },
	{ PM_READS, .path = ONE_PORT, .summary = "One port, by number or by instance name",
	  .result = "RegisteredPort", .handle = port_read },
	{ PM_CHANGES, .method = "DELETE", .path = ONE_PORT, .status = 204,
	  .summary = "Free a port, by number or by instance name", .handle = port_delete },
	{ 0 },
};
