/* SPDX-License-Identifier: MIT */
/* sandbox_mounts.c - what a program in the sandbox finds: files, network, its own copy. */
#include "grade/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/mount.h>

#include "base/fs.h"
#include "base/mem.h"
#include "net/netns.h"

#include "base/banned.h"

#define TMPFS_FLAGS (MS_NOSUID | MS_NODEV)

/* Where programs write while they run. */
static const char *const scratch[] = { "/tmp", "/var/tmp", "/dev/shm" };
/* What programs are made of, and the kernel's views. All else at the top is somebody's. */
static const char *const shown[] = { "bin",   "dev",	"etc", "gnu", "lib",  "lib32",
				     "lib64", "libx32", "nix", "opt", "proc", "sbin",
				     "snap",  "sys",	"tmp", "usr", "var" };

static int enter_namespaces(const char *seat, struct err *err)
{
	auto_fd ns = -1;

	if (netns_open_name(seat, &ns, err) < 0)
		return -1;
	if (setns(ns, CLONE_NEWNET) < 0)
		return err_set(err, ERR_ENV, errno, "cannot enter the seat");
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make namespaces");
	if (sethostname("router", 6) < 0)
		return err_set(err, ERR_ENV, errno, "cannot set the host name");
	return 0;
}

/* All that is there now, once and for all; what is mounted later is as it is mounted. */
static int make_read_only(struct err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID };

	if (mount("", "/", "none", MS_PRIVATE | MS_REC, NULL) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make the mounts private");
	/* glibc 2.35 (Ubuntu 22.04) has no wrapper yet. */
	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make the files read-only");
	return 0;
}

static int mount_tmpfs(const char *path, unsigned long flags, const char *options, struct err *err)
{
	if (mount("tmpfs", path, "tmpfs", TMPFS_FLAGS | flags, options) < 0)
		return err_set(err, ERR_ENV, errno, "cannot mount a tmpfs at '%s'", path);
	return 0;
}

/* Below a directory that is hidden already there is nothing to hide. */
static int hide(const char *path, struct err *err)
{
	char real[PATH_MAX];

	if (!realpath(path, real) || !fs_is_dir(real) || strcmp(real, "/") == 0)
		return 0;
	return mount_tmpfs(real, MS_RDONLY | MS_NOEXEC, "size=4k,mode=755", err);
}

static bool is_shown(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		if (strcmp(name, shown[i]) == 0)
			return true;
	}
	return false;
}

/* /home, /root, /run, /mnt, /srv, whatever there is: other people's files, sockets. */
static int hide_top(struct err *err)
{
	auto_dir top = opendir("/");
	const struct dirent *entry;

	if (!top)
		return err_set(err, ERR_ENV, errno, "cannot open '/'");
	while ((entry = readdir(top))) {
		auto_free char *path = xasprintf("/%s", entry->d_name);
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    is_shown(entry->d_name) || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		if (hide(path, err) < 0)
			return -1;
	}
	return 0;
}

/* Spool, mail, logs, databases, the containers' files: nothing of /var is a program's. */
static int hide_var(struct err *err)
{
	if (mount_tmpfs("/var", MS_NOEXEC, "size=4k,mode=755", err) < 0)
		return -1;
	if (mkdir("/var/tmp", 0755) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make '/var/tmp'");
	return 0;
}

static int hide_all(const struct strv *more, struct err *err)
{
	if (hide_top(err) < 0)
		return -1;
	for (size_t i = 0; i < more->n; i++) {
		if (hide(more->v[i], err) < 0)
			return -1;
	}
	if (hide_var(err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(scratch); i++) {
		if (fs_is_dir(scratch[i]) &&
		    mount_tmpfs(scratch[i], 0, "size=64m,nr_inodes=4k,mode=1777", err) < 0)
			return -1;
	}
	return 0;
}

static int mount_kernel_views(struct err *err)
{
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return err_set(err, ERR_ENV, errno, "cannot mount /proc");
	if (mount("sysfs", "/sys", "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return err_set(err, ERR_ENV, errno, "cannot mount /sys");
	return 0;
}

/* The message of a helper program that failed is its last line. */
static int helper(const char *const *argv, const struct caller *as, struct err *err)
{
	struct proc_spec spec = { .argv = argv, .as = as, .out = PROC_OUT_BOTH };
	char text[512];
	auto_fd out = -1;
	size_t len = 0;
	ssize_t n;
	pid_t pid;
	int code;

	if (proc_spawn(&spec, &pid, &out, err) < 0)
		return -1;
	while ((n = read(out, text + len, sizeof(text) - 1 - len)) > 0) {
		len += (size_t)n;
		/* Only its beginning is of interest; it must not wait for a reader. */
		len = len == sizeof(text) - 1 ? len - 1 : len;
	}
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (proc_wait(pid, &code, err) < 0)
		return -1;
	return code ? err_set(err, ERR_ENV, 0, "%s", *text ? text : argv[0]) : 0;
}

/* By cp with the reader's rights: a link of the student's is copied as a link, and root never
 * opens what the reader could not. */
static int copy_submission(const struct sandbox *s, int submission, struct err *err)
{
	static const char *const cp[] = {
		"cp", "-R", "-P", "--preserve=mode,timestamps,links", ".", SANDBOX_DIR, NULL
	};
	auto_free char *options = xasprintf("size=%u,nr_inodes=16k,mode=700,uid=%u,gid=%u",
					    SANDBOX_COPY_MAX, s->reader->uid, s->reader->gid);
	auto_free char *owner = xasprintf("%u:%u", s->uid, s->uid);
	const char *chown_argv[] = { "chown", "-h", "-R", owner, SANDBOX_DIR, NULL };

	if (mkdir(SANDBOX_DIR, 0755) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make '%s'", SANDBOX_DIR);
	if (mount_tmpfs(SANDBOX_DIR, 0, options, err) < 0)
		return -1;
	if (fchdir(submission) < 0)
		return err_set(err, ERR_ENV, errno, "cannot enter the submission");
	if (helper(cp, s->reader, err) < 0 || helper(chown_argv, NULL, err) < 0)
		return err_wrap(err, "cannot copy the submission");
	/* Its own mode came along with ".". */
	if (chmod(SANDBOX_DIR, 0700) < 0 || chdir(SANDBOX_DIR) < 0)
		return err_set(err, ERR_ENV, errno, "cannot enter '%s'", SANDBOX_DIR);
	return 0;
}

int sandbox_arrange(const struct sandbox *s, int submission, struct err *err)
{
	if (enter_namespaces(s->seat_ns, err) < 0 || make_read_only(err) < 0 ||
	    hide_all(s->hide, err) < 0 || mount_kernel_views(err) < 0 ||
	    mount("", "/mnt", "none", MS_REMOUNT | TMPFS_FLAGS, "size=1m,mode=755") < 0 ||
	    copy_submission(s, submission, err) < 0 ||
	    fs_write(SANDBOX_LAB_FILE, s->lab_json, strlen(s->lab_json), 0444, false, err) < 0)
		return -1;
	if (mount("", "/mnt", "none", MS_REMOUNT | MS_RDONLY | TMPFS_FLAGS, NULL) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make /mnt read-only");
	return 0;
}
