/* SPDX-License-Identifier: MIT */
/*
 * wire.h - the kernel's side of a lab: namespaces, links and what hangs on them.
 *
 * Everything here is synchronous and takes about a millisecond; up.c calls it while the engine
 * is at work on other clients.
 */
#ifndef LABCTL_LAB_WIRE_H
#define LABCTL_LAB_WIRE_H

#include <stdbool.h>
#include <sys/types.h>

#include "lab/lab.h"
#include "lab/plan.h"
#include "net/link.h"
#include "net/offload.h"

/* A namespace at work: its fd, one netlink socket and one ethtool socket in it. */
struct wire_ns {
	int fd;
	struct nl *nl;
	struct offload *offload;
};

struct wiring {
	struct lab *lab;
	struct wire_ns seat;
	struct wire_ns fabric;
	struct wire_ns *clients; /* parallel to stage.clients; nl is NULL until opened */
	unsigned *bridges;	 /* ifindex per network; 0 until made */
	bool no_hook;		 /* the kernel lacks the ingress hook: the weaker guard serves */
	bool *relink;		 /* per network: in a repair, the seat's link is made anew */
	bool repair;		 /* what is there and right stays; what is not is mended */
	struct strv mended;	 /* what was rebuilt, in words */
};

int wiring_new(struct lab *l, struct wiring **ret, struct err *err) MUST_CHECK;
void wiring_free(struct wiring *w);
DEFINE_AUTO(wiring, struct wiring *, wiring_free, NULL)
#define auto_wiring auto_cleanup(wiring) struct wiring *

int wire_seat(struct wiring *w, struct err *err) MUST_CHECK;
int wire_fabric(struct wiring *w, struct err *err) MUST_CHECK;
int wire_bridge(struct wiring *w, size_t network, struct err *err) MUST_CHECK;
/* Pins the namespace of the client's process and sets it up. */
int wire_client(struct wiring *w, size_t client, pid_t pid, struct err *err) MUST_CHECK;
/* The name of the bridge's port in a link of a bridged network. */
void wire_port_name(const struct step *s, char name[static IFNAMSIZ]);
int wire_link(struct wiring *w, const struct step *s, struct err *err) MUST_CHECK;
/* Does the link carry frames both ways? */
int wire_prove(struct wiring *w, const struct step *s, struct err *err) MUST_CHECK;
/* The client's routes; then reads back its links, addresses and routes, and (unless a repair
 * wants to prove them) lets its namespace go. */
int wire_routes(struct wiring *w, size_t client, struct err *err) MUST_CHECK;
/* Reads back a client: links, addresses, carriers. */
int wire_verify_client(struct wiring *w, size_t client, struct err *err) MUST_CHECK;
/* Reads back the seat: links, addresses, no local routes, offloads, guard. */
int wire_verify_seat(struct wiring *w, struct err *err) MUST_CHECK;

#endif
