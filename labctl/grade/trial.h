/* SPDX-License-Identifier: MIT */
/*
 * trial.h - one check being tried: the words in which checks are written.
 *
 * Stations. A check speaks as a client's own station (place_station(): the client's kernel is
 * there too, and answers ARP for itself), or as a guest (trial_guest()): an address of the
 * subnet that no kernel owns, for which the grader answers ARP itself, or keeps silent. Guests
 * have MACs by the lab's convention unless the check wants otherwise, so that a router that
 * computes MACs instead of asking fails the checks about asking and no others. Datagrams between
 * clients' own stations go to a UDP port on which the grader listens in the client, so that no
 * kernel answers them.
 *
 * Every function that returns bool or a pointer has recorded the lesson when it returns false or
 * NULL: the check just returns false.
 *
 * Frames belong together by fields and by mark: the first MARK_LEN bytes of each datagram's
 * payload are unique, and found even where headers are mangled.
 */
#ifndef LABCTL_GRADE_TRIAL_H
#define LABCTL_GRADE_TRIAL_H

#include "grade/field.h"
#include "grade/grader.h"
#include "grade/rng.h"

#define MARK_LEN 8

struct station {
	const struct place *at;
	uint32_t ip;
	struct macaddr mac;
};

/* What a lesson is about, for its story: see story.h. Frames are the journal's. */
struct evidence {
	const struct seen *about;	/* the stimulus; NULL: the last one */
	const struct seen *seen;	/* what is wrong, or must not be; NULL */
	const struct place *missing_at; /* where something should have come; NULL */
	fields_t wrong;			/* of seen */
	size_t end;			/* frames of the journal that belong to the check */
	uint64_t end_ns;		/* CLOCK_REALTIME */
};

struct want;

struct trial {
	struct grader *g;
	const struct check *check;
	json_t *args;	/* the stage's object */
	struct rng rng; /* this check's own stream */
	enum verdict verdict;
	char *reason;
	const char *waits_for; /* pending: borrowed id */
	json_t *expected, *seen;
	struct evidence evidence;
	struct want *unanswered; /* the last that was waited for in vain; owned; NULL */
	const struct place *unanswered_at;
	uint64_t unanswered_ns;	   /* CLOCK_REALTIME: of the stimulus */
	bool late;		   /* it came, after the time: the reason says so */
	struct station *answering; /* guests that the grader answers ARP for */
	size_t n_answering;
	size_t since;	 /* journal position of the last stimulus */
	size_t stimulus; /* ... that was no control */
	size_t end;	 /* what comes behind in the journal is no part of the lesson; 0: all is */
	uint64_t end_ns; /* CLOCK_REALTIME: then */
	uint8_t **payloads; /* owned */
	size_t n_payloads;
};

void trial_done(struct trial *t);

