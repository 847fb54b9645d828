/* SPDX-License-Identifier: MIT */
/* text.c - texts on their way to and from the engine. */
#include "docker/text.h"

#include "base/printable.h"

#include "base/banned.h"

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
	size_t i = 0, done;

	for (; i < n && out.len < max; i++) {
		size_t colour = csi_len(s + i, n - i);

		if (colour)
			i += colour - 1;
		else if (s[i] != '\r')
			str_addc(&out, data[i]);
	}
	done = out.len ? printable_chunk(out.s, out.len) : 0;
	/* The last character: cut here, or by whoever sent it. */
	while (done < out.len)
		out.s[done++] = i < n ? '\0' : '?';
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
