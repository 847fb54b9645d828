/* SPDX-License-Identifier: MIT */
/* check.c - the catalogue, looked up. */
#include "grade/check.h"

#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"

#include "base/banned.h"

static const struct check *const files[] = {
	checks_arp,  checks_resolve, checks_forward, checks_eth,     checks_ipv4,
	checks_icmp, checks_error,   checks_lpm,     checks_frag,    checks_tcp,
	checks_udp,  checks_perf,    checks_robust,  checks_lasting,
};

const struct check *check_at(size_t i)
{
	for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
		for (const struct check *c = files[f]; c->id; c++) {
			if (i-- == 0)
				return c;
		}
	}
	return NULL;
}

const struct check *check_find(const char *id)
{
	const struct check *c;

	for (size_t i = 0; (c = check_at(i)); i++) {
		if (strcmp(c->id, id) == 0)
			return c;
	}
	return NULL;
}

int check_lookup(const char *id, const struct check **ret, struct err *err)
{
	const struct check *c = check_find(id);
	auto_strv ids = { 0 };
	const char *near;

	if (c) {
		*ret = c;
		return 0;
	}
	for (size_t i = 0; (c = check_at(i)); i++)
		strv_add(&ids, c->id);
	near = nearest_name(id, ids.v, ids.n);
	err_set(err, ERR_NOT_FOUND, 0, "there is no check '%.64s'", id);
	if (near)
		return err_hint(err, "did you mean '%s'?", near);
	return err_hint(err, "'labctl check --explain all' lists them");
}

/* Is word one of the words of list? */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (list && *list) {
		size_t len = strcspn(list, " ");

		if (len == n && memcmp(list, word, n) == 0)
			return true;
		list += len + strspn(list + len, " ");
	}
	return false;
}

bool check_needs(const struct check *c, const char *id)
{
	return has_word(c->needs, id);
}

bool check_has_key(const struct check *c, const char *key)
{
	return strcmp(key, "use") == 0 || strcmp(key, "points") == 0 || has_word(c->args, key);
}

int check_args_valid(const struct check *c, json_t *args, struct err *err)
{
	const char *key;
	json_t *v;

	json_object_foreach (args, key, v) {
		if (check_has_key(c, key))
			continue;
		err_set(err, ERR_STAGE, 0, "check '%s' has no key '%.64s'", c->id, key);
		return err_hint(err, "its keys are: use points%s%s", c->args ? " " : "",
				c->args ? c->args : "");
	}
	return 0;
}

const char *verdict_name(enum verdict v)
{
	static const char *const names[VERDICT_MAX] = { "pass", "fail", "error", "pending" };

	return names[v];
}
