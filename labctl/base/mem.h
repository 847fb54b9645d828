/* SPDX-License-Identifier: MIT */
/*
 * mem.h - allocation that cannot fail: out of memory ends the process with a message, so no
 * caller writes or tests that path. Sizes that come from outside are capped before allocating.
 */
#ifndef LABCTL_BASE_MEM_H
#define LABCTL_BASE_MEM_H

#include <stddef.h>

#include "base/err.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xreallocarray(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((malloc, returns_nonnull));

/* Grows a heap array by one zeroed element and yields its address; the count goes up. */
#define array_push(array, count)                                                                   \
	({                                                                                         \
		(array) = xreallocarray((array), (count) + 1, sizeof(*(array)));                   \
		__typeof__(array) push_e_ = &(array)[(count)++];                                   \
		*push_e_ = (__typeof__(*push_e_)){ 0 };                                            \
		push_e_;                                                                           \
	})

/* Every json_* allocation aborts on exhaustion too. Called once, first thing in main(). */
void mem_adopt_jansson(void);

#endif
