/* SPDX-License-Identifier: MIT */
/* endpoint.c - DOCKER_HOST understood, and why nothing answers there. */
#include "docker/endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/rights.h"
#include "base/str.h"

#include "base/banned.h"

#define DEFAULT_SOCKET "/var/run/docker.sock"
#define PORT_PLAIN     2375
#define PORT_TLS       2376

static const char *env_or_null(const char *name)
{
	const char *v = getenv(name);

	return str_empty(v) ? NULL : v;
}

void endpoint_done(struct endpoint *ep)
{
	free(ep->text);
	free(ep->socket);
	free(ep->base);
	free(ep->authority);
	free(ep->ca);
	free(ep->cert);
	free(ep->key);
	*ep = (struct endpoint){ 0 };
}

static int parse_unix(const char *path, struct endpoint *ep, struct err *err)
{
	struct sockaddr_un addr;

	if (!*path)
		path = DEFAULT_SOCKET;
	if (*path != '/')
		return err_set(err, ERR_USAGE, 0,
			       "the engine's address 'unix://%s' has no absolute path", path);
	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(err, ERR_USAGE, 0,
			       "the engine's socket path is longer than %zu bytes: '%s'",
			       sizeof(addr.sun_path) - 1, path);
	ep->socket = xstrdup(path);
	ep->text = xasprintf("unix://%s", path);
	ep->base = xstrdup("http://localhost");
	ep->authority = xstrdup("localhost");
	return 0;
}

static int parse_certificates(struct endpoint *ep, struct err *err)
{
	const char *dir = env_or_null("DOCKER_CERT_PATH");
	const char *home = env_or_null("HOME");
	auto_free char *own = xasprintf("%s/.docker", home ? home : "");
	const char *paths[3];

	if (!dir)
		dir = own;
	ep->ca = xasprintf("%s/ca.pem", dir);
	ep->cert = xasprintf("%s/cert.pem", dir);
	ep->key = xasprintf("%s/key.pem", dir);
	paths[0] = ep->ca;
	paths[1] = ep->cert;
	paths[2] = ep->key;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		if (fs_access(paths[i], R_OK))
			continue;
		err_set(err, ERR_ENV, errno, "cannot read '%s', needed to reach '%s' by TLS",
			paths[i], ep->text);
		return err_hint(err, "DOCKER_CERT_PATH names the directory of ca.pem, cert.pem and "
				     "key.pem; without DOCKER_TLS_VERIFY no TLS is used");
	}
	return 0;
}

/* host[:port] or [v6][:port]; the name's end in *ret_len. */
static bool split_authority(const char *s, size_t *ret_len, const char **ret_port)
{
	size_t len;

	if (*s == '[') {
		len = strspn(s + 1, "0123456789abcdefABCDEF:.") + 2;
		if (s[len - 1] != ']' || len == 2)
			return false;
	} else {
		len = strspn(s,
			     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");
		if (len == 0)
			return false;
	}
	if (s[len] && s[len] != ':')
		return false;
	*ret_len = len;
	*ret_port = s[len] ? s + len + 1 : NULL;
	return true;
}

static int parse_tcp(const char *host, const char *rest, struct endpoint *ep, struct err *err)
{
	auto_free char *authority = xstrdup(rest);
	uint32_t port = ep->tls ? PORT_TLS : PORT_PLAIN;
	const char *port_text;
	size_t len = strlen(authority);

	if (len && authority[len - 1] == '/')
		authority[len - 1] = '\0';
	if (!split_authority(authority, &len, &port_text))
		return err_set(err, ERR_USAGE, 0,
			       "the engine's address '%s' is not tcp://HOST:PORT", host);
	if (port_text && parse_u32(port_text, 1, 65535, &port, err))
		return err_wrap(err, "the engine's address '%s'", host);
	ep->text = xasprintf("tcp://%.*s:%u", (int)len, authority, port);
	ep->authority = xasprintf("%.*s:%u", (int)len, authority, port);
	ep->base = xasprintf("%s://%s", ep->tls ? "https" : "http", ep->authority);
	return ep->tls ? parse_certificates(ep, err) : 0;
}

int endpoint_parse(const char *host, struct endpoint *ret, struct err *err)
{
	struct endpoint ep = { 0 };
	int r;

	if (!host)
		host = env_or_null("DOCKER_HOST");
	if (!host)
		host = "unix://" DEFAULT_SOCKET;
	ep.tls = env_or_null("DOCKER_TLS_VERIFY") != NULL;
	if (str_starts(host, "unix://")) {
		ep.tls = false;
		r = parse_unix(host + strlen("unix://"), &ep, err);
	} else if (str_starts(host, "tcp://")) {
		r = parse_tcp(host, host + strlen("tcp://"), &ep, err);
	} else {
		r = err_set(err, ERR_USAGE, 0, "the engine's address '%s' is not understood", host);
		err_hint(err, "DOCKER_HOST can be unix:///PATH or tcp://HOST:PORT");
	}
	if (r) {
		endpoint_done(&ep);
		return r;
	}
	*ret = ep;
	return 0;
}

static int connect_errno(const char *path)
{
	auto_file_rights as_root = file_rights_root("the engine's socket");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || !str_copy(addr.sun_path, sizeof(addr.sun_path), path))
		return 0;
	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ? errno : 0;
}

int endpoint_unreachable(const struct endpoint *ep, int sys, struct err *err)
{
	if (ep->socket && !sys)
		sys = connect_errno(ep->socket);
	if (sys == EACCES || sys == EPERM) {
		err_set(err, ERR_ENV, sys, "no permission on %s", ep->text);
		/* The group 'docker' would do as well, but it is root in all but name. */
		return err_hint(err, "run it with sudo");
	}
	err_set(err, ERR_ENV, sys, "the Docker Engine does not answer at %s", ep->text);
	if (!ep->socket)
		return err_hint(err,
				"DOCKER_HOST says where the engine is; is that right, and does "
				"it run there?");
	if (fs_is_dir("/run/systemd/system"))
		return err_hint(err, "start it: 'sudo systemctl start docker'");
	return err_hint(err, "install and start it: 'sudo ./install.sh'");
}
