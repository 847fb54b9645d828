/* SPDX-License-Identifier: MIT */
/* output.c - non-blocking writes to inherited descriptors. */
#include "docker/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include "base/banned.h"

/* Where the description cannot be our own: a pipe that poll(2) calls writable takes this much. */
#define SAFE_PIECE 4096

void output_open(struct output *o, int fd)
{
	char path[32];
	struct stat st;

	*o = (struct output){ .fd = fd };
	if (fd < 0 || fstat(fd, &st))
		return;
	o->socket = S_ISSOCK(st.st_mode);
	/* never a regular file: its offset and O_APPEND are the description's */
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	o->fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	o->owned = o->fd >= 0;
	if (!o->owned)
		o->fd = fd;
}

void output_done(struct output *o)
{
	if (o->owned)
		close(o->fd);
	str_done(&o->pending);
	*o = (struct output){ .fd = -1 };
}

void output_add(struct output *o, const char *data, size_t n)
{
	if (o->fd >= 0)
		str_addn(&o->pending, data, n);
}

bool output_is_pending(const struct output *o)
{
	return o->pending.len > o->done;
}

static ssize_t write_some(const struct output *o)
{
	const char *from = o->pending.s + o->done;
	size_t n = o->pending.len - o->done;

	if (o->socket)
		return send(o->fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!o->owned && n > SAFE_PIECE)
		n = SAFE_PIECE;
	return write(o->fd, from, n);
}

static void drop(struct output *o)
{
	if (o->owned)
		close(o->fd);
	o->fd = -1;
	o->owned = false;
	o->pending.len = 0;
	o->done = 0;
}

int output_flush(struct output *o, struct err *err)
{
	while (output_is_pending(o)) {
		ssize_t n = write_some(o);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0) {
			err_set(err, ERR_ENV, errno, "cannot write the output");
			drop(o);
			return -1;
		}
		o->done += (size_t)n;
		/* poll(2) promised one piece only */
		if (!o->owned && !o->socket && output_is_pending(o))
			return 0;
	}
	o->pending.len = 0;
	o->done = 0;
	return 0;
}
