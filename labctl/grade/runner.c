/* SPDX-License-Identifier: MIT */
/* runner.c - the student's program as a child, watched in the probe's event loop. */
#include "grade/runner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/printable.h"
#include "base/str.h"

#include "base/banned.h"

#define OUTPUT_KEPT    8192
#define CHUNK	       4096
#define STOP_GRACE_MS  1000
#define CODE_NOT_BEGUN 125 /* and 126, 127: see session_exec() */

struct runner {
	struct probe *probe;
	pid_t pid;
	int pidfd;
	int out;	/* -1: closed */
	pid_t guardian; /* 0: none */
	int leash;	/* a pipe's end that only this process has open */
	bool alive;
	int code;     /* exit code; -1: a signal ended it */
	char end[80]; /* "exit code 1", "signal 11 (Segmentation fault)" */
	char output[OUTPUT_KEPT + 1];
	size_t len;
};

/* Keeps the last OUTPUT_KEPT bytes; n is at most CHUNK. */
static void keep_output(struct runner *r, const char *data, size_t n)
{
	size_t keep = r->len + n > OUTPUT_KEPT ? OUTPUT_KEPT - n : r->len;

	memmove(r->output, r->output + r->len - keep, keep);
	memcpy(r->output + keep, data, n);
	r->len = keep + n;
	r->output[r->len] = '\0';
}

static void read_output(void *arg)
{
	struct runner *r = arg;
	char buf[CHUNK];
	ssize_t n;

	/* A program that floods its output must not keep us from the frames: some at a time. */
	for (int i = 0; i < 16 && r->out >= 0; i++) {
		n = read(r->out, buf, sizeof(buf));
		if (n > 0) {
			keep_output(r, buf, (size_t)n);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			probe_unwatch(r->probe, r->out);
			close(r->out);
			r->out = -1;
		} else if (errno == EAGAIN) {
			return;
		}
	}
}

/* It stays a zombie until runner_stop(): so long its process group's number is nobody else's. */
static void note_end(void *arg)
{
	struct runner *r = arg;
	siginfo_t info = { 0 };

	if (!r->alive || waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid != r->pid)
		return;
	r->alive = false;
	r->code = info.si_code == CLD_EXITED ? info.si_status : -1;
	probe_unwatch(r->probe, r->pidfd);
	read_output(r);
	if (r->code < 0)
		snprintf(r->end, sizeof(r->end), "signal %d (%s)", info.si_status,
			 strsignal(info.si_status));
	else
		snprintf(r->end, sizeof(r->end), "exit code %d", r->code);
}

/* In the child. Never returns. */
static void child(const struct runner_spec *spec, int out, int leash)
{
	auto_free char *line = xstrdup(spec->command);
	char sh[] = "/bin/sh", c[] = "-c";
	char *argv[] = { sh, c, line, NULL };
	struct err e = { 0 };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;
	char byte;
	int code;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(out, STDERR_FILENO) < 0 || read(leash, &byte, 1) != 1)
		_exit(CODE_NOT_BEGUN);
	code = spec->become(spec->arg, argv, &e);
	printable_text(e.msg);
	dprintf(STDERR_FILENO, "%s\n", e.msg);
	_exit(code);
}

/* In the guardian. Never returns. Whatever ends labctl, SIGKILL too, ends the leash's other end, and
 * then the program: or it would go on as a router that nobody knows of. */
static void guard(pid_t group, int leash)
{
	struct pollfd pfd = { .events = 0 };
	sigset_t all;

	setpgid(0, 0);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (dup2(leash, 0) < 0 || close_range(1, ~0U, 0) < 0)
		_exit(1);
	while (poll(&pfd, 1, -1) < 0)
		;
	kill(-group, SIGKILL);
	_exit(0);
}

