/* SPDX-License-Identifier: MIT */
/* report.h - results as a table for people, as JSON, JUnit XML and TAP. */
#ifndef LABCTL_GRADE_REPORT_H
#define LABCTL_GRADE_REPORT_H

#include <jansson.h>

#include "base/str.h"
#include "grade/grader.h"
#include "grade/memory.h"

struct report {
	const struct stage *stage;
	const char *lab;
	const struct results *results;
	const struct memory *memory; /* how many hints of each check are open */
	const char *next;	     /* the command to go on with when all is passed; NULL */
	bool ladders;		     /* of the table: draw them */
	bool ascii;		     /* ... without UTF-8 */
	bool more_hints;	     /* of the table: the check's hints beside the fault's */
	bool colour;
};

/* As documented: {"stage","lab","seed","passed",...,"checks":[...]}. Owned by the caller. */
json_t *report_json(const struct report *r);
void report_junit(const struct report *r, struct str *out);
void report_tap(const struct report *r, struct str *out);

/* The table's parts: its head, the checks (with a lesson for each that was not passed; those that
 * were not tried share lines at the end), its sum. */
void report_head(const struct report *r, struct str *out);
void report_checks(const struct report *r, struct str *out);
/* One check's line, and its lesson when it was not passed. */
void report_check(const struct report *r, const struct result *c, struct str *out);
void report_sum(const struct report *r, struct str *out);

/* A check's page, for --explain: title, source, text, hints. */
void report_explain(const struct check *c, bool colour, struct str *out);

/* 0: all passed; 1: some failed; 3: something could not be graded. */
int report_exit_code(const struct results *r);

#endif
