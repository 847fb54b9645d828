/* SPDX-License-Identifier: MIT */
/*
 * portahead.h - ports probed by a thread, while the caller waits for something else.
 *
 * A probe costs four system calls for sockets and two for binds (portprobe.h), more than the lease
 * that it is for. A caller that knows which ports it will want next has them probed while it waits
 * for its disk. An answer holds PORTAHEAD_FRESH_MS: a program may take a port at any time anyway.
 */
#ifndef LABCTL_NET_PORTAHEAD_H
#define LABCTL_NET_PORTAHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/portprobe.h"

enum {
	PORTAHEAD_MAX = 64, /* ports at a time */
	PORTAHEAD_FRESH_MS = 5,
};

struct portahead;

/* Never NULL. The thread begins with the first portahead_begin(); where it cannot, nothing is ever
 * known ahead. */
struct portahead *portahead_new(const struct portprobe *probe);
void portahead_free(struct portahead *a);

/* Has these ports probed, at most PORTAHEAD_MAX of them, and forgets earlier answers. Nothing
 * happens while the thread is still busy with others. */
void portahead_begin(struct portahead *a, const uint32_t *ports, size_t n);
/* Is there a fresh answer that says this port was free? Waits for the thread to finish. False: ask
 * anew. Each answer is given once. */
bool portahead_is_free(struct portahead *a, uint32_t port);

#endif
