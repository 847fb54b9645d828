/* SPDX-License-Identifier: MIT */
/* fs.h - files and directories: whole reads, atomic writes, lock files. */
#ifndef LABCTL_BASE_FS_H
#define LABCTL_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/* The whole file as heap text (NUL-terminated, length in *ret_len when not NULL). A file over
 * max bytes is refused. ERR_NOT_FOUND when it is not there, ERR_ENV otherwise. */
int fs_read(const char *path, size_t max, char **ret_text, size_t *ret_len,
	    struct err *err) MUST_CHECK;

/* As fs_read(), of a file that labctl itself wrote: a symbolic link, a FIFO, a directory or a
 * device in its place is refused (errno of the error: 0), never followed or waited for. */
int fs_read_plain(const char *path, size_t max, char **ret_text, struct err *err) MUST_CHECK;

/* Writes beside the file, syncs when durable, renames over it: readers see the old text or the
 * new one. */
int fs_write(const char *path, const char *text, size_t len, mode_t mode, bool durable,
	     struct err *err) MUST_CHECK;

/* Removes what fs_write() left of its work on this file when it was killed: "path.??????.new". */
void fs_remove_drafts(const char *path);

/* One value into a file of /proc or /sys. The message names path and value. */
int fs_write_value(const char *path, const char *value, struct err *err) MUST_CHECK;

/* mkdir -p; directories that exist keep their mode. */
int fs_mkdirs(const char *path, mode_t mode, struct err *err) MUST_CHECK;

/* unlink/rmdir where "not there" is success. */
int fs_remove(const char *path, struct err *err) MUST_CHECK;

/* access(2) with the file rights that this thread has (rights.h); errno says why not. */
bool fs_access(const char *path, int mode);
bool fs_is_dir(const char *path);
bool fs_is_executable(const char *path);

/* Takes an exclusive lock on a file, made if need be, that unlocks and removes the file when
 * closed by fs_unlock() or unlocks at the process's death. `who` is written into it. When
 * another process holds it: ERR_BUSY, and ret_holder (when not NULL, size bytes) gets that
 * process's text; otherwise the text of one that died while it held the lock, or "". Never
 * blocks. */
int fs_lock(const char *path, const char *who, int *ret_fd, char *ret_holder, size_t size,
	    struct err *err) MUST_CHECK;
/* Does somebody hold it? Takes nothing. Who may not read it is told yes: it goes with its holder. */
bool fs_is_locked(const char *path);
void fs_unlock(const char *path, int fd);

#endif
