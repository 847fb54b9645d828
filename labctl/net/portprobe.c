/* SPDX-License-Identifier: MIT */
/* portprobe.c - one port asked of the kernel by bind(2). */
#include "net/portprobe.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "net/sockdiag.h"

#include "base/banned.h"

struct portprobe portprobe_init(void)
{
	auto_free char *text = NULL;

	/* Not there: no IPv6. */
	if (fs_read("/proc/sys/net/ipv6/bindv6only", 16, &text, NULL, ERR_IGNORED) < 0)
		return (struct portprobe){ 0 };
	return (struct portprobe){ .only_v6 = text[0] != '0' };
}

/* 0, or the errno of bind(2). An IPv6 socket covers IPv4 too. */
static int try_bind(const struct portprobe *p, int family, int type, uint32_t port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	auto_fd fd = socket(family, type | SOCK_CLOEXEC, 0);
	int off = 0;
	int rc;

	if (fd < 0)
		return errno;
	if (family == AF_INET)
		rc = bind(fd, (struct sockaddr *)&four, sizeof(four));
	else if (p->only_v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
		rc = -1;
	else
		rc = bind(fd, (struct sockaddr *)&six, sizeof(six));
	return rc < 0 ? errno : 0;
}

static int try_type(const struct portprobe *p, int type, uint32_t port)
{
	int sys = try_bind(p, AF_INET6, type, port);

	/* A host without IPv6. */
	if (sys == EAFNOSUPPORT || sys == EADDRNOTAVAIL)
		sys = try_bind(p, AF_INET, type, port);
	return sys;
}

static int ask_sockdiag(uint32_t port, bool *ret_free, struct err *err)
{
	auto_free struct sockdiag_ports *ports = xcalloc(1, sizeof(*ports));

	if (sockdiag_add_ports(-1, ports, err) < 0)
		return -1;
	*ret_free = !sockdiag_has(ports->used, port) && !sockdiag_has(ports->lingering, port);
	return 0;
}

int portprobe(const struct portprobe *p, uint32_t port, bool *ret_free, struct err *err)
{
	int sys = try_type(p, SOCK_STREAM, port);

	if (!sys)
		sys = try_type(p, SOCK_DGRAM, port);
	if (sys == EACCES)
		return ask_sockdiag(port, ret_free, err);
	if (sys && sys != EADDRINUSE)
		return err_set(err, ERR_ENV, sys, "cannot tell whether port %u is free", port);
	*ret_free = !sys;
	return 0;
}
