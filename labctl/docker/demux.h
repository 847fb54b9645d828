/* SPDX-License-Identifier: MIT */
/*
 * demux.h - the engine's framing of stdout and stderr on one connection: 8 bytes (stream, three
 * zeros, length big-endian) before each piece. Internal to docker/.
 */
#ifndef LABCTL_DOCKER_DEMUX_H
#define LABCTL_DOCKER_DEMUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum demux_stream {
	DEMUX_STDIN, /* the engine uses it for stdout, historically */
	DEMUX_STDOUT,
	DEMUX_STDERR,
	DEMUX_SYSTEM, /* the engine's own error: the stream ended badly */
	DEMUX_STREAM_MAX
};

/* Zero-initialised: at a frame's beginning. */
struct demux {
	uint8_t head[8];
	unsigned have; /* bytes of head */
	uint32_t left; /* bytes of payload still to come */
};

/* Gets each piece of payload; pieces are not whole frames. -1 ends demux_feed(). */
typedef int demux_fn(void *arg, enum demux_stream stream, const char *data, size_t n);

/* Takes n bytes, wherever they were cut. ERR_ENV when they are no frames, with fn's -1 the
 * error is fn's own. */
int demux_feed(struct demux *d, const char *data, size_t n, demux_fn *fn, void *arg,
	       struct err *err) MUST_CHECK;

/* False: the stream ended inside a frame. */
bool demux_at_end(const struct demux *d);

#endif
