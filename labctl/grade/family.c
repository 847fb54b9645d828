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
#include "grade/probe.h"

#include "base/banned.h"

/* False: it is gone. */
static bool read_process(pid_t pid, struct process *ret)
{
	auto_free char *path = xasprintf("/proc/%d/stat", (int)pid), *text = NULL;
	unsigned long pages, own, system;
	long children, children_system;
	int parent, group;
	uint64_t ticks;
	char state;
	const char *p;

	if (fs_read(path, 4096, &text, NULL, ERR_IGNORED) < 0)
		return false;
	/* The name, in parentheses, may hold anything. */
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1,
			 " %c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld %*d %*d %*d "
			 "%*d %*u %*u %lu",
			 &state, &parent, &group, &own, &system, &children, &children_system,
			 &pages) != 8)
		return false;
	ticks = own + system + (uint64_t)children + (uint64_t)children_system;
	*ret = (struct process){ .pid = pid,
				 .parent = parent,
				 .group = group,
				 .resident = pages * (size_t)sysconf(_SC_PAGESIZE),
				 .state = state,
				 .cpu_ns = ticks * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK)) };
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

bool family_is_stuck(struct family_work *w, uint64_t now_ns, uint64_t enough_ns, uint64_t idle_ns)
{
	auto_free struct process *v = NULL;
	size_t n = family_list(w->root, &v);
	uint64_t cpu_ns = 0;
	bool busy = false;

	for (size_t i = 0; i < n; i++) {
		cpu_ns += v[i].cpu_ns;
		busy = busy || (v[i].state != 'S' && v[i].state != 'Z');
	}
	if (!w->idle_since_ns || busy || cpu_ns != w->cpu_ns)
		w->idle_since_ns = now_ns;
	w->cpu_ns = cpu_ns;
	return cpu_ns >= enough_ns || now_ns - w->idle_since_ns >= idle_ns;
}
