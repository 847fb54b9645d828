/* SPDX-License-Identifier: MIT */
/* fs.c - files and directories. */
#include "base/fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/str.h"

#include "base/banned.h"

#define DRAFT ".new" /* the end of a file's name while it is written */

static int read_all(int fd, const char *path, size_t max, struct str *text, struct err *err)
{
	for (;;) {
		char buf[16384];
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_ENV, errno, "cannot read '%s'", path);
		if (text->len + (size_t)n > max)
			return err_set(err, ERR_ENV, 0, "'%s' is larger than %zu bytes", path, max);
		str_addn(text, buf, (size_t)n);
	}
}

int fs_read(const char *path, size_t max, char **ret_text, size_t *ret_len, struct err *err)
{
	auto_str text = { 0 };
	auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_ENV,
			       errno, "cannot open '%s'", path);
	if (read_all(fd, path, max, &text, err) < 0)
		return -1;
	if (ret_len)
		*ret_len = text.len;
	*ret_text = str_steal(&text);
	return 0;
}

int fs_read_plain(const char *path, size_t max, char **ret_text, struct err *err)
{
	auto_str text = { 0 };
	auto_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	/* ELOOP: a symbolic link; ENXIO: a socket */
	if (fd < 0 && errno != ELOOP && errno != ENXIO)
		return err_set(err, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_ENV,
			       errno, "cannot open '%s'", path);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_ENV, 0, "'%s' is not a regular file", path);
	if (read_all(fd, path, max, &text, err) < 0)
		return -1;
	*ret_text = str_steal(&text);
	return 0;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static void sync_parent(const char *path)
{
	auto_free char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');

	if (!slash)
		return;
	*slash = '\0';
	auto_fd fd = open(*dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fsync(fd);
}

int fs_write(const char *path, const char *text, size_t len, mode_t mode, bool durable,
	     struct err *err)
{
	auto_free char *tmp = xasprintf("%s.XXXXXX" DRAFT, path);
	auto_fd fd = -1;

	if (fault_point("file", err) < 0)
		return -1;
	fd = mkostemps(tmp, (int)strlen(DRAFT), O_CLOEXEC);
	if (fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot create '%s'", tmp);
	if (fault_point("file's name", err) < 0) {
		unlink(tmp);
		return -1;
	}
	if (write_all(fd, text, len) < 0 || fchmod(fd, mode) < 0 || (durable && fsync(fd) < 0) ||
	    rename(tmp, path) < 0) {
		int sys = errno;

		unlink(tmp);
		return err_set(err, ERR_ENV, sys, "cannot write '%s'", path);
	}
	if (durable)
		sync_parent(path);
	return 0;
}

void fs_remove_drafts(const char *path)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	auto_free char *parent = xasprintf("%.*s.", (int)(name - path), path);
	auto_dir d = opendir(parent);
	size_t n = strlen(name);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, name, n) == 0 && e->d_name[n] == '.' &&
		    strlen(e->d_name) == n + strlen(".XXXXXX" DRAFT) &&
		    strcmp(e->d_name + n + strlen(".XXXXXX"), DRAFT) == 0)
			unlinkat(dirfd(d), e->d_name, 0);
	}
}

int fs_write_value(const char *path, const char *value, struct err *err)
{
	auto_fd fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot open '%s'", path);
	if (write(fd, value, strlen(value)) < 0)
		return err_set(err, ERR_ENV, errno, "cannot write '%s' to '%s'", value, path);
	return 0;
}

int fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
	auto_free char *p = xstrdup(path);

	for (char *s = p + 1;; s++) {
		char c = *s;

		if (c != '/' && c != '\0')
			continue;
		*s = '\0';
		/* chmod: a umask of 077 would hide from the student what is there for him. */
		if (mkdir(p, mode) == 0 ? chmod(p, mode) < 0 : errno != EEXIST)
			return err_set(err, ERR_ENV, errno, "cannot make the directory '%s'", p);
		*s = c;
		if (!c)
			break;
	}
	if (!fs_is_dir(path))
		return err_set(err, ERR_ENV, 0, "'%s' is not a directory", path);
	return 0;
}

int fs_remove(const char *path, struct err *err)
{
	if (fault_point("file's end", err) < 0)
		return -1;
	if (remove(path) < 0 && errno != ENOENT)
		return err_set(err, ERR_ENV, errno, "cannot remove '%s'", path);
	return 0;
}

bool fs_access(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0;
}

bool fs_is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool fs_is_executable(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && fs_access(path, X_OK);
}

/* The file may have been removed between our open and our lock: then we hold a lock on
 * nothing that anybody else will ever open. */
static bool still_the_file(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

int fs_lock(const char *path, const char *who, int *ret_fd, char *ret_holder, size_t size,
	    struct err *err)
{
	/* Of the open file, not of the process: a close elsewhere does not drop it. */
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	for (;;) {
		/* Whoever may read it could lock it, and would never let go. */
		auto_fd fd =
			open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

		if (fd < 0)
			return err_set(err, ERR_ENV, errno, "cannot open the lock '%s'", path);
		if (fcntl(fd, F_OFD_SETLK, &whole) < 0) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN && errno != EACCES)
				return err_set(err, ERR_ENV, errno, "cannot lock '%s'", path);
			if (ret_holder) {
				ssize_t n = pread(fd, ret_holder, size - 1, 0);

				ret_holder[n > 0 ? n : 0] = '\0';
			}
			return err_set(err, ERR_BUSY, 0, "'%s' is locked", path);
		}
		if (!still_the_file(fd, path))
			continue;
		if (ret_holder) {
			ssize_t n = pread(fd, ret_holder, size - 1, 0);

			ret_holder[n > 0 ? n : 0] = '\0';
		}
		if (ftruncate(fd, 0) < 0 || write_all(fd, who, strlen(who)) < 0) {
			int sys = errno;

			unlink(path);
			return err_set(err, ERR_ENV, sys, "cannot write the lock '%s'", path);
		}
		*ret_fd = steal_fd(&fd);
		return 0;
	}
}

bool fs_is_locked(const char *path)
{
	struct flock probe = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	auto_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return errno == EACCES;
	return fcntl(fd, F_OFD_GETLK, &probe) == 0 && probe.l_type != F_UNLCK;
}

void fs_unlock(const char *path, int fd)
{
	if (fd < 0)
		return;
	unlink(path); /* while still holding it */
	close(fd);
}
