/* SPDX-License-Identifier: MIT */
/* prove.c - one frame each way. */
#include "net/prove.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "net/netns.h"

#include "base/banned.h"

#define ETHERTYPE_EXPERIMENTAL 0x88b5
#define COOKIE_LEN	       46 /* the least payload of an Ethernet frame */
#define SEND_MS		       50

struct tap {
	const struct prove_end *end;
	int fd;
	unsigned char mac[ETH_ALEN];
};

struct proof {
	struct ethhdr eth;
	unsigned char cookie[COOKIE_LEN];
} __attribute__((packed));

static int open_tap(void *arg, struct err *err)
{
	struct tap *t = arg;
	struct ifreq ifr = { 0 };
	struct sockaddr_ll sll = { .sll_family = AF_PACKET };
	auto_fd fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot open a packet socket");
	if (!str_copy(ifr.ifr_name, sizeof(ifr.ifr_name), t->end->ifname) ||
	    ioctl(fd, SIOCGIFINDEX, &ifr) < 0)
		return err_set(err, ERR_NOT_FOUND, errno, "there is no interface '%s'",
			       t->end->ifname);
	sll.sll_ifindex = ifr.ifr_ifindex;
	/* A socket for one protocol would come behind an ingress guard and see nothing. */
	sll.sll_protocol = htons(ETH_P_ALL);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0 ||
	    bind(fd, (const struct sockaddr *)&sll, sizeof(sll)) < 0)
		return err_set(err, ERR_ENV, errno, "cannot listen on '%s'", t->end->ifname);
	memcpy(t->mac, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	t->fd = steal_fd(&fd);
	return 0;
}

static int ms_left(const struct timespec *until)
{
	struct timespec now;
	long ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (until->tv_sec - now.tv_sec) * 1000 + (until->tv_nsec - now.tv_nsec) / 1000000;
	return ms > 0 ? (int)ms : 0;
}

/* True when exactly this frame came in time; others are passed over. */
static bool await(const struct tap *t, const struct proof *want, int ms)
{
	struct timespec until;
	int left;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	while ((left = ms_left(&until)) > 0) {
		struct pollfd p = { .fd = t->fd, .events = POLLIN };
		struct proof got;

		if (poll(&p, 1, left) <= 0)
			continue;
		if (recv(t->fd, &got, sizeof(got), 0) == (ssize_t)sizeof(got) &&
		    memcmp(&got, want, sizeof(got)) == 0)
			return true;
	}
	return false;
}

static int prove_way(const struct tap *from, const struct tap *to, int ms, struct err *err)
{
	struct proof p = { 0 };

	memcpy(p.eth.h_dest, to->mac, ETH_ALEN);
	memcpy(p.eth.h_source, from->mac, ETH_ALEN);
	p.eth.h_proto = htons(ETHERTYPE_EXPERIMENTAL);
	if (getrandom(p.cookie, sizeof(p.cookie), 0) != (ssize_t)sizeof(p.cookie))
		return err_set(err, ERR_ENV, errno, "no random bytes");
	/* Again and again: a link that just came up swallows frames until the kernel has noticed,
	 * and an impaired one is meant to lose some. */
	for (int spent = 0; spent < ms; spent += SEND_MS) {
		if (send(from->fd, &p, sizeof(p), 0) < 0 && errno != ENOBUFS && errno != ENETDOWN)
			return err_set(err, ERR_ENV, errno, "cannot send a frame on '%s'",
				       from->end->ifname);
		if (await(to, &p, SEND_MS))
			return 0;
	}
	return err_set(err, ERR_ENV, 0, "a frame sent on '%s' did not reach '%s' in %d ms",
		       from->end->ifname, to->end->ifname, ms);
}

int link_prove(const struct prove_end *a, const struct prove_end *b, int ms, struct err *err)
{
	struct tap ta = { .end = a, .fd = -1 }, tb = { .end = b, .fd = -1 };
	int r = -1;

	if (netns_run(a->netns_fd, open_tap, &ta, err) == 0 &&
	    netns_run(b->netns_fd, open_tap, &tb, err) == 0 && prove_way(&ta, &tb, ms, err) == 0)
		r = prove_way(&tb, &ta, ms, err);
	if (ta.fd >= 0)
		close(ta.fd);
	if (tb.fd >= 0)
		close(tb.fd);
	return r;
}
