/* SPDX-License-Identifier: MIT */
/* api.c - routing, the check of parameters and bodies, and the three ways to say no. */
#include "netport/api.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/parse.h"

#include "base/banned.h"

static const struct route *const tables[] = {
	routes_netport, routes_system, routes_portmaster, routes_modern, routes_labs,
	routes_about,	NULL,
};

const struct route *const *api_tables(void)
{
	return tables;
}

int api_init(struct api *api, struct store *store, struct err *err)
{
	(void)err;
	*api = (struct api){
		.store = store,
		.ports = ports_new(store),
		.tables = tables,
		.offer_ms = 30ll * 60 * 1000,
		.system_info = system_info(),
	};
	return 0;
}

void api_done(struct api *api)
{
	ports_free(api->ports);
	shell_rules_free(api->shell);
	json_decref(api->system_info);
	free(api->openapi);
	*api = (struct api){ 0 };
}

void call_done(struct call *c)
{
	json_decref(c->body);
	str_done(&c->reply.body);
	c->body = NULL;
}

bool caller_is_admin(const struct api_caller *who)
{
	return who->scopes & SCOPE_ADMIN;
}

struct lease_request call_request(const struct call *c, const char *resource)
{
	const struct api_caller *who = &c->caller;
	bool admin = caller_is_admin(who);

	return (struct lease_request){ .resource = resource,
				       .owner = who->owner,
				       .uid = who->uid,
				       .labs_ok = admin,
				       .quota = admin || who->no_quota ? LEASE_NO_QUOTA
								       : c->api->quota };
}

/* ---- replies ---- */

void reply_json(struct call *c, unsigned status, json_t *doc)
{
	char text[1024];
	size_t size;

	c->reply.status = status;
	str_done(&c->reply.body);
	size = json_dumpb(doc, text, sizeof(text), JSON_COMPACT | JSON_ENCODE_ANY);
	if (size <= sizeof(text)) {
		str_addn(&c->reply.body, text, size);
	} else {
		auto_free char *all = xmalloc(size);

		json_dumpb(doc, all, size, JSON_COMPACT | JSON_ENCODE_ANY);
		str_addn(&c->reply.body, all, size);
	}
	json_decref(doc);
}

void reply_data(struct call *c, json_t *data)
{
	reply_json(c, 200, json_pack("{s:o}", "data", data));
}

void reply_data_bool(struct call *c, bool value)
{
	c->reply.status = 200;
	str_done(&c->reply.body);
	str_add(&c->reply.body, value ? "{\"data\":true}" : "{\"data\":false}");
}

void reply_empty(struct call *c, unsigned status)
{
	c->reply.status = status;
	str_done(&c->reply.body);
}

void detail_add(struct call *c, json_t *list, const char *where, const char *name, const char *msg,
		const char *type)
{
	(void)c;
	json_array_append_new(list, json_pack("{s:[s,s], s:s, s:s}", "loc", where, name, "msg", msg,
					      "type", type));
}

void reply_unprocessable(struct call *c, const char *name, const char *msg, const char *type)
{
	json_t *list = json_array();

	detail_add(c, list, DETAIL_QUERY, name, msg, type);
	reply_json(c, 422, json_pack("{s:o}", "detail", list));
}

void field_error(json_t *errors, const char *field, const char *msg)
{
	json_t *list = json_object_get(errors, field);

	if (!list) {
		list = json_array();
		json_object_set_new(errors, field, list);
	}
	json_array_append_new(list, json_string(msg));
}

void reply_field_error(struct call *c, const char *field, const char *msg)
{
	json_t *errors = json_object();

	field_error(errors, field, msg);
	reply_json(c, 400, errors);
}

static const char *status_word(unsigned status)
{
	switch (status) {
	case 401:
		return "unauthenticated";
	case 403:
		return "forbidden";
	case 404:
		return "not_found";
	case 405:
		return "method_not_allowed";
	case 409:
		return "conflict";
	case 413:
		return "too_large";
	case 429:
		return "too_many";
	case 503:
		return "unavailable";
	default:
		return status >= 500 ? "internal" : "bad_request";
	}
}

void api_error(struct call *c, unsigned status, const struct err *err)
{
	struct err said = *err;

	utf8_repair(said.msg);
	utf8_repair(said.hint);
	err = &said;
	if (status == 503)
		c->reply.retry = true;
	if (c->family != API_MODERN) {
		reply_json(c, status, json_pack("{s:s}", "detail", err->msg));
		return;
	}
	reply_json(c, status,
		   json_pack("{s:{s:s, s:s, s:s*}}", "error", "kind", status_word(status),
			     "message", err->msg, "hint", err->hint[0] ? err->hint : NULL));
}

void api_fail(struct call *c, unsigned status, const char *fmt, ...)
{
	struct err err = { 0 };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err.msg, sizeof(err.msg), fmt, ap);
	va_end(ap);
	api_error(c, status, &err);
}

