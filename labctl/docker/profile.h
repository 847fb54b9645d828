/* SPDX-License-Identifier: MIT */
/* profile.h - which system calls a container may make (private to docker/, public to lab/). */
#ifndef LABCTL_DOCKER_PROFILE_H
#define LABCTL_DOCKER_PROFILE_H

/*
 * A seccomp profile in the engine's own form (heap text), in place of its default one.
 *
 * It refuses what the engine's profile refuses, and Unix sockets beside pairs. A directory that a
 * container shares with the host could hold one: a process of the host would hand over a socket of
 * the host's network through it, and the container's CAP_NET_ADMIN counts for that network, too,
 * because both belong to the same user namespace. Programs of other architectures do not run.
 */
char *container_profile(void);

#endif
