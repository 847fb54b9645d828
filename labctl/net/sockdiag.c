/* SPDX-License-Identifier: MIT */
/* sockdiag.c - which ports the sockets of a namespace use. */
#include "net/sockdiag.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>

#include <libmnl/libmnl.h>

#include "base/mem.h"
#include "net/netns.h"

#include "base/banned.h"

enum {
	BUFFER_SIZE = 32768,
	DUMP_RETRIES = 5,
	DIAG_TIME_WAIT = 6, /* TCP_TIME_WAIT: libc's name for it clashes with the kernel's */
};

DEFINE_AUTO(mnl, struct mnl_socket *, mnl_socket_close, NULL)

struct pass {
	struct sockdiag_ports *ports;
	unsigned seq, portid;
	bool interrupted, done;
};

static int open_here(void *arg, struct err *err)
{
	struct mnl_socket **ret = arg;

	*ret = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!*ret)
		return err_set(err, ERR_ENV, errno, "cannot ask the kernel for its sockets");
	return 0;
}

static void put_request(struct nlmsghdr *msg, int family, int protocol, unsigned seq)
{
	struct inet_diag_req_v2 *req;

	msg->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	msg->nlmsg_seq = seq;
	req = mnl_nlmsg_put_extra_header(msg, sizeof(*req));
	req->sdiag_family = (uint8_t)family;
	req->sdiag_protocol = (uint8_t)protocol;
	/* Every state, and those that newer kernels show only when asked: bound and idle. */
	req->idiag_states = UINT32_MAX;
}

static void note_socket(const struct nlmsghdr *msg, struct sockdiag_ports *ports)
{
	const struct inet_diag_msg *d = mnl_nlmsg_get_payload(msg);
	unsigned port;

	if (mnl_nlmsg_get_payload_len(msg) < sizeof(*d))
		return;
	port = ntohs(d->id.idiag_sport);
	if (d->idiag_state == DIAG_TIME_WAIT)
		ports->lingering[port / 64] |= 1ull << port % 64;
	else
		ports->used[port / 64] |= 1ull << port % 64;
}

/* A kernel without one of the protocols says ENOENT: then nobody uses it. */
static int verdict(const struct nlmsghdr *msg, struct err *err)
{
	const int *code = mnl_nlmsg_get_payload(msg); /* of NLMSG_ERROR and NLMSG_DONE alike */

	if (mnl_nlmsg_get_payload_len(msg) < sizeof(*code) || *code >= 0 || *code == -ENOENT)
		return 0;
	return err_set(err, ERR_ENV, -*code, "the kernel does not tell its sockets");
}

static int receive(struct mnl_socket *sock, struct pass *p, struct err *err)
{
	char buf[BUFFER_SIZE] __attribute__((aligned(MNL_ALIGNTO)));
	ssize_t n = mnl_socket_recvfrom(sock, buf, sizeof(buf));
	const struct nlmsghdr *msg = (const struct nlmsghdr *)buf;
	int left = (int)n;

	if (n < 0 && errno == EINTR)
		return 0;
	if (n < 0)
		return err_set(err, ERR_ENV, errno, "cannot read the kernel's sockets");
	for (; mnl_nlmsg_ok(msg, left); msg = mnl_nlmsg_next(msg, &left)) {
		if (msg->nlmsg_seq != p->seq || msg->nlmsg_pid != p->portid)
			continue;
		if (msg->nlmsg_flags & NLM_F_DUMP_INTR)
			p->interrupted = true;
		if (msg->nlmsg_type == SOCK_DIAG_BY_FAMILY)
			note_socket(msg, p->ports);
		p->done = msg->nlmsg_type == NLMSG_DONE || msg->nlmsg_type == NLMSG_ERROR;
		if (p->done && verdict(msg, err) < 0)
			return -1;
	}
	return 0;
}

/* Ports only add up, so an interrupted dump is simply done again on top. */
static int dump(struct mnl_socket *sock, int family, int protocol, struct pass *p, struct err *err)
{
	char buf[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct inet_diag_req_v2))]
		__attribute__((aligned(MNL_ALIGNTO))) = { 0 };

	for (int retry = 0; retry <= DUMP_RETRIES; retry++) {
		struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);

		put_request(msg, family, protocol, ++p->seq);
		p->done = p->interrupted = false;
		if (mnl_socket_sendto(sock, msg, msg->nlmsg_len) < 0)
			return err_set(err, ERR_ENV, errno,
				       "cannot ask the kernel for its sockets");
		while (!p->done) {
			if (receive(sock, p, err) < 0)
				return -1;
		}
		if (!p->interrupted)
			return 0;
	}
	return err_set(err, ERR_BUSY, 0, "the kernel's sockets changed each time they were read");
}

int sockdiag_add_ports(int netns_fd, struct sockdiag_ports *ports, struct err *err)
{
	static const int families[] = { AF_INET, AF_INET6 };
	static const int protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
	auto_cleanup(mnl) struct mnl_socket *sock = NULL;
	struct pass p = { .ports = ports };

	if (netns_run(netns_fd, open_here, &sock, err) < 0)
		return -1;
	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0)
		return err_set(err, ERR_ENV, errno, "cannot bind a netlink socket");
	p.portid = mnl_socket_get_portid(sock);
	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		for (size_t k = 0; k < ARRAY_SIZE(protocols); k++) {
			if (dump(sock, families[f], protocols[k], &p, err) < 0)
				return -1;
		}
	}
	return 0;
}
