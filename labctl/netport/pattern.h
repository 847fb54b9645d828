/* SPDX-License-Identifier: MIT */
/*
 * pattern.h - regular expressions from strangers: bounded memory, bounded time.
 *
 * POSIX extended syntax and what Python's users write besides: (?:...), \d \w \s and their
 * opposites, lazy repeats. Matched byte by byte by simulating the automaton, so the time is at most
 * the product of the pattern's size and the text's, and nothing is kept between texts.
 */
#ifndef LABCTL_NETPORT_PATTERN_H
#define LABCTL_NETPORT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define PATTERN_TEXT_MAX 520
#define PATTERN_SIZE_MAX 1000	  /* states: a repeat multiplies them */
#define PATTERN_WORK_MAX 20000000 /* steps of one struct pattern, over all its texts */

struct pattern;

/* ERR_USAGE says what is wrong, without the text; also when the repeats multiply to more than
 * PATTERN_SIZE_MAX states, which is found before any of it is built. */
int pattern_compile(const char *text, struct pattern **ret, struct err *err) MUST_CHECK;
void pattern_free(struct pattern *p);
DEFINE_AUTO(pattern, struct pattern *, pattern_free, NULL)
#define auto_pattern auto_cleanup(pattern) struct pattern *

enum pattern_where {
	PATTERN_ANYWHERE, /* as Python's re.search() */
	PATTERN_AT_START, /* as re.match() */
};

/* ERR_USAGE once PATTERN_WORK_MAX is used up. */
int pattern_matches(struct pattern *p, const char *text, enum pattern_where where, bool *ret,
		    struct err *err) MUST_CHECK;

#endif
