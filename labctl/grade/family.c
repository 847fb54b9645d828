/* SPDX-License-Identifier: MIT */
/* family.c - processes as /proc shows them. */
#include "grade/family.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

#include "base/banned.h"

/* False: it is gone. */
static bool read_process(pid_t pid, struct process *ret)
{
	auto_free char *path = xasprintf("/proc/%d/stat", (int)pid), *text = NULL;
	unsigned long pages;
	int parent, group;
	const char *p;

	if (fs_read(path, 4096, &text, NULL, ERR_IGNORED) < 0)
		return false;
	/* The name, in parentheses, may hold anything. */
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1,
			 " %*c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			 "%*d %*u %*u %lu",
			 &parent, &group, &pages) != 3)
		return false;
	*ret = (struct process){ pid, parent, group, pages * (size_t)sysconf(_SC_PAGESIZE) };
	return true;
}

static size_t all_processes(struct process **ret)
{
	auto_dir proc = opendir("/proc");
	struct process *v = NULL, one;
	const struct dirent *d;
	size_t n = 0;

	while (proc && (d = readdir(proc))) {
		pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);

		if (pid > 0 && read_process(pid, &one))
			*array_push(v, n) = one;
	}
	*ret = v;
	return n;
}

static bool has_pid(const struct process *v, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].pid == pid)
			return true;
	}
	return false;
}

size_t family_list(pid_t root, struct process **ret)
{
	auto_free struct process *all = NULL;
	struct process *v = NULL;
	size_t n_all = all_processes(&all), n = 0, before;

	/* Children may be listed before their parents: again until nobody is added. */
	do {
		before = n;
		for (size_t i = 0; i < n_all; i++) {
			if (has_pid(v, n, all[i].pid))
				continue;
			if (all[i].pid == root || all[i].group == root ||
			    has_pid(v, n, all[i].parent))
				*array_push(v, n) = all[i];
		}
	} while (n > before);
	*ret = v;
	return n;
}
