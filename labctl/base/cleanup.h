/* SPDX-License-Identifier: MIT */
/*
 * cleanup.h - scope-bound ownership.
 *
 * A variable declared `auto_x` owns what it holds and releases it at the end of its scope,
 * keeping errno. Initialise it where it is declared; hand the value over with steal_ptr() or
 * steal_fd(). Never `goto` over such a declaration.
 */
#ifndef LABCTL_BASE_CLEANUP_H
#define LABCTL_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Defines auto_<name>_(): calls fn(*p) unless *p equals null_value; errno survives. */
#define DEFINE_AUTO(name, type, fn, null_value)                                                    \
	static inline void auto_##name##_(type *p)                                                 \
	{                                                                                          \
		int saved = errno;                                                                 \
                                                                                                   \
		if (*p != (null_value))                                                            \
			fn(*p);                                                                    \
		errno = saved;                                                                     \
	}

static inline void auto_free_(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

DEFINE_AUTO(fd, int, close, -1)
DEFINE_AUTO(file, FILE *, fclose, NULL)
DEFINE_AUTO(dir, DIR *, closedir, NULL)

#define auto_cleanup(name) __attribute__((cleanup(auto_##name##_)))
#define auto_free	   auto_cleanup(free)
#define auto_fd		   auto_cleanup(fd) int
#define auto_file	   auto_cleanup(file) FILE *
#define auto_dir	   auto_cleanup(dir) DIR *

/* Yields the value and leaves NULL (or -1) behind, so that the scope no longer owns it. */
#define steal_ptr(pp)                                                                              \
	({                                                                                         \
		__typeof__(pp) steal_pp_ = (pp);                                                   \
		__typeof__(*steal_pp_) steal_v_ = *steal_pp_;                                      \
		*steal_pp_ = NULL;                                                                 \
		steal_v_;                                                                          \
	})

static inline int steal_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

#endif
