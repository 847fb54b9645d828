/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - a stranger's program, shut in: it sees the seat and its own files, and no more.
 *
 * What becomes of the runner's child:
 *
 *   outer    root, outside; passes the program's output on and keeps a transcript of it; ends
 *            as the program ends. Killed with it: everything below.
 *   init     root, process 1 of a namespace of its own; arranges what can be seen, limits, waits.
 *            With its end, every process that the program ever started is gone.
 *   program  a user id of its own, no groups, CAP_NET_RAW and nothing else.
 *
 * It has the seat's network namespace, process, mount, IPC and UTS namespaces of its own, a root of
 * its own with the host's programs and settings read-only and without what is private (see `hide`),
 * a few devices, a read-only /proc/sys, a /proc that shows its own processes only, a copy of the
 * submission as its working directory, and limits on memory, processes, processor time, files.
 */
#ifndef LABCTL_GRADE_SANDBOX_H
#define LABCTL_GRADE_SANDBOX_H

#include <stdint.h>

#include "base/proc.h"
#include "base/str.h"
#include "grade/cgroup.h"

#define SANDBOX_DIR	 "/mnt/submission" /* the submission, as the program sees it */
#define SANDBOX_LAB_FILE "/mnt/lab.json"
#define SANDBOX_COPY_MAX (256u << 20) /* bytes of a submission */

struct sandbox {
	const char *submission; /* its directory; opened and copied with reader's rights */
	const char *transcript; /* file, made with reader's rights, appended to; at most 1 MiB */
	const struct caller *reader;
	const char *seat_ns;	 /* name of a network namespace */
	const char *lab_json;	 /* text of LAB_FILE */
	const struct strv *hide; /* directories that the program finds empty */
	uid_t uid;		 /* and group id; nobody else's */
	const char *cgroup;	 /* made by cgroup_create() */
	struct cgroup_has has;	 /* what that limits */
	struct cgroup_limits limits;
	unsigned cpu_s; /* processor time of one process */
};

/* runner_spec.become with arg a struct sandbox. Returns only on failure. */
int sandbox_become(void *sandbox, char **argv, struct err *err);

/* In init: mounts, names, network as the program shall find them. submission: its directory. */
int sandbox_arrange(const struct sandbox *s, int submission, struct err *err) MUST_CHECK;

/* In outer: from `from` to standard output and to the transcript, until init ends; what signals
 * (a signalfd with SIGCHLD and SIGTERM) asks for is done. */
void sandbox_relay(int from, int transcript, int signals, pid_t init);

#endif
