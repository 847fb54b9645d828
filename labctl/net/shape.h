/* SPDX-License-Identifier: MIT */
/* shape.h - what a wire does to frames: rate by tbf, delay, jitter and loss by netem. */
#ifndef LABCTL_NET_SHAPE_H
#define LABCTL_NET_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "net/nl.h"

struct shape_spec {
	uint64_t rate_bps; /* bits per second; 0: unlimited */
	uint32_t delay_us;
	uint32_t jitter_us;
	uint32_t loss_ppm; /* parts per million */
};

/* Sets the root qdisc (and its child) of an interface, on egress, instead of what is there; an
 * empty spec resets it to the kernel's default, as every failure does. A kernel without netem:
 * ERR_ENV with a hint that names the module. The rate counts whole frames, Ethernet header
 * included; up to 5 ms of it may pass at once and 50 ms wait (more on slow links: 20 frames).
 * Offloads have to be off: a frame larger than the bucket is dropped or cut. */
int shape_set(struct nl *nl, unsigned ifindex, unsigned mtu, const struct shape_spec *spec,
	      struct err *err) MUST_CHECK;
/* Does this kernel have netem? Tried on the loopback of a namespace of its own. Needs root. */
bool shape_has_netem(void);

#endif
