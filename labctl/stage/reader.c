/* SPDX-License-Identifier: MIT */
/* reader.c - collecting problems, and typed access to the members of a stage file. */
#include "stage/reader.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"

#include "base/banned.h"

void reader_done(struct reader *r)
{
	free(r->v);
	*r = (struct reader){ 0 };
}

/* A UTF-8 sequence that a fixed array cut in two goes as a whole. */
static void trim_utf8(char *text)
{
	size_t n = strlen(text), start = n;

	while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start > 0 && (unsigned char)text[start - 1] >= 0xc0) {
		unsigned char lead = (unsigned char)text[start - 1];
		size_t want = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;

		if (n - start < want)
			text[start - 1] = '\0';
	}
}

const char *node_quote(const char *text, char buf[static QUOTE_TEXT])
{
	const size_t max = QUOTE_TEXT - 4;
	size_t n = 0;

	while (n < max && text[n]) {
		unsigned char c = (unsigned char)text[n];

		/* C1 controls drive terminals too; in UTF-8 they begin with 0xc2. */
		if (c < 0x20 || c == 0x7f ||
		    (c == 0xc2 && (unsigned char)text[n + 1] >= 0x80 &&
		     (unsigned char)text[n + 1] < 0xa0)) {
			buf[n++] = '?';
			if (c == 0xc2 && n < max) {
				buf[n] = '?';
				n++;
			}
			continue;
		}
		buf[n] = (char)c;
		n++;
	}
	buf[n] = '\0';
	if (text[n]) {
		trim_utf8(buf);
		n = strlen(buf);
		memcpy(buf + n, "...", 4);
	}
	return buf;
}

const char *node_describe(const struct node *n, char buf[static QUOTE_TEXT])
{
	char quoted[QUOTE_TEXT];

	switch (json_typeof(n->value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		snprintf(buf, QUOTE_TEXT, "the string '%.70s'",
			 node_quote(json_string_value(n->value), quoted));
		trim_utf8(buf);
		return buf;
	case JSON_INTEGER:
		snprintf(buf, QUOTE_TEXT, "the number %lld",
			 (long long)json_integer_value(n->value));
		return buf;
	case JSON_REAL:
		snprintf(buf, QUOTE_TEXT, "the number %.10g", json_real_value(n->value));
		return buf;
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_NULL:
		break;
	}
	return "null";
}

static PRINTF_LIKE(5, 0) void add(struct reader *r, const struct node *n, unsigned line,
				  size_t offset, const char *fmt, va_list ap)
{
	auto_str path = { 0 };
	struct reader_found *f;

	r->last = NULL;
	if (reader_is_full(r)) {
		r->dropped++;
		return;
	}
	f = array_push(r->v, r->n);
	f->offset = offset;
	f->problem.line = line;
	node_path(n, &path);
	snprintf(f->problem.path, sizeof(f->problem.path), "%s", str_get(&path));
	trim_utf8(f->problem.path);
	vsnprintf(f->problem.text, sizeof(f->problem.text), fmt, ap);
	trim_utf8(f->problem.text);
	r->last = &f->problem;
}

void reader_add(struct reader *r, const struct node *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, n, n->line, n->offset, fmt, ap);
	va_end(ap);
}

void reader_add_at(struct reader *r, const struct node *n, unsigned line, size_t offset,
		   const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, n, line, offset, fmt, ap);
	va_end(ap);
}

void reader_hint(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	if (!r->last)
		return;
	va_start(ap, fmt);
	vsnprintf(r->last->hint, sizeof(r->last->hint), fmt, ap);
	va_end(ap);
	trim_utf8(r->last->hint);
}

static int compare_found(const void *a, const void *b)
{
	const struct reader_found *const *x = a, *const *y = b;

	if ((*x)->offset != (*y)->offset)
		return (*x)->offset < (*y)->offset ? -1 : 1;
	return *x < *y ? -1 : 1; /* as found */
}

void reader_steal(struct reader *r, const char *file, struct stage_problems *ret)
{
	auto_free struct reader_found **order = xcalloc(r->n, sizeof(*order));
	struct stage_problems out = { .file = xstrdup(file) };

	for (size_t i = 0; i < r->n; i++)
		order[i] = &r->v[i];
	if (r->n)
		qsort(order, r->n, sizeof(struct reader_found *), compare_found);
	for (size_t i = 0; i < r->n; i++)
		*array_push(out.v, out.n) = order[i]->problem;
	if (r->dropped) {
		struct stage_problem *p = array_push(out.v, out.n);

		snprintf(p->text, sizeof(p->text), "%zu more problems are not listed", r->dropped);
	}
	reader_done(r);
	*ret = out;
}

