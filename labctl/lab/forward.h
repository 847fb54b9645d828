/* SPDX-License-Identifier: MIT */
/*
 * forward.h - the clients' ports at this computer: one process a lab, "labctl forward".
 *
 * It writes forward.pid into the lab's directory before it listens, tells its parent when it
 * does, and ends with the lab: killed by lab_down(), or by itself when the lab's record is gone.
 */
#ifndef LABCTL_LAB_FORWARD_H
#define LABCTL_LAB_FORWARD_H

#include <stdbool.h>

#include "lab/lab.h"

/* Starts it and waits until it listens. A lab without ports: nothing. One that runs already is
 * replaced: a client that was made anew has another namespace. */
int forward_start(struct lab_ctx *ctx, const struct lab *l, struct err *err) MUST_CHECK;
/* Not there: success. */
int forward_stop(const struct lab *l, struct err *err) MUST_CHECK;
bool forward_is_alive(const struct lab *l);

/* The process itself. ready_fd gets one byte when it listens. */
int forward_serve(struct lab_ctx *ctx, int ready_fd, struct err *err) MUST_CHECK;

#endif
