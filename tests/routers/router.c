/* SPDX-License-Identifier: MIT */
/*
 * router.c - a correct router for stage1 in C, as a student would write it: one thread, poll(2).
 *
 * Arguments, for each network: interface MAC address/prefix (net1 02:42:01:01:01:01 1.1.1.1/24).
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#define PORTS	   8
#define NEIGHBOURS 1024
#define WAITING	   4
#define TRIES	   3

struct port {
	int fd;
	uint8_t mac[6];
	uint32_t address, mask;
};

struct packet {
	uint8_t bytes[1500];
	int len;
};

struct neighbour {
	struct port *port; /* NULL: the entry is free */
	uint32_t address;
	uint8_t mac[6];
	int known, tries, waiting;
	double asked;
	struct packet queue[WAITING];
};

static struct port ports[PORTS];
static int n_ports;
static struct neighbour neighbours[NEIGHBOURS];
static const uint8_t everybody[6] = { 255, 255, 255, 255, 255, 255 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t checksum(const uint8_t *p, int len)
{
	uint32_t sum = 0;

	for (int i = 0; i + 1 < len; i += 2)
		sum += get16(p + i);
	if (len % 2)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static void send_frame(struct port *port, const uint8_t *to, int type, const uint8_t *data, int len)
{
	uint8_t frame[1514];

	memcpy(frame, to, 6);
	memcpy(frame + 6, port->mac, 6);
	put16(frame + 12, (uint32_t)type);
	memcpy(frame + 14, data, (size_t)len);
	if (send(port->fd, frame, (size_t)len + 14, 0) < 0)
		perror("send");
}

static void send_arp(struct port *port, int operation, const uint8_t *to, const uint8_t *target_mac,
		     uint32_t target)
{
	uint8_t arp[28] = { 0, 1, 8, 0, 6, 4, 0, (uint8_t)operation };

	memcpy(arp + 8, port->mac, 6);
	put32(arp + 14, port->address);
	memcpy(arp + 18, target_mac, 6);
	put32(arp + 24, target);
	send_frame(port, to, ETH_P_ARP, arp, 28);
}

static struct neighbour *find(struct port *port, uint32_t address, int make)
{
	struct neighbour *empty = NULL;

	for (int i = 0; i < NEIGHBOURS; i++) {
		struct neighbour *n = &neighbours[i];

		if (n->port == port && n->address == address)
			return n;
		if (!n->port && !empty)
			empty = n;
	}
	if (!make || !empty)
		return NULL;
	memset(empty, 0, sizeof(*empty));
	empty->port = port;
	empty->address = address;
	return empty;
}

static void ask(struct neighbour *n)
{
	static const uint8_t nobody[6];

	n->asked = now();
	n->tries++;
	send_arp(n->port, 1, everybody, nobody, n->address);
}

/* To a neighbour, at once or when its MAC is known; when too many wait, the oldest goes. */
static void send_to(struct port *port, uint32_t address, const uint8_t *data, int len)
{
	struct neighbour *n = find(port, address, 1);

	if (!n)
		return;
	if (n->known) {
		send_frame(port, n->mac, ETH_P_IP, data, len);
		return;
	}
	if (n->waiting == WAITING)
		memmove(&n->queue[0], &n->queue[1], sizeof(n->queue[0]) * --n->waiting);
	memcpy(n->queue[n->waiting].bytes, data, (size_t)len);
	n->queue[n->waiting++].len = len;
	if (!n->tries)
		ask(n);
}

static void look_at_clock(void)
{
	for (int i = 0; i < NEIGHBOURS; i++) {
		struct neighbour *n = &neighbours[i];

		if (!n->port || n->known || now() < n->asked + 1)
			continue;
		if (n->tries < TRIES)
			ask(n);
		else
			n->port = NULL;
	}
}

static void receive_arp(struct port *port, const uint8_t *p, int len)
{
	static const uint8_t head[6] = { 0, 1, 8, 0, 6, 4 };
	uint32_t sender, target;
	struct neighbour *n;

	if (len < 28 || memcmp(p, head, 6) != 0 || p[8] & 1)
		return;
	sender = get32(p + 14);
	target = get32(p + 24);
	if (sender &&
	    ((sender & port->mask) != (port->address & port->mask) || sender == port->address))
		return;
	/* Who asks from 0.0.0.0 has no address yet that could be learnt. */
	n = sender ? find(port, sender, target == port->address) : NULL;
	if (n) {
		memcpy(n->mac, p + 8, 6);
		n->known = 1;
		for (int i = 0; i < n->waiting; i++)
			send_frame(port, n->mac, ETH_P_IP, n->queue[i].bytes, n->queue[i].len);
		n->waiting = 0;
	}
	if (target == port->address && get16(p + 6) == 1)
		send_arp(port, 2, p + 8, p + 8, sender);
}

static struct port *way_to(uint32_t address)
{
	for (int i = 0; i < n_ports; i++) {
		if ((address & ports[i].mask) == (ports[i].address & ports[i].mask))
			return &ports[i];
	}
	return NULL;
}

static int is_own(uint32_t address)
{
	for (int i = 0; i < n_ports; i++) {
		if (address == ports[i].address)
			return 1;
	}
	return 0;
}

static int is_host(uint32_t address)
{
	uint32_t first = address >> 24;

	for (int i = 0; i < n_ports; i++) {
		uint32_t net = ports[i].address & ports[i].mask;

		if (address == net || address == (net | ~ports[i].mask))
			return 0;
	}
	return first > 0 && first < 224 && first != 127 && address >> 16 != 0xa9fe;
}

static void answer_echo(uint8_t *p, int header, int len)
{
	uint8_t *icmp = p + header, reply[1500] = { 0x45 };
	int size = len - header;
	struct port *back = way_to(get32(p + 12));

	if (p[9] != 1 || size < 8 || icmp[0] != 8 || checksum(icmp, size) != 0 ||
	    get16(p + 6) & 0x3fff || !back)
		return;
	put16(reply + 2, (uint32_t)(20 + size));
	reply[8] = 64;
	reply[9] = 1;
	memcpy(reply + 12, p + 16, 4);
	memcpy(reply + 16, p + 12, 4);
	put16(reply + 10, checksum(reply, 20));
	memcpy(reply + 20, icmp, (size_t)size);
	reply[20] = reply[22] = reply[23] = 0;
	put16(reply + 22, checksum(reply + 20, size));
	send_to(back, get32(p + 12), reply, 20 + size);
}

static void receive_ip(uint8_t *p, int len)
{
	int header = (p[0] & 15) * 4, total;
	struct port *way;

	if (len < 20 || p[0] >> 4 != 4 || header < 20 || header > len)
		return;
	total = (int)get16(p + 2);
	if (total < header || total > len || total > 1500 || checksum(p, header) != 0)
		return;
	if (!is_host(get32(p + 12)) || !is_host(get32(p + 16)) || is_own(get32(p + 12)))
		return;
	if (is_own(get32(p + 16))) {
		answer_echo(p, header, total);
		return;
	}
	way = way_to(get32(p + 16));
	if (!way || p[8] <= 1)
		return;
	p[8]--;
	put16(p + 10, 0);
	put16(p + 10, checksum(p, header));
	send_to(way, get32(p + 16), p, total);
}

static void receive(struct port *port)
{
	uint8_t frame[65536];
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);
	ssize_t n = recvfrom(port->fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &size);
	int own;

	if (n < 14 || from.sll_pkttype == PACKET_OUTGOING)
		return;
	own = memcmp(frame, port->mac, 6) == 0;
	if (get16(frame + 12) == ETH_P_ARP && (own || memcmp(frame, everybody, 6) == 0))
		receive_arp(port, frame + 14, (int)n - 14);
	else if (get16(frame + 12) == ETH_P_IP && own)
		receive_ip(frame + 14, (int)n - 14);
}

static void open_port(char **argv)
{
	struct port *port = &ports[n_ports++];
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	unsigned a[4], prefix;

	at.sll_ifindex = (int)if_nametoindex(argv[0]);
	port->fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	if (port->fd < 0 || bind(port->fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		perror(argv[0]);
		exit(1);
	}
	for (int i = 0; i < 6; i++)
		port->mac[i] = (uint8_t)strtol(argv[1] + 3 * i, NULL, 16);
	if (sscanf(argv[2], "%u.%u.%u.%u/%u", &a[0], &a[1], &a[2], &a[3], &prefix) != 5)
		exit(2);
	port->address = a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3];
	port->mask = ~0u << (32 - prefix);
}

int main(int argc, char **argv)
{
	struct pollfd fds[PORTS];

	for (int i = 1; i + 2 < argc && n_ports < PORTS; i += 3)
		open_port(argv + i);
	for (int i = 0; i < n_ports; i++)
		fds[i] = (struct pollfd){ ports[i].fd, POLLIN, 0 };
	for (;;) {
		poll(fds, (nfds_t)n_ports, 100);
		for (int i = 0; i < n_ports; i++) {
			if (fds[i].revents)
				receive(&ports[i]);
		}
		look_at_clock();
	}
}
