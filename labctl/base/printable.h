/* SPDX-License-Identifier: MIT */
/*
 * printable.h - what may reach a terminal, a report or a log of strangers' text.
 *
 * Titles, notes, names, messages of the engine and the words of a student's program may carry
 * what a terminal obeys. Not printable are C0 and DEL, C1 (U+0080 to U+009F, also as single
 * bytes), line and paragraph separators, the characters that reverse the direction of writing
 * (U+202A to U+202E, U+2066 to U+2069) and bytes that are not UTF-8 (RFC 3629). Each byte of
 * these becomes '?', so that lengths stay.
 */
#ifndef LABCTL_BASE_PRINTABLE_H
#define LABCTL_BASE_PRINTABLE_H

#include <stdarg.h>
#include <stddef.h>

#include <jansson.h>

#include "base/str.h"

/* In place; a line break or a tab is not printable. */
void printable_line(char *s);

/* In place; line breaks and tabs stay. A CR before a LF becomes a space. */
void printable_text(char *s);

/* As printable_text(), of the next n bytes of a stream, which may hold NUL bytes. Returns how many
 * are done: up to three at the end may be the beginning of a character, and belong before the next
 * ones. */
size_t printable_chunk(char *data, size_t n);

/* As str_addf(), with each text argument (%s) made a printable line: an argument can neither steer
 * the terminal nor begin a line of its own. Of conversions all but %n, %m, %a, %p, %Lf and wide
 * characters. */
void printable_addf(struct str *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void printable_vaddf(struct str *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

/* Appends text as printable_text() makes it. */
void printable_add(struct str *b, const char *text);

/* As json_dumps(); what is not printable is written \uXXXX, so that programs read the same. */
char *printable_json(const json_t *doc, size_t flags);

#endif
