/* SPDX-License-Identifier: MIT */
/* nl.c - netlink transport: one socket in one namespace. */
#include "net/nl.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/netns.h"

#include "base/banned.h"

enum {
	/* What the kernel fills at most for one read of a dump; smaller buffers make dumps long
	 * and so interrupted all the time. */
	BUFFER_SIZE = 32768,
	DUMP_RETRIES = 5,
};

struct nl {
	struct mnl_socket *sock;
	unsigned portid;
	uint32_t seq;
	char buf[BUFFER_SIZE] __attribute__((aligned(MNL_ALIGNTO)));
};

/* What one request has brought so far. */
struct reply {
	nl_msg_fn *fn;
	void *data;
	bool stopped;	  /* fn has had enough: the rest is read and dropped */
	bool interrupted; /* the dump is not consistent: likewise */
	bool done;
};

static int open_here(void *arg, struct err *err)
{
	struct mnl_socket **ret = arg;

	*ret = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!*ret)
		return err_set(err, ERR_ENV, errno, "cannot open a netlink socket");
	return 0;
}

static int configure(struct nl *nl, struct err *err)
{
	static const int options[] = { NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK };
	int on = 1;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (mnl_socket_setsockopt(nl->sock, options[i], &on, sizeof(on)) < 0)
			return err_set(err, ERR_ENV, errno, "cannot set netlink socket option %d",
				       options[i]);
	if (mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0)
		return err_set(err, ERR_ENV, errno, "cannot bind a netlink socket");
	nl->portid = mnl_socket_get_portid(nl->sock);
	return 0;
}

int nl_open(int netns_fd, struct nl **ret, struct err *err)
{
	auto_nl nl = xcalloc(1, sizeof(*nl));

	/* A socket stays in the namespace in which it was made. */
	if (netns_run(netns_fd, open_here, &nl->sock, err) < 0)
		return -1;
	if (configure(nl, err) < 0)
		return -1;
	*ret = steal_ptr(&nl);
	return 0;
}

void nl_close(struct nl *nl)
{
	if (!nl)
		return;
	if (nl->sock)
		mnl_socket_close(nl->sock);
	free(nl);
}

static enum err_kind kind_of(int sys)
{
	switch (sys) {
	case EEXIST:
		return ERR_CONFLICT;
	case ENODEV:
	case ENOENT:
	case ESRCH:
		return ERR_NOT_FOUND;
	default:
		return ERR_ENV;
	}
}

