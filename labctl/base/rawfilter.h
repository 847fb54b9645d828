/* SPDX-License-Identifier: MIT */
/* rawfilter.h - what CAP_NET_RAW is not given for. */
#ifndef LABCTL_BASE_RAWFILTER_H
#define LABCTL_BASE_RAWFILTER_H

#include "base/err.h"

/* Lasting, for this process and all it starts, which needs no_new_privs: EPERM for the options
 * IP_TRANSPARENT, IPV6_TRANSPARENT and SO_MARK, and for io_uring and other architectures, which
 * would get around that. CAP_NET_RAW counts for sockets of other network namespaces, too: another
 * process of the user could hand over one of the host's network, to send from addresses that are
 * not the host's. A kernel without filters: nothing happens. */
int rawfilter_apply(struct err *err) MUST_CHECK;

#endif
