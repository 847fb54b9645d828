/* SPDX-License-Identifier: MIT */
/* program.h - the program that is graded, from its start to what became of it. For grader.c, with a
 * grader whose options have a program. */
#ifndef LABCTL_GRADE_PROGRAM_H
#define LABCTL_GRADE_PROGRAM_H

#include <stddef.h>

#include "base/err.h"

struct grader;
struct trial;

#define PROGRAM_READY_S 5 /* until it answers, on an idle computer */
#define PROGRAM_HANGS	2 /* who stops answering so often is not waited for as long any more */

/* Starts it and waits until it answers at every place, or for as long as that may take.
 * *ret_alive: at how many it did. ERR_ENV: there was nothing to start. */
int program_start(struct grader *g, size_t *ret_alive, struct err *err) MUST_CHECK;

/* Before a check: a program that ended, or that is not itself any more, is started again: one fault
 * must not fail the checks after it. Where that does not help, the trial has its verdict. -1: the
 * grading is over. */
int program_revive(struct grader *g, struct trial *t, struct err *err) MUST_CHECK;

/* After a check: a program that ended or hangs is told so by the check that it happened in, not by
 * the next one, and is started again for that. */
void program_note_end(struct grader *g, struct trial *t);

#endif
