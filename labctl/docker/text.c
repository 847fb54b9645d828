/* SPDX-License-Identifier: MIT */
/* text.c - texts on their way to and from the engine. */
#include "docker/text.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#include "base/banned.h"

/* Length of the UTF-8 character at s (RFC 3629), 0 when it is none. */
static size_t utf8_len(const unsigned char *s, size_t n)
{
	uint32_t code;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (len > n)
		return 0;
	code = s[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if ((len == 3 && code < 0x800) || (len == 4 && (code < 0x10000 || code > 0x10ffff)) ||
	    (code >= 0xd800 && code <= 0xdfff) || (code >= 0x80 && code < 0xa0))
		return 0;
	return len;
}

/* Length of "ESC [ ... letter" at s, 0 when it is none (ECMA-48 5.4). */
static size_t csi_len(const unsigned char *s, size_t n)
{
	size_t i = 2;

	if (n < 3 || s[0] != 0x1b || s[1] != '[')
		return 0;
	while (i < n && s[i] >= 0x20 && s[i] <= 0x3f)
		i++;
	return i < n && s[i] >= 0x40 && s[i] <= 0x7e ? i + 1 : 0;
}

char *text_clean(const char *data, size_t n, size_t max)
{
	const unsigned char *s = (const unsigned char *)data;
	struct str out = { 0 };

	for (size_t i = 0, len; i < n && out.len < max; i += len) {
		len = csi_len(s + i, n - i);
		if (len)
			continue;
		len = utf8_len(s + i, n - i);
		if (len > 1 && out.len + len > max)
			break;
		if (len > 1 || (len == 1 && s[i] >= 0x20 && s[i] != 0x7f) || s[i] == '\n' ||
		    s[i] == '\t') {
			str_addn(&out, s + i, len);
		} else {
			len = 1;
			if (s[i] != '\r')
				str_addc(&out, '?');
		}
	}
	return str_steal(&out);
}

json_t *text_array(const char *const *texts)
{
	json_t *array = json_array();

	for (; texts && *texts; texts++) {
		if (json_array_append_new(array, json_string(*texts)) == 0)
			continue;
		json_decref(array);
		return NULL;
	}
	return array;
}
