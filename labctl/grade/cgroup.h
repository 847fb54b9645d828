/* SPDX-License-Identifier: MIT */
/*
 * cgroup.h - a control group that limits a program's memory, processes and processor time.
 *
 * Version 2 or the controllers of version 1, whichever the computer has; in a container there
 * may be neither. The group is known by its name alone, so that another process can remove it.
 */
#ifndef LABCTL_GRADE_CGROUP_H
#define LABCTL_GRADE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct cgroup_limits {
	uint64_t memory;  /* bytes, files in a tmpfs counted */
	unsigned pids;	  /* processes and threads */
	unsigned percent; /* of one processor */
};

struct cgroup_has {
	bool memory, pids; /* what is limited indeed */
};

/* Makes the groups, as many as can be. One of that name that is there already is used again. */
void cgroup_create(const char *name, const struct cgroup_limits *limits, struct cgroup_has *ret);

/* Joining in two steps: files are opened while /sys is the computer's, and used later. */
#define CGROUP_FILES 3
struct cgroup_door {
	int fd[CGROUP_FILES];
};
void cgroup_open(const char *name, struct cgroup_door *ret);
/* This process goes in; closes the files. */
int cgroup_enter(struct cgroup_door *door, struct err *err) MUST_CHECK;

/* How often the limits were hit so far: a process was killed for memory, a fork was refused. */
void cgroup_hits(const char *name, unsigned long *ret_memory, unsigned long *ret_pids);

/* Removes the groups once their last process is gone; waits for that, two seconds at most. Not
 * there: nothing. */
void cgroup_remove(const char *name);

#endif
