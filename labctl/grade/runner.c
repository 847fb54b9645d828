/* SPDX-License-Identifier: MIT */
/* runner.c - the student's program as a child, watched in the probe's event loop. */
#include "grade/runner.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
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
	pid_t pid; /* the keeper, which leads the group */
	int pidfd;
	int out;    /* -1: closed */
	int status; /* a pipe: how the program ended, from its keeper */
	bool alive;
	int code;     /* exit code; -1: a signal ended it */
	char end[80]; /* "exit code 1", "signal 11 (Segmentation fault)" */
	char output[OUTPUT_KEPT + 1];
	size_t len;
	size_t fresh; /* bytes that came since they were taken, of which some may be gone */
};

/* Keeps the last OUTPUT_KEPT bytes; n is at most CHUNK. */
static void keep_output(struct runner *r, const char *data, size_t n)
{
	size_t keep = r->len + n > OUTPUT_KEPT ? OUTPUT_KEPT - n : r->len;

	memmove(r->output, r->output + r->len - keep, keep);
	memcpy(r->output + keep, data, n);
	r->len = keep + n;
	r->fresh += n;
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
	int status;

	if (!r->alive || waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid != r->pid)
		return;
	/* Without a word from the keeper it was killed, and with it the program. */
	if (read(r->status, &status, sizeof(status)) != sizeof(status))
		status = SIGKILL;
	r->alive = false;
	r->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	probe_unwatch(r->probe, r->pidfd);
	read_output(r);
	if (r->code < 0)
		snprintf(r->end, sizeof(r->end), "signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(r->end, sizeof(r->end), "exit code %d", r->code);
}

/* The program. Never returns. */
static void program(const struct runner_spec *spec)
{
	auto_free char *line = xstrdup(spec->command);
	char sh[] = "/bin/sh", c[] = "-c";
	char *argv[] = { sh, c, line, NULL };
	struct err e = { 0 };
	int code = spec->become(spec->arg, argv, &e);

	printable_text(e.msg);
	dprintf(STDERR_FILENO, "%s\n", e.msg);
	_exit(code);
}

/* The program finds itself in /proc by its own number. Where that cannot be had (a container may
 * refuse it), it sees the processes outside, which is all the same to a router. */
static void mount_proc(void)
{
	if (unshare(CLONE_NEWNS) == 0 && mount("", "/", "none", MS_SLAVE | MS_REC, NULL) == 0 &&
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return;
}

/* The keeper: process 1 of a namespace of its own, in which the program and all that it ever
 * starts are. Whatever ends the keeper ends them: the program's end, runner_stop(), and the end of
 * labctl, by SIGKILL, too. Never returns. */
static void keep(const struct runner_spec *spec, int out, int leash, int status_end)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), status = W_EXITCODE(CODE_NOT_BEGUN, 0);
	sigset_t none;
	pid_t pid, ended;
	char byte;

	/* Before the byte is read: if labctl dies now, there is an end of file; if it dies later,
	 * there is a signal. */
	prctl(PR_SET_PDEATHSIG, (long)SIGKILL);
	/* Process 1 takes no signal from within, nor one from outside that it does not handle. */
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(out, STDERR_FILENO) < 0 || setsid() < 0 || read(leash, &byte, 1) != 1)
		_exit(CODE_NOT_BEGUN);
	mount_proc();
	pid = fork();
	if (pid == 0)
		program(spec);
	/* labctl's sockets and locks are labctl's alone. */
	if (dup2(status_end, STDIN_FILENO) < 0 || close_range(1, ~0U, 0) < 0)
		_exit(1);
	/* What the program starts and leaves comes here. */
	while (pid > 0 && (ended = wait(&status)) != pid && (ended > 0 || errno == EINTR))
		;
	_exit(write(STDIN_FILENO, &status, sizeof(status)) == sizeof(status) ? 0 : 1);
}

/* Forks a process 1; our own namespace stays ours for all that come after. */
static pid_t fork_namespace(struct err *err)
{
	auto_fd ours = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	pid_t pid;

	if (ours < 0 || unshare(CLONE_NEWPID) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make a process namespace");
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		return 0;
	if (setns(ours, CLONE_NEWPID) < 0 || pid < 0) {
		err_set(err, ERR_ENV, errno, "cannot start a process");
		if (pid > 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		return -1;
	}
	return pid;
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
	auto_fd status_end = -1, child_status = -1;
	struct runner *r;
	pid_t pid;

	if (make_pipe(&out_end, &child_out, err) < 0 || make_pipe(&child_leash, &leash, err) < 0 ||
	    make_pipe(&status_end, &child_status, err) < 0)
		return -1;
	pid = fork_namespace(err);
	if (pid < 0)
		return -1;
	if (pid == 0) {
		close(leash);
		keep(spec, child_out, child_leash, child_status);
	}
	r = xcalloc(1, sizeof(*r));
	*r = (struct runner){ .probe = p,
			      .pid = pid,
			      .out = steal_fd(&out_end),
			      .status = steal_fd(&status_end),
			      .alive = true };
	/* glibc 2.35 (Ubuntu 22.04) has no wrapper yet. */
	r->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	fcntl(r->out, F_SETFL, O_NONBLOCK);
	if (r->pidfd < 0) {
		err_set(err, ERR_ENV, errno, "cannot watch a process");
	} else if (probe_watch(p, r->pidfd, note_end, r, err) == 0 &&
		   probe_watch(p, r->out, read_output, r, err) == 0) {
		if (write(leash, "", 1) == 1) {
			*ret = r;
			return 0;
		}
		err_set(err, ERR_ENV, errno, "cannot start a process");
	}
	runner_stop(r);
	return -1;
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

char *runner_take_output(struct runner *r)
{
	const char *from, *line;

	read_output(r);
	if (r->fresh <= r->len && r->fresh <= RUNNER_TAKEN_MAX) {
		from = r->output + r->len - r->fresh;
	} else {
		from = r->output + r->len - (r->len < RUNNER_TAKEN_MAX ? r->len : RUNNER_TAKEN_MAX);
		line = strchr(from, '\n');
		from = line ? line + 1 : from;
	}
	r->fresh = 0;
	return xstrdup(from);
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

#define NET_RAW_ALONE                                                                              \
	" (your program has the capability NET_RAW and no other: it cannot change interfaces, as " \
	"for promiscuous mode, and need not: a packet socket gets all frames)"

/* What people try first, and what they should know then. */
static const char *about_end(const struct runner *r, const char *line)
{
	static const struct {
		const char *error, *advice;
	} known[] = {
		{ "Operation not permitted", NET_RAW_ALONE },
		{ "PermissionError", NET_RAW_ALONE },
		{ "No such device or address",
		  " (a packet socket sends by the interface that it is bound to: bind() each)" },
		{ "No such device", " (labctl status names the interfaces)" },
	};

	if (r->code == 0)
		return " (a router never ends: it waits for frames in a loop, see src/starter.py)";
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strstr(line, known[i].error))
			return known[i].advice;
	}
	return "";
}

char *runner_end_text(const struct runner *r, const char *when)
{
	char line[200] = "";

	/* Who ends well has not said why. */
	if (r->code != 0)
		runner_last_line(r, line, sizeof(line));
	return xasprintf("your program ended (%s)%s%s%s%s", r->end, when, *line ? ": " : "", line,
			 about_end(r, line));
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
	/* What it left behind goes with the keeper. */
	kill(r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	close(r->status);
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
