/* SPDX-License-Identifier: MIT */
/*
 * neighbour.h - the router as its neighbours see it: is it alive, and which MAC reaches it?
 *
 * The probe is a neighbour like any other. It asks for the router's MAC by ARP (RFC 826) and
 * sends to the address in the answer, provided that frames to it are answered. Otherwise, and
 * where nobody answers ARP, it uses the MAC of the seat's interface, as a client with a static
 * neighbour entry would: a wrong or missing ARP reply costs its own checks and no others.
 */
#ifndef LABCTL_GRADE_NEIGHBOUR_H
#define LABCTL_GRADE_NEIGHBOUR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct grader;

struct meeting_limit {
	uint64_t ns;
	bool (*in_vain)(
		void *arg); /* asked while nobody answers: no use to wait on? NULL: there is */
	void *arg;
};

/* Asks on every network until the router has answered at every place, or for that long; once it
 * has shown itself at one place, the others wait half a second more. Sets router_mac and life
 * of each place; *ret_alive: at how many places the router showed itself. */
int neighbours_meet(struct grader *g, const struct meeting_limit *limit, size_t *ret_alive,
		    struct err *err) MUST_CHECK;

#endif
