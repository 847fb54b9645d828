/* SPDX-License-Identifier: MIT */
/* err.c - the error value. */
#include "base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "base/banned.h"

static const struct {
	const char *name;
	int exit_code;
} err_kinds[] = {
	[ERR_NONE] = { "none", 0 },
	[ERR_FAILED] = { "failed", 1 },
	[ERR_USAGE] = { "usage", 2 },
	[ERR_ENV] = { "environment", 3 },
	[ERR_STAGE] = { "stage", 4 },
	[ERR_CONFLICT] = { "conflict", 5 },
	[ERR_BUSY] = { "busy", 5 },
	[ERR_NOT_FOUND] = { "not-found", 6 },
	[ERR_INTERRUPTED] = { "interrupted", 130 },
	[ERR_INTERNAL] = { "internal", 70 },
};
static_assert(sizeof(err_kinds) / sizeof(err_kinds[0]) == ERR_KIND_MAX, "a kind lacks its row");

int err_set(struct err *err, enum err_kind kind, int sys, const char *fmt, ...)
{
	char msg[sizeof(err->msg)];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (sys && n >= 0 && (size_t)n < sizeof(msg))
		snprintf(msg + n, sizeof(msg) - (size_t)n, ": %s", strerror(sys));
	err->kind = kind;
	err->sys = sys;
	memcpy(err->msg, msg, sizeof(msg));
	err->hint[0] = '\0';
	return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char msg[sizeof(err->msg)];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	/* The tail is what gets lost when it all is too long. */
	if (n >= 0 && (size_t)n < sizeof(msg) &&
	    snprintf(msg + n, sizeof(msg) - (size_t)n, ": %s", err->msg) < 0)
		return -1;
	memcpy(err->msg, msg, sizeof(msg));
	return -1;
}

int err_hint(struct err *err, const char *fmt, ...)
{
	char hint[sizeof(err->hint)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(hint, sizeof(hint), fmt, ap);
	va_end(ap);
	memcpy(err->hint, hint, sizeof(hint));
	return -1;
}

int err_pass(struct err *err, const struct err *from)
{
	*err = *from;
	return -1;
}

void err_clear(struct err *err)
{
	err->kind = ERR_NONE;
	err->sys = 0;
	err->msg[0] = '\0';
	err->hint[0] = '\0';
}

bool err_is(const struct err *err, enum err_kind kind)
{
	return err->kind == kind;
}

int err_exit_code(enum err_kind kind)
{
	return err_kinds[kind].exit_code;
}

const char *err_kind_name(enum err_kind kind)
{
	return err_kinds[kind].name;
}
