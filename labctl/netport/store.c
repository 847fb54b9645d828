/* SPDX-License-Identifier: MIT */
/* store.c - stores by URL. */
#include "netport/store.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rights.h"
#include "base/str.h"

#include "base/banned.h"

static const struct store_ops *const stores[] = {
	&store_sqlite_ops,
	&store_redis_ops,
};

/* The store of "scheme:address"; a text without a scheme is a path. */
static const struct store_ops *find(const char *url, const char **ret_address)
{
	for (size_t i = 0; i < ARRAY_SIZE(stores); i++) {
		size_t len = strlen(stores[i]->scheme);

		if (strncmp(url, stores[i]->scheme, len) == 0 && url[len] == ':') {
			*ret_address = url + len + 1;
			return stores[i];
		}
	}
	*ret_address = url;
	return url[0] == '/' || url[0] == '.' ? &store_sqlite_ops : NULL;
}

int store_open(const char *url, enum store_mode mode, struct store **ret, struct err *err)
{
	const char *address;
	const struct store_ops *ops = find(url, &address);

	if (!ops) {
		err_set(err, ERR_USAGE, 0, "'%.128s' is no store of leases", url);
		return err_hint(err,
				"use a path, sqlite:/path/netport.db, or redis://host:port/db");
	}
	return ops->open(address, mode, ret, err);
}

int store_open_default(const char *state_dir, enum store_mode mode, struct store **ret,
		       struct err *err)
{
	auto_file_rights as_root = file_rights_root("the lease book");
	const char *url = getenv("LABCTL_STORE");
	auto_free char *path = xasprintf("%s/netport.db", state_dir);

	return store_open(str_empty(url) ? path : url, mode, ret, err);
}

bool store_default_is_writable(const char *state_dir)
{
	auto_file_rights as_root = file_rights_root("the lease book");
	auto_free char *path = xasprintf("%s/netport.db", state_dir);
	char *slash;

	if (!str_empty(getenv("LABCTL_STORE")))
		return true; /* what its server allows is its own affair */
	/* What is not there is made in the nearest directory that is. */
	while (!fs_access(path, F_OK) && (slash = strrchr(path, '/')) && slash != path)
		*slash = '\0';
	return fs_access(path, W_OK);
}

void store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
}

int store_begin(struct store *s, struct err *err)
{
	return s->ops->begin(s, err);
}

int store_commit(struct store *s, struct err *err)
{
	return s->ops->commit(s, err);
}

void store_rollback(struct store *s)
{
	s->ops->rollback(s);
}

int store_check(struct store *s, struct err *err)
{
	return s->ops->check(s, err);
}
