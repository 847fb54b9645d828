/* SPDX-License-Identifier: MIT */
/* submission.c - a directory of submissions. */
#include "grade/submission.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

#include "base/banned.h"

#define FILES_MAX 16384
#define DEPTH_MAX 64
#define CHUNK	  65536

int submissions_list(const char *dir, struct strv *ret, struct err *err)
{
	auto_strv names = { 0 };
	auto_dir d = opendir(dir);
	const struct dirent *entry;

	if (!d)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_ENV, errno,
			       "cannot open the submissions' directory '%s'", dir);
	while ((entry = readdir(d))) {
		auto_free char *path = xasprintf("%s/%s", dir, entry->d_name);

		if (entry->d_name[0] != '.' && fs_is_dir(path))
			strv_add(&names, entry->d_name);
	}
	if (!names.n) {
		err_set(err, ERR_NOT_FOUND, 0, "there are no submissions in '%s'", dir);
		return err_hint(err, "each directory in it is one");
	}
	strv_sort(&names);
	*ret = names;
	names = (struct strv){ 0 };
	return 0;
}

int submission_check(const char *dir, struct err *err)
{
	const char *slash = strrchr(dir, '/');
	struct stat st;

	if (lstat(dir, &st) < 0)
		return err_set(err, ERR_ENV, errno, "cannot look at '%s'", dir);
	if (S_ISLNK(st.st_mode))
		return err_set(err, ERR_FAILED, 0, "'%s' is a symbolic link",
			       slash ? slash + 1 : dir);
	return 0;
}

static char *replace_braces(const char *text, const char *with)
{
	auto_str out = { 0 };

	for (const char *at; (at = strstr(text, "{}")); text = at + 2) {
		str_addn(&out, text, (size_t)(at - text));
		str_add(&out, with);
	}
	str_add(&out, text);
	return str_steal(&out);
}

/* May anybody execute it? The one who asks is root, who may a lot. */
static bool is_program(const char *dir, const char *name, mode_t bits)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & bits) == bits;
}

int submission_command(const char *dir, const char *custom, const char *seen, char **ret,
		       struct err *err)
{
	static const struct {
		const char *file, *command;
		mode_t bits;
	} known[] = {
		{ "run", "exec ./run", S_IXUSR },
		{ "router.py", "exec python3 router.py", 0 },
		{ "router", "exec ./router", S_IXUSR },
	};

	const char *lame = NULL;

	if (custom) {
		*ret = replace_braces(custom, seen);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (is_program(dir, known[i].file, known[i].bits)) {
			*ret = xstrdup(known[i].command);
			return 0;
		}
		if (!lame && is_program(dir, known[i].file, 0))
			lame = known[i].file;
	}
	/* An archive that was packed on another system has lost that. */
	if (lame)
		return err_set(err, ERR_NOT_FOUND, 0, "no program found: '%s' is not executable",
			       lame);
	err_set(err, ERR_NOT_FOUND, 0, "no program found");
	return err_hint(err,
			"an executable 'run', a 'router.py', an executable 'router', or --run");
}

/* All regular files below, as "./a/b". */
struct walk {
	struct strv files;
	uint64_t bytes, max;
};

static int walk(struct walk *w, const char *top, const char *at, unsigned depth, struct err *err)
{
	auto_free char *path = xasprintf("%s/%s", top, at);
	auto_dir d = opendir(path);
	const struct dirent *entry;

	if (!d)
		return err_set(err, ERR_ENV, errno, "cannot open '%s'", path);
	while ((entry = readdir(d))) {
		auto_free char *name = xasprintf("%s/%s", at, entry->d_name);
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_set(err, ERR_ENV, errno, "cannot look at '%s/%s'", top, name);
		if (S_ISDIR(st.st_mode) && depth == DEPTH_MAX)
			return err_set(err, ERR_FAILED, 0,
				       "the submission's directories are too deep");
		if (S_ISDIR(st.st_mode) && walk(w, top, name, depth + 1, err) < 0)
			return -1;
		if (!S_ISREG(st.st_mode))
			continue;
		w->bytes += (uint64_t)st.st_size;
		if (w->bytes > w->max || w->files.n == FILES_MAX)
			return err_set(err, ERR_FAILED, 0,
				       "the submission is larger than %llu MB or %d files",
				       (unsigned long long)(w->max >> 20), FILES_MAX);
		strv_add(&w->files, name);
	}
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int file_digest(const char *path, uint64_t max, char ret[static DIGEST_TEXT],
		       struct err *err)
{
	auto_fd fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_free char *buf = xmalloc(CHUNK);
	auto_digest sum = { 0 };
	uint64_t all = 0;
	ssize_t n;

	if (fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot open '%s'", path);
	digest_begin(&sum);
	while ((n = read(fd, buf, CHUNK)) > 0 && (all += (uint64_t)n) <= max)
		digest_add(&sum, buf, (size_t)n);
	if (n)
		return err_set(err, ERR_ENV, n < 0 ? errno : 0, "cannot read '%s'", path);
	digest_end(&sum, ret);
	return 0;
}

/* As sha256sum prints it: with a backslash in front when the name had to be escaped. */
static void sum_line(const char *name, const char *sum, struct str *out)
{
	if (strpbrk(name, "\\\n\r"))
		str_addc(out, '\\');
	str_addf(out, "%s  ", sum);
	for (; *name; name++) {
		if (*name == '\\')
			str_add(out, "\\\\");
		else if (*name == '\n')
			str_add(out, "\\n");
		else if (*name == '\r')
			str_add(out, "\\r");
		else
			str_addc(out, *name);
	}
	str_addc(out, '\n');
}

int submission_digest(const char *dir, uint64_t max, char ret[static DIGEST_TEXT], struct err *err)
{
	struct walk w = { .max = max };
	auto_str lines = { 0 };
	int r = walk(&w, dir, ".", 0, err);

	if (r == 0 && w.files.n)
		qsort(w.files.v, w.files.n, sizeof(*w.files.v), by_bytes);
	for (size_t i = 0; r == 0 && i < w.files.n; i++) {
		auto_free char *path = xasprintf("%s/%s", dir, w.files.v[i]);
		char sum[DIGEST_TEXT];

		r = file_digest(path, max, sum, err);
		if (r == 0)
			sum_line(w.files.v[i], sum, &lines);
	}
	strv_done(&w.files);
	if (r == 0)
		digest_of(str_get(&lines), lines.len, ret);
	return r;
}
