/* SPDX-License-Identifier: MIT */
/* net_lab.h - what the tests of net/ share: namespaces of their own, and links in them. */
#ifndef TESTS_UNIT_NET_LAB_H
#define TESTS_UNIT_NET_LAB_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/ipaddr.h"
#include "net/link.h"
#include "net/netns.h"
#include "net/nl.h"
#include "expect.h"

#define NET_UNUSED __attribute__((unused))

struct net_pair {
	int fd[2];		  /* two namespaces */
	struct nl *nl[2];	  /* a socket in each */
	struct link_info link[2]; /* "a0" and "b0", as made */
};

NET_UNUSED static struct link_veth net_spec(const char *a, const char *b, int peer_fd)
{
	struct link_veth spec = {
		.end.mac = { { 0x02, 0x42, 1, 1, 1, 1 } },
		.peer.mac = { { 0x02, 0x42, 1, 1, 1, 2 } },
		.peer.netns_fd = peer_fd,
		.mtu = 1400,
		.group = 4242,
	};

	snprintf(spec.end.name, sizeof(spec.end.name), "%s", a);
	snprintf(spec.peer.name, sizeof(spec.peer.name), "%s", b);
	return spec;
}

/* A veth pair, both ends up, between two new namespaces: a0 in the first, b0 in the second. */
NET_UNUSED static void net_pair_make(struct net_pair *p)
{
	struct link_veth spec;

	for (int i = 0; i < 2; i++) {
		ok(netns_open_new(&p->fd[i], err));
		ok(netns_sysctl_set(p->fd[i], "net.ipv6.conf.default.disable_ipv6", "1", err));
		ok(nl_open(p->fd[i], &p->nl[i], err));
	}
	spec = net_spec("a0", "b0", p->fd[1]);
	ok(link_add_veth(p->nl[0], &spec, err));
	for (int i = 0; i < 2; i++) {
		ok(link_get(p->nl[i], i ? "b0" : "a0", &p->link[i], err));
		ok(link_set_up(p->nl[i], p->link[i].ifindex, true, err));
	}
	for (int i = 0; i < 2; i++)
		ok(link_wait_carrier(p->nl[i], p->link[i].name, 5000, err));
}

NET_UNUSED static void net_pair_done(struct net_pair *p)
{
	for (int i = 0; i < 2; i++) {
		nl_close(p->nl[i]);
		close(p->fd[i]);
	}
}

struct net_socket_args {
	int domain, type, protocol, fd;
};

NET_UNUSED static int net_socket_here(void *arg, struct err *err)
{
	struct net_socket_args *a = arg;

	a->fd = socket(a->domain, a->type | SOCK_CLOEXEC, a->protocol);
	return a->fd < 0 ? err_set(err, ERR_ENV, errno, "socket") : 0;
}

/* A socket in a namespace. */
NET_UNUSED static int net_socket(int netns_fd, int domain, int type, int protocol)
{
	struct net_socket_args a = { domain, type, protocol, -1 };

	ok(netns_run(netns_fd, net_socket_here, &a, err));
	return a.fd;
}

/* A packet socket on one interface, which sees all frames that come in and go out there. */
NET_UNUSED static int net_tap(int netns_fd, unsigned ifindex)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex };
	int fd = net_socket(netns_fd, AF_PACKET, SOCK_RAW, 0);

	ll.sll_protocol = htons(ETH_P_ALL);
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	return fd;
}

/* The next frame within ms milliseconds; 0: none came. */
NET_UNUSED static size_t net_recv(int fd, uint8_t *frame, size_t size, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return 0;
	n = recv(fd, frame, size, 0);
	/* That the link was down is told once, and is no frame. */
	if (n < 0 && errno == ENETDOWN)
		return net_recv(fd, frame, size, ms);
	assert_true(n >= 0);
	return (size_t)n;
}

NET_UNUSED static struct ipnet net_parse(const char *text)
{
	struct ipnet n = { 0 };

	ok(ipnet_parse(text, &n, err));
	return n;
}

#endif