/* Verdicts. Always return false. */
bool trial_fail(struct trial *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool trial_error(struct trial *t, const struct err *err);
/* When the stage's check with this id was not passed, the one being tried cannot be judged: true
 * after recording that it is pending. False: that check was passed, or is not asked for. */
bool trial_waits_for(struct trial *t, const char *id);

/* The stage's arguments. */

/* A way through the router: from one client to one on another network, by the keys "from" and
 * "to" of the stage's entry (client names), else the first two such clients. */
struct path {
	const struct place *from, *to;
};
bool trial_path(struct trial *t, struct path *ret);
struct path path_back(const struct path *p);
/* Bytes behind so many bytes of headers in the largest packet that goes this way uncut; MARK_LEN at
 * least. */
size_t path_room(const struct path *p, unsigned headers);

/* The places that a check about the router's own side looks at: the one of the client named by
 * "on", else one on each network that has a router. i counts from 0; NULL after the last. */
const struct place *trial_place(struct trial *t, size_t i);

/* A number that the stage may give; *ret is what counts when it does not. */
bool trial_number(struct trial *t, const char *key, long long min, long long max, long long *ret);
/* The entry asks for what the stage cannot give: the teacher's mistake. Returns false. */
bool trial_stage_error(struct trial *t, const char *text);

/* Stations. */
struct station place_station(const struct place *p);
/* A new one on this network, with an address that none of the stage's routes leads away from it. */
bool trial_guest(struct trial *t, const struct place *at, struct station *ret);
/* From now on to the check's end the grader answers who-has for it. */
void trial_answer(struct trial *t, const struct station *s);

/* Frames to send. */

struct frame arp_ask(const struct station *asker, uint32_t target);	      /* broadcast */
struct frame arp_tell(const struct station *who, const struct station *whom); /* a reply */
/* Is it a reply, or meant as one in spite of its opcode? The router's own questions go to all. */
bool arp_is_answer(const struct frame *f);
/* UDP by way of the router, with `len` bytes of payload (at least MARK_LEN), TTL 64. */
struct frame trial_datagram(struct trial *t, const struct station *from, const struct station *to,
			    size_t len);
/* An echo request to one of the router's own addresses. */
struct frame trial_echo(struct trial *t, const struct station *from, uint32_t to, size_t len);
/* TCP by the same way: a reset, which no kernel answers. */
struct frame trial_segment(struct trial *t, const struct station *from, const struct station *to,
			   size_t len);
/* A station's address that nobody has. */
struct macaddr trial_random_mac(struct trial *t);
/* Random bytes that live as long as the check. */
const uint8_t *trial_bytes(struct trial *t, size_t len);

bool trial_send(struct trial *t, const struct place *at, const struct frame *f);

/* Frames to expect. */

/* What is wanted: of the frames that arrive since the last stimulus, the first which is meant,
 * and that must be right. */
struct want {
	const char *what;    /* "the ARP reply": the beginning of "... is wrong" */
	const char *missing; /* the lesson when nothing came */
	struct frame frame;
	fields_t all; /* a frame is meant when all of these are as in frame */
	fields_t any; /* ... and, when any or mark are given, one of these, or the mark, is too */
	bool mark;
	fields_t judge; /* these must be right in it */
	/* A further condition for being meant; NULL: none. */
	bool (*means)(const struct want *w, const struct seen *s);
	const void *means_arg;
	unsigned
		patience_ms; /* how long it may take on an idle computer; 0: an answer's usual time */
};

/* How long something is waited for that takes so long on an idle computer; 0: an answer. A slow
 * computer stretches it, but by no more than an answer takes there: a time longer than that is one
 * of the router's own timers, and they keep the pace. */
uint64_t trial_patience_ns(const struct trial *t, unsigned ms);
/* Waits for it. The frame lives as long as the check. */
const struct frame *trial_expect(struct trial *t, const struct place *at, const struct want *w);
/* Is this frame meant? And how many frames that arrived at `at` (NULL: anywhere) since the
 * journal's position `from` are? */
bool want_means(const struct want *w, const struct seen *s);
/* Is it a frame that the grader itself sent on that network, as its switch passed it on? */
bool trial_is_flooded(const struct trial *t, const struct seen *s);
size_t trial_count(const struct trial *t, const struct place *at, const struct want *w,
		   size_t from);
/* Holds a frame against what is wanted; false after recording what is wrong. */
bool trial_judge(struct trial *t, const struct want *w, const struct frame *seen);
/* Waits until some frame that is meant is there: no lesson, just true or false. */
bool trial_await(struct trial *t, const struct place *at, const struct want *w);

/* What a correct router makes of a datagram that goes this way. */
struct frame path_forwarded(const struct path *p, const struct frame *out);
/* Sends a datagram at p->from and expects it at p->to, right in `judge`. */
const struct frame *trial_deliver(struct trial *t, const struct path *p, const struct frame *out,
				  fields_t judge);

/* Sends datagrams until one arrives, so that the router knows the neighbours: a first one may be
 * lost while it asks, and that is for another check to say. Fails when none arrives. */
bool trial_warm_up(struct trial *t, const struct path *p, const struct station *to);

/* Do datagrams between the path's own clients get through, both ways? For struct check.usable. */
bool trial_crosses(struct trial *t);

/* Silence. */

/* Something sent that must not lead to something else. */
struct taboo {
	const struct place *at; /* where it is sent */
	struct frame stimulus;
	struct want answer;   /* must not arrive, anywhere */
	const char *sentence; /* the lesson when it does */
	const char *name;     /* "a datagram with TTL 1": for "after ..., the router ..." */
};

/* Positive controls: is the router alive? They record no lesson. */
typedef bool control_fn(struct trial *t, const struct path *p);
control_fn control_life;    /* it answers at p->from: who-has, or what it does answer there */
control_fn control_forward; /* a good datagram goes through; nothing about it is judged */

/* control_life() as a step of a check: with a lesson, or with another one than the usual. */
bool trial_alive(struct trial *t, const struct path *p);
bool trial_alive_or(struct trial *t, const struct path *p, const char *lesson);
/* The router's best sign of life at this place, asked for once; no lesson. 0: an answer's usual
 * time. */
bool trial_life(struct trial *t, const struct place *at, unsigned patience_ms);
/* Is who-has for the router's address, asked by this station, answered within this time? Asked by
 * broadcast, or of one MAC. Records no lesson. */
bool trial_greets(struct trial *t, const struct station *asker, const struct macaddr *to,
		  unsigned patience_ms);

/* This datagram itself, wherever it turns up, whatever was done to it; an ICMP error about it is
 * something else. */
struct want want_trace(const struct frame *out);

/* Sends each, with the control before the first and after each, listens a little longer, and
 * fails when a taboo was broken or the router does not answer the control any more. */
bool trial_forbid(struct trial *t, const struct path *p, const struct taboo *v, size_t n,
		  control_fn *control);

/* Was it the student? With the program stopped: from everywhere, ARP for the router's addresses,
 * echo requests to them, datagrams through it. */
void trial_ask_everything(struct trial *t);
/* The sentence about the first answer to that in the journal, as heap text; NULL: none. */
char *trial_who_answers(const struct trial *t);

/* Text for lessons: up to four addresses in one call site. */
struct text {
	char s[IPADDR_TEXT];
};
struct text ip4_text(uint32_t ip);
struct text mac_text(const struct macaddr *m);

#endif
