/* SPDX-License-Identifier: MIT */
/*
 * offload.h - frames as they are: checksum, segmentation, receive-merge and VLAN offloads off.
 *
 * Otherwise a raw socket on one end sees unfinished checksums and 64 KiB "frames".
 */
#ifndef LABCTL_NET_OFFLOAD_H
#define LABCTL_NET_OFFLOAD_H

#include "base/err.h"
#include "base/str.h"

struct offload;

/* A handle into namespace netns_fd (-1: the current one). */
int offload_open(int netns_fd, struct offload **ret, struct err *err) MUST_CHECK;
void offload_close(struct offload *o);
DEFINE_AUTO(offload, struct offload *, offload_close, NULL)
#define auto_offload auto_cleanup(offload) struct offload *

/* Turns off whatever can be, reads back, and fails naming each feature that stayed on. */
int offload_disable(struct offload *o, const char *ifname, struct err *err) MUST_CHECK;
/* Names of the features that are on and should not be. */
int offload_check(struct offload *o, const char *ifname, struct strv *ret_on,
		  struct err *err) MUST_CHECK;

#endif
