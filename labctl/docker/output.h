/* SPDX-License-Identifier: MIT */
/* output.h - writing to one of our own outputs without ever blocking on its reader. Internal to
 * docker/. */
#ifndef LABCTL_DOCKER_OUTPUT_H
#define LABCTL_DOCKER_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct output {
	int fd;	     /* -1: what is written is dropped */
	bool owned;  /* fd is a description of our own, non-blocking */
	bool socket; /* wants MSG_DONTWAIT */
	size_t done; /* of pending */
	struct str pending;
};

/* Pipes and terminals are opened once more, so that O_NONBLOCK does not befall those who share
 * them with us. fd stays the caller's. */
void output_open(struct output *o, int fd);
void output_done(struct output *o);

/* Adds to what is pending; nothing is written yet. */
void output_add(struct output *o, const char *data, size_t n);
bool output_is_pending(const struct output *o);

/* Writes what can be written now. An error (errno EPIPE when the reader is gone) closes the
 * output: what comes later is dropped. */
int output_flush(struct output *o, struct err *err) MUST_CHECK;

#endif
