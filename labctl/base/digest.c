/* SPDX-License-Identifier: MIT */
/* digest.c - SHA-256 by GnuTLS. */
#include "base/digest.h"

#include <stdlib.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "base/banned.h"

#define BYTES 32

/* It fails only without memory, or where the computer's policy forbids SHA-256. */
static void must(int r)
{
	if (r < 0)
		abort();
}

static void to_text(const unsigned char b[static BYTES], char ret[static DIGEST_TEXT])
{
	for (size_t i = 0; i < BYTES; i++) {
		ret[2 * i] = "0123456789abcdef"[b[i] >> 4];
		ret[2 * i + 1] = "0123456789abcdef"[b[i] & 15];
	}
	ret[DIGEST_TEXT - 1] = '\0';
}

void digest_begin(struct digest *d)
{
	gnutls_hash_hd_t h;

	must(gnutls_hash_init(&h, GNUTLS_DIG_SHA256));
	d->state = h;
}

void digest_add(struct digest *d, const void *data, size_t n)
{
	must(gnutls_hash(d->state, data, n));
}

void digest_end(struct digest *d, char ret[static DIGEST_TEXT])
{
	unsigned char b[BYTES];

	gnutls_hash_deinit(steal_ptr(&d->state), b);
	to_text(b, ret);
}

void digest_done(struct digest *d)
{
	unsigned char b[BYTES];

	if (d->state)
		gnutls_hash_deinit(steal_ptr(&d->state), b);
}

void digest_of(const void *data, size_t n, char ret[static DIGEST_TEXT])
{
	unsigned char b[BYTES];

	must(gnutls_hash_fast(GNUTLS_DIG_SHA256, data, n, b));
	to_text(b, ret);
}
