/* SPDX-License-Identifier: MIT */
/*
 * out.h - the one way by which labctl's own words reach stdout and stderr.
 *
 * Everything goes through base/printable.h, so that no title, note, name or message can steer the
 * terminal; `make lint` refuses other printing in cmd/ and main.c. What other programs say
 * (connect, exec, run, shell) is theirs and is not touched.
 */
#ifndef LABCTL_BASE_OUT_H
#define LABCTL_BASE_OUT_H

#include <stdio.h>

#include "base/printable.h"

/* Each %s becomes a printable line; line breaks come from the format only. */
void out_printf(FILE *to, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Text that may have several lines. */
void out_text(FILE *to, const char *text);

/* Text that was made by printable_add() and printable_addf(), with labctl's own colours. */
void out_painted(FILE *to, const char *text);

/* One document, indented, and a line break. */
void out_json(FILE *to, const json_t *doc);

/* "labctl: TEXT" on stderr. Further lines of the text are indented: none looks like labctl's. */
void out_message(const char *text);
/* A line below a message, which says what to do. */
void out_hint(const char *text);

/* The line on stderr that is rewritten; the caller sees to it that it is a terminal. "" clears
 * it. */
void out_progress(const char *text);

#endif
