/* SPDX-License-Identifier: MIT */
/*
 * diagnose.h - the usual first mistakes, recognised by more than their frames: said once, above
 * the lessons.
 *
 * Which packet sockets the program has is read from the seat's /proc/net/packet; that it hears
 * itself, from the frames of checks that failed.
 */
#ifndef LABCTL_GRADE_DIAGNOSE_H
#define LABCTL_GRADE_DIAGNOSE_H

#include "grade/grader.h"

/* Before the program is started: packet sockets that are open now are not its own. */
void diagnose_begin(struct grader *g);

/* After a check that failed, while its frames are in the journal. */
void diagnose_frames(struct grader *g);

/* While the program runs: what is wrong with it as a whole, as heap text of whole sentences; NULL:
 * nothing is known. *ret_sockets: is it about its sockets? */
char *diagnose_program(struct grader *g, bool *ret_sockets);

/* Are there sockets of the program's on each network, and none that gets both ARP and IPv4? */
bool diagnose_is_deaf(const struct grader *g);

/* "process 1234 (python3 src/router.py)": somebody who listens on the stage's networks already, as
 * heap text, and *ret_pid; NULL: nobody is found. */
char *diagnose_listener(const struct grader *g, pid_t *ret_pid);

#endif
