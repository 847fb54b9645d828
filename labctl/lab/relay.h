/* SPDX-License-Identifier: MIT */
/*
 * relay.h - carries TCP connections and UDP datagrams from ports of this computer into network
 * namespaces, where they come out at 127.0.0.1.
 */
#ifndef LABCTL_LAB_RELAY_H
#define LABCTL_LAB_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct relay_port {
	uint16_t host_port; /* listens at 127.0.0.1 of the current namespace */
	uint16_t port;	    /* inside */
	bool udp;
	int netns_fd; /* borrowed; lives as long as the relay */
};

struct relay;

/* Listens on all of them at once: from here on connections are taken. A port that is in use is
 * ERR_CONFLICT. */
int relay_open(const struct relay_port *ports, size_t n, struct relay **ret,
	       struct err *err) MUST_CHECK;
/* Serves until goes_on(arg), asked about every second, says no, or a signal comes. */
void relay_run(struct relay *r, bool (*goes_on)(void *arg), void *arg);
void relay_free(struct relay *r);

#endif
