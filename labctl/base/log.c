/* SPDX-License-Identifier: MIT */
/* log.c - diagnostics and the interrupt flag. */
#include "base/log.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/out.h"

#include "base/banned.h"

static enum log_level level = LOG_NORMAL;
static volatile sig_atomic_t interrupted;
static volatile time_t interrupted_at; /* CLOCK_MONOTONIC, seconds */
static time_t held_at;
static unsigned holds;

void log_set_level(enum log_level l)
{
	level = l;
}

enum log_level log_get_level(void)
{
	return level;
}

static void emit(const char *prefix, const char *fmt, va_list ap)
{
	char line[1024];
	int n = snprintf(line, sizeof(line), "%s", prefix);

	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	out_message(line);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	if (level < LOG_NORMAL)
		return;
	va_start(ap, fmt);
	emit("warning: ", fmt, ap);
	va_end(ap);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	if (level < LOG_DEBUG)
		return;
	va_start(ap, fmt);
	emit("", fmt, ap);
	va_end(ap);
}

static void on_signal(int sig)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!interrupted)
		interrupted_at = now.tv_sec;
	interrupted = sig;
}

void interrupt_install(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal };

	/* A reader that went away must not end a start half-way: writes fail instead. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		struct sigaction old;

		/* nohup's choice stands */
		if (sigaction(sigs[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
			continue;
		sigaction(sigs[i], &sa, NULL);
	}
}

bool interrupt_seen(void)
{
	struct timespec now;

	if (!interrupted || !holds)
		return interrupted;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - interrupted_at >= INTERRUPT_GRACE_S &&
	       now.tv_sec - held_at >= INTERRUPT_GRACE_S;
}

bool interrupt_pending(void)
{
	return interrupted;
}

int interrupt_signal(void)
{
	return interrupted;
}

void interrupt_hold(bool hold)
{
	struct timespec now;

	if (hold) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		held_at = now.tv_sec;
	}
	holds += hold ? 1u : -1u;
}

void stop_hold(bool hold)
{
	static unsigned stop_holds;
	static sigset_t before;
	sigset_t stops;

	if (hold && stop_holds++ == 0) {
		sigemptyset(&stops);
		sigaddset(&stops, SIGTSTP);
		sigaddset(&stops, SIGTTIN);
		sigaddset(&stops, SIGTTOU);
		sigprocmask(SIG_BLOCK, &stops, &before);
	} else if (!hold && --stop_holds == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
	}
}

int err_if_interrupted(struct err *err)
{
	if (!interrupt_seen())
		return 0;
	return err_set(err, ERR_INTERRUPTED, 0, "interrupted by SIG%s", sigabbrev_np(interrupted));
}
