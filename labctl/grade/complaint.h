/* SPDX-License-Identifier: MIT */
/* complaint.h - ICMP errors: the router says what is wrong with a packet that a check sent. */
#ifndef LABCTL_GRADE_COMPLAINT_H
#define LABCTL_GRADE_COMPLAINT_H

#include "grade/trial.h"

#define ICMP_NET_UNREACHABLE	  0
#define ICMP_HOST_UNREACHABLE	  1
#define ICMP_PORT_UNREACHABLE	  3
#define ICMP_FRAGMENTATION_NEEDED 4

/* A packet and what the router shall say about it. */
struct complaint {
	const struct place *at; /* where the packet is sent, and the message expected */
	struct frame about;
	uint8_t type, code;
	uint32_t from;	      /* the message's source; 0: any of the router's addresses */
	uint16_t mtu;	      /* in the second word of the header; 0 for most messages */
	const char *missing;  /* the lesson when no message comes */
	unsigned patience_ms; /* as in struct want */
};

/* Sends the packet and judges the message: type and code, source, checksums, quotation. The
 * router may be out of tokens: when nothing comes, another try is made with a new packet. */
bool trial_complaint(struct trial *t, const struct complaint *c);
/* ... and the same about a UDP datagram as large as the sender's network takes: what quotes all of
 * it would be too large to go back. */
bool trial_complaint_full(struct trial *t, const struct complaint *c);

/* Any ICMP error of anybody's that quotes this packet, for taboos and counts. Quoted is what an
 * IP header and 8 bytes behind it tell: the packet is known by its addresses and identification. */
struct want want_complaint(const struct frame *about);

/* An address that the router has no way to: in no network, matched by no route. False after
 * recording that there is none. */
bool trial_nowhere(struct trial *t, uint32_t *ret);

/* The way that a table of networks and routes gives a destination: longest prefix. */
struct way {
	struct ipnet prefix; /* which line matched */
	size_t network;	     /* leaves by this network of the stage's */
	uint32_t next_hop;
};
bool stage_way(const struct stage *s, uint32_t destination, struct way *ret);

/* Can a packet go to this address at all: a host's, and none of the router's own networks'
 * reserved ones? */
bool stage_is_goal(const struct stage *s, uint32_t a);

#endif
