/* SPDX-License-Identifier: MIT */
/* netns.c - network namespaces, held by fd. */
#include "net/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <linux/magic.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rights.h"
#include "net/msg.h"

#include "base/banned.h"

#define SELF_NS "/proc/thread-self/ns/net"

enum {
	LOCK_MS = 500,
	LOCK_STEP_MS = 5,
};

int netns_open_self(int *ret_fd, struct err *err)
{
	int fd = open(SELF_NS, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot open '%s'", SELF_NS);
	*ret_fd = fd;
	return 0;
}

int netns_open_pid(pid_t pid, int *ret_fd, struct err *err)
{
	auto_free char *path = xasprintf("/proc/%d/ns/net", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ESRCH))
		return err_set(err, ERR_NOT_FOUND, errno, "no process %d", (int)pid);
	if (fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot open '%s'", path);
	*ret_fd = fd;
	return 0;
}

static int refused(const char *what, struct err *err)
{
	int sys = errno;

	err_set(err, ERR_ENV, sys, "%s", what);
	return sys == EPERM ? err_hint(err, "this needs root (CAP_SYS_ADMIN)") : -1;
}

/* A thread left in the wrong namespace would configure somebody else's network. */
static void come_back(int self)
{
	if (setns(self, CLONE_NEWNET) < 0) {
		log_warn("cannot return to the network namespace: %s", strerror(errno));
		abort();
	}
}

int netns_run(int fd, int (*fn)(void *arg, struct err *err), void *arg, struct err *err)
{
	auto_fd self = -1;
	int rc;

	if (fd < 0)
		return fn(arg, err);
	if (netns_open_self(&self, err) < 0)
		return -1;
	if (setns(fd, CLONE_NEWNET) < 0)
		return refused("cannot enter the network namespace", err);
	rc = fn(arg, err);
	come_back(self);
	return rc;
}

static int loopback_up(struct err *err)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	auto_fd sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &ifr) < 0)
		return err_set(err, ERR_ENV, errno, "cannot bring the loopback up");
	return 0;
}

int netns_open_new(int *ret_fd, struct err *err)
{
	auto_fd self = -1, fd = -1;
	int rc;

	if (netns_open_self(&self, err) < 0)
		return -1;
	if (unshare(CLONE_NEWNET) < 0)
		return refused("cannot make a network namespace", err);
	rc = netns_open_self(&fd, err);
	if (rc == 0)
		rc = loopback_up(err);
	come_back(self);
	if (rc == 0)
		*ret_fd = steal_fd(&fd);
	return rc;
}

static int name_path(const char *name, char **ret, struct err *err)
{
	if (str_empty(name) || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..") ||
	    strlen(name) > NAME_MAX)
		return err_set(err, ERR_USAGE, 0, "'%s' is no name for a network namespace", name);
	*ret = xasprintf("%s/%s", NETNS_DIR, name);
	return 0;
}

