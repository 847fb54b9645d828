/* SPDX-License-Identifier: MIT */
/* out.c - labctl's own words on stdout and stderr. */
#include "base/out.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

#define INDENT "        "

void out_printf(FILE *to, const char *fmt, ...)
{
	auto_str text = { 0 };
	va_list ap;

	va_start(ap, fmt);
	printable_vaddf(&text, fmt, ap);
	va_end(ap);
	fputs(str_get(&text), to);
}

void out_text(FILE *to, const char *text)
{
	auto_free char *copy = xstrdup(text);

	printable_text(copy);
	fputs(copy, to);
}

void out_painted(FILE *to, const char *text)
{
	fputs(text, to);
}

void out_json(FILE *to, const json_t *doc)
{
	auto_free char *text = printable_json(doc, JSON_INDENT(2));

	fputs(text, to);
	fputc('\n', to);
}

/* In one write, so that lines of several processes do not mix. */
static void add_lines(const char *first, const char *text)
{
	auto_free char *copy = xstrdup(text);
	auto_str out = { 0 };
	char *save = NULL, *line;

	printable_text(copy);
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		str_addf(&out, "%s%s\n", out.len ? INDENT : first, line);
	if (!out.len)
		str_addf(&out, "%s\n", first);
	fputs(str_get(&out), stderr);
}

void out_message(const char *text)
{
	add_lines("labctl: ", text);
}

void out_hint(const char *text)
{
	add_lines(INDENT, text);
}

void out_progress(const char *text)
{
	auto_free char *line = xstrdup(text);

	printable_line(line);
	fprintf(stderr, "\r\033[K%s", line);
	fflush(stderr);
}
