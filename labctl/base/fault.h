/* SPDX-License-Identifier: MIT */
/*
 * fault.h - faults on demand, for tests: die or fail at the n-th point of a command.
 *
 * Points stand before every netlink request, engine request, namespace, mount and file that
 * changes something, so that "killed at every step" can be tried out one by one.
 *   LABCTL_TEST_DIE_AT=n   the n-th point ends the process with SIGKILL
 *   LABCTL_TEST_FAIL_AT=n  the n-th point fails (ENOBUFS)
 *   LABCTL_TEST_COUNT=FILE at exit, the number of points passed is written there
 */
#ifndef LABCTL_BASE_FAULT_H
#define LABCTL_BASE_FAULT_H

#include "base/err.h"

int fault_point(const char *what, struct err *err) MUST_CHECK;

#endif