static bool is_namespace(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

int netns_open_name(const char *name, int *ret_fd, struct err *err)
{
	auto_free char *path = NULL;
	auto_fd fd = -1;

	if (name_path(name, &path, err) < 0)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_ENV, errno,
			       "no network namespace '%s'", name);
	if (!is_namespace(fd))
		return err_set(err, ERR_NOT_FOUND, 0,
			       "no network namespace '%s': '%s' is a plain file", name, path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* Locks the directory as iproute2 does, so that two do not share it at once. The lock goes with the
 * fd. Everyone may take it, also one who only wants to be in the way: he is not waited for. */
static int lock_dir(int *ret_fd, struct err *err)
{
	const struct timespec pause = { .tv_nsec = LOCK_STEP_MS * 1000000 };
	auto_fd fd = open(NETNS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot open '%s'", NETNS_DIR);
	for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_STEP_MS) {
		if (errno != EINTR && errno != EWOULDBLOCK)
			return err_set(err, ERR_ENV, errno, "cannot lock '%s'", NETNS_DIR);
		if (err_if_interrupted(err) < 0)
			return -1;
		if (waited >= LOCK_MS) {
			log_debug("another program keeps '%s' locked; going on without", NETNS_DIR);
			break;
		}
		nanosleep(&pause, NULL);
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* A shared mount point of its own: names mounted in it show, and go, in every mount namespace
 * that has it. */
static int share_dir(struct err *err)
{
	if (mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	if (errno != EINVAL) /* which it is when the directory is no mount point yet */
		return err_set(err, ERR_ENV, errno, "cannot share the mount '%s'", NETNS_DIR);
	if (mount(NETNS_DIR, NETNS_DIR, "none", MS_BIND | MS_REC, NULL) < 0 ||
	    mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make '%s' a shared mount", NETNS_DIR);
	return 0;
}

/* The file to mount upon. One of ours that is there without a mount was left by a crash between
 * the two, as the directory is locked; it will do. */
static int make_file(const char *name, const char *path, struct err *err)
{
	auto_fd fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);

	if (fd >= 0)
		return 0;
	if (errno != EEXIST)
		return err_set(err, ERR_ENV, errno, "cannot make '%s'", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || is_namespace(fd) || !str_starts(name, NETNS_PREFIX))
		return msg_exists(err, "network namespace '%s'", name);
	return 0;
}

int netns_create(const char *name, int *ret_fd, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the names of namespaces");
	auto_free char *path = NULL, *source = NULL;
	auto_fd lock = -1, fd = -1;

	if (fault_point("namespace", err) < 0 || name_path(name, &path, err) < 0 ||
	    fs_mkdirs(NETNS_DIR, 0755, err) < 0 || lock_dir(&lock, err) < 0 || share_dir(err) < 0 ||
	    make_file(name, path, err) < 0)
		return -1;
	if (netns_open_new(&fd, err) < 0) {
		unlink(path);
		return -1;
	}
	source = xasprintf("/proc/self/fd/%d", fd);
	if (fault_point("namespace's name", err) < 0) {
		unlink(path);
		return -1;
	}
	if (mount(source, path, "none", MS_BIND, NULL) < 0) {
		err_set(err, ERR_ENV, errno, "cannot mount a network namespace at '%s'", path);
		unlink(path);
		return -1;
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

int netns_delete(const char *name, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the names of namespaces");
	auto_free char *path = NULL;

	if (fault_point("namespace's end", err) < 0 || name_path(name, &path, err) < 0)
		return -1;
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	if (errno != EINVAL && errno != ENOENT)
		return err_set(err, ERR_ENV, errno, "cannot unmount '%s'", path);
	return fs_remove(path, err);
}

int netns_list(const char *prefix, struct strv *ret, struct err *err)
{
	auto_dir dir = opendir(NETNS_DIR);
	auto_strv names = { 0 };
	struct dirent *e;

	if (!dir && errno != ENOENT)
		return err_set(err, ERR_ENV, errno, "cannot read '%s'", NETNS_DIR);
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.' && str_starts(e->d_name, prefix))
			strv_add(&names, e->d_name);
	strv_sort(&names);
	*ret = names;
	names = (struct strv){ 0 };
	return 0;
}

struct sysctl {
	const char *path;
	const char *value; /* NULL: read */
	char *ret;
};

/* /proc/sys/net shows the namespace of the thread that opens it. */
static int sysctl_here(void *arg, struct err *err)
{
	struct sysctl *s = arg;
	struct err e = { 0 };
	int rc = s->value ? fs_write_value(s->path, s->value, &e)
			  : fs_read(s->path, 1 << 16, &s->ret, NULL, &e);

	if (rc < 0) {
		if (e.sys == ENOENT)
			e.kind = ERR_NOT_FOUND;
		*err = e;
	}
	return rc;
}

static int sysctl_path(const char *key, char **ret, struct err *err)
{
	bool is_path = strchr(key, '/');
	char *path;

	if (str_empty(key) || (is_path && strstr(key, "..")))
		return err_set(err, ERR_USAGE, 0, "'%s' is no sysctl", key);
	path = xasprintf("/proc/sys/%s", key);
	for (char *p = path + strlen("/proc/sys/"); !is_path && *p; p++)
		if (*p == '.')
			*p = '/';
	*ret = path;
	return 0;
}

int netns_sysctl_set(int fd, const char *key, const char *value, struct err *err)
{
	auto_free char *path = NULL;
	struct sysctl s = { .value = value };

	if (sysctl_path(key, &path, err) < 0)
		return -1;
	s.path = path;
	return netns_run(fd, sysctl_here, &s, err);
}

int netns_sysctl_get(int fd, const char *key, char **ret_value, struct err *err)
{
	auto_free char *path = NULL;
	struct sysctl s = { 0 };
	size_t n;

	if (sysctl_path(key, &path, err) < 0)
		return -1;
	s.path = path;
	if (netns_run(fd, sysctl_here, &s, err) < 0)
		return -1;
	n = strlen(s.ret);
	if (n && s.ret[n - 1] == '\n')
		s.ret[n - 1] = '\0';
	*ret_value = s.ret;
	return 0;
}
