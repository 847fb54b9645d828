/* SPDX-License-Identifier: MIT */
/*
 * request.h - what a labctl that grades many submissions asks of the one that grades a single one.
 *
 * It goes through a memory file on standard input: everyone who sees a process sees its command
 * line, and the graded program must learn neither the seed nor where the results are written.
 */
#ifndef LABCTL_GRADE_REQUEST_H
#define LABCTL_GRADE_REQUEST_H

#include "grade/grading.h"

/* Texts of at most 16 KiB in all. *ret_fd: to be the other process's standard input. */
int request_write(const struct grading *g, int *ret_fd, struct err *err) MUST_CHECK;

/* Reads and closes standard input, which is /dev/null then. *ret_text (heap) holds ret's texts. */
int request_read(struct grading *ret, char **ret_text, struct err *err) MUST_CHECK;

#endif