static bool expected(struct reader *r, const struct node *n, const char *what)
{
	char found[QUOTE_TEXT];

	reader_add(r, n, "expected %s, found %s", what, node_describe(n, found));
	return false;
}

bool node_string(struct reader *r, const struct node *n, const char **ret)
{
	if (!json_is_string(n->value))
		return expected(r, n, "a string");
	*ret = json_string_value(n->value);
	return true;
}

bool node_integer(struct reader *r, const struct node *n, long long min, long long max,
		  long long *ret)
{
	double real = json_is_real(n->value) ? json_real_value(n->value) : 0;
	char what[QUOTE_TEXT];
	long long v;

	snprintf(what, sizeof(what), "a whole number from %lld to %lld", min, max);
	if (json_is_integer(n->value)) {
		v = json_integer_value(n->value);
	} else {
		/* Bounds first: the conversion of a larger double is undefined. */
		if (!json_is_real(n->value) || real < (double)min || real > (double)max)
			return expected(r, n, what);
		v = (long long)real;
		if ((double)v < real || (double)v > real)
			return expected(r, n, what);
	}
	if (v < min || v > max)
		return expected(r, n, what);
	*ret = v;
	return true;
}

bool node_object(struct reader *r, const struct node *n)
{
	return json_is_object(n->value) || expected(r, n, "an object { ... }");
}

bool node_array(struct reader *r, const struct node *n)
{
	return json_is_array(n->value) || expected(r, n, "a list [ ... ]");
}

static const struct field *field_of(const struct field *fields, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(fields[i].key, key) == 0)
			return &fields[i];
	return NULL;
}

/* Returns the known key that the unknown one probably meant. */
static const struct field *add_unknown(struct reader *r, const struct node *kid,
				       const struct field *fields, size_t n)
{
	auto_strv names = { 0 };
	char quoted[QUOTE_TEXT];
	const char *near;

	reader_add(r, kid, "unknown key '%s'", node_quote(kid->key, quoted));
	if (!r->last)
		return NULL;
	for (size_t i = 0; i < n; i++)
		strv_add(&names, fields[i].key);
	near = nearest_name(kid->key, names.v, names.n);
	if (near) {
		reader_hint(r, "did you mean '%s'?", near);
		return field_of(fields, n, near);
	}
	reader_hint(r, "known here: ");
	for (size_t i = 0; i < n; i++) {
		size_t used = strlen(r->last->hint);

		snprintf(r->last->hint + used, sizeof(r->last->hint) - used, "%s%s", i ? ", " : "",
			 fields[i].key);
	}
	return NULL;
}

bool node_fields(struct reader *r, const struct node *n, const struct field *fields,
		 size_t n_fields, void *ctx, void *target)
{
	unsigned meant = 0; /* a bit for each field that a misspelt key stands for */

	if (!node_object(r, n))
		return false;
	for (size_t i = 0; i < n->n_kids; i++) {
		const struct field *f;

		if (field_of(fields, n_fields, n->kids[i]->key))
			continue;
		f = add_unknown(r, n->kids[i], fields, n_fields);
		if (f)
			meant |= 1U << (f - fields);
	}
	for (size_t i = 0; i < n_fields; i++) {
		const struct node *kid = node_get(n, fields[i].key);

		if (kid && fields[i].read)
			fields[i].read(ctx, kid, target);
		else if (!kid && fields[i].required && !(meant & 1U << i))
			reader_add(r, n, "the key '%s' is missing", fields[i].key);
	}
	return true;
}

void reader_suggest(struct reader *r, const char *word, const struct node *n)
{
	auto_strv names = { 0 };
	char quoted[QUOTE_TEXT];
	const char *near;

	if (!n || !r->last)
		return;
	for (size_t i = 0; i < n->n_kids && i < STAGE_CLIENTS_MAX; i++)
		if (n->kids[i]->key)
			strv_add(&names, n->kids[i]->key);
	near = nearest_name(word, names.v, names.n);
	if (near)
		reader_hint(r, "did you mean '%s'?", node_quote(near, quoted));
}
