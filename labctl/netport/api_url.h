/* SPDX-License-Identifier: MIT */
/* api_url.h - a request's target as it stands in the request line: path segments and query. */
#ifndef LABCTL_NETPORT_API_URL_H
#define LABCTL_NETPORT_API_URL_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"

#define URL_SEGMENTS_MAX 10
#define URL_QUERY_MAX	 32
#define URL_MAX		 8192

struct url {
	char *text; /* owns what the others point into */
	const char *segment[URL_SEGMENTS_MAX];
	unsigned n_segments;
	struct {
		const char *name, *value;
	} query[URL_QUERY_MAX];
	unsigned n_query;
};

/* target: "/v1/services/a%2Fb?x=1". Every text is decoded, valid UTF-8 and without NUL. An escape
 * of '/' does not end a segment; one '/' at the end of the path is ignored. ERR_USAGE says what is
 * wrong. */
int url_parse(const char *target, struct url *ret, struct err *err) MUST_CHECK;
void url_done(struct url *u);
static inline void auto_url_(struct url *u)
{
	url_done(u);
}
#define auto_url auto_cleanup(url) struct url

/* The last value of that name, as the frameworks of the old services take it; NULL: none. */
const char *url_query(const struct url *u, const char *name);

bool utf8_is_valid(const char *text);
/* Bytes that are no UTF-8, such as the halves of what was cut, become '?'. */
void utf8_repair(char *text);

#endif
