/* SPDX-License-Identifier: MIT */
/* str.h - a growing text buffer, and copies that never truncate in silence. */
#ifndef LABCTL_BASE_STR_H
#define LABCTL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

/* Zero-initialised is an empty text. s is NULL until something was added, then always
 * NUL-terminated (and may hold NUL bytes before len). */
struct str {
	char *s;
	size_t len;
	size_t cap;
};

void str_add(struct str *b, const char *text);
void str_addn(struct str *b, const void *data, size_t n);
void str_addc(struct str *b, char c);
void str_addf(struct str *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void str_done(struct str *b); /* frees the text; b is empty again */

/* The text, "" when empty; owned by b. */
const char *str_get(const struct str *b);

/* Hands the heap text over (never NULL); b is empty again. Free with free(). */
char *str_steal(struct str *b);

/* Copies src into a fixed array. False, and an empty dst, when it does not fit. */
bool str_copy(char *dst, size_t size, const char *src) MUST_CHECK;

bool str_starts(const char *s, const char *prefix);
static inline bool str_empty(const char *s)
{
	return !s || !*s;
}

static inline void auto_str_(struct str *b)
{
	int saved = errno;

	str_done(b);
	errno = saved;
}
#define auto_str auto_cleanup(str) struct str

/* A heap array of heap texts, NULL-terminated at all times once something was added. */
struct strv {
	char **v;
	size_t n;
};

void strv_add(struct strv *v, const char *text); /* copies */
void strv_addf(struct strv *v, const char *fmt, ...) PRINTF_LIKE(2, 3);
void strv_done(struct strv *v);
bool strv_has(const struct strv *v, const char *text);
void strv_sort(struct strv *v); /* strverscmp order: stage2 before stage10 */
static inline void auto_strv_(struct strv *v)
{
	strv_done(v);
}
#define auto_strv auto_cleanup(strv) struct strv

#endif
