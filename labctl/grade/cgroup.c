/* SPDX-License-Identifier: MIT */
/* cgroup.c - limits by control groups, versions 1 and 2. */
#include "grade/cgroup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/rights.h"
#include "base/str.h"

#include "base/banned.h"

#define ROOT	       "/sys/fs/cgroup"
#define CPU_PERIOD_US  100000u
#define REMOVE_WAIT_MS 2000
#define REMOVE_POLL_MS 5

static bool is_v2(void)
{
	return fs_access(ROOT "/cgroup.controllers", F_OK);
}

/* One directory of version 2, or one below each controller of version 1. */
static size_t hierarchies(const char *const **ret)
{
	static const char *const v2[] = { ROOT };
	static const char *const v1[CGROUP_FILES] = { ROOT "/memory", ROOT "/pids", ROOT "/cpu" };

	*ret = is_v2() ? v2 : v1;
	return is_v2() ? ARRAY_SIZE(v2) : ARRAY_SIZE(v1);
}

static bool set(const char *hierarchy, const char *name, const char *file, uint64_t value)
{
	auto_free char *path = xasprintf("%s/%s/%s", hierarchy, name, file);
	auto_free char *text = xasprintf("%llu", (unsigned long long)value);

	return fs_write_value(path, text, ERR_IGNORED) == 0;
}

static void make(const char *hierarchy, const char *name)
{
	auto_free char *path = xasprintf("%s/%s", hierarchy, name);
	auto_free char *procs = xasprintf("%s/cgroup.procs", hierarchy);

	/* Where no hierarchy is mounted there would be a plain directory. */
	if (fs_access(procs, F_OK))
		mkdir(path, 0755);
}

static void limit_v2(const char *name, const struct cgroup_limits *l, struct cgroup_has *ret)
{
	auto_free char *cpu = xasprintf(ROOT "/%s/cpu.max", name);
	auto_free char *quota =
		xasprintf("%u %u", l->percent * (CPU_PERIOD_US / 100), CPU_PERIOD_US);

	ret->memory = set(ROOT, name, "memory.max", l->memory);
	set(ROOT, name, "memory.swap.max", 0);
	ret->pids = set(ROOT, name, "pids.max", l->pids);
	if (fs_write_value(cpu, quota, ERR_IGNORED) < 0)
		return; /* of use, but nothing depends on it */
}

static void limit_v1(const char *name, const struct cgroup_limits *l, struct cgroup_has *ret)
{
	ret->memory = set(ROOT "/memory", name, "memory.limit_in_bytes", l->memory);
	/* With swap counted, where the kernel counts it. */
	set(ROOT "/memory", name, "memory.memsw.limit_in_bytes", l->memory);
	ret->pids = set(ROOT "/pids", name, "pids.max", l->pids);
	set(ROOT "/cpu", name, "cpu.cfs_period_us", CPU_PERIOD_US);
	set(ROOT "/cpu", name, "cpu.cfs_quota_us", (uint64_t)l->percent * (CPU_PERIOD_US / 100));
}

/* One by one: on most computers they are on already; in a container this is refused. */
static void switch_on(void)
{
	static const char *const controllers[] = { "+memory", "+pids", "+cpu" };

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		if (fs_write_value(ROOT "/cgroup.subtree_control", controllers[i], ERR_IGNORED) < 0)
			continue; /* what is limited indeed is found out afterwards */
	}
}

void cgroup_create(const char *name, const struct cgroup_limits *limits, struct cgroup_has *ret)
{
	auto_file_rights as_root = file_rights_root("control groups");
	const char *const *at;
	size_t n = hierarchies(&at);

	if (is_v2())
		switch_on();
	for (size_t i = 0; i < n; i++)
		make(at[i], name);
	if (is_v2())
		limit_v2(name, limits, ret);
	else
		limit_v1(name, limits, ret);
}

void cgroup_open(const char *name, struct cgroup_door *ret)
{
	auto_file_rights as_root = file_rights_root("control groups");
	const char *const *at;
	size_t n = hierarchies(&at);

	for (size_t i = 0; i < CGROUP_FILES; i++) {
		auto_free char *path = i < n ? xasprintf("%s/%s/cgroup.procs", at[i], name) : NULL;

		ret->fd[i] = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;
	}
}

int cgroup_enter(struct cgroup_door *door, struct err *err)
{
	int sys = 0;

	for (size_t i = 0; i < CGROUP_FILES; i++) {
		auto_fd fd = steal_fd(&door->fd[i]);

		if (fd >= 0 && write(fd, "0", 1) != 1)
			sys = errno;
	}
	return sys ? err_set(err, ERR_ENV, sys, "cannot enter the control group") : 0;
}

/* The number behind the last `key` of a file of "key number" lines; 0 when there is none. */
static unsigned long number_of(const char *hierarchy, const char *name, const char *file,
			       const char *key)
{
	auto_free char *path = xasprintf("%s/%s/%s", hierarchy, name, file), *text = NULL;
	auto_free char *word = xasprintf("%s ", key);
	char *at;

	if (fs_read(path, 4096, &text, NULL, ERR_IGNORED) < 0)
		return 0;
	for (at = text; (at = strstr(at, word)); at++) {
		if (at == text || at[-1] == '\n')
			return strtoul(at + strlen(word), NULL, 10);
	}
	return 0;
}

void cgroup_hits(const char *name, unsigned long *ret_memory, unsigned long *ret_pids)
{
	auto_file_rights as_root = file_rights_root("control groups");
	if (is_v2()) {
		*ret_memory = number_of(ROOT, name, "memory.events", "oom_kill");
		*ret_pids = number_of(ROOT, name, "pids.events", "max");
	} else {
		*ret_memory = number_of(ROOT "/memory", name, "memory.oom_control", "oom_kill");
		*ret_pids = number_of(ROOT "/pids", name, "pids.events", "max");
	}
}

void cgroup_remove(const char *name)
{
	auto_file_rights as_root = file_rights_root("control groups");
	const struct timespec pause = { 0, REMOVE_POLL_MS * 1000000L };
	const char *const *at;
	size_t n = hierarchies(&at);

	for (size_t i = 0; i < n; i++) {
		auto_free char *path = xasprintf("%s/%s", at[i], name);

		/* Version 1 has no event for its emptiness. */
		for (int ms = 0; rmdir(path) < 0 && errno == EBUSY && ms < REMOVE_WAIT_MS;
		     ms += REMOVE_POLL_MS)
			nanosleep(&pause, NULL);
	}
}
