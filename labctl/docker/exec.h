/* SPDX-License-Identifier: MIT */
/*
 * exec.h - a command inside a running container, over the engine's hijacked connection.
 *
 * With a TTY: the caller's terminal goes raw, every byte (Ctrl-C, Ctrl-D too) goes to the
 * client, window changes are passed on, and the terminal is restored on every way out, a
 * fatal signal included. Without: stdin is piped until its end (half-close), stdout and stderr
 * stay apart (the engine's 8-byte frame header), SIGINT/SIGTERM end the command.
 */
#ifndef LABCTL_DOCKER_EXEC_H
#define LABCTL_DOCKER_EXEC_H

#include <stdbool.h>

#include "docker/engine.h"

struct exec_spec {
	const char *container;		    /* name or id */
	const char *const *argv;	    /* NULL-terminated */
	const char *const *env;		    /* "K=V", NULL-terminated; may be NULL */
	const char *user;		    /* NULL: the container's own */
	const char *workdir;		    /* NULL: the container's own */
	bool tty;			    /* give the command a terminal; needs stdin to be one */
	bool stdin_open;		    /* pass our stdin on */
	int stdin_fd, stdout_fd, stderr_fd; /* usually 0, 1, 2 */
};

/* Runs to the end. *ret_code is the command's exit code. Container not running: ERR_CONFLICT;
 * not there: ERR_NOT_FOUND; connection lost: ERR_ENV. A command that cannot be started has the
 * code that the engine gives (126, 127). */
int exec_run(struct engine *e, const struct exec_spec *spec, int *ret_code,
	     struct err *err) MUST_CHECK;

/* Without stdin, output (both streams, cut at 4 KiB) kept as heap text: for the commands that
 * a stage wants run. ret_output may be NULL. */
int exec_capture(struct engine *e, const char *container, const char *const *argv, int *ret_code,
		 char **ret_output, struct err *err) MUST_CHECK;

#endif
