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
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/magic.h>
#include <linux/mount.h>

#include "base/caller.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/log.h"
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

/* ---- what may be mounted ---- */

/* File systems that are the kernel's own state: whoever reaches them reaches the host. */
static const struct {
	unsigned long magic;
	const char *name;
} kernel_files[] = {
	{ PROC_SUPER_MAGIC, "proc" },
	{ SYSFS_MAGIC, "sysfs" },
	{ CGROUP_SUPER_MAGIC, "cgroup" },
	{ CGROUP2_SUPER_MAGIC, "cgroup2" },
	{ DEBUGFS_MAGIC, "debugfs" },
	{ TRACEFS_MAGIC, "tracefs" },
	{ SECURITYFS_MAGIC, "securityfs" },
	{ SELINUX_MAGIC, "selinuxfs" },
	{ BPF_FS_MAGIC, "bpf" },
	{ DEVPTS_SUPER_MAGIC, "devpts" },
	{ NSFS_MAGIC, "nsfs" },
	{ EFIVARFS_MAGIC, "efivarfs" },
	{ PSTOREFS_MAGIC, "pstore" },
	{ BINFMTFS_MAGIC, "binfmt_misc" },
	{ HUGETLBFS_MAGIC, "hugetlbfs" },
	{ 0x62656570, "configfs" },
	{ 0x65735543, "fusectl" },
	{ 0x19800202, "mqueue" },
	{ 0x67596969, "rpc_pipefs" },
};

static int refuse(const char *dir, const char *what, struct err *err)
{
	err_set(err, ERR_USAGE, 0, "'%s' is %s: it cannot be src", dir, what);
	return err_hint(err, "name a directory of your own with --src DIR");
}

/* Looks at the open directory, which nobody can exchange any more. */
static int check_kind(int fd, const char *dir, struct err *err)
{
	struct stat st, dev, root;
	struct statfs fs;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return err_set(err, ERR_ENV, errno, "cannot look at '%s'", dir);
	for (size_t i = 0; i < ARRAY_SIZE(kernel_files); i++) {
		if ((unsigned long)fs.f_type == kernel_files[i].magic) {
			auto_free char *what =
				xasprintf("in a kernel file system (%s)", kernel_files[i].name);

			return refuse(dir, what, err);
		}
	}
	/* devtmpfs says that it is a tmpfs. */
	if (stat("/dev", &dev) == 0 && dev.st_dev == st.st_dev &&
	    (stat("/", &root) < 0 || root.st_dev != dev.st_dev))
		return refuse(dir, "where the host's devices are", err);
	if (stat("/", &root) == 0 && root.st_dev == st.st_dev && root.st_ino == st.st_ino)
		return refuse(dir, "the whole host", err);
	return 0;
}

int srcmount_check(const char *dir, struct err *err)
{
	auto_fd fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot open '%s'", dir);
	return check_kind(fd, dir, err);
}

/* NULL when the directory is the owner's, else why it is not mounted. */
static char *not_his(int fd, const char *dir, const struct caller *owner)
{
	struct caller other = { 0 };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return xasprintf("cannot look at '%s': %s", dir, strerror(errno));
	if (st.st_uid == owner->uid)
		return NULL;
	other.uid = st.st_uid;
	caller_names(&other);
	return xasprintf("'%s' belongs to user '%s', not to '%s'", dir, other.name, owner->name);
}

/* ---- the mount ---- */

static int set_attr(int tree, const struct caller *owner, enum lab_src mode, struct err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };
	auto_fd userns = -1;

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

/* A mount of the directory alone (what is mounted below stays out), not attached anywhere. Looked
 * up as the owner: what he could not reach is not mounted for him. */
static int open_directory(const char *dir, const struct caller *owner, int *ret_fd, struct err *err)
{
	auto_file_rights as_owner = { 0 };
	auto_fd tree = -1;

	if (file_rights_of(owner, &as_owner, err) < 0)
		return -1;
	tree = sys_open_tree(dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return err_set(err, ERR_ENV, errno, "cannot open '%s' as a mount", dir);
	if (check_kind(tree, dir, err) < 0)
		return -1;
	*ret_fd = steal_fd(&tree);
	return 0;
}

int srcmount_add(const char *dir, const struct caller *owner, const char *target,
		 enum lab_src *ret_mode, char **ret_why, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the mount of src in the lab's run directory");
	enum lab_src mode = caller_is_real_root(owner) ? LAB_SRC_PLAIN : LAB_SRC_IDMAP;
	auto_free char *why = NULL;
	struct err e = { 0 };
	auto_fd tree = -1;

	if (open_directory(dir, owner, &tree, err) < 0)
		return -1;
	if (mode == LAB_SRC_IDMAP)
		why = not_his(tree, dir, owner);
	if (!why && set_attr(tree, owner, mode, &e) < 0) {
		if (mode != LAB_SRC_IDMAP)
			return err_pass(err, &e);
		log_debug("idmapped mount of '%s': %s", dir, e.msg);
		why = xasprintf("kernel and file system cannot map '%s' to its owner", dir);
	}
	if (why) {
		*ret_mode = LAB_SRC_NONE;
		*ret_why = steal_ptr(&why);
		return 0;
	}
	/* 0700: only the containers' way in counts, whatever the mode of the student's directory. */
	if (fs_mkdirs(target, 0700, err) < 0 || fault_point("mount", err) < 0)
		return -1;
	if (sys_move_mount(tree, target) < 0)
		return err_set(err, ERR_ENV, errno, "cannot mount '%s' at '%s'", dir, target);
	*ret_mode = mode;
	return 0;
}

static bool has_other_device(const char *target)
{
	auto_free char *parent = xasprintf("%s/..", target);
	struct stat st, up;

	return stat(target, &st) == 0 && stat(parent, &up) == 0 && st.st_dev != up.st_dev;
}

bool srcmount_is_mounted(const char *target)
{
	auto_file_rights as_root = file_rights_root("the mount of src in the lab's run directory");
	auto_free char *needle = xasprintf(" %s ", target);
	auto_free char *text = NULL;

	/* Everyone may read it; but in it a name with a space looks different. */
	if (fs_read("/proc/self/mountinfo", 16 << 20, &text, NULL, ERR_IGNORED) == 0 &&
	    strstr(text, needle))
		return true;
	return has_other_device(target);
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
	auto_fd tree = sys_open_tree(dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	return tree >= 0 && set_attr(tree, &nobody, LAB_SRC_IDMAP, ERR_IGNORED) == 0;
}
