/* SPDX-License-Identifier: MIT */
/* api_about.c - what the service tells about itself and its caller. */
#include "netport/api.h"

#include "base/mem.h"
#include "netport/token.h"

#include "base/banned.h"

static int whoami(struct call *c, struct err *err)
{
	auto_free char *scopes = scopes_text(c->caller.scopes);

	(void)err;
	reply_json(c, 200,
		   json_pack("{s:s, s:I, s:s}", "owner", c->caller.owner, "uid",
			     (json_int_t)c->caller.uid, "scopes", scopes));
	return 0;
}

static int healthz(struct call *c, struct err *err)
{
	auto_free char *text = NULL;

	if (c->api->store->ops->get(c->api->store, "pool.PORT", &text, err) < 0)
		return -1;
	reply_json(c, 200, json_pack("{s:s, s:s}", "status", "ok", "store", c->api->store->name));
	return 0;
}

static int metrics(struct call *c, struct err *err)
{
	(void)err;
	c->reply.type = "text/plain; version=0.0.4; charset=utf-8";
	if (c->api->metrics)
		c->api->metrics(c->api->metrics_arg, &c->reply.body);
	return 0;
}

static int openapi(struct call *c, struct err *err)
{
	(void)err;
	if (!c->api->openapi) {
		json_t *doc = openapi_document(c->api->tables);

		c->api->openapi = json_dumps(doc, JSON_INDENT(1));
		json_decref(doc);
	}
	str_add(&c->reply.body, c->api->openapi);
	return 0;
}

static int docs(struct call *c, struct err *err)
{
	(void)err;
	c->reply.type = "text/html; charset=utf-8";
	str_addn(&c->reply.body, docs_page, docs_page_len);
	return 0;
}

#define READS .family = API_MODERN, .method = "GET", .scope = SCOPE_READ, .status = 200
#define OPEN  .family = API_MODERN, .method = "GET", .flags = ROUTE_OPEN, .status = 200

const struct route routes_about[] = {
	{ READS, .path = "/api/whoami", .summary = "The caller, as the service sees it",
	  .result = "Whoami", .handle = whoami },
	{ OPEN, .path = "/healthz", .summary = "Does the service reach its book?",
	  .result = "Health", .handle = healthz },
	{ OPEN, .path = "/metrics", .summary = "The service's numbers, for Prometheus",
	  .handle = metrics },
	{ OPEN, .path = "/openapi.json", .summary = "This description", .result = "OpenApi",
	  .handle = openapi },
	{ OPEN, .path = "/docs", .summary = "All calls, to read and to try", .handle = docs },
	{ 0 },
};
