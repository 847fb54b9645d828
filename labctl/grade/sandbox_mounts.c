/* SPDX-License-Identifier: MIT */
/* sandbox_mounts.c - what a program in the sandbox finds: files, network, its own copy. */
#include "grade/sandbox.h"

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
#define NEW_ROOT    "/tmp" /* until it is the root: any directory that every host has */

/* Where programs write while they run. */
static const char *const scratch[] = { "/tmp", "/var/tmp", "/dev/shm" };
/* What programs are made of. All else at the top is somebody's. */
static const char *const shown[] = { "bin",    "etc", "gnu", "lib",  "lib32", "lib64",
				     "libx32", "nix", "opt", "sbin", "snap",  "usr" };
/* What programs look for; and mount points. */
static const char *const empty[] = { "dev", "home", "mnt", "proc",    "root",	 "run",	   "srv",
				     "sys", "tmp",  "var", "var/tmp", "dev/shm", "dev/pts" };
static const char *const devices[] = { "null", "zero", "full", "random", "urandom", "tty" };
static const char *const device_links[][2] = { { "pts/ptmx", "dev/ptmx" },
					       { "/proc/self/fd", "dev/fd" },
					       { "/proc/self/fd/0", "dev/stdin" },
					       { "/proc/self/fd/1", "dev/stdout" },
					       { "/proc/self/fd/2", "dev/stderr" } };

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
	if (mount("", "/", "none", MS_PRIVATE | MS_REC, NULL) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make the mounts private");
	return 0;
}

static int mount_tmpfs(const char *path, unsigned long flags, const char *options, struct err *err)
{
	if (mount("tmpfs", path, "tmpfs", flags, options) < 0)
		return err_set(err, ERR_ENV, errno, "cannot mount a tmpfs at '%s'", path);
	return 0;
}

/* A directory with all that is mounted below it, read-only; a link as a link. */
static int show(const char *name, struct err *err)
{
	auto_free char *from = xasprintf("/%s", name), *to = xasprintf(NEW_ROOT "/%s", name);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					       MOUNT_ATTR_NODEV };
	char target[PATH_MAX] = "";
	struct stat st;

	if (lstat(from, &st) < 0)
		return 0;
	if (S_ISLNK(st.st_mode) && readlink(from, target, sizeof(target) - 1) > 0 &&
	    symlink(target, to) == 0)
		return 0;
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (mkdir(to, 0755) < 0 || mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0)
		return err_set(err, ERR_ENV, errno, "cannot show '%s'", from);
	/* glibc 2.35 (Ubuntu 22.04) has no wrapper yet. */
	if (syscall(SYS_mount_setattr, AT_FDCWD, to, AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make '%s' read-only", from);
	return 0;
}

/* A directory below one that is shown. */
static int hide(const char *path, struct err *err)
{
	char real[PATH_MAX];
	auto_free char *here = NULL;

	if (!realpath(path, real) || strcmp(real, "/") == 0)
		return 0;
	here = xasprintf(NEW_ROOT "%s", real);
	if (!fs_is_dir(here))
		return 0;
	return mount_tmpfs(here, TMPFS_FLAGS | MS_RDONLY | MS_NOEXEC, "size=4k,mode=755", err);
}

static int make_devices(struct err *err)
{
	if (mount_tmpfs(NEW_ROOT "/dev", MS_NOSUID | MS_NOEXEC, "size=64k,mode=755", err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		auto_free char *from = xasprintf("/dev/%s", devices[i]);
		auto_free char *to = xasprintf(NEW_ROOT "/dev/%s", devices[i]);
		auto_fd fd = open(to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

		if (fd < 0 || mount(from, to, NULL, MS_BIND, NULL) < 0)
			return err_set(err, ERR_ENV, errno, "cannot show '%s'", from);
	}
	for (size_t i = 0; i < ARRAY_SIZE(device_links); i++) {
		auto_free char *to = xasprintf(NEW_ROOT "/%s", device_links[i][1]);

		if (symlink(device_links[i][0], to) < 0)
			return err_set(err, ERR_ENV, errno, "cannot make '%s'", to);
	}
	return 0;
}

static int make_dirs(const char *const *names, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		auto_free char *path = xasprintf(NEW_ROOT "/%s", names[i]);

		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_set(err, ERR_ENV, errno, "cannot make '%s'", path);
	}
	return 0;
}

/* A root of its own, with what is listed and nothing else: not even the names of what else is
 * mounted on this host. */
static int make_root(const struct strv *hidden, struct err *err)
{
	if (mount_tmpfs(NEW_ROOT, TMPFS_FLAGS, "size=1m,mode=755", err) < 0 ||
	    make_dirs(empty, 1, err) < 0 || make_devices(err) < 0 ||
	    make_dirs(empty, ARRAY_SIZE(empty), err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		if (show(shown[i], err) < 0)
			return -1;
	}
	for (size_t i = 0; i < hidden->n; i++) {
		if (hide(hidden->v[i], err) < 0)
			return -1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(scratch); i++) {
		auto_free char *path = xasprintf(NEW_ROOT "%s", scratch[i]);

		if (mount_tmpfs(path, TMPFS_FLAGS, "size=64m,nr_inodes=4k,mode=1777", err) < 0)
			return -1;
	}
	return 0;
}

static int enter_root(struct err *err)
{
	/* The old root is put on top of the new one, and taken off. */
	if (chdir(NEW_ROOT) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_set(err, ERR_ENV, errno, "cannot enter the sandbox's root");
	return 0;
}

/* Of processes, a program finds those of its own user: not the first one, which is ours. */
static int mount_kernel_views(struct err *err)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount("proc", "/proc", "proc", flags, "hidepid=invisible") < 0)
		return err_set(err, ERR_ENV, errno, "cannot mount /proc");
	if (mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) < 0 ||
	    mount("", "/proc/sys", "none", MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make /proc/sys read-only");
	if (mount("sysfs", "/sys", "sysfs", MS_RDONLY | flags, NULL) < 0)
		return err_set(err, ERR_ENV, errno, "cannot mount /sys");
	if (mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		  "newinstance,ptmxmode=0666,mode=620") < 0)
		return err_set(err, ERR_ENV, errno, "cannot mount /dev/pts");
	return 0;
}

/* The message of a helper program that failed is its last line. */
static int helper(const char *const *argv, const struct caller *as, struct err *err)
{
	struct proc_spec spec = { .argv = argv, .out = PROC_OUT_BOTH, .child = { .as = as } };
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
	if (mount_tmpfs(SANDBOX_DIR, TMPFS_FLAGS, options, err) < 0)
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
	const unsigned long fixed = MS_REMOUNT | MS_RDONLY | MS_NOSUID;

	if (enter_namespaces(s->seat_ns, err) < 0 || make_root(s->hide, err) < 0 ||
	    enter_root(err) < 0 || mount_kernel_views(err) < 0 ||
	    copy_submission(s, submission, err) < 0 ||
	    fs_write(SANDBOX_LAB_FILE, s->lab_json, strlen(s->lab_json), 0444, false, err) < 0)
		return -1;
	if (mount("", "/dev", "none", fixed | MS_NOEXEC, NULL) < 0 ||
	    mount("", "/", "none", fixed | MS_NODEV, NULL) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make the sandbox's root read-only");
	return 0;
}
