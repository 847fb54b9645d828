/* SPDX-License-Identifier: MIT */
/* api_url.c - request targets taken apart (RFC 3986 3.3, 3.4; the query as HTML forms write it). */
#include "netport/api_url.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"

#include "base/banned.h"

void url_done(struct url *u)
{
	free(u->text);
	*u = (struct url){ 0 };
}

/* Length of the sequence that begins here, 0 when it is none (RFC 3629 4). */
static unsigned utf8_length(const unsigned char *s)
{
	static const struct {
		unsigned char lo, hi, second_lo, second_hi;
		unsigned len;
	} rows[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (s[0] < 0x80)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (s[0] < rows[i].lo || s[0] > rows[i].hi)
			continue;
		if (s[1] < rows[i].second_lo || s[1] > rows[i].second_hi)
			return 0;
		for (unsigned k = 2; k < rows[i].len; k++) {
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		}
		return rows[i].len;
	}
	return 0;
}

bool utf8_is_valid(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		unsigned n = utf8_length(s);

		if (!n)
			return false;
		s += n;
	}
	return true;
}

void utf8_repair(char *text)
{
	for (char *s = text; *s;) {
		unsigned n = utf8_length((unsigned char *)s);

		if (!n)
			*s = '?';
		s += n ? n : 1;
	}
}

/* In place. */
static int decode(char *text, bool plus_is_space, struct err *err)
{
	char *to = text;

	for (const char *s = text; *s; s++) {
		int hi, lo;

		if (*s == '+' && plus_is_space) {
			*to++ = ' ';
			continue;
		}
		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		hi = parse_hex_digit(s[1]);
		lo = hi < 0 ? -1 : parse_hex_digit(s[2]);
		if (lo < 0)
			return err_set(err, ERR_USAGE, 0, "a '%%' in the URL lacks its two digits");
		if (hi == 0 && lo == 0)
			return err_set(err, ERR_USAGE, 0, "the URL has a NUL byte");
		*to++ = (char)(hi << 4 | lo);
		s += 2;
	}
	*to = '\0';
	if (!utf8_is_valid(text))
		return err_set(err, ERR_USAGE, 0, "the URL is not UTF-8");
	return 0;
}

static int take_path(struct url *u, char *path, struct err *err)
{
	char *next = path + 1;

	while (next) {
		char *segment = next;

		next = strchr(segment, '/');
		if (next)
			*next++ = '\0';
		if (!next && !*segment)
			break;
		if (u->n_segments == URL_SEGMENTS_MAX)
			return err_set(err, ERR_USAGE, 0, "the path has more than %d parts",
				       URL_SEGMENTS_MAX);
		if (decode(segment, false, err) < 0)
			return -1;
		u->segment[u->n_segments++] = segment;
	}
	return 0;
}

static int take_query(struct url *u, char *query, struct err *err)
{
	while (query) {
		char *name = query, *value;

		query = strchr(name, '&');
		if (query)
			*query++ = '\0';
		if (!*name)
			continue;
		if (u->n_query == URL_QUERY_MAX)
			return err_set(err, ERR_USAGE, 0, "the query has more than %d parts",
				       URL_QUERY_MAX);
		value = strchr(name, '=');
		if (value)
			*value++ = '\0';
		else
			value = name + strlen(name);
		if (decode(name, true, err) < 0 || decode(value, true, err) < 0)
			return -1;
		u->query[u->n_query].name = name;
		u->query[u->n_query++].value = value;
	}
	return 0;
}

int url_parse(const char *target, struct url *ret, struct err *err)
{
	auto_url u = { 0 };
	char *query;

	if (target[0] != '/')
		return err_set(err, ERR_USAGE, 0, "the target of a request begins with '/'");
	if (strlen(target) > URL_MAX)
		return err_set(err, ERR_USAGE, 0, "the URL has more than %d bytes", URL_MAX);
	u.text = xstrdup(target);
	query = strchr(u.text, '?');
	if (query)
		*query++ = '\0';
	if (take_path(&u, u.text, err) < 0 || take_query(&u, query, err) < 0)
		return -1;
	*ret = u;
	u = (struct url){ 0 };
	return 0;
}

const char *url_query(const struct url *u, const char *name)
{
	for (unsigned i = u->n_query; i-- > 0;) {
		if (strcmp(u->query[i].name, name) == 0)
			return u->query[i].value;
	}
	return NULL;
}
