/* SPDX-License-Identifier: MIT */
/* api_files.c - files and processes of this host, seen with the caller's eyes. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "netport/api.h"

#include "base/banned.h"

/* One without an entry has a name that no group has. */
static void user_of(uid_t uid, struct caller *ret)
{
	struct passwd entry, *found = NULL;
	char buf[4096];

	*ret = (struct caller){ .uid = uid, .gid = API_GID_NOBODY };
	if (getpwuid_r(uid, &entry, buf, sizeof(buf), &found) == 0 && found) {
		ret->gid = found->pw_gid;
		if (str_copy(ret->name, sizeof(ret->name), found->pw_name))
			return;
	}
	snprintf(ret->name, sizeof(ret->name), "uid%u", uid);
}

int call_files_begin(const struct call *c, struct file_rights *ret, struct err *err)
{
	struct caller user;

	if (geteuid() == 0) {
		user_of(c->caller.uid, &user);
		return file_rights_of(&user, ret, err);
	}
	*ret = (struct file_rights){ 0 };
	if (c->caller.uid == geteuid())
		return 0;
	err_set(err, ERR_FAILED, 0,
		"this service does not run as root: it looks at files for its own user only");
	err->sys = EPERM;
	return -1;
}

int call_path_exists(const struct call *c, const char *path, bool *ret, struct err *err)
{
	auto_file_rights as_caller = { 0 };
	struct stat st;

	if (call_files_begin(c, &as_caller, err) < 0)
		return -1;
	/* Not access(2): that asks for the process's real user. */
	*ret = stat(path, &st) == 0;
	return 0;
}
