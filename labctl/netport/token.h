/* SPDX-License-Identifier: MIT */
/*
 * token.h - bearer tokens of the REST service: a file of names, scopes and hashes.
 *
 * A token is 256 random bits, so a plain SHA-256 of it keeps it as safe as a slow hash would. Its
 * text is shown once, when it is made, and kept nowhere.
 */
#ifndef LABCTL_NETPORT_TOKEN_H
#define LABCTL_NETPORT_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

#define TOKEN_NAME_MAX 64
#define TOKEN_TEXT     48 /* "lnp_", 43 characters, NUL */
#define TOKEN_HASH     65

struct token {
	char name[TOKEN_NAME_MAX + 1];
	unsigned scopes; /* enum api_scope */
	char hash[TOKEN_HASH];
	int64_t created; /* milliseconds since the epoch */
};

struct tokens {
	char *path;
	struct token *v;
	size_t n;
	struct stat seen; /* of the file that was read */
	unsigned loads;	  /* how often it was another one */
};

void tokens_init(struct tokens *t, const char *state_dir);
void tokens_done(struct tokens *t);
static inline void auto_tokens_(struct tokens *t)
{
	tokens_done(t);
}
#define auto_tokens auto_cleanup(tokens) struct tokens

/* Reads the file when it is not the one that was read last. No file: no tokens. */
int tokens_load(struct tokens *t, struct err *err) MUST_CHECK;
/* ERR_CONFLICT when the name is taken. */
int tokens_add(struct tokens *t, const char *name, unsigned scopes, char ret[static TOKEN_TEXT],
	       struct err *err) MUST_CHECK;
int tokens_remove(struct tokens *t, const char *name, struct err *err) MUST_CHECK;
/* NULL: no such token. */
const struct token *tokens_find(const struct tokens *t, const char *text);

/* "read,lease": ERR_USAGE names what there is. */
int scopes_parse(const char *text, unsigned *ret, struct err *err) MUST_CHECK;
char *scopes_text(unsigned scopes); /* heap */

/* Lower-case hex. */
void sha256_hex(const void *data, size_t len, char ret[static TOKEN_HASH]);

#endif
