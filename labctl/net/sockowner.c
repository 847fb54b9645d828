/* SPDX-License-Identifier: MIT */
/* sockowner.c - which user is at the other end of a TCP connection within this host. */
#include "net/sockowner.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>

#include <libmnl/libmnl.h>

#include "base/mem.h"

#include "base/banned.h"

enum {
	BUFFER_SIZE = 8192,
};

struct sockowner {
	struct mnl_socket *sock;
	unsigned seq, portid;
};

int sockowner_open(struct sockowner **ret, struct err *err)
{
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	struct sockowner *o;

	if (!sock)
		return err_set(err, ERR_ENV, errno, "cannot ask the kernel for its sockets");
	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		err_set(err, ERR_ENV, errno, "cannot bind a netlink socket");
		mnl_socket_close(sock);
		return -1;
	}
	o = xcalloc(1, sizeof(*o));
	o->sock = sock;
	o->portid = mnl_socket_get_portid(sock);
	*ret = o;
	return 0;
}

void sockowner_close(struct sockowner *o)
{
	if (o)
		mnl_socket_close(o->sock);
	free(o);
}

static bool is_mapped(const struct sockaddr_storage *a)
{
	const struct sockaddr_in6 *six = (const void *)a;

	return a->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr);
}

/* An IPv4 connection through an IPv6 socket is found among those of IPv4. */
static void put_end(const struct sockaddr_storage *a, bool mapped, __be16 *port, __be32 addr[4])
{
	const struct sockaddr_in6 *six = (const void *)a;
	const struct sockaddr_in *four = (const void *)a;

	if (a->ss_family == AF_INET) {
		*port = four->sin_port;
		memcpy(addr, &four->sin_addr, 4);
		return;
	}
	*port = six->sin6_port;
	if (mapped)
		memcpy(addr, six->sin6_addr.s6_addr + 12, 4);
	else
		memcpy(addr, &six->sin6_addr, 16);
}

static int ask(struct sockowner *o, const struct sockaddr_storage *peer,
	       const struct sockaddr_storage *local, struct inet_diag_sockid *ret_id,
	       struct err *err)
{
	char buf[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct inet_diag_req_v2))]
		__attribute__((aligned(MNL_ALIGNTO))) = { 0 };
	bool mapped = is_mapped(peer) && is_mapped(local);
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req;

	msg->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	msg->nlmsg_flags = NLM_F_REQUEST;
	msg->nlmsg_seq = ++o->seq;
	req = mnl_nlmsg_put_extra_header(msg, sizeof(*req));
	req->sdiag_family = mapped ? AF_INET : (uint8_t)peer->ss_family;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_states = UINT32_MAX;
	put_end(peer, mapped, &req->id.idiag_sport, req->id.idiag_src);
	put_end(local, mapped, &req->id.idiag_dport, req->id.idiag_dst);
	req->id.idiag_cookie[0] = req->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	*ret_id = req->id;
	if (mnl_socket_sendto(o->sock, msg, msg->nlmsg_len) < 0)
		return err_set(err, ERR_ENV, errno, "cannot ask the kernel for its sockets");
	return 0;
}

/* Where there is no such connection the kernel may answer with a socket that listens. One that no
 * process has open any more has inode 0, and then 0 for its user, who was not root. */
static bool is_it(const struct inet_diag_msg *d, const struct inet_diag_sockid *id)
{
	return d->idiag_inode && d->id.idiag_sport == id->idiag_sport &&
	       d->id.idiag_dport == id->idiag_dport &&
	       memcmp(d->id.idiag_src, id->idiag_src, sizeof(id->idiag_src)) == 0 &&
	       memcmp(d->id.idiag_dst, id->idiag_dst, sizeof(id->idiag_dst)) == 0;
}

int sockowner_find(struct sockowner *o, const struct sockaddr_storage *peer,
		   const struct sockaddr_storage *local, bool *ret_found, uid_t *ret_uid,
		   struct err *err)
{
	char buf[BUFFER_SIZE] __attribute__((aligned(MNL_ALIGNTO)));
	struct inet_diag_sockid id;

	if (ask(o, peer, local, &id, err) < 0)
		return -1;
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(o->sock, buf, sizeof(buf));
		const struct nlmsghdr *msg = (const struct nlmsghdr *)buf;
		const struct inet_diag_msg *d = mnl_nlmsg_get_payload(msg);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_ENV, errno, "cannot read the kernel's sockets");
		if (!mnl_nlmsg_ok(msg, (int)n) || msg->nlmsg_seq != o->seq ||
		    msg->nlmsg_pid != o->portid)
			continue;
		*ret_found = msg->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
			     mnl_nlmsg_get_payload_len(msg) >= sizeof(*d) && is_it(d, &id);
		if (*ret_found)
			*ret_uid = d->idiag_uid;
		return 0;
	}
}
