/* SPDX-License-Identifier: MIT */
/* digest.h - SHA-256. */
#ifndef LABCTL_BASE_DIGEST_H
#define LABCTL_BASE_DIGEST_H

#include <stddef.h>

#include "base/cleanup.h"

#define DIGEST_TEXT 65 /* hexadecimal digits and a NUL */

/* Of data that comes in parts. */
struct digest {
	void *state;
};

void digest_begin(struct digest *d);
void digest_add(struct digest *d, const void *data, size_t n);
/* Ends it. */
void digest_end(struct digest *d, char ret[static DIGEST_TEXT]);
/* Gives it up, if it was not ended. */
void digest_done(struct digest *d);
static inline void auto_digest_(struct digest *d)
{
	digest_done(d);
}
#define auto_digest auto_cleanup(digest) struct digest

/* Of data that is all there. */
void digest_of(const void *data, size_t n, char ret[static DIGEST_TEXT]);

#endif
