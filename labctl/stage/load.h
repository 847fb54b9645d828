/* SPDX-License-Identifier: MIT */
/* load.h - stages on disk: list them, find one, read and validate it. */
#ifndef LABCTL_STAGE_LOAD_H
#define LABCTL_STAGE_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "stage/model.h"

/* One finding in a stage file. */
struct stage_problem {
	unsigned line;	/* 0: not known */
	char path[128]; /* "clients.client1.interfaces.eth0.address" */
	char text[256]; /* what was found and what was expected */
	char hint[160]; /* what to do; may be empty */
};

struct stage_problems {
	struct stage_problem *v;
	size_t n;
	char *file; /* the file they are about */
	struct stage
		*partial; /* what could be read of it, to look for more; NULL: nothing, or all */
};

void stage_problems_done(struct stage_problems *p);
static inline void auto_stage_problems_(struct stage_problems *p)
{
	stage_problems_done(p);
}
#define auto_stage_problems auto_cleanup(stage_problems) struct stage_problems

/* "stages/x/stage.json:7: clients.client1.gateway: '1.1.1.9' is ..."; without the hint. */
void stage_problem_format(const char *file, const struct stage_problem *p, struct str *out);

/* Reads the stage in directory `dir`. Fails with ERR_NOT_FOUND (no such directory),
 * ERR_STAGE (neither stage.json nor up.sh/down.sh; or problems: all of them are in *problems,
 * in file order, the message counts them and quotes the first). problems may be NULL. */
int stage_load(const char *dir, struct stage **ret, struct stage_problems *problems,
	       struct err *err) MUST_CHECK;

/* The same from text; `file` is for messages, name is the stage's. Used by tests and fuzzers. */
int stage_parse(const char *text, size_t len, const char *file, const char *name,
		struct stage **ret, struct stage_problems *problems, struct err *err) MUST_CHECK;

/* Names of the stages below root, in natural order (stage2 before stage10). */
int stage_list(const char *root, struct strv *ret, struct err *err) MUST_CHECK;

/* Directory of a stage: a name is looked up below root; something with a '/', "." and ".." are
 * paths of a stage directory, or of the stage.json in it. Heap text. ERR_NOT_FOUND suggests the
 * directory of that name, if there is one, or the nearest name. */
int stage_find(const char *root, const char *name, char **ret_dir, struct err *err) MUST_CHECK;

#endif
