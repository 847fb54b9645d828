/* SPDX-License-Identifier: MIT */
/*
 * series.h - many datagrams one after the other, some on their way at once.
 *
 * What a router does to the first packet it may not do to the hundredth, nor to a large one, nor
 * to another protocol: a series has them all, and each must arrive, once, in order, and right.
 * Both stations are the clients' own; the router must know them already (trial_warm_up()).
 */
#ifndef LABCTL_GRADE_SERIES_H
#define LABCTL_GRADE_SERIES_H

#include "grade/trial.h"

/* At most so many are on their way at once: the buffer of a socket takes them as it is by
 * default, three times over: what the program sends may come back to it by another socket. */
#define SERIES_WINDOW	    8
#define SERIES_WINDOW_SMALL 48

struct series {
	struct trial *t;
	struct path p;
	struct frame *out; /* what is sent, in this order */
	size_t n;
	size_t window;	 /* at most so many are on their way at once */
	size_t before;	 /* so many others have passed through the router already; 0: unknown */
	size_t *at;	 /* each one's place in the journal, once it was sent */
	unsigned *times; /* how often each arrived */
	size_t sent, got, lost;
	size_t from; /* journal position: arrivals before are counted */
	fields_t judge;
	bool lossy;	  /* what is lost, or comes in another order, is no matter */
	bool wrong;	  /* the lesson is recorded */
	size_t first;	  /* of the window that is on its way */
	unsigned excuses; /* windows in which the router had to ask for the MAC again */
	size_t last;	  /* the latest that arrived, and 1; 0: none */
};

void series_done(struct series *s);
static inline void auto_series_(struct series *s)
{
	series_done(s);
}
#define auto_series auto_cleanup(series) struct series

/* Appends a copy. */
void series_add(struct series *s, const struct frame *out);
/* n datagrams of all sizes from the smallest to the largest that needs no cutting, of UDP, TCP,
 * ICMP and (as fragments) seven protocols more, in fragments, and with identification 0, with TTLs
 * from 8 to 40. Nothing of them makes a client's kernel answer. */
struct series series_mixed(struct trial *t, const struct path *p, size_t n);
/* n small datagrams of UDP. */
struct series series_small(struct trial *t, const struct path *p, size_t n);
/* n datagrams of UDP with 4 to 40 bytes of IP options: small ones, or, with `record`, of all sizes,
 * and some ask for the addresses of the routers on their way (record route), so that a router may
 * write into them. */
struct series series_options(struct trial *t, const struct path *p, size_t n, bool record);

/* Sends it, waits for it, and judges these fields of what arrives, which must be all, in order. */
bool series_run(struct series *s, fields_t judge);
/* The same for a check to which the loss of some, or their order, says nothing. */
bool series_sample(struct series *s, fields_t judge);
/* Looks again, after a silence: did anything arrive more than once? */
bool series_came_once(struct series *s);

/* series_mixed() there and back, as a sample. */
bool series_both_ways(struct trial *t, const struct path *p, size_t n, fields_t judge);

#endif
