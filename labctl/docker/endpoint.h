/* SPDX-License-Identifier: MIT */
/* endpoint.h - where the engine is reached: DOCKER_HOST and its TLS variables, read once.
 * Internal to docker/. */
#ifndef LABCTL_DOCKER_ENDPOINT_H
#define LABCTL_DOCKER_ENDPOINT_H

#include <stdbool.h>

#include "base/err.h"

struct endpoint {
	char *text;	 /* "unix:///var/run/docker.sock", "tcp://host:2376": for messages */
	char *socket;	 /* path of the Unix socket; NULL for tcp */
	char *base;	 /* "http://localhost", "https://host:2376" */
	char *authority; /* "localhost", "host:2376": the Host header */
	bool tls;
	char *ca, *cert, *key; /* paths; with tls only */
};

/* host as in engine_open(). What cannot be understood: ERR_USAGE; certificates that cannot be
 * read: ERR_ENV. */
int endpoint_parse(const char *host, struct endpoint *ret, struct err *err) MUST_CHECK;
void endpoint_done(struct endpoint *ep);

/* The error for a connection that did not come about; sys is connect(2)'s errno, or 0 where it
 * is not known (a Unix socket is then tried once more to learn it). Always returns -1. */
int endpoint_unreachable(const struct endpoint *ep, int sys, struct err *err);

#endif