static unsigned status_of(const struct err *err)
{
	switch (err->kind) {
	case ERR_USAGE:
		return 400;
	case ERR_NOT_FOUND:
		return 404;
	case ERR_CONFLICT:
		return 409;
	case ERR_FAILED:
		return err->sys == EPERM ? 403 : err->sys == EDQUOT ? 429 : 409;
	case ERR_ENV:
	case ERR_BUSY:
	case ERR_INTERRUPTED:
		return 503;
	default:
		return 500;
	}
}

static void handler_failed(struct call *c, struct err *err)
{
	unsigned status = status_of(err);

	utf8_repair(err->msg);
	if (c->family == API_NETPORT && status == 400)
		reply_unprocessable(c, "value", err->msg, "value_error");
	else if (c->family == API_PORTMASTER && status == 400)
		reply_field_error(c, "non_field_errors", err->msg);
	else
		api_error(c, status, err);
}

/* ---- routes ---- */

/* Does the path fit? Fills c->arg from the parts in braces. */
static bool path_fits(const char *path, const struct url *url, const char **arg)
{
	const char *s = path + 1;
	unsigned n_args = 0;

	for (unsigned i = 0; i < url->n_segments; i++) {
		size_t len = strcspn(s, "/");

		if (!len)
			return false;
		if (*s == '{') {
			if (!*url->segment[i] || n_args == API_ARGS_MAX)
				return false;
			arg[n_args++] = url->segment[i];
		} else if (strncmp(s, url->segment[i], len) != 0 || url->segment[i][len]) {
			return false;
		}
		s += len;
		if (*s == '/')
			s++;
	}
	return !*s;
}

static enum api_family family_of(const struct url *url)
{
	static const char *const old[] = { "db", "networking", "fs", "shell", "system" };
	const char *first = url->n_segments ? url->segment[0] : "";

	if (strcmp(first, "v1") == 0)
		return API_PORTMASTER;
	for (size_t i = 0; i < ARRAY_SIZE(old); i++) {
		if (strcmp(first, old[i]) == 0)
			return API_NETPORT;
	}
	return API_MODERN;
}

static void not_found(struct call *c)
{
	switch (c->family) {
	case API_NETPORT:
		api_fail(c, 404, "Not Found");
		return;
	case API_PORTMASTER:
		api_fail(c, 404, "Not found.");
		return;
	default:
		api_fail(c, 404, "there is nothing at this path");
	}
}

static void not_allowed(struct call *c)
{
	c->reply.status = 405;
	switch (c->family) {
	case API_NETPORT:
		api_fail(c, 405, "Method Not Allowed");
		return;
	case API_PORTMASTER:
		api_fail(c, 405, "Method \"%.16s\" not allowed.", c->req->method);
		return;
	default:
		api_fail(c, 405, "this path answers %s", c->reply.allow);
	}
}

/* HEAD is GET without the body, which the server leaves out. The old GET calls that change or start
 * something are not for it. */
static bool is_for(const struct route *r, const char *method)
{
	if (strcmp(method, "HEAD") == 0)
		return strcmp(r->method, "GET") == 0 && !(r->flags & (ROUTE_WRITES | ROUTE_STARTS));
	return strcmp(r->method, method) == 0;
}

static void refuse_route(struct call *c)
{
	const char *arg[API_ARGS_MAX];
	struct reply *reply = &c->reply;
	size_t len = 0;

	for (const struct route *const *t = c->api->tables; *t; t++) {
		for (const struct route *r = *t; r->path; r++) {
			if (!path_fits(r->path, &c->req->url, arg) || len >= sizeof(reply->allow))
				continue;
			len += (size_t)snprintf(reply->allow + len, sizeof(reply->allow) - len,
						"%s%s", len ? ", " : "", r->method);
		}
	}
	if (len)
		not_allowed(c);
	else
		not_found(c);
}

void api_route(struct call *c)
{
	const struct request *req = c->req;

	c->family = family_of(&req->url);
	for (const struct route *const *t = c->api->tables; *t; t++) {
		for (const struct route *r = *t; r->path; r++) {
			const char *arg[API_ARGS_MAX] = { 0 };

			if (r->family != c->family || !is_for(r, req->method) ||
			    !path_fits(r->path, &req->url, arg))
				continue;
			c->route = r;
			memcpy(c->arg, arg, sizeof(arg));
			return;
		}
	}
	refuse_route(c);
}

bool api_allows(struct call *c)
{
	const struct api_caller *who = &c->caller;
	unsigned missing = c->route->scope & ~who->scopes;

	if (c->route->flags & ROUTE_OPEN)
		return true;
	if (who->who == WHO_NOBODY || (who->who == WHO_ADDRESS && c->family == API_MODERN)) {
		struct err err = { 0 };

		err_set(&err, ERR_USAGE, 0,
			"this call needs a token, or the Unix socket of the service");
		err_hint(&err, "labctl netport token add --name NAME; then send "
			       "'Authorization: Bearer TOKEN'");
		api_error(c, 401, &err);
		return false;
	}
	if (missing) {
		api_fail(c, 403, "'%.64s' may not do this: it takes the scope '%s'", who->owner,
			 missing & SCOPE_ADMIN	 ? "admin"
			 : missing & SCOPE_SHELL ? "shell"
			 : missing & SCOPE_LEASE ? "lease"
						 : "read");
		return false;
	}
	return true;
}

