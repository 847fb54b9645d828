/* SPDX-License-Identifier: MIT */
/*
 * lease_text.h - leases as JSON text.
 *
 * Written straight into the reply: a tree of values for each lease costs as much as half of what
 * the book does for it.
 */
#ifndef LABCTL_NETPORT_LEASE_TEXT_H
#define LABCTL_NETPORT_LEASE_TEXT_H

#include "base/str.h"
#include "netport/lease.h"

enum {
	LEASE_TIME = 40
};

/* "2026-11-20T08:00:00.000Z" of milliseconds since the epoch. */
const char *lease_time(int64_t ms, char buf[static LEASE_TIME]);

/* Adds the text as a JSON string, quoted. What is not UTF-8 in it becomes '?'. */
void lease_text_string(struct str *out, const char *text);
/* Adds the lease as a JSON object (schema "Lease" in api_openapi.c). */
void lease_text(struct str *out, const struct lease *l);

#endif
