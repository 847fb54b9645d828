/* SPDX-License-Identifier: MIT */
/* clients.h - the clients' own kernels: real sockets in their namespaces. */
#ifndef LABCTL_GRADE_CLIENTS_H
#define LABCTL_GRADE_CLIENTS_H

#include <netinet/in.h>

#include "grade/trial.h"

/* The i-th transfer's way. By the keys "from" and "to", which may name clients behind other
 * routers; without them all pairs of clients on different networks of the router's, in turn. */
bool clients_path(struct trial *t, size_t i, struct path *ret);

/* A non-blocking socket in the client's namespace; -1 on failure. */
int client_socket(struct trial *t, const struct place *p, int type, struct err *err) MUST_CHECK;
/* Binds it to the address and a free port, which *ret tells. */
int client_bind(int fd, uint32_t ip, struct sockaddr_in *ret, struct err *err) MUST_CHECK;

/* Empties the journal when a long transfer has filled it: its frames are not worth keeping all. */
bool clients_keep_journal_short(struct trial *t);

/* After a transfer that failed: did the router send packets on that the far client's kernel drops,
 * because a checksum of theirs is wrong? Then the lesson goes on with that and shows the first of
 * them. Returns false. */
bool clients_fail(struct trial *t);

#endif
