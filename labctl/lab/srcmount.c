/* SPDX-License-Identifier: MIT */
/* srcmount.c - the student's src/ as an idmapped mount (mount_setattr(2)). */
#include "lab/srcmount.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/mount.h>

#include "base/fault.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/rights.h"

#include "base/banned.h"

/* glibc 2.35 (Ubuntu 22.04) has no wrappers yet. */
static int sys_open_tree(const char *path, unsigned flags)
{
	return (int)syscall(SYS_open_tree, AT_FDCWD, path, flags);
}

static int sys_mount_setattr(int fd, struct mount_attr *attr)
{
	return (int)syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, attr, sizeof(*attr));
}

static int sys_move_mount(int fd, const char *target)
{
	return (int)syscall(SYS_move_mount, fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}

static int write_map(pid_t pid, const char *file, unsigned id, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the id map of a mount");
	auto_free char *path = xasprintf("/proc/%d/%s", (int)pid, file);
	/* On disk `id`, seen through the mount as 0. */
	auto_free char *line = xasprintf("%u 0 1", id);

	return fs_write_value(path, line, err);
}

/* A user namespace is only had from a process in it: a child that waits to be killed. */
static int open_userns(const struct caller *owner, int *ret_fd, struct err *err)
{
	auto_free char *path = NULL;
	auto_fd fd = -1;
	int p[2], ok = -1;
	pid_t parent = getpid(), pid;
	char c = 0;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make a pipe");
	auto_fd r = p[0];
	auto_fd w = p[1];
	pid = fork();
	if (pid < 0)
		return err_set(err, ERR_ENV, errno, "cannot fork");
	if (pid == 0) {
		c = unshare(CLONE_NEWUSER) == 0 ? 'y' : 'n';
		/* Not to outlive a parent that is killed. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		if (write(w, &c, 1) == 1)
			pause();
		_exit(0);
	}
	close(steal_fd(&w));
	if (read(r, &c, 1) != 1 || c != 'y') {
		err_set(err, ERR_ENV, 0, "cannot make a user namespace");
	} else if (write_map(pid, "uid_map", owner->uid, err) == 0 &&
		   write_map(pid, "gid_map", owner->gid, err) == 0) {
		path = xasprintf("/proc/%d/ns/user", (int)pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		ok = fd < 0 ? err_set(err, ERR_ENV, errno, "cannot open '%s'", path) : 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (ok == 0)
		*ret_fd = steal_fd(&fd);
	return ok;
}

static int set_attr(int tree, const struct caller *owner, enum lab_src mode, struct err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };
	auto_fd userns = -1;

	if (mode == LAB_SRC_READONLY)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (mode == LAB_SRC_IDMAP) {
		if (open_userns(owner, &userns, err) < 0)
			return -1;
		attr.attr_set |= MOUNT_ATTR_IDMAP;
		attr.userns_fd = (uint64_t)userns;
	}
	if (sys_mount_setattr(tree, &attr) < 0)
		return err_set(err, ERR_ENV, errno, "cannot set the attributes of the mount");
	return 0;
}

static int clone_with(const char *dir, const struct caller *owner, enum lab_src mode, int *ret_fd,
		      struct err *err)
{
	auto_file_rights as_owner = { 0 };
	auto_fd tree = -1;

	if (file_rights_of(owner, &as_owner, err) < 0)
		return -1;
	tree = sys_open_tree(dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return err_set(err, ERR_ENV, errno, "cannot open '%s' as a mount", dir);
	file_rights_restore(&as_owner);
	if (set_attr(tree, owner, mode, err) < 0)
		return err_wrap(err, "mount of '%s'", dir);
	*ret_fd = steal_fd(&tree);
	return 0;
}

int srcmount_add(const char *dir, const struct caller *owner, const char *target,
		 enum lab_src *ret_mode, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the mount of src in the lab's run directory");
	enum lab_src mode = owner->uid == 0 ? LAB_SRC_PLAIN : LAB_SRC_IDMAP;
	auto_fd tree = -1;

	if (fs_mkdirs(target, 0755, err) < 0)
		return -1;
	if (clone_with(dir, owner, mode, &tree, err) < 0) {
		if (mode != LAB_SRC_IDMAP)
			return -1;
		err_clear(err);
		mode = LAB_SRC_READONLY;
		if (clone_with(dir, owner, mode, &tree, err) < 0)
			return -1;
	}
	if (fault_point("mount", err) < 0)
		return -1;
	if (sys_move_mount(tree, target) < 0)
		return err_set(err, ERR_ENV, errno, "cannot mount '%s' at '%s'", dir, target);
	*ret_mode = mode;
	return 0;
}

bool srcmount_is_mounted(const char *target)
{
	struct stat st, up;
	auto_free char *parent = xasprintf("%s/..", target);
	auto_free char *text = NULL;
	auto_free char *needle = xasprintf(" %s ", target);

	/* A bind mount of the same file system has the same device: mountinfo knows better. */
	if (stat(target, &st) < 0 || stat(parent, &up) < 0)
		return false;
	if (st.st_dev != up.st_dev)
		return true;
	return fs_read("/proc/self/mountinfo", 16 << 20, &text, NULL, ERR_IGNORED) == 0 &&
	       strstr(text, needle);
}

int srcmount_remove(const char *target, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the mount of src in the lab's run directory");

	/* Once for each start that was killed between mounting and recording. */
	while (srcmount_is_mounted(target)) {
		if (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return err_set(err, ERR_ENV, errno, "cannot unmount '%s'", target);
	}
	return fs_remove(target, err);
}

bool srcmount_idmap_supported(const char *dir)
{
	const struct caller nobody = { .uid = 65534, .gid = 65534 };
	int fd = -1;

	if (clone_with(dir, &nobody, LAB_SRC_IDMAP, &fd, ERR_IGNORED) < 0)
		return false;
	close(fd);
	return true;
}
