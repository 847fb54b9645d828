/* SPDX-License-Identifier: MIT */
/* packetsock.c - packet sockets, read from /proc. */
#include "net/packetsock.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/netns.h"

#include "base/banned.h"

#define TABLE_MAX   (1u << 20)
#define COMMAND_MAX (1u << 20)
#define COMMAND_CUT 120
#define LINK_MAX    64

static int read_table(void *arg, struct err *err)
{
	return fs_read("/proc/thread-self/net/packet", TABLE_MAX, arg, NULL, err);
}

int packetsock_list(int netns_fd, struct packetsock **ret, size_t *ret_n, struct err *err)
{
	auto_free char *text = NULL;
	struct packetsock *v = NULL;
	char *save = NULL;
	size_t n = 0;

	if (netns_run(netns_fd, read_table, &text, err) < 0)
		return -1;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned protocol, ifindex;
		unsigned long inode;
		int type;

		/* Address, references, type, protocol, interface, running, memory, user, inode. */
		if (sscanf(line, "%*s %*s %d %x %u %*s %*s %*s %lu", &type, &protocol, &ifindex,
			   &inode) == 4)
			*array_push(v, n) =
				(struct packetsock){ type, (uint16_t)protocol, ifindex, inode };
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

static bool holds(const char *pid, const char *wanted)
{
	auto_free char *path = xasprintf("/proc/%s/fd", pid);
	auto_dir fds = opendir(path);
	const struct dirent *d;

	while (fds && (d = readdir(fds))) {
		char target[LINK_MAX];
		ssize_t n = readlinkat(dirfd(fds), d->d_name, target, sizeof(target) - 1);

		if (n <= 0)
			continue;
		target[n] = '\0';
		if (strcmp(target, wanted) == 0)
			return true;
	}
	return false;
}

pid_t packetsock_holder(ino_t inode, char **ret_command)
{
	auto_free char *wanted = xasprintf("socket:[%lu]", (unsigned long)inode);
	auto_dir proc = opendir("/proc");
	const struct dirent *d;

	*ret_command = NULL;
	while (proc && (d = readdir(proc))) {
		auto_free char *path = xasprintf("/proc/%s/cmdline", d->d_name), *text = NULL;
		size_t len = 0;

		if (d->d_name[0] < '1' || d->d_name[0] > '9' || !holds(d->d_name, wanted))
			continue;
		if (fs_read(path, COMMAND_MAX, &text, &len, ERR_IGNORED) < 0)
			text = xstrdup("?");
		for (size_t i = 0; i + 1 < len; i++)
			text[i] = text[i] ? text[i] : ' ';
		if (strlen(text) > COMMAND_CUT)
			text[COMMAND_CUT] = '\0';
		*ret_command = steal_ptr(&text);
		return (pid_t)strtol(d->d_name, NULL, 10);
	}
	return 0;
}
