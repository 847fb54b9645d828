/* SPDX-License-Identifier: MIT */
/* grading.h - one submission: a lab of its own, the sandbox, the checks, a report. */
#ifndef LABCTL_GRADE_GRADING_H
#define LABCTL_GRADE_GRADING_H

#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "lab/ctx.h"

#define GRADING_RESULT	   "result.json"
#define GRADING_RESULT_MAX (16u << 20)
#define GRADING_GRADED	   "graded"
#define GRADING_ERROR	   "error"
#define GRADING_TIMEOUT	   "timeout"

struct grading {
	const char *stage;
	const char *dir;     /* the submission's; its last part is its name */
	const char *out;     /* directory for its reports; is there */
	const char *command; /* --run; NULL: by its files */
	uint64_t seed;
	unsigned timeout_s;
};

/* Grades in ctx's lab, which must not run yet, and takes it down. Writes, with the caller's
 * rights, into g->out: result.json (also about what could not be graded: "status" and "reason"),
 * report.txt, transcript.txt, and a capture file for each check that was not passed. Fails only
 * when result.json could not be written, or when interrupted. */
int grading_run(struct lab_ctx *ctx, const struct grading *g, struct err *err) MUST_CHECK;

/* A stranger's text as JSON, which is UTF-8 always. */
json_t *grading_text(const char *text);

/* What is of another process that was killed while it graded in that lab. */
void grading_clean(const char *lab);

#endif