/* ---- parameters ---- */

const char *call_query(const struct call *c, const char *name)
{
	return url_query(&c->req->url, name);
}

/* As Python's int() reads it, but for '_'. */
static bool integer(const char *text, int64_t *ret)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	errno = 0;
	*ret = strtoll(text, &end, 10);
	if (end == text || errno)
		return false;
	while (isspace((unsigned char)*end))
		end++;
	return !*end;
}

int64_t call_query_int(const struct call *c, const char *name, int64_t fallback)
{
	const char *text = call_query(c, name);
	int64_t v;

	return text && integer(text, &v) ? v : fallback;
}

static bool is_bool(const char *text)
{
	static const char *const words[] = { "true", "false", "1", "0", "yes", "no", "on", "off" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcasecmp(words[i], text) == 0)
			return true;
	}
	return false;
}

/* What is wrong with it, in pydantic's words; NULL: nothing. */
static const char *wrong(const struct param *p, const char *text, const char **ret_type)
{
	int64_t n;

	switch (p->type) {
	case PARAM_BOOL:
		*ret_type = "type_error.bool";
		return is_bool(text) ? NULL : "value could not be parsed to a boolean";
	case PARAM_INTEGER:
	case PARAM_PORT:
		*ret_type = "type_error.integer";
		if (!integer(text, &n))
			return "value is not a valid integer";
		if (p->type == PARAM_INTEGER)
			return NULL;
		*ret_type = "value_error.number.not_ge";
		if (n < 0)
			return "ensure this value is greater than or equal to 0";
		*ret_type = "value_error.number.not_le";
		return n > PORTS_LAST ? "ensure this value is less than or equal to 65535" : NULL;
	case PARAM_TEXT:
		break;
	}
	return NULL;
}

static bool params_fit(struct call *c)
{
	json_t *details = NULL;

	for (const struct param *p = c->route->params; p && p->name; p++) {
		const char *text = call_query(c, p->name), *type = "value_error.missing";
		const char *msg =
			!text ? (p->required ? "field required" : NULL) : wrong(p, text, &type);

		if (!msg)
			continue;
		if (!details)
			details = json_array();
		detail_add(c, details, DETAIL_QUERY, p->name, msg, type);
	}
	if (!details)
		return true;
	if (c->family == API_MODERN) {
		const char *name = json_string_value(
			json_array_get(json_object_get(json_array_get(details, 0), "loc"), 1));
		const char *msg =
			json_string_value(json_object_get(json_array_get(details, 0), "msg"));

		api_fail(c, 400, "parameter '%s': %s", name, msg);
		json_decref(details);
		return false;
	}
	reply_json(c, 422, json_pack("{s:o}", "detail", details));
	return false;
}

/* ---- bodies ---- */

static bool is_form(const struct request *req)
{
	/* curl says so of any text; a JSON object is none. */
	return req->content_type && !(req->body_len && req->body[0] == '{') &&
	       str_starts(req->content_type, "application/x-www-form-urlencoded");
}

/* A form is an object of texts, as Django REST framework takes it. */
static json_t *parse_form(const struct request *req, struct err *err)
{
	auto_free char *target = xasprintf("/?%.*s", (int)req->body_len, req->body);
	auto_url form = { 0 };
	json_t *doc;

	if (url_parse(target, &form, err) < 0)
		return NULL;
	doc = json_object();
	for (unsigned i = 0; i < form.n_query; i++)
		json_object_set_new(doc, form.query[i].name, json_string(form.query[i].value));
	return doc;
}

static bool body_fits(struct call *c)
{
	const struct request *req = c->req;
	struct err err = { 0 };
	json_error_t why;

	if (!req->body_len) {
		c->body = json_object();
		return true;
	}
	if (is_form(req)) {
		c->body = parse_form(req, &err);
		if (c->body)
			return true;
		api_fail(c, 400, "%s", err.msg);
		return false;
	}
	c->body = json_loadb(req->body, req->body_len, JSON_REJECT_DUPLICATES, &why);
	if (json_is_object(c->body))
		return true;
	if (c->body && c->family == API_PORTMASTER)
		reply_field_error(c, "non_field_errors", "Invalid data. Expected a dictionary.");
	else if (c->body)
		api_fail(c, 400, "the body is not a JSON object");
	else if (c->family == API_PORTMASTER)
		api_fail(c, 400, "JSON parse error - %s: line %d column %d", why.text, why.line,
			 why.column);
	else
		api_fail(c, 400, "the body is not JSON: %s, line %d column %d", why.text, why.line,
			 why.column);
	return false;
}

void api_run(struct call *c, bool *ret_failed)
{
	struct err err = { 0 };

	if (ret_failed)
		*ret_failed = false;
	if (!params_fit(c) || (c->route->body && !body_fits(c)))
		return;
	c->reply.status = c->route->status;
	if (c->route->handle(c, &err) == 0)
		return;
	handler_failed(c, &err);
	if (ret_failed)
		*ret_failed = c->reply.status == 503 || c->reply.status == 500;
}
