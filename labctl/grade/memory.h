/* SPDX-License-Identifier: MIT */
/* memory.h - what the last grading of a lab said, and how far up the ladder of hints it went. */
#ifndef LABCTL_GRADE_MEMORY_H
#define LABCTL_GRADE_MEMORY_H

#include <jansson.h>

#include "base/str.h"
#include "grade/grader.h"

struct memory {
	char *path;
	json_t *checks; /* id -> {"status", "hints"} */
	char *stage;
};

/* $LABCTL_STATE/grade/<lab>.json; nothing there, unreadable or about another stage: empty. */
void memory_load(struct memory *m, const char *state_dir, const char *lab, const char *stage);
/* Takes the selected results over. `hint`: one more hint is open for each check that failed. */
void memory_update(struct memory *m, const struct results *r, bool hint);
int memory_save(const struct memory *m, struct err *err) MUST_CHECK;
void memory_done(struct memory *m);
static inline void auto_memory_(struct memory *m)
{
	memory_done(m);
}
#define auto_memory auto_cleanup(memory) struct memory

/* Ids that were not passed last time, in the stage's order. */
void memory_failed(const struct memory *m, struct strv *ret);
/* 1 to HINTS: how many hints of the check are open. */
unsigned memory_hints(const struct memory *m, const char *id);

#endif
