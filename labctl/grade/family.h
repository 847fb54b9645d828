/* SPDX-License-Identifier: MIT */
/* family.h - a program and all that it has started, sessions of their own included. */
#ifndef LABCTL_GRADE_FAMILY_H
#define LABCTL_GRADE_FAMILY_H

#include <stddef.h>
#include <sys/types.h>

struct process {
	pid_t pid, parent, group;
	size_t resident; /* bytes of memory */
};

/* The process `root`, its descendants and its process group, as heap array; returns how many. */
size_t family_list(pid_t root, struct process **ret);

#endif
