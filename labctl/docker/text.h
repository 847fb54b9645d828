/* SPDX-License-Identifier: MIT */
/* text.h - texts on their way to and from the engine. Internal to docker/. */
#ifndef LABCTL_DOCKER_TEXT_H
#define LABCTL_DOCKER_TEXT_H

#include <stddef.h>

#include <jansson.h>

/* A JSON array of texts (NULL-terminated; NULL is none); NULL when one is no UTF-8. */
json_t *text_array(const char *const *texts);

/* Heap text of at most max bytes, as base/printable.h says; carriage returns and terminal colour
 * sequences go whole. */
char *text_clean(const char *data, size_t n, size_t max);

#endif
