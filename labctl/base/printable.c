/* SPDX-License-Identifier: MIT */
/* printable.c - strangers' text, made harmless for terminals. */
#include "base/printable.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

#define SPEC_MAX 32 /* of "%-20.7lld" */

/* Bytes that the sequence beginning with this byte has; 0: none begins so. */
static size_t utf8_length(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* The character at s, of n bytes; -1: not UTF-8 (longer than need be, a surrogate, too high). */
static int32_t utf8_decode(const unsigned char *s, size_t n)
{
	static const int32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	int32_t c = n == 1 ? s[0] : s[0] & (0x7f >> n);

	if (utf8_length(s[0]) != n)
		return -1;
	for (size_t i = 1; i < n; i++)
		c = c << 6 | (s[i] & 0x3f);
	return c < least[n] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff ? -1 : c;
}

static bool is_printable(int32_t c)
{
	return c >= ' ' && !(c >= 0x7f && c < 0xa0) && !(c >= 0x2028 && c <= 0x202e) &&
	       !(c >= 0x2066 && c <= 0x2069);
}

/* Of the n bytes at s, those that can be a character's; *ret_cut: more of it would follow. */
static size_t sequence(const unsigned char *s, size_t n, bool *ret_cut)
{
	size_t len = utf8_length(s[0]), i = 1;

	while (i < len && i < n && (s[i] & 0xc0) == 0x80)
		i++;
	*ret_cut = i == n && i < len;
	/* Of a broken one a single byte: a good character may follow. */
	return i == len ? len : 1;
}

/* Returns the bytes done; fewer than n only when the last character is cut. */
static size_t clean(unsigned char *s, size_t n, bool lines)
{
	size_t i = 0, len;

	for (; i < n; i += len) {
		bool cut;

		len = 1;
		if (s[i] >= ' ' && s[i] < 0x7f)
			continue;
		len = sequence(s + i, n - i, &cut);
		if (cut)
			break;
		if (is_printable(utf8_decode(s + i, len)) ||
		    (lines && (s[i] == '\n' || s[i] == '\t')))
			continue;
		if (lines && s[i] == '\r' && i + 1 < n && s[i + 1] == '\n')
			s[i] = ' ';
		else
			memset(s + i, '?', len);
	}
	return i;
}

static void clean_all(char *s, bool lines)
{
	size_t n = strlen(s), done = clean((unsigned char *)s, n, lines);

	memset(s + done, '?', n - done);
}

void printable_line(char *s)
{
	clean_all(s, false);
}

void printable_text(char *s)
{
	clean_all(s, true);
}

size_t printable_chunk(char *data, size_t n)
{
	return clean((unsigned char *)data, n, true);
}

void printable_add(struct str *b, const char *text)
{
	size_t at = b->len;

	str_add(b, text);
	printable_text(b->s + at);
}

/* One conversion of a format: "%-*.3s". */
struct spec {
	char text[SPEC_MAX]; /* with numbers in place of asterisks */
	char length;	     /* 'L' stands for "ll" */
	char conversion;
	int width;     /* negative: to the left */
	int precision; /* -1: none */
};

struct arguments {
	va_list ap;
};

static const char *read_number(const char *p, struct arguments *a, int *ret)
{
	char *end;

	if (*p == '*') {
		*ret = va_arg(a->ap, int);
		return p + 1;
	}
	*ret = (int)strtol(p, &end, 10);
	return end;
}

/* p is behind the '%'; returns what follows the conversion. */
static const char *read_spec(const char *p, struct arguments *a, struct spec *ret)
{
	size_t flags = strspn(p, "-+ #0'");
	bool left = memchr(p, '-', flags) != NULL;
	const char *begin = p, *length;

	*ret = (struct spec){ .precision = -1 };
	p = read_number(p + flags, a, &ret->width);
	if (*p == '.')
		p = read_number(p + 1, a, &ret->precision);
	length = p;
	p += strspn(p, "hlzjt");
	ret->length = p - length == 2 && *length == 'l' ? 'L' : *length;
	ret->conversion = *p;
	snprintf(ret->text, sizeof(ret->text), "%%%.*s%d", (int)flags, begin, abs(ret->width));
	if (!ret->width)
		ret->text[1 + flags] = '\0';
	if (left && ret->width > 0)
		ret->width = -ret->width;
	if (ret->precision >= 0)
		snprintf(ret->text + strlen(ret->text), sizeof(ret->text) - strlen(ret->text),
			 ".%d", ret->precision);
	snprintf(ret->text + strlen(ret->text), sizeof(ret->text) - strlen(ret->text), "%.*s",
		 (int)(p - length + 1), length);
	return p + 1;
}

static void add_text(struct str *b, const struct spec *s, const char *text)
{
	auto_free char *line = NULL;

	text = text ? text : "(null)";
	line = s->precision < 0 ? xstrdup(text) : xstrndup(text, (size_t)s->precision);
	printable_line(line);
	str_addf(b, "%*s", s->width, line);
}

/* The format is the caller's own, which the compiler has checked, conversion by conversion. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void add_number(struct str *b, const struct spec *s, struct arguments *a)
{
	if (strchr("feEgGF", s->conversion))
		str_addf(b, s->text, va_arg(a->ap, double));
	else if (s->length == 'L' || s->length == 'j')
		str_addf(b, s->text, va_arg(a->ap, long long));
	else if (s->length == 'l' || s->length == 'z' || s->length == 't')
		str_addf(b, s->text, va_arg(a->ap, long));
	else
		str_addf(b, s->text, va_arg(a->ap, int));
}
#pragma GCC diagnostic pop

static void add_conversion(struct str *b, const struct spec *s, struct arguments *a)
{
	char c[2] = "";

	if (s->conversion == '%') {
		str_addc(b, '%');
	} else if (s->conversion == 's') {
		add_text(b, s, va_arg(a->ap, const char *));
	} else if (s->conversion == 'c') {
		c[0] = (char)va_arg(a->ap, int);
		add_text(b, s, c);
	} else if (strchr("diuxXofeEgGF", s->conversion)) {
		add_number(b, s, a);
	} else {
		abort();
	}
}

void printable_vaddf(struct str *b, const char *fmt, va_list ap)
{
	struct arguments a;

	va_copy(a.ap, ap);
	while (*fmt) {
		size_t n = strcspn(fmt, "%");
		struct spec s;

		str_addn(b, fmt, n);
		fmt += n;
		if (!*fmt)
			break;
		fmt = read_spec(fmt + 1, &a, &s);
		add_conversion(b, &s, &a);
	}
	va_end(a.ap);
}

void printable_addf(struct str *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printable_vaddf(b, fmt, ap);
	va_end(ap);
}

char *printable_json(const json_t *doc, size_t flags)
{
	auto_free char *text = json_dumps(doc, flags);
	const unsigned char *s = (const unsigned char *)text;
	auto_str out = { 0 };

	/* jansson writes UTF-8 and escapes C0: what is left stands inside strings. */
	for (size_t len; s && *s; s += len) {
		bool cut;
		int32_t c;

		len = sequence(s, 4, &cut);
		c = utf8_decode(s, len);
		if (is_printable(c) || *s == '\n')
			str_addn(&out, s, len);
		else
			str_addf(&out, "\\u%04X", (unsigned)c);
	}
	return str_steal(&out);
}