/* The program waits for the byte that is sent here. */
static int start_guardian(struct runner *r, int leash, struct err *err)
{
	r->guardian = fork();
	if (r->guardian == 0) {
		close(r->leash);
		guard(r->pid, leash);
	}
	if (r->guardian > 0 && write(r->leash, "", 1) == 1)
		return 0;
	r->guardian = r->guardian > 0 ? r->guardian : 0;
	return err_set(err, ERR_ENV, errno, "cannot start a process");
}

static void stop_guardian(struct runner *r)
{
	if (r->guardian) {
		kill(r->guardian, SIGKILL);
		waitpid(r->guardian, NULL, 0);
	}
	close(r->leash);
}

static int make_pipe(int *ret_read, int *ret_write, struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make a pipe");
	*ret_read = ends[0];
	*ret_write = ends[1];
	return 0;
}

int runner_start(const struct runner_spec *spec, struct probe *p, struct runner **ret,
		 struct err *err)
{
	auto_fd out_end = -1, child_out = -1, leash = -1, child_leash = -1;
	struct runner *r;
	pid_t pid;

	if (make_pipe(&out_end, &child_out, err) < 0 || make_pipe(&child_leash, &leash, err) < 0)
		return -1;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(leash);
		child(spec, child_out, child_leash);
	}
	if (pid < 0)
		return err_set(err, ERR_ENV, errno, "cannot start a process");
	setpgid(pid, pid); /* here too: whoever comes first */
	r = xcalloc(1, sizeof(*r));
	*r = (struct runner){ .probe = p,
			      .pid = pid,
			      .out = steal_fd(&out_end),
			      .alive = true,
			      .leash = steal_fd(&leash) };
	/* glibc 2.35 (Ubuntu 22.04) has no wrapper yet. */
	r->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	fcntl(r->out, F_SETFL, O_NONBLOCK);
	if (r->pidfd < 0 || probe_watch(p, r->pidfd, note_end, r, err) < 0 ||
	    probe_watch(p, r->out, read_output, r, err) < 0 ||
	    start_guardian(r, child_leash, err) < 0) {
		if (r->pidfd < 0)
			err_set(err, ERR_ENV, errno, "cannot watch a process");
		runner_stop(r);
		return -1;
	}
	*ret = r;
	return 0;
}

bool runner_alive(const struct runner *r)
{
	return r->alive;
}

bool runner_was_never(const struct runner *r)
{
	return !r->alive && r->code >= CODE_NOT_BEGUN && r->code <= 127;
}

const char *runner_output(const struct runner *r)
{
	return r->output;
}

void runner_last_line(const struct runner *r, char *buf, size_t size)
{
	size_t end = r->len, start;

	while (end && (r->output[end - 1] == '\n' || r->output[end - 1] == ' '))
		end--;
	start = end;
	while (start && r->output[start - 1] != '\n')
		start--;
	snprintf(buf, size, "%.*s", (int)(end - start), r->output + start);
	printable_line(buf);
}

char *runner_end_text(const struct runner *r, const char *when)
{
	char line[200];

	runner_last_line(r, line, sizeof(line));
	return xasprintf("your program ended (%s)%s%s%s", r->end, when, *line ? ": " : "", line);
}

pid_t runner_pid(const struct runner *r)
{
	return r->pid;
}

void runner_stop(struct runner *r)
{
	struct pollfd pfd;

	if (!r)
		return;
	pfd = (struct pollfd){ .fd = r->pidfd, .events = POLLIN };
	if (r->alive && r->pidfd >= 0) {
		kill(-r->pid, SIGTERM);
		poll(&pfd, 1, STOP_GRACE_MS);
	}
	/* What it left behind in its group goes too. */
	kill(-r->pid, SIGKILL);
	stop_guardian(r);
	waitpid(r->pid, NULL, 0);
	if (r->pidfd >= 0) {
		if (r->alive)
			probe_unwatch(r->probe, r->pidfd);
		close(r->pidfd);
	}
	if (r->out >= 0) {
		probe_unwatch(r->probe, r->out);
		close(r->out);
	}
	free(r);
}
