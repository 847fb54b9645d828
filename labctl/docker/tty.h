/* SPDX-License-Identifier: MIT */
/*
 * tty.h - the caller's terminal: raw for the time of a connection, and never left raw.
 * Internal to docker/.
 */
#ifndef LABCTL_DOCKER_TTY_H
#define LABCTL_DOCKER_TTY_H

#include <stdbool.h>

#include "base/err.h"

struct tty_size {
	unsigned rows, cols;
};

/* False when fd is no terminal or does not know its size. */
bool tty_size_get(int fd, struct tty_size *ret) MUST_CHECK;

/* From here on each byte typed is read as it is; output passes as it is. Signals whose default
 * is to end the process restore the terminal first; the caller deals with those that he blocks
 * or handles. One terminal at a time: ERR_INTERNAL on the second. */
int tty_raw_enter(int fd, struct err *err) MUST_CHECK;
/* After a stop (SIGCONT): the shell may have set the terminal its own way. */
void tty_raw_again(void);
/* Back to what it was; without tty_raw_enter(), nothing. */
void tty_raw_leave(void);

#endif