/* The kernel's own sentence, which stands behind `offset` bytes of payload. */
static const char *extack(const struct nlmsghdr *msg, size_t offset)
{
	struct nlattr *attr;

	if (!(msg->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	mnl_attr_for_each (attr, msg, offset)
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
			return mnl_attr_get_str(attr);
	return NULL;
}

/* code: 0 or a negated errno, as the kernel sends it. */
static int verdict(int code, const char *text, struct err *err)
{
	int sys = -code;

	if (code == 0) {
		if (text)
			log_debug("kernel: %s", text);
		return 0;
	}
	if (text) {
		err_set(err, kind_of(sys), sys, "%s", text);
	} else {
		err_set(err, kind_of(sys), 0, "%s", strerror(sys));
		err->sys = sys;
	}
	if (sys == EPERM)
		err_hint(err, "this needs root (CAP_NET_ADMIN)");
	return -1;
}

static int on_ack(const struct nlmsghdr *msg, struct err *err)
{
	const struct nlmsgerr *ack = mnl_nlmsg_get_payload(msg);
	size_t offset = sizeof(*ack);

	if (mnl_nlmsg_get_payload_len(msg) < sizeof(*ack))
		return err_set(err, ERR_ENV, EBADMSG, "a short netlink acknowledgement");
	if (!(msg->nlmsg_flags & NLM_F_CAPPED))
		offset += ack->msg.nlmsg_len - sizeof(ack->msg);
	return verdict(ack->error, extack(msg, offset), err);
}

/* A dump that fails half-way says so in its last message. */
static int on_done(const struct nlmsghdr *msg, struct err *err)
{
	const int *code = mnl_nlmsg_get_payload(msg);

	if (mnl_nlmsg_get_payload_len(msg) < sizeof(*code))
		return 0;
	return verdict(*code, extack(msg, sizeof(*code)), err);
}

static int on_message(const struct nlmsghdr *msg, struct reply *reply, struct err *err)
{
	if (msg->nlmsg_flags & NLM_F_DUMP_INTR)
		reply->interrupted = true;
	switch (msg->nlmsg_type) {
	case NLMSG_NOOP:
		return 0;
	case NLMSG_OVERRUN:
		return err_set(err, ERR_ENV, ENOBUFS, "netlink lost messages");
	case NLMSG_ERROR:
		reply->done = true;
		return on_ack(msg, err);
	case NLMSG_DONE:
		reply->done = true;
		return on_done(msg, err);
	default:
		if (reply->fn && !reply->stopped && !reply->interrupted)
			reply->stopped = reply->fn(msg, reply->data) < 0;
		return 0;
	}
}

/* One read: hands every message that answers our request on. */
static int receive(struct nl *nl, struct reply *reply, struct err *err)
{
	ssize_t n = mnl_socket_recvfrom(nl->sock, nl->buf, sizeof(nl->buf));
	const struct nlmsghdr *msg = (const struct nlmsghdr *)nl->buf;
	int left = (int)n;

	if (n < 0 && errno == EINTR)
		return 0; /* the answer is on its way, and must not stay in the socket */
	if (n < 0)
		return err_set(err, ERR_ENV, errno, "cannot receive from netlink");
	for (; mnl_nlmsg_ok(msg, left); msg = mnl_nlmsg_next(msg, &left)) {
		/* What an earlier, failed request left in the socket is none of ours. */
		if (msg->nlmsg_seq != nl->seq || msg->nlmsg_pid != nl->portid)
			continue;
		if (on_message(msg, reply, err) < 0)
			return -1;
	}
	return 0;
}

static int exchange(struct nl *nl, struct nlmsghdr *req, struct reply *reply, struct err *err)
{
	ssize_t n;

	req->nlmsg_flags |= NLM_F_REQUEST;
	req->nlmsg_seq = ++nl->seq;
	req->nlmsg_pid = nl->portid;
	do
		n = mnl_socket_sendto(nl->sock, req, req->nlmsg_len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(err, ERR_ENV, errno, "cannot send to netlink");
	while (!reply->done)
		if (receive(nl, reply, err) < 0)
			return -1;
	return 0;
}

int nl_do(struct nl *nl, struct nlmsghdr *req, struct err *err)
{
	struct reply reply = { 0 };

	if (fault_point("netlink request", err) < 0)
		return -1;
	req->nlmsg_flags |= NLM_F_ACK;
	return exchange(nl, req, &reply, err);
}

int nl_get(struct nl *nl, struct nlmsghdr *req, nl_msg_fn *fn, void *data, struct err *err)
{
	struct reply reply = { .fn = fn, .data = data };

	/* The acknowledgement behind the reply ends the exchange like any other. */
	req->nlmsg_flags |= NLM_F_ACK;
	return exchange(nl, req, &reply, err);
}

int nl_dump(struct nl *nl, struct nlmsghdr *req, nl_msg_fn *fn, void (*restart)(void *data),
	    void *data, struct err *err)
{
	req->nlmsg_flags |= NLM_F_DUMP;
	for (int retry = 0; retry <= DUMP_RETRIES; retry++) {
		struct reply reply = { .fn = fn, .data = data };

		if (retry && restart)
			restart(data);
		if (exchange(nl, req, &reply, err) < 0)
			return -1;
		if (!reply.interrupted)
			return 0;
	}
	return err_set(err, ERR_BUSY, 0, "the kernel's list changed each time it was read");
}
