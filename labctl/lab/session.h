/* SPDX-License-Identifier: MIT */
/* session.h - what the verbs ask for: start a stage, stop it, run the student's program. */
#ifndef LABCTL_LAB_SESSION_H
#define LABCTL_LAB_SESSION_H

#include <stdbool.h>

#include <jansson.h>

#include "base/str.h"
#include "lab/lab.h"

/* Finds and reads a stage, and makes it concrete; nothing on the machine changes. A caller who may
 * not have the host seat gets an isolated lab unasked. Problems of the stage file go to *problems. */
int session_prepare(struct lab_ctx *ctx, const char *stage, bool isolated,
		    struct stage_problems *problems, struct lab **ret, struct err *err) MUST_CHECK;

/* Stops what runs in ctx's lab (left half-done or not), then brings `l` up. */
int session_start(struct lab_ctx *ctx, struct lab *l, struct err *err) MUST_CHECK;

/* ERR_NOT_FOUND when nothing runs. *ret_stage (may be NULL): heap text, the stage's name. */
int session_stop(struct lab_ctx *ctx, char **ret_stage, struct err *err) MUST_CHECK;

/* The lab, which must be running (not half-started, not from before a reboot) and the caller's.
 * What a dead labctl left half-done is removed first, as far as we are root. */
int session_running(struct lab_ctx *ctx, struct lab **ret, struct err *err) MUST_CHECK;

/* May the caller work in the lab's seat? Not in the host's own namespace when the host seat is not
 * (or no longer) his. */
int session_check_seat(const struct lab_ctx *ctx, const struct lab *l, struct err *err) MUST_CHECK;

/* Brings the lab back to its record. *ret_report: {"lab","stage","was": drift found (status.h),
 * "mended": the texts of what is gone of it, "made": what was made anew, "left": drift that
 * remains}; the caller's. */
int session_repair(struct lab_ctx *ctx, json_t **ret_report, struct err *err) MUST_CHECK;

/* The container of a client: ERR_NOT_FOUND suggests the nearest name. Heap text. */
int session_container(const struct lab *l, const char *client, char **ret,
		      struct err *err) MUST_CHECK;

/* What a program in the seat is for. */
enum session_use {
	SESSION_GRADED,	 /* by check --run: CAP_NET_RAW and no other capability, whoever calls */
	SESSION_AT_WORK, /* run, shell: the real root's may change its user besides (child.h) */
};

/* Becomes argv: in the seat, as the calling user, with CAP_NET_RAW (ambient), with CHILD_ENV_CALLER
 * and LAB_FILE (see child.h), descriptors 0 to 2. Signals and the exit code are then the program's
 * own. Returns only on failure; *ret_code is 127 (not found), 126 (cannot be executed) or 125
 * (labctl failed). */
int session_exec(struct lab_ctx *ctx, const struct lab *l, enum session_use use, char **argv,
		 int *ret_code, struct err *err) MUST_CHECK;

#endif
