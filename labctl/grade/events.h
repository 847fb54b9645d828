/* SPDX-License-Identifier: MIT */
/* events.h - what passed during a check, by time, each frame once: what a bridge copied to other
 * clients of the same network is left out. */
#ifndef LABCTL_GRADE_EVENTS_H
#define LABCTL_GRADE_EVENTS_H

#include "grade/trial.h"

enum sender {
	BY_GRADER,
	BY_KERNEL, /* the client's own */
	BY_ROUTER,
};

struct event {
	const struct seen *s; /* lives as long as the journal */
	const struct place *at;
	enum sender by;
};

/* Those of the journal's first `end` frames and of the clients' kernels; heap, of *ret_n. */
struct event *events_of(const struct trial *t, size_t end, size_t *ret_n);

/* The place that a port is; NULL: none. */
const struct place *place_of_port(const struct trial *t, unsigned port);

#endif
