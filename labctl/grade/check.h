/* SPDX-License-Identifier: MIT */
/*
 * check.h - the catalogue: every check as a row of a table.
 *
 * A new check is one row and one function in a file of grade/checks/, which reads like the
 * specification: stimulus, expectation, lesson (the words for that are in trial.h). A new file
 * of checks is one line in checks/table.c. Ids are stable: users script against them.
 */
#ifndef LABCTL_GRADE_CHECK_H
#define LABCTL_GRADE_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/err.h"

struct trial;
struct stage;

typedef int fit_fn(const struct stage *s, const json_t *args, struct err *err);

enum verdict {
	VERDICT_PASS,
	VERDICT_FAIL,
	VERDICT_ERROR,	 /* could not be judged */
	VERDICT_PENDING, /* not tried, because something it needs failed */
	VERDICT_MAX
};

#define HINTS 3

struct check {
	const char *id;
	const char *title; /* what the router must do: "answers who-has for its own address" */
	const char *rfc;   /* "RFC 826" */
	const char *
		needs; /* ids, a space between them; NULL: none. Tried only once these are usable */
	const char *args; /* keys beside use and points that a stage may give; NULL: none */
	fit_fn *args_fit; /* do they go with the topology? NULL: by their names (fit.h) */
	unsigned points;  /* when the stage says nothing */
	bool rough;	  /* who fails it may be in any state: the program is started again */
	const char *hints[HINTS]; /* a ladder: a question, a direction, nearly the answer */
	const char *explain;	  /* a page on the behaviour, for --explain */
	/* True: passed. False: trial_fail() or trial_error() was called. */
	bool (*run)(struct trial *t);
	/* After a failure: can the checks that need this one be tried all the same? NULL: no. What
	 * it records about its own trial is not reported. */
	bool (*usable)(struct trial *t);
};

/* One file's rows, which end with an all-zero one. */
extern const struct check checks_arp[], checks_resolve[], checks_forward[], checks_eth[],
	checks_ipv4[], checks_icmp[], checks_error[], checks_lpm[], checks_frag[], checks_tcp[],
	checks_udp[], checks_perf[], checks_robust[], checks_lasting[];

/* The i-th check of the catalogue; NULL after the last. */
const struct check *check_at(size_t i);
const struct check *check_find(const char *id);
/* ERR_NOT_FOUND suggests the nearest id. */
int check_lookup(const char *id, const struct check **ret, struct err *err) MUST_CHECK;

/* Does the check need the one with this id? */
bool check_needs(const struct check *c, const char *id);
/* May a stage give it this key? */
bool check_has_key(const struct check *c, const char *key);
/* Are the keys that the stage gives this check's own? ERR_STAGE names one that is not. */
int check_args_valid(const struct check *c, json_t *args, struct err *err) MUST_CHECK;

const char *verdict_name(enum verdict v); /* "pass" */

#endif
