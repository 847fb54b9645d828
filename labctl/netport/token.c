/* SPDX-License-Identifier: MIT */
/* token.c - bearer tokens. */
#include "netport/token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <jansson.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"
#include "netport/api.h"

#include "base/banned.h"

#define FILE_NAME  "netport-tokens.json"
#define FILE_MAX   (1 << 20)
#define TOKENS_MAX 1000

static const struct {
	const char *name;
	unsigned scope;
} scopes[] = {
	{ "read", SCOPE_READ },
	{ "lease", SCOPE_LEASE },
	{ "shell", SCOPE_SHELL },
	{ "admin", SCOPE_ADMIN },
};

void sha256_hex(const void *data, size_t len, char ret[static TOKEN_HASH])
{
	unsigned char b[32];

	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, data, len, b) != 0)
		abort();
	for (size_t i = 0; i < sizeof(b); i++) {
		ret[2 * i] = "0123456789abcdef"[b[i] >> 4];
		ret[2 * i + 1] = "0123456789abcdef"[b[i] & 15];
	}
	ret[TOKEN_HASH - 1] = '\0';
}

int scopes_parse(const char *text, unsigned *ret, struct err *err)
{
	unsigned all = 0;

	for (const char *s = text;; s++) {
		size_t len = strcspn(s, ","), i;

		for (i = 0; i < ARRAY_SIZE(scopes); i++) {
			if (strlen(scopes[i].name) == len && memcmp(s, scopes[i].name, len) == 0)
				break;
		}
		if (i == ARRAY_SIZE(scopes)) {
			err_set(err, ERR_USAGE, 0, "'%.*s' is no scope", (int)(len > 64 ? 64 : len),
				s);
			return err_hint(err, "read, lease, shell, admin; several: read,lease");
		}
		all |= scopes[i].scope;
		s += len;
		if (!*s)
			break;
	}
	/* Who may change may look. */
	*ret = all | SCOPE_READ | (all & SCOPE_ADMIN ? SCOPE_LEASE : 0);
	return 0;
}

char *scopes_text(unsigned all)
{
	auto_str text = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
		if (all & scopes[i].scope)
			str_addf(&text, "%s%s", text.len ? "," : "", scopes[i].name);
	}
	return str_steal(&text);
}

void tokens_init(struct tokens *t, const char *state_dir)
{
	*t = (struct tokens){ .path = xasprintf("%s/%s", state_dir, FILE_NAME) };
}

static void forget(struct tokens *t)
{
	t->loads++;
	free(t->v);
	t->v = NULL;
	t->n = 0;
}

