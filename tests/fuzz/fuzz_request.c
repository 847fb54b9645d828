/* SPDX-License-Identifier: MIT */
/*
 * fuzz_request.c - any bytes as a request of any API, up to its reply, over a real book.
 *
 * The input is "METHOD TARGET\n" and the body; a first byte below ' ' chooses content type and
 * caller. There is always a reply, and one that says JSON is JSON.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "netport/api.h"

#include "base/banned.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	ROLLBACK_EVERY = 500,
};

#define PROMISE(x)                                                                                 \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "broken promise: %s\n", #x);                               \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static struct api api;
static unsigned runs;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char path[64];
	struct err err = { 0 };
	struct store *s;

	(void)argc;
	(void)argv;
	mem_adopt_jansson();
	snprintf(path, sizeof(path), "/tmp/labctl-fuzz-%d.db", (int)getpid());
	if (store_open(path, STORE_WRITE, &s, &err) < 0 || api_init(&api, s, &err) < 0 ||
	    store_begin(s, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	unlink(path);
	return 0;
}

static void check(const struct call *c)
{
	const struct reply *r = &c->reply;
	json_t *doc;

	PROMISE(r->status >= 200 && r->status < 600 && r->status != 500);
	PROMISE((r->status == 405) == (r->allow[0] != '\0'));
	PROMISE(!c->child && !c->spawned);
	if (r->type || r->status == 204)
		return;
	doc = json_loadb(str_get(&r->body), r->body.len, JSON_DECODE_ANY, NULL);
	if (!doc)
		fprintf(stderr, "%u %s\n", r->status, str_get(&r->body));
	PROMISE(doc);
	json_decref(doc);
}

static void run(unsigned char how, const char *method, const char *target, const char *body,
		size_t len)
{
	struct request req = { .method = method,
			       .body = body,
			       .body_len = len,
			       .content_type = how & 1 ? "application/x-www-form-urlencoded"
						       : "application/json",
			       .idempotency_key = how & 2 ? "key" : NULL };
	struct call c = { .api = &api, .req = &req };
	struct err err = { 0 };

	c.caller = (struct api_caller){ .who = how & 4 ? WHO_ADDRESS : WHO_TOKEN,
					.owner = "fuzz",
					.uid = API_UID_NOBODY,
					.scopes = how & 8 ? SCOPE_READ : SCOPE_ALL };
	if (url_parse(target, &req.url, &err) == 0) {
		api_route(&c);
		if (c.route && api_allows(&c))
			api_run(&c, NULL);
		check(&c);
	}
	call_done(&c);
	url_done(&req.url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = xstrndup((const char *)data, size);
	unsigned char how = size && data[0] < ' ' ? data[0] : 0;
	char *method = text + (how != 0), *target = strchr(text, ' '), *body;
	struct err err = { 0 };

	if (!target || size > API_BODY_MAX)
		return 0;
	*target++ = '\0';
	body = strchr(target, '\n');
	if (body)
		*body++ = '\0';
	else
		body = text + strlen(target) + (size_t)(target - text);
	ports_turn(api.ports);
	run(how, method, target, body, strlen(body));
	if (++runs % ROLLBACK_EVERY == 0) {
		store_rollback(api.store);
		ports_forget(api.ports);
		PROMISE(store_begin(api.store, &err) == 0);
	}
	return 0;
}
