/* SPDX-License-Identifier: MIT */
/*
 * api_ports.h - ports by number, at a cost that does not grow with the book.
 *
 * A map of the leased ports is kept in step with the book, so that the next free one is found
 * without walking leases. It is a hint only: the book decides, and whether a program uses a port is
 * asked of the kernel for the port at hand.
 */
#ifndef LABCTL_NETPORT_API_PORTS_H
#define LABCTL_NETPORT_API_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "netport/lease.h"

#define PORTS_LAST 65535

struct ports;

struct ports *ports_new(struct store *s);
void ports_free(struct ports *p);

/* The wanted port (0: none in mind) if it is free, else the first free one of [first, last] from
 * `start` on, around the end. ERR_CONFLICT when there is none. */
int ports_acquire(struct ports *p, const struct lease_request *req, uint32_t wanted, uint32_t first,
		  uint32_t last, uint32_t start, struct lease *ret, struct err *err) MUST_CHECK;
/* A program has this port now; one whose last connection lingers has none. */
int ports_in_use(const struct ports *p, uint32_t port, bool *ret, struct err *err) MUST_CHECK;
/* A lease_usable_fn for a single port; arg is the struct ports. */
bool ports_usable(void *arg, const struct resource_value *v, const char **ret_why);
/* A new turn: the map is compared with the book at the next use, and then holds for the turn. */
void ports_turn(struct ports *p);
/* Has the ports probed that the next turn will want. Returns at once: to be called before the wait
 * for the disk. */
void ports_look_ahead(struct ports *p);
/* Where to look for any port: behind the one that was found last, so that one just given back is
 * not handed out next. */
uint32_t ports_cursor(const struct ports *p, uint32_t first, uint32_t last);
/* The pool of ports, [first, last], as configured. */
int ports_pool(struct ports *p, uint32_t *ret_first, uint32_t *ret_last,
	       struct err *err) MUST_CHECK;
/* The map forgets what it knows: a batch was rolled back, or leases went. */
void ports_forget(struct ports *p);
/* This lease was made or changed; what is none of a port does not matter. */
void ports_leased(struct ports *p, const struct lease *l);
/* This port's lease ended. */
void ports_released(struct ports *p, const char *resource, const char *value);
/* This port's lease lasts now. */
void ports_forget_expiry(struct ports *p, const char *value);

#endif
