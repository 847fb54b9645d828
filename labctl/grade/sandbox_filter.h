/* SPDX-License-Identifier: MIT */
/* sandbox_filter.h - system calls that a program in the sandbox has no use for. */
#ifndef LABCTL_GRADE_SANDBOX_FILTER_H
#define LABCTL_GRADE_SANDBOX_FILTER_H

#include "base/err.h"

/* Lasting, for this process and all it starts: no new privileges (setuid programs stay what they
 * are), EPERM for namespaces, mounts, BPF programs, keys, io_uring, modules and every call of another
 * architecture or ABI, and EAFNOSUPPORT for sockets other than packet, IPv4, IPv6, Unix and netlink
 * ones. A kernel without filters: only the first. */
int sandbox_filter(struct err *err) MUST_CHECK;

#endif
