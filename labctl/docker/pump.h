/* SPDX-License-Identifier: MIT */
/* pump.h - the time between a command's start and its exit code: bytes both ways, signals,
 * window size. Internal to docker/. */
#ifndef LABCTL_DOCKER_PUMP_H
#define LABCTL_DOCKER_PUMP_H

#include "docker/exec.h"
#include "docker/http.h"

/* Carries everything between conn and the spec's descriptors until the stream ends, then waits
 * for the command's end. first is what came behind the reply's head. The terminal is raw in
 * here when spec->tty. */
int pump_run(struct engine *e, const struct exec_spec *spec, const char *exec_id,
	     struct http_conn *conn, const struct str *first, int *ret_code,
	     struct err *err) MUST_CHECK;

/* From GET /exec/{id}/json. */
struct exec_state {
	bool running;
	int code;
	pid_t pid; /* on the engine's host, 0 when unknown */
	char container[65];
};
int exec_state_read(const json_t *reply, struct exec_state *ret, struct err *err) MUST_CHECK;

/* Signals the command's process group. Only where the process is on this machine and is of that
 * container; otherwise, or without the right to, -1. */
int exec_kill(const struct exec_state *state, int sig);

#endif