void tokens_done(struct tokens *t)
{
	forget(t);
	free(t->path);
	*t = (struct tokens){ 0 };
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool take(const json_t *doc, struct token *ret)
{
	const char *name, *hash, *text;
	json_int_t created;
	json_error_t why;

	if (json_unpack_ex((json_t *)(uintptr_t)doc, &why, 0, "{s:s, s:s, s:s, s:I}", "name", &name,
			   "hash", &hash, "scopes", &text, "created", &created) < 0)
		return false;
	ret->created = created;
	return str_copy(ret->name, sizeof(ret->name), name) && strlen(hash) == TOKEN_HASH - 1 &&
	       str_copy(ret->hash, sizeof(ret->hash), hash) &&
	       scopes_parse(text, &ret->scopes, ERR_IGNORED) == 0;
}

static int parse(struct tokens *t, const char *text, struct err *err)
{
	json_t *doc = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *one;
	bool ok = json_is_array(doc) && json_array_size(doc) <= TOKENS_MAX;
	size_t i;

	json_array_foreach (doc, i, one) {
		struct token token = { 0 };

		ok = ok && take(one, &token);
		if (ok)
			*array_push(t->v, t->n) = token;
	}
	json_decref(doc);
	if (ok)
		return 0;
	forget(t);
	err_set(err, ERR_ENV, 0, "'%s' is damaged", t->path);
	return err_hint(err, "move it away and make the tokens anew: labctl netport token add");
}

int tokens_load(struct tokens *t, struct err *err)
{
	auto_free char *text = NULL;
	struct stat st;

	if (stat(t->path, &st) < 0) {
		forget(t);
		t->seen = (struct stat){ 0 };
		return errno == ENOENT ? 0
				       : err_set(err, ERR_ENV, errno, "cannot read '%s'", t->path);
	}
	if (same_file(&st, &t->seen))
		return 0;
	forget(t);
	t->seen = (struct stat){ 0 };
	if (fs_read(t->path, FILE_MAX, &text, NULL, err) < 0 || parse(t, text, err) < 0)
		return -1;
	t->seen = st;
	return 0;
}

static int save(struct tokens *t, struct err *err)
{
	json_t *doc = json_array();

	for (size_t i = 0; i < t->n; i++) {
		auto_free char *words = scopes_text(t->v[i].scopes);

		json_array_append_new(doc, json_pack("{s:s, s:s, s:s, s:I}", "name", t->v[i].name,
						     "scopes", words, "hash", t->v[i].hash,
						     "created", (json_int_t)t->v[i].created));
	}
	auto_free char *text = json_dumps(doc, JSON_INDENT(1));
	json_decref(doc);
	return fs_write(t->path, text, strlen(text), 0600, true, err);
}

/* Reads, with the file locked against another who changes it. */
static int open_locked(struct tokens *t, int *ret_lock, char **ret_lock_path, struct err *err)
{
	auto_free char *lock = xasprintf("%s.lock", t->path);
	auto_free char *dir = xstrndup(t->path, (size_t)(strrchr(t->path, '/') - t->path));

	if (fs_mkdirs(dir, 0755, err) < 0 || fs_lock(lock, "token", ret_lock, NULL, 0, err) < 0)
		return -1;
	if (tokens_load(t, err) < 0) {
		fs_unlock(lock, *ret_lock);
		return -1;
	}
	*ret_lock_path = steal_ptr(&lock);
	return 0;
}

static void make_text(char ret[static TOKEN_TEXT])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char b[TOKEN_TEXT - 5];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		abort();
	memcpy(ret, "lnp_", 4);
	for (size_t i = 0; i < sizeof(b); i++)
		ret[4 + i] = digits[b[i] % 64];
	ret[TOKEN_TEXT - 1] = '\0';
}

static int find(const struct tokens *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->v[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

static int add(struct tokens *t, const char *name, unsigned all, char ret[static TOKEN_TEXT],
	       struct err *err)
{
	struct token token = { .scopes = all, .created = (int64_t)time(NULL) * 1000 };

	if (find(t, name) >= 0)
		return err_set(err, ERR_CONFLICT, 0, "there is a token '%s' already", name);
	if (t->n == TOKENS_MAX)
		return err_set(err, ERR_CONFLICT, 0, "there are %d tokens already", TOKENS_MAX);
	make_text(ret);
	sha256_hex(ret, strlen(ret), token.hash);
	if (!str_copy(token.name, sizeof(token.name), name))
		return err_set(err, ERR_INTERNAL, 0, "token name '%s'", name);
	*array_push(t->v, t->n) = token;
	return save(t, err);
}

int tokens_add(struct tokens *t, const char *name, unsigned all, char ret[static TOKEN_TEXT],
	       struct err *err)
{
	auto_free char *lock_path = NULL;
	int lock, rc;

	if (!name_is_valid(name, TOKEN_NAME_MAX))
		return err_set(err, ERR_USAGE, 0,
			       "'%.64s' cannot name a token: a-z 0-9 _ . -, at most %d", name,
			       TOKEN_NAME_MAX);
	if (open_locked(t, &lock, &lock_path, err) < 0)
		return -1;
	rc = add(t, name, all, ret, err);
	fs_unlock(lock_path, lock);
	return rc;
}

int tokens_remove(struct tokens *t, const char *name, struct err *err)
{
	auto_free char *lock_path = NULL;
	int lock, rc, at;

	if (open_locked(t, &lock, &lock_path, err) < 0)
		return -1;
	at = find(t, name);
	if (at < 0) {
		rc = err_set(err, ERR_NOT_FOUND, 0, "there is no token '%.64s'", name);
	} else {
		memmove(&t->v[at], &t->v[at + 1], (t->n - (size_t)at - 1) * sizeof(*t->v));
		t->n--;
		rc = save(t, err);
	}
	fs_unlock(lock_path, lock);
	return rc;
}

const struct token *tokens_find(const struct tokens *t, const char *text)
{
	const struct token *found = NULL;
	char hash[TOKEN_HASH];

	sha256_hex(text, strlen(text), hash);
	for (size_t i = 0; i < t->n; i++) {
		if (gnutls_memcmp(hash, t->v[i].hash, TOKEN_HASH - 1) == 0)
			found = &t->v[i];
	}
	return found;
}
