/* SPDX-License-Identifier: MIT */
/* demux.c - frames of stdout and stderr, from bytes that come in any pieces. */
#include "docker/demux.h"

#include <string.h>

#include "base/banned.h"

static int take_head(struct demux *d, struct err *err)
{
	if (d->head[0] >= DEMUX_STREAM_MAX || d->head[1] || d->head[2] || d->head[3])
		return err_set(
			err, ERR_ENV, 0,
			"the Docker Engine's output stream is broken (frame %02x%02x%02x%02x)",
			d->head[0], d->head[1], d->head[2], d->head[3]);
	d->left = (uint32_t)d->head[4] << 24 | (uint32_t)d->head[5] << 16 |
		  (uint32_t)d->head[6] << 8 | d->head[7];
	if (!d->left)
		d->have = 0;
	return 0;
}

int demux_feed(struct demux *d, const char *data, size_t n, demux_fn *fn, void *arg,
	       struct err *err)
{
	while (n) {
		size_t part = d->left;

		if (d->have < sizeof(d->head)) {
			d->head[d->have++] = (uint8_t)*data++;
			n--;
			if (d->have == sizeof(d->head) && take_head(d, err))
				return -1;
			continue;
		}
		if (part > n)
			part = n;
		if (fn(arg, d->head[0] ? (enum demux_stream)d->head[0] : DEMUX_STDOUT, data, part))
			return -1;
		data += part;
		n -= part;
		d->left -= (uint32_t)part;
		if (!d->left)
			d->have = 0;
	}
	return 0;
}

bool demux_at_end(const struct demux *d)
{
	return d->have == 0;
}
