/* SPDX-License-Identifier: MIT */
/* sandbox.c - a stranger's program, shut in: its processes. */
#include "grade/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/printable.h"
#include "base/rights.h"
#include "grade/sandbox_filter.h"

#include "base/banned.h"

#define CODE_NOT_BEGUN 125 /* what the runner takes for "was never" */
#define FILES_MAX      1024

struct pipes {
	int go[2];     /* outer to init: a byte when all is ready; closed when outer is gone */
	int status[2]; /* init to outer: how the program ended */
	int out[2];    /* program to outer */
};

static void signals_of(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

/* The program */

static int limit(int resource, rlim_t value, struct err *err)
{
	struct rlimit l;

	if (getrlimit((__rlimit_resource_t)resource, &l) < 0)
		return err_set(err, ERR_ENV, errno, "cannot read a limit");
	l.rlim_max = value < l.rlim_max ? value : l.rlim_max;
	l.rlim_cur = l.rlim_max;
	if (setrlimit((__rlimit_resource_t)resource, &l) < 0)
		return err_set(err, ERR_ENV, errno, "cannot set a limit");
	return 0;
}

/* A core file of at most one byte: with 0 the kernel would still start the host's core handler. */
static int set_limits(const struct sandbox *s, struct err *err)
{
	/* Address space says little about memory, and some languages reserve a lot of it: it is
	 * limited only where there is nothing better. */
	if (!s->has.memory && limit(RLIMIT_AS, s->limits.memory, err) < 0)
		return -1;
	if (limit(RLIMIT_NPROC, s->limits.pids, err) < 0 || limit(RLIMIT_CPU, s->cpu_s, err) < 0 ||
	    limit(RLIMIT_FSIZE, SANDBOX_COPY_MAX, err) < 0 ||
	    limit(RLIMIT_NOFILE, FILES_MAX, err) < 0 || limit(RLIMIT_CORE, 1, err) < 0 ||
	    limit(RLIMIT_MSGQUEUE, 0, err) < 0)
		return -1;
	return 0;
}

static void set_environment(void)
{
	clearenv();
	setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
	setenv("HOME", SANDBOX_DIR, 1);
	setenv("LANG", "C.UTF-8", 1);
	setenv("LAB_FILE", SANDBOX_LAB_FILE, 1);
	/* What a program said before it was killed is of use to the reader of its transcript. */
	setenv("PYTHONUNBUFFERED", "1", 1);
}

/* Never returns. */
static void program_main(const struct sandbox *s, char **argv)
{
	struct caller nobody = { .uid = s->uid, .gid = s->uid };
	const struct child child = { .as = &nobody, .env = CHILD_ENV_AS_IS, .net_raw = true };
	struct err e = { 0 };
	sigset_t none;

	setsid();
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	set_environment();
	if (set_limits(s, &e) < 0 || child_prepare(&child, &e) < 0 || sandbox_filter(&e) < 0) {
		printable_text(e.msg);
		dprintf(STDERR_FILENO, "%s\n", e.msg);
		_exit(CODE_NOT_BEGUN);
	}
	execv(argv[0], argv);
	dprintf(STDERR_FILENO, "cannot run '%s': %m\n", argv[0]);
	_exit(CODE_NOT_BEGUN);
}

/* Process 1 */

/* Reaps whatever ends until the program does; SIGTERM is for the program. */
static int wait_for_program(pid_t program)
{
	sigset_t set;

	signals_of(&set);
	for (;;) {
		int status, sig = 0;
		pid_t pid;

		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			if (pid == program)
				return status;
		}
		sigwait(&set, &sig);
		if (sig != SIGCHLD)
			kill(-program, SIGTERM);
	}
}

