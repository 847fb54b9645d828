/* SPDX-License-Identifier: MIT */
/* bound.c - this host, its boot, its processes. */
#include "netport/bound.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/proc.h"

#include "base/banned.h"

enum {
	STAT_MAX = 4096,
	STAT_STATE = 3, /* field numbers of proc_pid_stat(5) */
	STAT_STARTTIME = 22,
};

/* The machine id; on a host without one, its name. */
static int host_id(char *ret, size_t size, struct err *err)
{
	auto_free char *text = NULL;

	if (fs_read("/etc/machine-id", 256, &text, NULL, ERR_IGNORED) == 0) {
		text[strcspn(text, "\n")] = '\0';
		if (*text && str_copy(ret, size, text))
			return 0;
	}
	if (gethostname(ret, size) < 0)
		return err_set(err, ERR_ENV, errno, "this host has no name");
	ret[size - 1] = '\0';
	return 0;
}

#define START_GONE    ((uint64_t)0)
#define START_UNKNOWN UINT64_MAX /* it lives, but /proc hides it from us */

/* A zombie holds nothing any more: gone. */
static uint64_t process_start(pid_t pid)
{
	auto_free char *path = xasprintf("/proc/%d/stat", (int)pid);
	auto_free char *text = NULL;
	const char *p;
	uint64_t start;

	if (pid <= 0)
		return START_GONE;
	if (fs_read(path, STAT_MAX, &text, NULL, ERR_IGNORED) < 0)
		return kill(pid, 0) < 0 && errno == ESRCH ? START_GONE : START_UNKNOWN;
	/* The name in parentheses may itself hold spaces and parentheses. */
	p = strrchr(text, ')');
	if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
		return START_GONE;
	p += 2;
	for (int field = STAT_STATE; field < STAT_STARTTIME; field++) {
		p = strchr(p, ' ');
		if (!p)
			return START_UNKNOWN;
		p++;
	}
	return sscanf(p, "%" SCNu64, &start) == 1 ? start : START_UNKNOWN;
}

int bound_fill(enum lease_bound bound, pid_t pid, struct lease *l, struct err *err)
{
	l->bound = bound;
	if (bound == LEASE_LASTS)
		return 0;
	if (host_id(l->host, sizeof(l->host), err) < 0 || proc_boot_id(l->boot_id, err) < 0)
		return -1;
	if (bound != LEASE_BOUND_PROCESS)
		return 0;
	l->pid = pid;
	l->start = process_start(pid);
	if (l->start == START_GONE)
		return err_set(err, ERR_NOT_FOUND, 0, "there is no process %d", (int)pid);
	if (l->start == START_UNKNOWN)
		return err_set(err, ERR_ENV, 0, "'/proc' does not tell when process %d began",
			       (int)pid);
	return 0;
}

bool bound_is_alive(struct bound_view *view, const struct lease *l)
{
	if (l->bound == LEASE_LASTS)
		return true;
	if (!view->known && (host_id(view->host, sizeof(view->host), ERR_IGNORED) < 0 ||
			     proc_boot_id(view->boot_id, ERR_IGNORED) < 0))
		return true;
	view->known = true;
	if (strcmp(view->host, l->host) != 0)
		return true;
	if (strcmp(view->boot_id, l->boot_id) != 0)
		return false;
	if (l->bound != LEASE_BOUND_PROCESS)
		return true;
	if (view->pid != l->pid) {
		view->pid = l->pid;
		view->start = process_start(l->pid);
	}
	return view->start == l->start || view->start == START_UNKNOWN;
}
