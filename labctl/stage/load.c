/* SPDX-License-Identifier: MIT */
/* load.c - stages on disk. */
#include "stage/load.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/parse.h"

#include "base/banned.h"

#define READ_MAX (1024 * 1024 + 1) /* one more than stage_parse() takes: it says so better */

void stage_problems_done(struct stage_problems *p)
{
	free(p->v);
	free(p->file);
	stage_free(p->partial);
	*p = (struct stage_problems){ 0 };
}

static bool file_exists(const char *dir, const char *name)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);
	struct stat st;

	return lstat(path, &st) == 0;
}

static bool looks_like_stage(const char *dir)
{
	return file_exists(dir, "stage.json") || file_exists(dir, "up.sh");
}

static char *trimmed(const char *dir)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	return xstrndup(dir, n);
}

/* The directory's absolute path. Its own name stays what it is called here, even when it is a
 * symbolic link: the stage is called after it. */
static char *absolute(const char *dir, struct err *err)
{
	auto_free char *copy = trimmed(dir), *parent = NULL;
	char *slash = strrchr(copy, '/');
	const char *base = slash ? slash + 1 : copy;
	char *path;

	if (strcmp(base, ".") == 0 || strcmp(base, "..") == 0 || !*base) {
		path = realpath(copy, NULL);
		if (!path)
			err_set(err, ERR_ENV, errno, "cannot resolve '%s'", dir);
		return path;
	}
	if (slash)
		*slash = '\0';
	parent = realpath(!slash ? "." : *copy ? copy : "/", NULL);
	if (!parent) {
		err_set(err, ERR_ENV, errno, "cannot resolve '%s'", dir);
		return NULL;
	}
	return xasprintf("%s/%s", strcmp(parent, "/") == 0 ? "" : parent, base);
}

static int check_script(const char *dir, const char *name, struct err *err)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);

	if (fs_is_executable(path))
		return 0;
	if (!file_exists(dir, name)) {
		err_set(err, ERR_STAGE, 0, "the stage in '%s' has no %s", dir, name);
		return err_hint(err, "a stage has a stage.json, or up.sh and down.sh");
	}
	err_set(err, ERR_STAGE, 0, "'%s' is not executable", path);
	return err_hint(err, "chmod +x %s", path);
}

static int load_scripts(const char *dir, const char *name, struct stage **ret, struct err *err)
{
	auto_stage s = NULL;

	if (check_script(dir, "up.sh", err) < 0 || check_script(dir, "down.sh", err) < 0)
		return -1;
	if (file_exists(dir, "connect.sh") && check_script(dir, "connect.sh", err) < 0)
		return -1;
	s = xcalloc(1, sizeof(*s));
	s->kind = STAGE_SCRIPTS;
	s->title = xstrdup(name);
	if (!str_copy(s->name, sizeof(s->name), name))
		return err_set(err, ERR_INTERNAL, 0, "stage name '%s' is too long", name);
	*ret = steal_ptr(&s);
	return 0;
}

static int load_json(const char *dir, const char *name, struct stage **ret,
		     struct stage_problems *problems, struct err *err)
{
	auto_free char *file = xasprintf("%s/stage.json", dir), *text = NULL;
	struct stat st;
	size_t len;

	/* Not a pipe or a device: reading it could wait forever. */
	if (stat(file, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(err, ERR_STAGE, 0, "'%s' is not a file", file);
	if (stat(file, &st) == 0 && st.st_size > READ_MAX)
		return err_set(err, ERR_STAGE, 0, "'%s' is larger than %d bytes", file,
			       READ_MAX - 1);
	if (fs_read(file, READ_MAX, &text, &len, err) < 0)
		return -1;
	return stage_parse(text, len, file, name, ret, problems, err);
}

int stage_load(const char *dir, struct stage **ret, struct stage_problems *problems,
	       struct err *err)
{
	auto_free char *shown = trimmed(dir), *path = NULL;
	auto_stage s = NULL;
	const char *name;

	if (!fs_is_dir(shown))
		return err_set(err, ERR_NOT_FOUND, 0, "there is no stage directory '%s'", shown);
	path = absolute(shown, err);
	if (!path)
		return -1;
	name = strrchr(path, '/') + 1;
	if (!name_is_valid(name, STAGE_NAME_MAX)) {
		err_set(err, ERR_STAGE, 0, "a stage cannot be called '%s'", name);
		return err_hint(err,
				"name the directory with lower-case letters, digits, '_', '.', "
				"'-', at most %d",
				STAGE_NAME_MAX);
	}
	if (file_exists(shown, "stage.json")) {
		if (load_json(shown, name, &s, problems, err) < 0)
			return -1;
	} else if (file_exists(shown, "up.sh") || file_exists(shown, "down.sh")) {
		if (load_scripts(shown, name, &s, err) < 0)
			return -1;
	} else {
		err_set(err, ERR_STAGE, 0, "'%s' holds no stage", shown);
		return err_hint(err, "a stage has a stage.json, or up.sh and down.sh");
	}
	free(s->dir);
	s->dir = steal_ptr(&path);
	*ret = steal_ptr(&s);
	return 0;
}

int stage_list(const char *root, struct strv *ret, struct err *err)
{
	auto_strv names = { 0 };
	auto_dir dir = opendir(root);
	const struct dirent *entry;

	if (!dir)
		return err_set(err, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_ENV,
			       errno, "cannot open the stages' directory '%s'", root);
	while ((entry = readdir(dir))) {
		auto_free char *path = xasprintf("%s/%s", root, entry->d_name);

		if (name_is_valid(entry->d_name, STAGE_NAME_MAX) && fs_is_dir(path) &&
		    looks_like_stage(path))
			strv_add(&names, entry->d_name);
	}
	strv_sort(&names);
	*ret = names;
	names = (struct strv){ 0 };
	return 0;
}

/* A path: "./x", ".", "../x/stage.json", "stage.json". NULL: the name of a stage. */
static char *path_of(const char *name)
{
	static const char file[] = "stage.json";
	size_t n = strlen(name), len = sizeof(file) - 1;
	bool is_file = n >= len && strcmp(name + n - len, file) == 0 &&
		       (n == len || name[n - len - 1] == '/');

	if (is_file && !fs_is_dir(name))
		return n == len ? xstrdup(".") : xstrndup(name, n - len);
	if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return xstrdup(name);
	return NULL;
}

int stage_find(const char *root, const char *name, char **ret_dir, struct err *err)
{
	auto_free char *path = path_of(name), *dir = NULL;
	auto_strv names = { 0 };
	const char *near;

	if (path) {
		dir = trimmed(path);
		if (!fs_is_dir(dir))
			return err_set(err, ERR_NOT_FOUND, 0, "there is no stage directory '%s'",
				       dir);
		*ret_dir = steal_ptr(&dir);
		return 0;
	}
	if (name_is_valid(name, STAGE_NAME_MAX)) {
		dir = xasprintf("%s/%s", root, name);
		if (fs_is_dir(dir)) {
			*ret_dir = steal_ptr(&dir);
			return 0;
		}
	}
	if (stage_list(root, &names, err) < 0)
		return -1;
	err_set(err, ERR_NOT_FOUND, 0, "no stage '%.64s'", name);
	if (fs_is_dir(name))
		return err_hint(err, "for the directory of that name: ./%s", name);
	near = nearest_name(name, names.v, names.n);
	if (near)
		return err_hint(err, "did you mean '%s'? 'labctl stage-list' shows all", near);
	return err_hint(err, "'labctl stage-list' shows all");
}
