/* SPDX-License-Identifier: MIT */
/* text.h - foreign bytes made fit to be shown. Internal to docker/. */
#ifndef LABCTL_DOCKER_TEXT_H
#define LABCTL_DOCKER_TEXT_H

#include <stddef.h>

/* Heap text of at most max bytes: valid UTF-8, without control characters but tab and newline;
 * what is not becomes '?', carriage returns before newlines go. Terminal colour sequences go
 * whole. */
char *text_clean(const char *data, size_t n, size_t max);

#endif
