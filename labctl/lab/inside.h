/* SPDX-License-Identifier: MIT */
/* inside.h - what is not as it should be inside the namespaces of clients and of the switches. */
#ifndef LABCTL_LAB_INSIDE_H
#define LABCTL_LAB_INSIDE_H

#include "base/str.h"
#include "lab/lab.h"

/* In words, appended to *ret. What cannot be looked into is left out. Needs root. */
void inside_client(const struct lab *l, size_t client, int netns_fd, struct strv *ret);
void inside_fabric(const struct lab *l, struct strv *ret);

#endif