/* Never returns. Its end is the end of all in its namespace. */
static void init_main(const struct sandbox *s, struct pipes *p, int submission, char **argv)
{
	int status = W_EXITCODE(CODE_NOT_BEGUN, 0);
	struct cgroup_door door;
	struct err e = { 0 };
	pid_t program;
	char go;

	/* For good: what this process opens are mounts of its own, and what it runs has its rights
	 * taken. */
	(void)file_rights_root("the sandbox");
	/* Before the byte is read: if outer dies now, there is an end of file; if it dies later, there
	 * is a signal. */
	prctl(PR_SET_PDEATHSIG, (long)SIGKILL);
	close(p->go[1]);
	if (read(p->go[0], &go, 1) != 1)
		_exit(CODE_NOT_BEGUN);
	dup2(p->out[1], STDOUT_FILENO);
	dup2(p->out[1], STDERR_FILENO);
	cgroup_open(s->cgroup, &door);
	if (sandbox_arrange(s, submission, &e) < 0 || cgroup_enter(&door, &e) < 0) {
		printable_text(e.msg);
		dprintf(STDERR_FILENO, "%s\n", e.msg);
	} else {
		program = fork();
		if (program == 0)
			program_main(s, argv);
		status = program < 0 ? status : wait_for_program(program);
	}
	_exit(write(p->status[1], &status, sizeof(status)) == sizeof(status) ? 0 : 1);
}

/* Outer */

static int open_files(const struct sandbox *s, int *ret_submission, int *ret_transcript,
		      struct err *err)
{
	auto_file_rights as_reader = { 0 };

	if (file_rights_of(s->reader, &as_reader, err) < 0)
		return -1;
	*ret_submission = open(s->submission, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*ret_submission < 0)
		return err_set(err, ERR_ENV, errno, "cannot open '%s'", s->submission);
	*ret_transcript =
		open(s->transcript, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (*ret_transcript < 0)
		return err_set(err, ERR_ENV, errno, "cannot open '%s'", s->transcript);
	return 0;
}

static int make_pipes(struct pipes *p, struct err *err)
{
	if (pipe2(p->go, O_CLOEXEC) < 0 || pipe2(p->status, O_CLOEXEC) < 0 ||
	    pipe2(p->out, O_CLOEXEC) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make a pipe");
	return 0;
}

/* Ends this process as the program ended. */
static _Noreturn void end_like(const struct sandbox *s, int status)
{
	const struct rlimit no_core = { 0, 0 };
	unsigned long memory, forks;
	sigset_t none;

	if (!WIFSIGNALED(status))
		_exit(WEXITSTATUS(status));
	cgroup_hits(s->cgroup, &memory, &forks);
	fcntl(STDOUT_FILENO, F_SETFL, 0);
	if (WTERMSIG(status) == SIGKILL && memory)
		dprintf(STDOUT_FILENO, "killed: it took more than %llu MB of memory\n",
			(unsigned long long)(s->limits.memory >> 20));
	setrlimit(RLIMIT_CORE, &no_core);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	raise(WTERMSIG(status));
	_exit(128 + WTERMSIG(status));
}

int sandbox_become(void *sandbox, char **argv, struct err *err)
{
	const struct sandbox *s = sandbox;
	int submission = -1, transcript = -1, status = SIGKILL;
	struct pipes p;
	sigset_t set;
	pid_t init;

	/* The grader's sockets and locks are not for those below. */
	close_range(3, ~0U, 0);
	signals_of(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (open_files(s, &submission, &transcript, err) < 0 || make_pipes(&p, err) < 0)
		return CODE_NOT_BEGUN;
	auto_fd signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0 || unshare(CLONE_NEWPID) < 0) {
		err_set(err, ERR_ENV, errno, "cannot make a process namespace");
		return CODE_NOT_BEGUN;
	}
	init = fork();
	if (init == 0)
		init_main(s, &p, submission, argv);
	close(p.go[0]);
	close(p.status[1]);
	close(p.out[1]);
	close(submission);
	if (init < 0 || write(p.go[1], "g", 1) != 1) {
		err_set(err, ERR_ENV, errno, "cannot start a process");
		return CODE_NOT_BEGUN;
	}
	sandbox_relay(p.out[0], transcript, signals, init);
	/* Without a word from init it was killed. */
	if (read(p.status[0], &status, sizeof(status)) != sizeof(status))
		status = SIGKILL;
	waitpid(init, NULL, 0);
	end_like(s, status);
}
