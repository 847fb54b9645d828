/* SPDX-License-Identifier: MIT */
/* adminfile.h - the administrator's files in /etc/labctl: lines of words, "#" begins a comment. */
#ifndef LABCTL_BASE_ADMINFILE_H
#define LABCTL_BASE_ADMINFILE_H

#include "base/cleanup.h"
#include "base/err.h"

/* Opens one for reading. ERR_NOT_FOUND when it is not there; ERR_ENV, with the commands that put it
 * right, unless it is a file that belongs to root and that nobody else may write to. */
int adminfile_open(const char *path, FILE **ret, struct err *err) MUST_CHECK;

/* The next line without its comment, the space around it and its end, in *line (as getline(3): the
 * caller's to free). False at the end of the file. */
bool adminfile_line(FILE *f, char **line, size_t *size, char **ret_text);

#endif
