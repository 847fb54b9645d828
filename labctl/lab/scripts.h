/* SPDX-License-Identifier: MIT */
/*
 * scripts.h - stages of the old kind: up.sh, down.sh, connect.sh CLIENT.
 *
 * They run in the stage's directory, as the calling user, with PYROUTE_ENV, PYROUTE_SRC_DIR,
 * PYROUTE_STAGE_DIR and PYROUTE_STAGE_FILE. What they print goes to stderr. Where the lab is another
 * user's (root stops it), his down.sh gets nothing of ours: a session of its own without our
 * terminal, no input, a clean environment (child.h), and its output is shown without escapes.
 *
 * At the start the stage is copied, for a down.sh that is still there at the end. The copy is the
 * owner's, in a small tmpfs of its own: the run directory, which all labs and often the host's
 * services share, cannot be filled with it.
 */
#ifndef LABCTL_LAB_SCRIPTS_H
#define LABCTL_LAB_SCRIPTS_H

#include "lab/lab.h"

#define SCRIPTS_COPY_MB	   64u
#define SCRIPTS_COPY_FILES 16384u

/* Records the lab, runs up.sh; when that fails, down.sh, and the record goes. */
int scripts_up(struct lab_ctx *ctx, struct lab *l, struct err *err) MUST_CHECK;
/* Runs down.sh: the stage's own, or the copy made at the start when that is gone. */
int scripts_down(const struct lab_ctx *ctx, struct lab *l, struct err *err) MUST_CHECK;
/* Runs connect.sh with our terminal; *ret_code is its exit code. Refused for another
 * user's lab. */
int scripts_connect(const struct lab_ctx *ctx, const struct lab *l, const char *client,
		    int *ret_code, struct err *err) MUST_CHECK;

#endif
