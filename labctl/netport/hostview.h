/* SPDX-License-Identifier: MIT */
/*
 * hostview.h - what the host already uses, leased or not: ports, link names, subnets, MACs.
 *
 * Read once before a choice, it answers for every candidate from memory. One view serves one
 * resource.
 */
#ifndef LABCTL_NETPORT_HOSTVIEW_H
#define LABCTL_NETPORT_HOSTVIEW_H

#include "base/str.h"
#include "net/sockdiag.h"
#include "netport/lease.h"

struct hostview_subnet {
	struct ipnet net;
	const char *why; /* static text: "an address of this host" */
};

struct hostview {
	struct sockdiag_ports *ports; /* NULL: not read */
	bool lingering_ok; /* a port that only has connections in TIME_WAIT may be used */
	struct strv links; /* names and alternative names */
	struct macaddr *macs;
	size_t n_macs;
	struct hostview_subnet *subnets;
	size_t n_subnets;
};

void hostview_done(struct hostview *v);
static inline void auto_hostview_(struct hostview *v)
{
	hostview_done(v);
}
#define auto_hostview auto_cleanup(hostview) struct hostview

/* Adds what namespace netns_fd (-1: the current one) uses of this resource: of PORT its sockets,
 * of INTERFACE its links, of MAC their addresses, of SUBNET its addresses and routes (default
 * routes and what the kernel makes for itself aside), of NETNS the names in /run/netns. Nothing
 * for the others. */
int hostview_add(struct hostview *v, const char *resource, int netns_fd,
		 struct err *err) MUST_CHECK;
/* One more subnet that must not be touched (a network of the engine); why is kept, static. */
void hostview_add_subnet(struct hostview *v, const struct ipnet *net, const char *why);

/* A lease_usable_fn; arg is the struct hostview. */
bool hostview_usable(void *arg, const struct resource_value *value, const char **ret_why);

#endif
