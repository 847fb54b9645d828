/* SPDX-License-Identifier: MIT */
/* watch.c - inotify on the student's directory. */
#include "grade/watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#include "base/banned.h"

#define EVENTS	   (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE)
#define DEPTH_MAX  8
#define SETTLE_MS  150	/* editors save in several steps */
#define LOOK_UP_MS 1000 /* for an interrupt that came just before the waiting */
#define EVENT_ROOM 16384

static int add_below(int fd, const char *dir, int depth, struct err *err)
{
	auto_dir d = NULL;
	struct dirent *e;

	if (inotify_add_watch(fd, dir, EVENTS | IN_ONLYDIR) < 0)
		return err_set(err, ERR_ENV, errno, "cannot watch '%s'", dir);
	d = depth < DEPTH_MAX ? opendir(dir) : NULL;
	while (d && (e = readdir(d))) {
		auto_free char *below = NULL;

		if (e->d_type != DT_DIR || e->d_name[0] == '.' ||
		    strcmp(e->d_name, "__pycache__") == 0)
			continue;
		below = xasprintf("%s/%s", dir, e->d_name);
		if (add_below(fd, below, depth + 1, err) < 0)
			return -1;
	}
	return 0;
}

int watch_open(const char *dir, int *ret_fd, struct err *err)
{
	auto_fd fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot watch files");
	if (add_below(fd, dir, 0, err) < 0)
		return -1;
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* A file that a person writes: has an ending, and none of those that tools make. */
static bool counts(const char *name)
{
	static const char *const made[] = { ".o",   ".a",   ".so",  ".d",   ".pyc", ".class",
					    ".tmp", ".swp", ".swx", ".log", ".out", ".pcap" };
	const char *dot = strrchr(name, '.');

	if (name[0] == '.' || name[strlen(name) - 1] == '~')
		return false;
	if (!dot)
		return strcmp(name, "Makefile") == 0;
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		if (strcmp(dot, made[i]) == 0)
			return false;
	}
	return true;
}

/* Reads what is there; did something that counts happen, was a directory made? */
static bool read_events(int fd, bool *ret_new_dir)
{
	auto_free char *buf = xmalloc(EVENT_ROOM);
	bool any = false;
	ssize_t n;

	while ((n = read(fd, buf, EVENT_ROOM)) > 0) {
		for (ssize_t at = 0; at < n;) {
			struct inotify_event e;

			memcpy(&e, buf + at, sizeof(e));
			if (e.mask & IN_ISDIR)
				*ret_new_dir = *ret_new_dir || e.mask & (IN_CREATE | IN_MOVED_TO);
			else if (e.len && !(e.mask & IN_CREATE))
				any = any || counts(buf + at + sizeof(e));
			at += (ssize_t)(sizeof(e) + e.len);
		}
	}
	return any;
}

int watch_wait(int fd, const char *dir, struct err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool saved = false;

	for (;;) {
		int n = poll(&p, 1, saved ? SETTLE_MS : LOOK_UP_MS);
		bool new_dir = false;

		if (err_if_interrupted(err) < 0)
			return -1;
		if (n == 0 && saved)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_set(err, ERR_ENV, errno, "cannot wait for files");
		if (n < 0)
			continue;
		saved = read_events(fd, &new_dir) || saved;
		/* Watching a directory twice is watching it once. */
		if (new_dir && add_below(fd, dir, 0, err) < 0)
			return -1;
	}
}
