/* SPDX-License-Identifier: MIT */
/*
 * reader.h - what is wrong with a stage file: problems are collected, not returned one by one,
 * so that a teacher sees all of them at once. Internal to the room stage/.
 */
#ifndef LABCTL_STAGE_READER_H
#define LABCTL_STAGE_READER_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/err.h"
#include "stage/load.h"
#include "stage/tree.h"

/* More problems than this are counted and not kept. */
#define READER_PROBLEMS_MAX 1000

struct reader_found {
	struct stage_problem problem;
	size_t offset; /* in the text; decides the order */
};

/* Zero-initialised is empty. */
struct reader {
	struct reader_found *v;
	size_t n;
	size_t dropped;		    /* over READER_PROBLEMS_MAX */
	struct stage_problem *last; /* what reader_hint() speaks of; NULL: it was dropped */
};

void reader_done(struct reader *r);
static inline void auto_reader_(struct reader *r)
{
	reader_done(r);
}
#define auto_reader auto_cleanup(reader) struct reader

/* True when further problems are only counted: no need to look for suggestions. */
static inline bool reader_is_full(const struct reader *r)
{
	return r->n >= READER_PROBLEMS_MAX;
}
static inline bool reader_has_problems(const struct reader *r)
{
	return r->n > 0;
}

/* A problem with what stands at the node; its text should name what was found and what is
 * expected. Text that comes from the file goes through node_quote(). */
void reader_add(struct reader *r, const struct node *n, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A problem with the text itself. n is the innermost node around it, or NULL. */
void reader_add_at(struct reader *r, const struct node *n, unsigned line, size_t offset,
		   const char *fmt, ...) PRINTF_LIKE(5, 6);
/* What to do about the problem added last. */
void reader_hint(struct reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Hands the problems over in file order. `file` is copied. */
void reader_steal(struct reader *r, const char *file, struct stage_problems *ret);

#define QUOTE_TEXT 96
/* The text fit for a message: shortened, without control characters. */
const char *node_quote(const char *text, char buf[static QUOTE_TEXT]);

/* "a string", "the number 5", ... */
const char *node_describe(const struct node *n, char buf[static QUOTE_TEXT]);

/* The typed getters report and return false when the node holds something else. Strings are
 * borrowed from the document. A number without a fraction, like 1500.0, is an integer, as JSON
 * Schema has it. */
bool node_string(struct reader *r, const struct node *n, const char **ret);
bool node_integer(struct reader *r, const struct node *n, long long min, long long max,
		  long long *ret);
bool node_object(struct reader *r, const struct node *n);
bool node_array(struct reader *r, const struct node *n);

/* One key of an object: how it is called and who reads it. `read` gets the node of the value. */
struct field {
	const char *key;
	bool required;
	void (*read)(void *ctx, const struct node *n, void *target);
};

/* Reads an object by its table, in the table's order. Unknown keys are problems with the
 * nearest known one as hint, and so are missing required ones. False when it is no object. */
bool node_fields(struct reader *r, const struct node *n, const struct field *fields,
		 size_t n_fields, void *ctx, void *target);

/* "did you mean 'x'?" about an unknown name, when one of the members of n (or NULL) is near. */
void reader_suggest(struct reader *r, const char *word, const struct node *n);

#endif
