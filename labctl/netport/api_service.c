/* SPDX-License-Identifier: MIT */
/* api_service.c - portmaster's API: services. */
#include "netport/api_service.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"

#include "base/banned.h"

enum {
	NAME_MAX_LEN = 64,
	DESCRIPTION_MAX = 500,
	FIRST_PORT = 1024,
	END_PORT = 49152, /* where the dynamic ports begin (RFC 6335) */
};

void service_done(struct service *s)
{
	free(s->name);
	free(s->description);
	free(s->by);
	*s = (struct service){ 0 };
}

bool service_is_mine(const struct call *c, const char *by, uid_t uid)
{
	return caller_is_admin(&c->caller) ||
	       (strcmp(by, c->caller.owner) == 0 && uid == c->caller.uid);
}

void service_forbidden(struct call *c)
{
	api_fail(c, 403, "You do not have permission to perform this action.");
}

void service_missing(struct call *c)
{
	api_fail(c, 404, "Not found.");
}

static bool from_lease(const struct lease *l, struct service *ret)
{
	json_t *note = json_loads(l->note, 0, NULL);
	const char *description = "", *by = "";
	int start = 0, end = 0;
	bool ok = json_unpack(note, "{s:s, s:s, s:i, s:i}", "description", &description, "by", &by,
			      "start", &start, "end", &end) == 0;

	if (ok)
		*ret = (struct service){ .name = xstrdup(l->value),
					 .description = xstrdup(description),
					 .by = xstrdup(by),
					 .uid = l->uid,
					 .start = (uint32_t)start,
					 .end = (uint32_t)end };
	json_decref(note);
	return ok;
}

int service_get(struct store *store, const char *name, struct service *ret, struct err *err)
{
	const struct lease_filter filter = { .resource = SERVICE_RESOURCE,
					     .value = name,
					     .owner = SERVICE_OWNER,
					     .uid = LEASE_ANY_UID };
	auto_lease_list list = { 0 };

	if (lease_list(store, &filter, &list, err) < 0)
		return -1;
	return list.n && from_lease(&list.v[0], ret);
}

static json_t *to_json(const struct service *s)
{
	return json_pack("{s:s, s:s, s:i, s:i}", "name", s->name, "description", s->description,
			 "start", (int)s->start, "end", (int)s->end);
}

static int list_all(struct store *store, struct lease_list *ret, struct err *err)
{
	const struct lease_filter filter = { .resource = SERVICE_RESOURCE,
					     .owner = SERVICE_OWNER,
					     .uid = LEASE_ANY_UID };

	return lease_list(store, &filter, ret, err);
}

int service_list(struct call *c, struct err *err)
{
	auto_lease_list list = { 0 };
	json_t *doc;

	if (list_all(c->api->store, &list, err) < 0)
		return -1;
	doc = json_array();
	for (size_t i = 0; i < list.n; i++) {
		auto_service s = { 0 };

		if (from_lease(&list.v[i], &s))
			json_array_append_new(doc, to_json(&s));
	}
	reply_json(c, 200, doc);
	return 0;
}

int service_read(struct call *c, struct err *err)
{
	auto_service s = { 0 };
	int rc = service_get(c->api->store, c->arg[0], &s, err);

	if (rc < 0)
		return -1;
	if (rc)
		reply_json(c, 200, to_json(&s));
	else
		service_missing(c);
	return 0;
}

/* ---- what a body may say ---- */

static bool has_control(const char *text)
{
	for (; *text; text++) {
		if (iscntrl((unsigned char)*text))
			return true;
	}
	return false;
}

const char *body_text(const json_t *body, const char *name, size_t max, json_t *errors)
{
	const json_t *v = json_object_get(body, name);
	const char *text = json_string_value(v);
	char msg[80];

	if (!v)
		field_error(errors, name, "This field is required.");
	else if (json_is_null(v))
		field_error(errors, name, "This field may not be null.");
	else if (!text)
		field_error(errors, name, "Not a valid string.");
	else if (!text[strspn(text, " \t\r\n")])
		field_error(errors, name, "This field may not be blank.");
	else if (has_control(text) || strlen(text) != json_string_length(v))
		field_error(errors, name, "Control characters are not allowed.");
	else if (strlen(text) > max) {
		snprintf(msg, sizeof(msg), "Ensure this field has no more than %zu characters.",
			 max);
		field_error(errors, name, msg);
	} else
		return text;
	return NULL;
}

