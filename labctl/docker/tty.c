/* SPDX-License-Identifier: MIT */
/* tty.c - raw mode and the way back from it. */
#include "docker/tty.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <termios.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include "base/mem.h"

#include "base/banned.h"

/* A signal handler has no other way to know: what to restore, and where (-1: nothing). */
static volatile sig_atomic_t raw_fd = -1;
static struct termios saved;
static struct termios raw;

/* What ends a process by default and is not blocked during a connection. */
static const int fatal[] = { SIGSEGV, SIGBUS,  SIGILL,	SIGFPE,	   SIGABRT, SIGSYS,  SIGTRAP,
			     SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGXFSZ };

bool tty_size_get(int fd, struct tty_size *ret)
{
	struct winsize ws;

	if (ioctl(fd, TIOCGWINSZ, &ws) || !ws.ws_row || !ws.ws_col)
		return false;
	*ret = (struct tty_size){ .rows = ws.ws_row, .cols = ws.ws_col };
	return true;
}

static void on_fatal(int sig)
{
	int fd = raw_fd;

	raw_fd = -1;
	if (fd >= 0)
		tcsetattr(fd, TCSANOW, &saved);
	/* SA_RESETHAND: the default action now */
	raise(sig);
}

static void catch_fatal(void)
{
	struct sigaction sa = { .sa_handler = on_fatal, .sa_flags = SA_RESETHAND | SA_NODEFER };

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++) {
		struct sigaction old;

		if (sigaction(fatal[i], NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) &&
		    old.sa_handler == SIG_DFL)
			sigaction(fatal[i], &sa, NULL);
	}
}

static void release_fatal(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++) {
		struct sigaction old;

		if (sigaction(fatal[i], NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) &&
		    old.sa_handler == on_fatal)
			sigaction(fatal[i], &sa, NULL);
	}
}

int tty_raw_enter(int fd, struct err *err)
{
	if (raw_fd >= 0)
		return err_set(err, ERR_INTERNAL, 0, "the terminal is raw already");
	if (tcgetattr(fd, &saved))
		return err_set(err, ERR_ENV, errno, "cannot read the terminal's modes");
	raw = saved;
	cfmakeraw(&raw);
	raw_fd = fd;
	catch_fatal();
	if (tcsetattr(fd, TCSADRAIN, &raw) == 0)
		return 0;
	err_set(err, ERR_ENV, errno, "cannot make the terminal raw");
	tty_raw_leave();
	return -1;
}

void tty_raw_again(void)
{
	if (raw_fd >= 0)
		tcsetattr(raw_fd, TCSADRAIN, &raw);
}

void tty_raw_leave(void)
{
	if (raw_fd < 0)
		return;
	tcsetattr(raw_fd, TCSADRAIN, &saved);
	raw_fd = -1;
	release_fatal();
}
