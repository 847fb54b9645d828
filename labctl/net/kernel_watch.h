/* SPDX-License-Identifier: MIT */
/*
 * kernel_watch.h - listens to the kernel's own notifications about one network namespace: links,
 * addresses, routes, rules, forwarding, tc, nftables.
 *
 * A change that is undone a moment later is seen, too: the kernel sends a message for each. What
 * it sends no message for: arp_ignore and its like, XDP programs that are attached by a BPF link.
 * Carrier, promiscuous mode and statistics are no changes.
 */
#ifndef LABCTL_NET_KERNEL_WATCH_H
#define LABCTL_NET_KERNEL_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/ipaddr.h"
#include "base/str.h"

struct kernel_watch;

struct kernel_watch_net {
	const char *ifname; /* "": none here */
	struct ipnet subnet;
	bool watched; /* false: what happens to this interface is not looked at */
};

/* What counts as a change. The texts are borrowed for as long as the watch is open. */
struct kernel_watch_spec {
	int netns_fd; /* -1: the current namespace */
	/* The namespace is the lab's alone: every change counts. Otherwise only what concerns the
	 * networks: their interfaces, what is put on top of them, forwarding on them or on all,
	 * routes and addresses in their subnets, rules, and nftables where a network's interface or
	 * the table below is named. */
	bool whole;
	const struct kernel_watch_net *nets;
	size_t n_nets;
	const char *nft_table; /* NULL: none */
	/* Other links of this group (all bits of the mask) are those of other labs, which may have
	 * the same subnets: their addresses and routes are no change. Mask 0: there are none. */
	uint32_t others_group, others_mask;
};

/* From now on nothing is missed. Needs CAP_NET_ADMIN over the namespace. A kernel without nftables
 * is watched without. */
int kernel_watch_open(const struct kernel_watch_spec *spec, struct kernel_watch **ret,
		      struct err *err) MUST_CHECK;
void kernel_watch_close(struct kernel_watch *w);
DEFINE_AUTO(kernel_watch, struct kernel_watch *, kernel_watch_close, NULL)
#define auto_kernel_watch auto_cleanup(kernel_watch) struct kernel_watch *

/* The i-th file descriptor to wait on for input, from 0; -1 after the last. */
int kernel_watch_fd(const struct kernel_watch *w, size_t i);

/* Reads what has been sent so far, without waiting. */
void kernel_watch_read(struct kernel_watch *w);

/* What has been read so far: a sentence for each kind of change ("IPv4 forwarding was switched on
 * for net1"), the first few. Lost notifications are a change. */
const struct strv *kernel_watch_changes(const struct kernel_watch *w);

/* From now on the caller itself takes this interface down and up: that, and what the kernel does to
 * its own addresses and routes in the course of it, is no change. NULL: no more. Reads what was
 * sent before. */
void kernel_watch_expect_flap(struct kernel_watch *w, const char *ifname);

#endif
