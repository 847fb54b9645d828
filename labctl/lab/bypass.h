/* SPDX-License-Identifier: MIT */
/*
 * bypass.h - ways by which the seat's kernel could do the work of the student's router:
 * forwarding, addresses, a bridge, XDP, tc, nftables. `status` and `repair` tell of them, and no
 * check is judged while there is one.
 */
#ifndef LABCTL_LAB_BYPASS_H
#define LABCTL_LAB_BYPASS_H

#include "lab/lab.h"

struct bypass {
	size_t network;
	bool relink;  /* repair mends it by making the link anew */
	bool by_hand; /* repair does not mend it; `text` says what to do */
	char text[512];
};

struct bypasses {
	struct bypass *v;
	size_t n;
};

void bypasses_done(struct bypasses *b);
static inline void auto_bypasses_(struct bypasses *b)
{
	bypasses_done(b);
}
#define auto_bypasses auto_cleanup(bypasses) struct bypasses

/* One network, as it reaches the seat. */
struct bypass_net {
	const char *ifname; /* "": it does not */
	bool guarded;	    /* by the nftables hook */
};

/* Looks at the seat (netns_fd -1: the current namespace). nets run parallel to stage.networks;
 * those whose address is meant to be the kernel's are left alone, and so are interfaces that are not
 * there. guard is the table that silences the kernel; NULL: none. Without root nftables is left
 * out. */
int bypass_find(const struct stage *s, const struct bypass_net *nets, const char *guard,
		int netns_fd, struct bypasses *ret, struct err *err) MUST_CHECK;
/* The same for a running lab. */
int bypass_find_in_lab(const struct lab *l, int netns_fd, struct bypasses *ret,
		       struct err *err) MUST_CHECK;

#endif
