/* SPDX-License-Identifier: MIT */
/*
 * err.h - the error value that every fallible function fills.
 *
 * Functions that can fail return int 0/-1 (or a pointer/NULL) and take `struct err *err` last.
 * The value is owned by the caller, holds nothing to free, and is never NULL: a caller that does
 * not care passes ERR_IGNORED, so that callees may read what they got. Out-parameters are called
 * ret_* and are written only on success. Messages are lower case, without a full stop,
 * names in single quotes. Library code fills errors; only main.c prints them.
 */
#ifndef LABCTL_BASE_ERR_H
#define LABCTL_BASE_ERR_H

#include <stdbool.h>
#include <stdio.h>

#define MUST_CHECK	  __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define ERR_NEVER_NULL	  __attribute__((nonnull(1)))

enum err_kind {
	ERR_NONE,
	ERR_FAILED,	 /* the work said no */
	ERR_USAGE,	 /* the command line is wrong */
	ERR_ENV,	 /* engine, privileges, kernel, a failed system call */
	ERR_STAGE,	 /* a bad stage file */
	ERR_CONFLICT,	 /* something is already held by another */
	ERR_BUSY,	 /* somebody is at work on it right now: try again */
	ERR_NOT_FOUND,	 /* no such stage, lab, client, image */
	ERR_INTERRUPTED, /* SIGINT or SIGTERM */
	ERR_INTERNAL,	 /* a defect of labctl */
	ERR_KIND_MAX
};

struct err {
	enum err_kind kind;
	int sys;	/* errno of the cause, 0 if none */
	char msg[1024]; /* one line, except where a program's own output is quoted */
	char hint[512]; /* what to do about it; empty if nothing useful can be said */
};

/* A fresh, empty value in the caller's block, for a caller to whom the reason does not matter. */
#define ERR_IGNORED (&(struct err){ .kind = ERR_NONE })

/* Always returns -1. Without an errno: sys = 0; otherwise ": strerror(sys)" is appended.
 * An error that is already set is replaced. */
int err_set(struct err *err, enum err_kind kind, int sys, const char *fmt, ...)
	PRINTF_LIKE(4, 5) ERR_NEVER_NULL;

/* Puts "context: " before the message; kind, errno and hint stay. Always returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3) ERR_NEVER_NULL;

/* Sets or replaces the hint. Always returns -1. */
int err_hint(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3) ERR_NEVER_NULL;

/* Hands an error on as it is: *err = *from. Always returns -1. */
int err_pass(struct err *err, const struct err *from) ERR_NEVER_NULL;

void err_clear(struct err *err) ERR_NEVER_NULL;
bool err_is(const struct err *err, enum err_kind kind) ERR_NEVER_NULL;

/* The process's exit code for this kind (design: 0 1 2 3 4 5 6 70, 130 when interrupted). */
int err_exit_code(enum err_kind kind);

/* A stable word for --json: "usage", "environment", ... */
const char *err_kind_name(enum err_kind kind);

#endif
