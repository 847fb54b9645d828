/* SPDX-License-Identifier: MIT */
/* netns.h - network namespaces, held by fd. */
#ifndef LABCTL_NET_NETNS_H
#define LABCTL_NET_NETNS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

#define NETNS_DIR    "/run/netns"
#define NETNS_PREFIX "labctl-" /* the names that are ours */

/* Makes a new namespace and mounts it at /run/netns/<name> as iproute2 does, with its loopback
 * up. ERR_CONFLICT when the name is taken. A file without a mount that a crash left under one of
 * our own names is used again. */
int netns_create(const char *name, int *ret_fd, struct err *err) MUST_CHECK;
/* A new namespace without a name, with its loopback up, that lives as long as the fd (and what
 * else holds it). */
int netns_open_new(int *ret_fd, struct err *err) MUST_CHECK;
/* ERR_NOT_FOUND when there is none. */
int netns_open_name(const char *name, int *ret_fd, struct err *err) MUST_CHECK;
/* The namespace of a process. ERR_NOT_FOUND when the process is gone. */
int netns_open_pid(pid_t pid, int *ret_fd, struct err *err) MUST_CHECK;
int netns_open_self(int *ret_fd, struct err *err) MUST_CHECK;
/* Unmounts and removes the name. Not there: success. */
int netns_delete(const char *name, struct err *err) MUST_CHECK;
/* Names in /run/netns that start with prefix, sorted; what a crash left there too. */
int netns_list(const char *prefix, struct strv *ret, struct err *err) MUST_CHECK;

/* Moves this thread into fd and runs fn there; always comes back (if it cannot, the process
 * aborts: nothing sane can follow). Returns what fn returns. fd -1: fn just runs. */
int netns_run(int fd, int (*fn)(void *arg, struct err *err), void *arg, struct err *err) MUST_CHECK;

/* Writes /proc/sys/<key with dots as slashes> in the namespace. An interface name inside a key
 * may hold dots: it is given as a path with '/' then ("net/ipv4/conf/a.1/forwarding").
 * ERR_NOT_FOUND when this kernel or namespace has no such key. The value read has no line end. */
int netns_sysctl_set(int fd, const char *key, const char *value, struct err *err) MUST_CHECK;
int netns_sysctl_get(int fd, const char *key, char **ret_value, struct err *err) MUST_CHECK;

#endif
