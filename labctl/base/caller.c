/* SPDX-License-Identifier: MIT */
/* caller.c - what the person behind the command may do to the host. */
#include "base/caller.h"

#include <stdlib.h>
#include <string.h>

#include "base/adminfile.h"
#include "base/str.h"

#include "base/banned.h"

#define HOST_SEAT_FILE "/etc/labctl/host-seat"

const char *caller_host_seat_file(void)
{
	const char *v = getenv("LABCTL_HOST_SEAT");

	return str_empty(v) ? HOST_SEAT_FILE : v;
}

bool caller_is_real_root(const struct caller *c)
{
	return c->uid == 0;
}

static bool is_listed(FILE *f, const char *name)
{
	auto_free char *line = NULL;
	size_t size = 0;
	char *text;

	while (adminfile_line(f, &line, &size, &text)) {
		if (strcmp(text, name) == 0)
			return true;
	}
	return false;
}

int caller_check_host_seat(const struct caller *c, struct err *err)
{
	const char *path = caller_host_seat_file();
	struct err e = { 0 };
	auto_file f = NULL;

	if (caller_is_real_root(c))
		return 0;
	if (adminfile_open(path, &f, &e) < 0 && !err_is(&e, ERR_NOT_FOUND))
		return err_pass(err, &e);
	if (f && is_listed(f, c->name))
		return 0;
	err_set(err, ERR_FAILED, 0, "user '%s' is not listed in '%s'", c->name, path);
	return err_hint(err, "an administrator can add the name there: whoever is listed "
			     "administers this host");
}

bool caller_is_administrator(const struct caller *c)
{
	struct err err = { 0 };

	return caller_check_host_seat(c, &err) == 0;
}
