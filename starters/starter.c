/* SPDX-License-Identifier: MIT */
/*
 * Prints every frame that arrives on the lab's networks.
 *
 *	gcc -Wall -Wextra -o src/starter src/starter.c
 *	labctl run -- src/starter
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define NETWORKS_MAX 64

static char lab[1 << 20]; /* the file that describes the lab, as text */

/* LAB_FILE names that file, in JSON. */
static void read_lab(void)
{
	const char *path = getenv("LAB_FILE");
	FILE *f = path ? fopen(path, "r") : NULL;

	if (path && !f) {
		perror(path);
		exit(1);
	}
	if (f) {
		lab[fread(lab, 1, sizeof(lab) - 1, f)] = '\0';
		fclose(f);
	}
}

/* Is it one of the lab's interfaces? The file has "interface": "net1". Without labctl: net1, net2. */
static int is_the_labs(const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "\"interface\": \"%s\"", name);
	return lab[0] ? strstr(lab, text) != NULL : strncmp(name, "net", 3) == 0;
}

/* A socket that gets all frames of one interface. */
static int open_interface(int index)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_ifindex = index };
	int fd;

	at.sll_protocol = htons(ETH_P_ALL); /* packet(7): frames of every type */
	fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		perror("packet socket");
		exit(1);
	}
	return fd;
}

static void print_mac(const unsigned char *mac)
{
	printf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void receive(int fd, const char *name)
{
	unsigned char frame[65536];
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);
	ssize_t n = recvfrom(fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &size);

	if (n < 14 || from.sll_pkttype == PACKET_OUTGOING)
		return; /* no Ethernet header; or what this host sent itself */
	printf("%s  ", name);
	print_mac(frame + 6);
	printf(" > ");
	print_mac(frame);
	printf("  type 0x%04x  %zd bytes\n", frame[12] << 8 | frame[13], n);
	/* To answer, build a frame and send it: send(fd, frame, length, 0). */
}

int main(void)
{
	struct if_nameindex *all = if_nameindex();
	struct pollfd sockets[NETWORKS_MAX];
	const char *names[NETWORKS_MAX];
	int n = 0;

	setvbuf(stdout, NULL, _IOLBF, 0); /* each line at once, also into a file */
	read_lab();
	for (struct if_nameindex *i = all; i && i->if_name && n < NETWORKS_MAX; i++) {
		if (!is_the_labs(i->if_name))
			continue;
		names[n] = i->if_name;
		sockets[n].fd = open_interface((int)i->if_index);
		sockets[n].events = POLLIN;
		printf("%s %s", n ? "," : "listening on", names[n]);
		n++;
	}
	printf("%s\n", n ? "" : "there is no interface of the lab's here");
	while (n && poll(sockets, (nfds_t)n, -1) > 0) {
		for (int i = 0; i < n; i++) {
			if (sockets[i].revents)
				receive(sockets[i].fd, names[i]);
		}
	}
	return 1;
}
