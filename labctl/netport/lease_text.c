/* SPDX-License-Identifier: MIT */
/* lease_text.c - leases as JSON text. */
#include "netport/lease_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/mem.h"
#include "base/printable.h"

#include "base/banned.h"

/* n digits and what follows them; returns where the next ones go. */
static char *add_digits(char *at, int n, int value, char next)
{
	for (int i = n; i-- > 0; value /= 10)
		at[i] = (char)('0' + value % 10);
	at[n] = next;
	return at + n + 1;
}

/* Every reply has one, and strftime() would be a thirtieth of all that a reply costs. */
const char *lease_time(int64_t ms, char buf[static LEASE_TIME])
{
	time_t t = (time_t)(ms / 1000);
	char *at = buf;
	struct tm tm;

	gmtime_r(&t, &tm);
	at = add_digits(at, 4, tm.tm_year + 1900, '-');
	at = add_digits(at, 2, tm.tm_mon + 1, '-');
	at = add_digits(at, 2, tm.tm_mday, 'T');
	at = add_digits(at, 2, tm.tm_hour, ':');
	at = add_digits(at, 2, tm.tm_min, ':');
	at = add_digits(at, 2, tm.tm_sec, '.');
	at = add_digits(at, 3, (int)(ms % 1000), 'Z');
	*at = '\0';
	return buf;
}

static const char *bound_word(enum lease_bound b)
{
	static const char *const words[LEASE_BOUND_MAX] = {
		[LEASE_LASTS] = "none",
		[LEASE_BOUND_BOOT] = "boot",
		[LEASE_BOUND_PROCESS] = "process",
	};

	return words[b];
}

static size_t plain_length(const char *text)
{
	size_t n = 0;

	while (text[n] >= ' ' && text[n] < 0x7f && text[n] != '"' && text[n] != '\\')
		n++;
	return n;
}

static void add_escaped(struct str *out, const char *text)
{
	json_t *value = json_string(text);
	auto_free char *dumped = NULL;

	if (!value) {
		auto_free char *printable = xstrdup(text);

		printable_line(printable);
		value = json_string(printable);
	}
	dumped = printable_json(value, JSON_ENCODE_ANY);
	json_decref(value);
	str_add(out, dumped);
}

void lease_text_string(struct str *out, const char *text)
{
	size_t n = plain_length(text);

	if (text[n]) {
		add_escaped(out, text);
		return;
	}
	str_addc(out, '"');
	str_addn(out, text, n);
	str_addc(out, '"');
}

static void add_member(struct str *out, const char *name, const char *text)
{
	str_add(out, name);
	lease_text_string(out, text);
}

static void add_time(struct str *out, const char *name, int64_t ms)
{
	char buf[LEASE_TIME];

	str_add(out, name);
	if (ms)
		lease_text_string(out, lease_time(ms, buf));
	else
		str_add(out, "null");
}

void lease_text(struct str *out, const struct lease *l)
{
	str_addf(out, "{\"id\":%llu,\"uid\":%u", (unsigned long long)l->id, l->uid);
	add_member(out, ",\"resource\":", l->resource);
	add_member(out, ",\"value\":", l->value);
	add_member(out, ",\"owner\":", l->owner);
	add_member(out, ",\"note\":", str_starts(l->owner, "portmaster:") ? "" : l->note);
	add_time(out, ",\"created\":", l->created);
	add_time(out, ",\"expires\":", l->expires);
	add_member(out, ",\"bound\":", bound_word(l->bound));
	str_addc(out, '}');
}
