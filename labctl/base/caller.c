/* SPDX-License-Identifier: MIT */
/* caller.c - what the person behind the command may do to the host. */
#include "base/caller.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

/* Looks at what was opened, so that the file read is the file judged. */
static int open_list(const char *path, FILE **ret, struct err *err)
{
	auto_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_ENV, errno,
			       "cannot open '%s'", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != 0 ||
	    st.st_mode & (S_IWGRP | S_IWOTH)) {
		err_set(err, ERR_ENV, 0,
			"'%s' is ignored: it must be a file that belongs to root and that nobody "
			"else may write to",
			path);
		return err_hint(err, "run: sudo chown root:root %s; sudo chmod 644 %s", path, path);
	}
	*ret = fdopen(fd, "re");
	if (!*ret)
		return err_set(err, ERR_ENV, errno, "cannot read '%s'", path);
	steal_fd(&fd);
	return 0;
}

/* Cuts the comment and the space around the name. */
static char *name_in(char *line)
{
	line += strspn(line, " \t");
	line[strcspn(line, "# \t\r\n")] = '\0';
	return line;
}

static bool is_listed(FILE *f, const char *name)
{
	auto_free char *line = NULL;
	bool found = false;
	size_t size = 0;

	while (!found && getline(&line, &size, f) > 0)
		found = strcmp(name_in(line), name) == 0;
	return found;
}

int caller_check_host_seat(const struct caller *c, struct err *err)
{
	const char *path = caller_host_seat_file();
	struct err e = { 0 };
	auto_file f = NULL;

	if (caller_is_real_root(c))
		return 0;
	if (open_list(path, &f, &e) < 0 && !err_is(&e, ERR_NOT_FOUND))
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
