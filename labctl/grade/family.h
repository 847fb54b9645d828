/* SPDX-License-Identifier: MIT */
/* family.h - a program and all that it has started, sessions of their own included. */
#ifndef LABCTL_GRADE_FAMILY_H
#define LABCTL_GRADE_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid, parent, group;
	size_t resident; /* bytes of memory */
	char state;	 /* as in /proc: 'R', 'S' ... */
	uint64_t cpu_ns; /* of its children that have ended, too */
};

/* The process `root`, its descendants and its process group, as heap array; returns how many. */
size_t family_list(pid_t root, struct process **ret);

/* A family's use of the processor, looked at now and then; zero but for root to begin with. */
struct family_work {
	pid_t root;
	uint64_t cpu_ns, idle_since_ns;
};
/* Has it had enough_ns of processor time, or has all of it slept for the last idle_ns? Then it is no
 * busy computer that holds it up. now_ns: of one monotonic clock. */
bool family_is_stuck(struct family_work *w, uint64_t now_ns, uint64_t enough_ns, uint64_t idle_ns);

#endif
