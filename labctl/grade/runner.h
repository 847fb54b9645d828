/* SPDX-License-Identifier: MIT */
/* runner.h - the student's program: start it, notice its end, keep its last words, stop it. */
#ifndef LABCTL_GRADE_RUNNER_H
#define LABCTL_GRADE_RUNNER_H

#include "grade/probe.h"

struct runner;

#define RUNNER_TAKEN_MAX 2048

struct runner_spec {
	const char *command; /* for sh -c */
	/* Becomes argv, in the child; returns only on failure, with the exit code to end with. */
	int (*become)(void *arg, char **argv, struct err *err);
	void *arg;
	const char *dir; /* where it is started, for messages; NULL: nothing is said of files */
};

/* Starts it in a session and a process namespace of its own, stdin from /dev/null, output kept (the
 * last 8 KiB). Its end and its output are noticed by probe_wait(). Takes CAP_SYS_ADMIN. */
int runner_start(const struct runner_spec *spec, struct probe *p, struct runner **ret,
		 struct err *err) MUST_CHECK;
bool runner_alive(const struct runner *r);
/* Could it not be started at all (125 to 127)? Then that is no verdict on its work. */
bool runner_was_never(const struct runner *r);
/* What it said last, both streams. */
const char *runner_output(const struct runner *r);
/* What it said since this was asked last, both streams, at most the last RUNNER_TAKEN_MAX bytes in
 * whole lines; heap text. */
char *runner_take_output(struct runner *r);
/* The last line of that which is not empty: of a Python traceback, the error. */
void runner_last_line(const struct runner *r, char *buf, size_t size);
/* After its end, heap text: "your program ended (exit code 1) while this was tried: NameError: x";
 * when: " while this was tried", or "". */
char *runner_end_text(const struct runner *r, const char *when);
/* Its process group. Processor time and peak memory are the caller's to read in /proc while it
 * lives. */
pid_t runner_pid(const struct runner *r);

/* SIGTERM to the group; SIGKILL when it does not end within a second, and to all that it has started,
 * daemons as well. NULL is fine. When this process is killed, they are, too. */
void runner_stop(struct runner *r);
DEFINE_AUTO(runner, struct runner *, runner_stop, NULL)
#define auto_runner auto_cleanup(runner) struct runner *

#endif
