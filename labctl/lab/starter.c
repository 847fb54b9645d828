/* SPDX-License-Identifier: MIT */
/* starter.c - what an empty src/ begins with. */
#include "lab/starter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/caller.h"
#include "base/mem.h"
#include "base/rights.h"

#include "base/banned.h"

#define EMBED(symbol, file)                                                                        \
	__asm__(".section .rodata\n" #symbol ":\n.incbin \"" file "\"\n.byte 0\n.previous\n");     \
	extern const char symbol[] __attribute__((visibility("hidden")))

EMBED(starter_py, "starters/starter.py");
EMBED(starter_c, "starters/starter.c");

static const struct {
	const char *name;
	const char *text;
} starters[] = {
	{ "starter.py", starter_py },
	{ "starter.c", starter_c },
};

static bool counts(const char *name)
{
	return name[0] != '.' && strcmp(name, "README.md") != 0;
}

static int is_empty(int fd, bool *ret, struct err *err)
{
	auto_fd own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir dir = own < 0 ? NULL : fdopendir(own);
	const struct dirent *entry;

	if (!dir)
		return err_set(err, ERR_ENV, errno, "cannot read the directory");
	steal_fd(&own);
	*ret = true;
	while ((entry = readdir(dir)))
		*ret = *ret && !counts(entry->d_name);
	return 0;
}

/* O_EXCL: what somebody made meanwhile is his. */
static int write_new(int dir, const char *name, const char *text, struct err *err)
{
	auto_fd fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	size_t len = strlen(text);

	if (fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot make '%s'", name);
	if (write(fd, text, len) != (ssize_t)len)
		return err_set(err, ERR_ENV, errno, "cannot write '%s'", name);
	return 0;
}

static int place(int dir, struct strv *ret_names, struct err *err)
{
	bool empty = false;

	if (is_empty(dir, &empty, err) < 0)
		return -1;
	for (size_t i = 0; empty && i < ARRAY_SIZE(starters); i++) {
		if (write_new(dir, starters[i].name, starters[i].text, err) < 0)
			return -1;
		strv_add(ret_names, starters[i].name);
	}
	return 0;
}

int starter_place(const struct lab_ctx *ctx, const struct lab *l, struct strv *ret_names,
		  struct err *err)
{
	auto_file_rights as_owner = { 0 };
	struct caller owner = { 0 };
	auto_fd dir = -1;
	struct stat st;

	if (!l->src_dir)
		return 0;
	dir = open(l->src_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0)
		return err_set(err, ERR_ENV, errno, "cannot open '%s'", l->src_dir);
	owner.uid = st.st_uid;
	owner.gid = st.st_gid;
	caller_names(&owner);
	if (owner.uid != ctx->caller.uid &&
	    (!caller_is_real_root(&ctx->caller) || file_rights_of(&owner, &as_owner, err) < 0))
		return caller_is_real_root(&ctx->caller) ? -1 : 0;
	if (place(dir, ret_names, err) < 0)
		return err_wrap(err, "'%s' gets no starter", l->src_dir);
	return 0;
}
