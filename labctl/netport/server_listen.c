/* SPDX-License-Identifier: MIT */
/* server_listen.c - the sockets: inherited from systemd, or our own. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/ipaddr.h"
#include "base/mem.h"
#include "base/parse.h"
#include "netport/server_internal.h"

#include "base/banned.h"

enum {
	FIRST_INHERITED = 3, /* sd_listen_fds(3): SD_LISTEN_FDS_START */
	BACKLOG = 512,
	SOCKET_MODE = 0660,
};

int server_watch(struct server *s, struct watch *w, struct err *err)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = w };

	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, w->fd, &ev) < 0)
		return err_set(err, ERR_ENV, errno, "cannot wait for a socket");
	return 0;
}

static int add_listener(struct server *s, int fd, bool is_unix, bool tls, bool inherited,
			struct err *err)
{
	struct listener *l;

	if (s->n_listeners == LISTENERS_MAX) {
		close(fd);
		return err_set(err, ERR_USAGE, 0, "more than %d sockets", LISTENERS_MAX);
	}
	l = &s->listener[s->n_listeners++];
	*l = (struct listener){ { WATCH_LISTENER, fd, l }, is_unix, tls, inherited };
	return server_watch(s, &l->watch, err);
}

static void add_where(struct server *s, const char *text)
{
	char *both = s->where ? xasprintf("%s, %s", s->where, text) : xstrdup(text);

	free(s->where);
	s->where = both;
}

static bool is_loopback(const struct sockaddr_storage *a)
{
	const struct sockaddr_in6 *six = (const void *)a;
	const struct sockaddr_in *four = (const void *)a;

	return a->ss_family == AF_INET ? ntohl(four->sin_addr.s_addr) >> 24 == 127
				       : IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

/* Other hosts come with TLS, or because somebody said so. */
static int check_exposed(struct server *s, const struct sockaddr_storage *a, const char *text,
			 struct err *err)
{
	if (is_loopback(a) || s->config->tls_cert || s->config->allow_remote)
		return 0;
	err_set(err, ERR_USAGE, 0, "'%s' is open to other hosts", text);
	return err_hint(err, "give --tls-cert and --tls-key, or --allow-remote for callers without "
			     "encryption, by their address alone");
}

static void describe(const struct sockaddr_storage *a, bool tls, char *ret, size_t size)
{
	const struct sockaddr_in6 *six = (const void *)a;
	const struct sockaddr_in *four = (const void *)a;
	char text[INET6_ADDRSTRLEN] = "";
	bool is6 = a->ss_family == AF_INET6;

	inet_ntop(a->ss_family, is6 ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr,
		  text, sizeof(text));
	snprintf(ret, size, "http%s://%s%s%s:%u", tls ? "s" : "", is6 ? "[" : "", text,
		 is6 ? "]" : "", ntohs(is6 ? six->sin6_port : four->sin_port));
}

/* ---- inherited ---- */

static int inherit_one(struct server *s, int fd, struct err *err)
{
	struct sockaddr_storage a = { 0 };
	const struct sockaddr_un *path = (const void *)&a;
	socklen_t len = sizeof(a);
	char text[128];
	bool tls;

	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return err_set(err, ERR_ENV, errno, "socket %d of the service manager", fd);
	if (a.ss_family == AF_UNIX) {
		add_where(s, path->sun_path);
		return add_listener(s, fd, true, false, true, err);
	}
	if (a.ss_family != AF_INET && a.ss_family != AF_INET6)
		return err_set(err, ERR_USAGE, 0, "socket %d is neither TCP nor Unix", fd);
	tls = s->config->tls_cert && !is_loopback(&a);
	describe(&a, tls, text, sizeof(text));
	if (check_exposed(s, &a, text, err) < 0)
		return -1;
	add_where(s, text);
	return add_listener(s, fd, false, tls, true, err);
}

/* The protocol of sd_listen_fds(3). *ret_n 0: nothing was passed. */
static int inherit(struct server *s, unsigned *ret_n, struct err *err)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint32_t number, n = 0;

	*ret_n = 0;
	if (!pid || !fds || parse_u32(pid, 1, INT32_MAX, &number, ERR_IGNORED) < 0 ||
	    number != (uint32_t)getpid())
		return 0;
	if (parse_u32(fds, 0, LISTENERS_MAX, &n, err) < 0)
		return err_wrap(err, "LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	for (uint32_t i = 0; i < n; i++) {
		if (inherit_one(s, FIRST_INHERITED + (int)i, err) < 0)
			return -1;
	}
	*ret_n = n;
	return 0;
}

