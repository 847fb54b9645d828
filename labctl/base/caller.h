/* SPDX-License-Identifier: MIT */
/*
 * caller.h - what the person behind the command may do to the host.
 *
 * A person with the host seat (the host's own network namespace as a lab's seat) administers the
 * host: that is the real root and whoever is listed in /etc/labctl/host-seat, one login name a
 * line, "#" begins a comment. A user without a login name is listed as "uid1000". The file counts
 * only when it belongs to root and nobody else may write to it.
 *
 * LABCTL_HOST_SEAT names another file, for tests: sudo does not hand the variable on (env_reset),
 * so that a student cannot set it.
 */
#ifndef LABCTL_BASE_CALLER_H
#define LABCTL_BASE_CALLER_H

#include "base/proc.h"

/* The file that lists them; borrowed. */
const char *caller_host_seat_file(void);

/* Root not by sudo (or by root's own sudo). */
bool caller_is_real_root(const struct caller *c);

/* 0 when the caller may have the host seat. Otherwise -1: ERR_FAILED and how to be listed, or
 * ERR_ENV when the file cannot be relied on. */
int caller_check_host_seat(const struct caller *c, struct err *err) MUST_CHECK;

/* The same as yes or no. */
bool caller_is_administrator(const struct caller *c);

#endif