static void take_name(const json_t *body, struct service *s, json_t *errors)
{
	const char *text = body_text(body, "name", NAME_MAX_LEN, errors);

	if (text && strchr(text, '/'))
		field_error(errors, "name", "A '/' is not allowed.");
	else if (text)
		s->name = xstrdup(text);
}

static void take_description(const json_t *body, struct service *s, json_t *errors)
{
	const json_t *v = json_object_get(body, "description");
	const char *text = json_string_value(v);

	if (!v)
		return;
	if (!text || strlen(text) != json_string_length(v)) {
		field_error(errors, "description", "Not a valid string.");
	} else if (strlen(text) > DESCRIPTION_MAX) {
		field_error(errors, "description",
			    "Ensure this field has no more than 500 characters.");
	} else {
		free(s->description);
		s->description = xstrdup(text);
	}
}

static void take_port(const json_t *body, const char *name, uint32_t *to, json_t *errors)
{
	const json_t *v = json_object_get(body, name);
	const char *text = json_string_value(v);
	json_int_t n = json_integer_value(v);
	uint32_t parsed;

	if (!v) {
		field_error(errors, name, "This field is required.");
		return;
	}
	if (json_is_null(v)) {
		field_error(errors, name, "This field may not be null.");
		return;
	}
	if (text && parse_u32(text, 0, UINT32_MAX, &parsed, ERR_IGNORED) == 0)
		n = parsed;
	else if (!json_is_integer(v)) {
		field_error(errors, name, "A valid integer is required.");
		return;
	}
	if (n < FIRST_PORT || n >= END_PORT)
		field_error(errors, name, "Port range is in reserved range.");
	else
		*to = (uint32_t)n;
}