/* ---- our own ---- */

/* A socket file that nobody answers at was left by a service that was killed. */
static int clear_stale(const struct sockaddr_un *a, struct err *err)
{
	auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (lstat(a->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_CONFLICT, 0, "'%s' is there and is no socket", a->sun_path);
	if (fd < 0 || connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0)
		return err_set(err, ERR_CONFLICT, 0, "a service answers at '%s' already",
			       a->sun_path);
	if (errno != ECONNREFUSED)
		return err_set(err, ERR_ENV, errno, "cannot take '%s' over", a->sun_path);
	return fs_remove(a->sun_path, err);
}

static int give_group(const char *path, const char *name, struct err *err)
{
	struct group entry, *g = NULL;
	char buf[16384];

	if (!name)
		return 0;
	if (getgrnam_r(name, &entry, buf, sizeof(buf), &g) != 0 || !g)
		return err_set(err, ERR_USAGE, 0, "there is no group '%s'", name);
	return chown(path, (uid_t)-1, g->gr_gid) < 0
		       ? err_set(err, ERR_ENV, errno, "cannot give '%s' to group '%s'", path, name)
		       : 0;
}

static int listen_unix(struct server *s, struct err *err)
{
	const char *path = s->config->socket_path;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	auto_free char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');
	mode_t mask;
	int rc;

	if (!str_copy(a.sun_path, sizeof(a.sun_path), path))
		return err_set(err, ERR_USAGE, 0, "'%s' is too long for a socket's path", path);
	if (slash && slash != dir) {
		*slash = '\0';
		if (fs_mkdirs(dir, 0755, err) < 0)
			return -1;
	}
	if (clear_stale(&a, err) < 0)
		return -1;
	auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Nobody may connect before the group is right. */
	mask = umask(0177);
	rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&a, sizeof(a));
	umask(mask);
	if (rc < 0)
		return err_set(err, ERR_ENV, errno, "cannot make the socket '%s'", path);
	if (give_group(path, s->config->group, err) < 0)
		return -1;
	if (chmod(path, SOCKET_MODE) < 0 || listen(fd, BACKLOG) < 0)
		return err_set(err, ERR_ENV, errno, "cannot listen on '%s'", path);
	add_where(s, path);
	return add_listener(s, steal_fd(&fd), true, false, false, err);
}

static int listen_tcp(struct server *s, struct err *err)
{
	const char *text = s->config->address ? s->config->address : "127.0.0.1";
	struct sockaddr_storage a = { 0 };
	struct sockaddr_in6 *six = (void *)&a;
	struct sockaddr_in *four = (void *)&a;
	socklen_t len = sizeof(a);
	struct ipaddr address;
	char where[128];
	int one = 1;
	bool tls;

	if (ipaddr_parse(text, &address, err) < 0)
		return err_wrap(err, "-H");
	a.ss_family = (sa_family_t)address.family;
	if (address.family == AF_INET) {
		memcpy(&four->sin_addr, address.b, 4);
		four->sin_port = htons((uint16_t)s->config->port);
	} else {
		memcpy(&six->sin6_addr, address.b, 16);
		six->sin6_port = htons((uint16_t)s->config->port);
	}
	if (check_exposed(s, &a, text, err) < 0)
		return -1;
	auto_fd fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&a,
		 address.family == AF_INET ? sizeof(*four) : sizeof(*six)) < 0 ||
	    listen(fd, BACKLOG) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return err_set(err, errno == EADDRINUSE ? ERR_CONFLICT : ERR_ENV, errno,
			       "cannot listen on %s port %u", text, s->config->port);
	tls = s->config->tls_cert && !is_loopback(&a);
	describe(&a, tls, where, sizeof(where));
	add_where(s, where);
	return add_listener(s, steal_fd(&fd), false, tls, false, err);
}

int server_listen(struct server *s, struct err *err)
{
	unsigned n;

	if (inherit(s, &n, err) < 0)
		return -1;
	if (n)
		return 0;
	if (s->config->socket_path && listen_unix(s, err) < 0)
		return -1;
	if (s->config->port && listen_tcp(s, err) < 0)
		return -1;
	return s->n_listeners ? 0 : err_set(err, ERR_USAGE, 0, "there is nothing to listen on");
}

void server_unlisten(struct server *s)
{
	for (unsigned i = 0; i < s->n_listeners; i++) {
		close(s->listener[i].watch.fd);
		if (s->listener[i].is_unix && !s->listener[i].inherited)
			unlink(s->config->socket_path);
	}
	s->n_listeners = 0;
	free(s->where);
	s->where = NULL;
}
