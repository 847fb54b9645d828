/* SPDX-License-Identifier: MIT */
/* netport_lab.h - what the tests of netport/ share: a store to try, checks of errors. */
#ifndef TESTS_UNIT_NETPORT_LAB_H
#define TESTS_UNIT_NETPORT_LAB_H

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "netport/lease.h"
#include "expect.h"

#define LAB_UNUSED __attribute__((unused))

/* A directory of the test's own and the store's URL in it. The store is LABCTL_TEST_STORE where
 * that is set: it is emptied first. */
struct place {
	char dir[64];
	char *path; /* of the SQLite book */
	char *url;
};

static LAB_UNUSED int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static LAB_UNUSED void empty_store(const char *url)
{
	const struct lease_claim anyone = { NULL, LEASE_ANY_UID };
	const struct lease_filter all = { .uid = LEASE_ANY_UID };
	auto_lease_list l = { 0 };
	auto_store s = NULL;

	ok(store_open(url, STORE_WRITE, &s, err));
	ok(lease_list(s, &all, &l, err));
	for (size_t i = 0; i < l.n; i++)
		ok(lease_release(s, l.v[i].resource, l.v[i].value, &anyone, err));
}

static LAB_UNUSED int place_make(void **state)
{
	struct place *p = xcalloc(1, sizeof(*p));
	const char *other = getenv("LABCTL_TEST_STORE");

	snprintf(p->dir, sizeof(p->dir), "/tmp/labctl-netport.XXXXXX");
	if (!mkdtemp(p->dir) || chmod(p->dir, 0755) < 0)
		return -1;
	p->path = xasprintf("%s/netport.db", p->dir);
	p->url = other ? xstrdup(other) : xasprintf("sqlite:%s", p->path);
	if (other)
		empty_store(other);
	*state = p;
	return 0;
}

static LAB_UNUSED int place_remove(void **state)
{
	struct place *p = *state;

	nftw(p->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(p->path);
	free(p->url);
	free(p);
	return 0;
}

static LAB_UNUSED int64_t clock_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static LAB_UNUSED void pause_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* A request of user 1000 under this name. */
static LAB_UNUSED struct lease_request by(const char *owner, const char *resource)
{
	return (struct lease_request){ .resource = resource,
				       .owner = owner,
				       .uid = 1000,
				       .labs_ok = true,
				       .quota = LEASE_NO_QUOTA };
}

/* How many leases of a resource (NULL: all) are held. */
static LAB_UNUSED size_t held(struct store *s, const char *resource)
{
	const struct lease_filter f = { .resource = resource, .uid = LEASE_ANY_UID };
	auto_lease_list l = { 0 };

	ok(lease_list(s, &f, &l, err));
	return l.n;
}

#endif
