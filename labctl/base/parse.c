/* SPDX-License-Identifier: MIT */
/* parse.c - numbers and names from text. */
#include "base/parse.h"

#include <ctype.h>
#include <string.h>

#include "base/banned.h"

#define DISTANCE_MAX_LEN 64

int parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret, struct err *err)
{
	uint64_t v = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9' && v <= UINT32_MAX; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	if (p == text || *p || v < min || v > max)
		return err_set(err, ERR_USAGE, 0, "'%.64s' is not a number from %u to %u", text,
			       min, max);
	*ret = (uint32_t)v;
	return 0;
}

int parse_memory(const char *text, uint64_t *ret, struct err *err)
{
	size_t digits = strspn(text, "0123456789");
	bool giga = text[digits] == 'G';
	uint64_t v = 0;

	if (digits < (giga ? 1 : 2) || digits > (giga ? 3 : 6) || text[0] == '0' ||
	    (!giga && text[digits] != 'M') || text[digits + 1])
		return err_set(err, ERR_USAGE, 0, "'%.64s' is no amount of memory, as 512M or 2G",
			       text);
	for (size_t i = 0; i < digits; i++)
		v = v * 10 + (uint64_t)(text[i] - '0');
	*ret = v << (giga ? 30 : 20);
	return 0;
}

int parse_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool name_is_valid(const char *name, size_t max)
{
	size_t n = strlen(name);

	if (n == 0 || n > max || name[0] == '-' || name[0] == '.' || name[0] == '_')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Optimal string alignment distance over three rows. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][DISTANCE_MAX_LEN + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > DISTANCE_MAX_LEN || lb > DISTANCE_MAX_LEN)
		return SIZE_MAX;
	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *cur = rows[i % 3], *prev = rows[(i - 1) % 3], *prev2 = rows[(i + 1) % 3];

		cur[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			cur[j] = min3(cur[j - 1] + 1, prev[j] + 1,
				      prev[j - 1] + (tolower(a[i - 1]) != tolower(b[j - 1])));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    prev2[j - 2] + 1 < cur[j])
				cur[j] = prev2[j - 2] + 1;
		}
	}
	return rows[la % 3][lb];
}

const char *nearest_name(const char *word, char *const *candidates, size_t n)
{
	const char *best = NULL;
	size_t best_d = SIZE_MAX;

	for (size_t i = 0; i < n; i++) {
		size_t longer = strlen(word), d = distance(word, candidates[i]), limit;

		if (strlen(candidates[i]) > longer)
			longer = strlen(candidates[i]);
		limit = longer / 3 ? longer / 3 : 1;
		if (d <= limit && d < best_d) {
			best = candidates[i];
			best_d = d;
		}
	}
	return best;
}
