/* SPDX-License-Identifier: MIT */
/*
 * log.h - diagnostics on stderr. The level and the interrupt flag are the program's only
 * mutable globals.
 */
#ifndef LABCTL_BASE_LOG_H
#define LABCTL_BASE_LOG_H

#include <stdbool.h>

#include "base/err.h"

enum log_level {
	LOG_QUIET,  /* -q: errors only */
	LOG_NORMAL, /* warnings; progress when stderr is a terminal */
	LOG_DEBUG,  /* -v: every step and every engine call */
};

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* SIGINT, SIGTERM and SIGHUP set a flag (no SA_RESTART: blocking calls return EINTR). Long
 * work asks err_if_interrupted() between steps and unwinds. */
void interrupt_install(void);
bool interrupt_seen(void);
int err_if_interrupted(struct err *err) MUST_CHECK;

/* Work that must not be cut off (a request that the engine is carrying out, a roll-back) holds
 * interrupts: interrupt_seen() stays false for INTERRUPT_GRACE_S seconds after the signal and
 * after the last hold began (a roll-back needs its own time), and interrupt_pending() tells that
 * one came. Holds nest. */
#define INTERRUPT_GRACE_S 20
void interrupt_hold(bool hold);
bool interrupt_pending(void);
int interrupt_signal(void); /* the last one that came; 0: none */

/* As long as it is held, Ctrl-Z and the like do not stop this thread: a stopped process keeps what it
 * has locked, for ever. Holds nest. */
void stop_hold(bool hold);

#endif