static int check_overlap(struct call *c, const struct service *s, json_t *errors, struct err *err)
{
	auto_lease_list list = { 0 };

	if (list_all(c->api->store, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.n; i++) {
		auto_service other = { 0 };

		if (!from_lease(&list.v[i], &other) || strcmp(other.name, s->name) == 0 ||
		    other.end < s->start || other.start > s->end)
			continue;
		field_error(errors, "non_field_errors",
			    "Port range overlaps with existing services.");
		break;
	}
	return 0;
}

static int check_stranded(struct call *c, const struct service *s, json_t *errors, struct err *err)
{
	auto_lease_list list = { 0 };
	uint32_t port;

	if (service_ports(c->api->store, s->name, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.n; i++) {
		auto_service_port p = { 0 };

		if (!service_port_of(&list.v[i], &p) || p.state != PORT_REGISTERED ||
		    parse_u32(list.v[i].value, 1, PORTS_LAST, &port, ERR_IGNORED) < 0 ||
		    (port >= s->start && port <= s->end))
			continue;
		field_error(errors, "non_field_errors",
			    "Defined service instances fall outside of the range.");
		break;
	}
	return 0;
}

static int check_whole(struct call *c, const struct service *s, bool exists, json_t *errors,
		       struct err *err)
{
	if (s->start >= s->end) {
		field_error(errors, "non_field_errors",
			    "Start of the range should be a lower number.");
		return 0;
	}
	if (check_overlap(c, s, errors, err) < 0)
		return -1;
	return exists ? check_stranded(c, s, errors, err) : 0;
}

static int save(struct call *c, const struct service *s, bool exists, struct err *err)
{
	json_t *doc = json_pack("{s:s, s:i, s:i, s:s}", "by", s->by, "start", (int)s->start, "end",
				(int)s->end, "description", s->description);
	auto_free char *note = json_dumps(doc, JSON_COMPACT);
	struct lease_request req = call_request(c, SERVICE_RESOURCE);

	json_decref(doc);
	req.owner = SERVICE_OWNER;
	req.uid = s->uid;
	req.note = note;
	req.again_ok = exists;
	if (strlen(note) > LEASE_NOTE_MAX) {
		reply_field_error(c, "description",
				  "Ensure this field has no more than 500 characters.");
		return 0;
	}
	if (lease_acquire(c->api->store, &req, s->name, NULL, NULL, NULL, NULL, err) < 0)
		return -1;
	reply_json(c, exists ? 200 : 201, to_json(s));
	return 0;
}

/* Checks s and saves it, or replies with what is wrong. Takes errors over. */
static int conclude(struct call *c, const struct service *s, bool exists, json_t *errors,
		    struct err *err)
{
	if (!json_object_size(errors) && check_whole(c, s, exists, errors, err) < 0) {
		json_decref(errors);
		return -1;
	}
	if (json_object_size(errors)) {
		reply_json(c, 400, errors);
		return 0;
	}
	json_decref(errors);
	return save(c, s, exists, err);
}

int service_create(struct call *c, struct err *err)
{
	auto_service s = { .description = xstrdup(""),
			   .by = xstrdup(c->caller.owner),
			   .uid = c->caller.uid };
	auto_service other = { 0 };
	json_t *errors = json_object();
	int rc = 0;

	take_name(c->body, &s, errors);
	take_description(c->body, &s, errors);
	take_port(c->body, "start", &s.start, errors);
	take_port(c->body, "end", &s.end, errors);
	if (s.name)
		rc = service_get(c->api->store, s.name, &other, err);
	if (rc < 0) {
		json_decref(errors);
		return -1;
	}
	if (rc)
		field_error(errors, "name", "service with this name already exists.");
	return conclude(c, &s, false, errors, err);
}

static int change(struct call *c, bool whole, struct err *err)
{
	auto_service s = { 0 };
	json_t *errors;
	int rc = service_get(c->api->store, c->arg[0], &s, err);

	if (rc < 0)
		return -1;
	if (!rc) {
		service_missing(c);
		return 0;
	}
	if (!service_is_mine(c, s.by, s.uid)) {
		service_forbidden(c);
		return 0;
	}
	errors = json_object();
	if (whole || json_object_get(c->body, "name")) {
		auto_service named = { 0 };

		take_name(c->body, &named, errors);
		if (named.name && strcmp(named.name, s.name) != 0)
			field_error(errors, "name", "The name of a service cannot be changed.");
	}
	take_description(c->body, &s, errors);
	if (whole || json_object_get(c->body, "start"))
		take_port(c->body, "start", &s.start, errors);
	if (whole || json_object_get(c->body, "end"))
		take_port(c->body, "end", &s.end, errors);
	return conclude(c, &s, true, errors, err);
}

int service_update(struct call *c, struct err *err)
{
	return change(c, true, err);
}

int service_patch(struct call *c, struct err *err)
{
	return change(c, false, err);
}

static int release(struct call *c, const struct lease *l, struct err *err)
{
	const struct lease_claim claim = { l->owner, LEASE_ANY_UID };

	if (lease_release(c->api->store, l->resource, l->value, &claim, err) < 0 &&
	    !err_is(err, ERR_NOT_FOUND) && !err_is(err, ERR_CONFLICT))
		return -1;
	ports_released(c->api->ports, l->resource, l->value);
	return 0;
}

/* With its ports and offers, as the original's database does. */
int service_delete(struct call *c, struct err *err)
{
	struct lease own = { .resource = (char[]){ SERVICE_RESOURCE },
			     .owner = (char[]){ SERVICE_OWNER } };
	auto_lease_list list = { 0 };
	auto_service s = { 0 };
	int rc = service_get(c->api->store, c->arg[0], &s, err);

	if (rc < 0)
		return -1;
	if (!rc) {
		service_missing(c);
		return 0;
	}
	if (!service_is_mine(c, s.by, s.uid)) {
		service_forbidden(c);
		return 0;
	}
	if (service_ports(c->api->store, s.name, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.n; i++) {
		if (release(c, &list.v[i], err) < 0)
			return -1;
	}
	own.value = s.name;
	if (release(c, &own, err) < 0)
		return -1;
	reply_empty(c, 204);
	return 0;
}
