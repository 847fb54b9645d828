/* SPDX-License-Identifier: MIT */
/*
 * grader.h - grades a stage: its checks, in order, each with a verdict.
 *
 * Order, prerequisites and restarts of the student's program are decided here; what is right is
 * decided in checks/.
 */
#ifndef LABCTL_GRADE_GRADER_H
#define LABCTL_GRADE_GRADER_H

#include <jansson.h>

#include "base/str.h"
#include "grade/arena.h"
#include "grade/check.h"
#include "grade/ladder.h"
#include "grade/probe.h"
#include "grade/runner.h"
#include "net/kernel_watch.h"

/* The best sign of life that the router gives at a place. */
enum life {
	LIFE_NONE,
	LIFE_FORWARD, /* a datagram gets through it */
	LIFE_ECHO,    /* it answers echo requests */
	LIFE_ARP,     /* it answers who-has for its address */
};

/* Plain packets that were sent, and how many of them did not come: see loss.h. */
enum loss_kind {
	LOSS_FORWARD,
	LOSS_ECHO,
	LOSS_KINDS
};
struct losses {
	size_t n, lost;
};

/* A client's interface: where the grader sends and listens. */
struct place {
	const struct stage_client *client;
	const struct stage_network *net;
	size_t network;	    /* index in the stage */
	unsigned port;	    /* of the probe */
	const char *ifname; /* the client's; borrowed */
	struct macaddr mac;
	uint32_t ip;
	uint32_t router_ip;	    /* 0: the network does not reach the seat */
	struct macaddr seat_mac;    /* of the seat's interface */
	struct macaddr router_mac;  /* what reaches the router (neighbour.h) */
	enum life life;		    /* when the program was started */
	const struct place *across; /* a place on another of the router's networks; NULL: none */
	int sink; /* a UDP socket of the client: its kernel takes what comes there */
	uint16_t sink_port;
};

struct result {
	char *id; /* with #n when the stage uses the check more than once */
	const struct check *check;
	json_t *args; /* the stage's object; borrowed; NULL: the stage does not ask for it */
	enum verdict verdict;
	unsigned points, max_points;
	char *reason;	  /* NULL when passed */
	json_t *expected; /* objects of field and text; NULL: nothing to compare */
	json_t *seen;
	char *sent;  /* the stimulus in one line; NULL: nothing was sent, or it is passed */
	char *story; /* what the router did then, a sentence; NULL */
	struct ladder ladder;	/* of what failed; otherwise empty */
	const char *fault_hint; /* about the field that is wrong, whatever the check; NULL */
	char *output;		/* the program's last words, when it ended; NULL */
	char *prints;		/* what it said during this check, when that is kept; NULL */
	double ms;
	bool selected;	       /* false: not asked for (--only, --failed) */
	bool needed;	       /* not asked for, but tried first: what was asked for needs it */
	bool blocks;	       /* what needs it cannot be tried */
	const char *waits_for; /* pending: the id of the check that blocks it; borrowed */
};

struct replay;

/* A station that never answers, and what the router asks about it. */
struct silent {
	uint32_t ip;
	unsigned port;	   /* of the probe, on its network */
	uint64_t asked_ns; /* CLOCK_REALTIME; 0: not yet */
	uint64_t soon_ns;  /* the shortest time between two questions that was too short; 0: none */
};

#define SILENT_MAX 8

struct results {
	struct result *v;
	size_t n;
	unsigned passed, failed, errors, pending, score, max_score; /* of the selected */
	uint64_t seed;
	char *notice;	    /* something the student should know first; NULL */
	bool wrong_sockets; /* the notice is about the program's sockets: no hint goes before */
	double ms;
};

void results_done(struct results *r);
static inline void auto_results_(struct results *r)
{
	results_done(r);
}
#define auto_results auto_cleanup(results) struct results

struct grader_options {
	uint64_t seed;
	const char *only;		   /* an id, or a family of them: "arp", "ipv4.ttl" */
	const struct strv *ids;		   /* NULL: all; otherwise these and no others */
	const struct runner_spec *program; /* NULL: it runs already */
	const char *pcap_dir;		   /* NULL: none */
	bool pcap_failures;		   /* not of checks that were passed */
	const struct caller *pcap_as;	   /* with whose rights they are written; NULL: ours */
	bool stop_at_failure;
	bool keep_output; /* what the program says, for each check */
	/* One check again and again, slowly; NULL: grade. See replay.h. */
	const struct replay *replay;
	/* Called before each check (verdict not known) and after it; may be NULL. */
	void (*progress)(void *arg, const struct result *r, size_t i, size_t n, bool after);
	void *progress_arg;
};

/* Fails (returns -1) only for what has nothing to do with a single check: no privileges, an
 * interface that is not there, a program that cannot be started, an interrupt, a stage's check
 * that does not exist. */
int grade(struct arena *a, const struct grader_options *o, struct results *ret,
	  struct err *err) MUST_CHECK;

/* What the trials of one grading share. */
struct grader {
	struct arena *arena;
	const struct stage *stage;
	const struct grader_options *options;
	struct probe *probe;
	struct kernel_watch *kernel; /* of the seat, for the whole check */
	struct place *places;
	size_t n_places;
	struct runner *runner;	 /* NULL: not ours */
	bool restart;		 /* it failed a rough check */
	struct results *results; /* of the checks so far */
	ino_t *earlier;		 /* packet sockets that were open before the program */
	size_t n_earlier;
	size_t forwarded;  /* IPv4 packets that came out of it so far */
	bool no_udp;	   /* it asks for the neighbours of echo requests, but not of UDP */
	bool hears_itself; /* it takes its own frames for those of others */
	struct losses losses[LOSS_KINDS];
	struct silent silent[SILENT_MAX]; /* of arp.resolve, looked after to the end */
	size_t n_silent;
	uint32_t *taken; /* addresses that guests have had */
	size_t n_taken;
	unsigned echoes;     /* echo requests that were made */
	unsigned hangs;	     /* checks in which the program stopped answering */
	uint64_t answer_ns;  /* how long an answer is waited for */
	uint64_t slowest_ns; /* the slowest answer of a control so far */
	double slowness;     /* of this computer now: 1 when idle */
	struct trial *trial; /* the one that runs */
	size_t replayed;     /* frames of it that were shown: see replay.h */
	size_t pcap_room;    /* bytes that capture files still take */
	bool pcap_cut;	     /* and they were too few */
};

/* After story_close(): what was sent, the story, the ladder and the hint of a trial that failed. */
void grader_note_lesson(const struct trial *t, struct result *r);

/* How long silence is listened to after a control was answered. */
uint64_t grader_silence_ns(const struct grader *g);

#endif
