/* SPDX-License-Identifier: MIT */
/* neigh.h - entries of a namespace's neighbour table (ARP, neighbour discovery). */
#ifndef LABCTL_NET_NEIGH_H
#define LABCTL_NET_NEIGH_H

#include "base/ipaddr.h"
#include "net/nl.h"

/* Adds the entry or replaces it, as if the neighbour had just confirmed it: the kernel uses it
 * and, within a minute (base_reachable_time), verifies it or forgets it. */
int neigh_confirm(struct nl *nl, unsigned ifindex, const struct ipaddr *ip,
		  const struct macaddr *mac, struct err *err) MUST_CHECK;

#endif
