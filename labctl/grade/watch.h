/* SPDX-License-Identifier: MIT */
/* watch.h - waits until a source file of the student is saved. */
#ifndef LABCTL_GRADE_WATCH_H
#define LABCTL_GRADE_WATCH_H

#include "base/err.h"

/* Watches dir and the directories below it (hidden ones left out); *ret_fd is readable once
 * something was saved. */
int watch_open(const char *dir, int *ret_fd, struct err *err) MUST_CHECK;
/* Waits until a file was saved, removed or renamed and then nothing for a moment. What programs
 * make (objects, byte code, executables) and editors' own files do not count. ERR_INTERRUPTED on
 * a signal. */
int watch_wait(int fd, const char *dir, struct err *err) MUST_CHECK;

#endif
