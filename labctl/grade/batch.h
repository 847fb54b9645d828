/* SPDX-License-Identifier: MIT */
/*
 * batch.h - all submissions of a directory, several at once, each by a process of its own.
 *
 * What a submission does to its lab, or to the labctl that grades it, ends there: the others and
 * the summary go on.
 */
#ifndef LABCTL_GRADE_BATCH_H
#define LABCTL_GRADE_BATCH_H

#include <stdint.h>

#include <jansson.h>

#include "base/digest.h"
#include "base/str.h"
#include "lab/ctx.h"
#include "stage/model.h"

#define BATCH_JOBS_MAX 64

struct batch_options {
	const char *submissions; /* their directory */
	const char *out;	 /* each gets a directory of its name in it */
	const char *command;	 /* NULL: by the submissions' files */
	uint64_t seed;
	unsigned jobs;
	unsigned timeout_s; /* for one submission, its lab's start and stop included */
};

struct batch_row {
	char *name;
	json_t *doc; /* as in result.json */
};

struct batch {
	const struct stage *stage; /* borrowed */
	char stage_sha256[DIGEST_TEXT];
	uint64_t seed;
	struct batch_row *rows;
	size_t n;
	size_t graded; /* how many could be */
	double seconds;
};

void batch_done(struct batch *b);
static inline void auto_batch_(struct batch *b)
{
	batch_done(b);
}
#define auto_batch auto_cleanup(batch) struct batch

/* stage_text: of the stage file. Runs ctx->exe. Fails for what concerns all of them, and
 * when interrupted (everything is taken down then). */
int batch_run(struct lab_ctx *ctx, const struct stage *stage, const char *stage_text,
	      const struct batch_options *o, struct batch *ret, struct err *err) MUST_CHECK;

/* The summary: for people; a line for each submission, a column for each check; everything. */
void batch_table(const struct batch *b, struct str *out);
void batch_csv(const struct batch *b, struct str *out);
json_t *batch_json(const struct batch *b, const char *version);

#endif
