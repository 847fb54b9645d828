/* SPDX-License-Identifier: MIT */
/* parse.h - numbers and names from text, strictly; and "did you mean". */
#ifndef LABCTL_BASE_PARSE_H
#define LABCTL_BASE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Decimal digits only, no sign, no space. ERR_USAGE names the range. */
int parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret,
	      struct err *err) MUST_CHECK;

/* Memory in bytes from "512M" or "2G": 10M to 999999M, 1G to 999G. */
int parse_memory(const char *text, uint64_t *ret, struct err *err) MUST_CHECK;

/* 0..15, or -1 when c is no hex digit. */
int parse_hex_digit(char c);

/* A lab, stage or client name: [a-z0-9][a-z0-9_.-]*, at most max bytes. */
bool name_is_valid(const char *name, size_t max);

/* The candidate nearest to word by edit distance (a transposition counts one), or NULL when
 * none is near enough to suggest: at most a third of the longer text, at least one. */
const char *nearest_name(const char *word, char *const *candidates, size_t n);

#endif
