/* SPDX-License-Identifier: MIT */
/*
 * server.h - the REST service: one process, one lease book.
 *
 * Requests that change the book and arrive together share one transaction, so one wait for the
 * disk: a turn of the loop reads what has come, runs all of it, commits, and only then replies. A
 * reply that a client has seen is on the disk. All of it is done by one thread; a second one only asks
 * the kernel for ports that the next turn may want (net/portahead.h).
 */
#ifndef LABCTL_NETPORT_SERVER_H
#define LABCTL_NETPORT_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/proc.h"
#include "netport/store.h"

#define SERVER_PORT 7780

struct server_config {
	const char *address;	 /* of the TCP socket; NULL: 127.0.0.1 */
	uint32_t port;		 /* 0: no TCP socket */
	const char *socket_path; /* of the Unix socket; NULL: none */
	const char *group;	 /* that may use the Unix socket; NULL: the directory's or root */
	const char *state_dir;	 /* where the tokens are */
	const char *allow_shell; /* file; NULL: no programs are started */
	const char *tls_cert;	 /* PEM files; NULL: no TLS */
	const char *tls_key;
	const struct caller *files_of; /* whose rights open these three files; NULL: ours */
	bool allow_remote; /* other hosts as the old services had them: by address, in the clear */
	int64_t idle_ms;   /* a client's time for a request, for a reply, between two; 0: 30 s */
	int64_t offer_ms;  /* life of portmaster's offers; 0: 30 minutes */
	unsigned quota;	   /* leases a user may hold; 0: LEASE_QUOTA */
	int log_fd;	   /* a line a request; -1: none */
	void (*ready)(void *arg, const char *where); /* listening, on all of this; may be NULL */
	void *ready_arg;
};

/* Serves until interrupt_seen(). */
int server_run(const struct server_config *config, struct store *store, struct err *err) MUST_CHECK;

#endif
