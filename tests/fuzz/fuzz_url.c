/* SPDX-License-Identifier: MIT */
/*
 * fuzz_url.c - any bytes as the target of a request: no crash, no leak, and what api_url.h
 * promises.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "netport/api_url.h"

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROMISE(x)                                                                                 \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "broken promise: %s\n", #x);                               \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void check(const struct url *u)
{
	PROMISE(u->n_segments <= URL_SEGMENTS_MAX && u->n_query <= URL_QUERY_MAX);
	for (unsigned i = 0; i < u->n_segments; i++)
		PROMISE(utf8_is_valid(u->segment[i]));
	for (unsigned i = 0; i < u->n_query; i++) {
		PROMISE(utf8_is_valid(u->query[i].name) && utf8_is_valid(u->query[i].value));
		PROMISE(url_query(u, u->query[i].name) != NULL);
	}
	PROMISE(url_query(u, "no such name, surely") == NULL || u->n_query > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *target = xstrndup((const char *)data, size);
	struct err err = { 0 };
	auto_url u = { 0 };

	if (url_parse(target, &u, &err) == 0) {
		check(&u);
	} else {
		PROMISE(err.kind == ERR_USAGE && err.msg[0]);
		PROMISE(u.text == NULL);
	}
	return 0;
}
