/* SPDX-License-Identifier: MIT */
/*
 * loss.h - what did not come: is it missing for what is special about it, or lost as others are?
 *
 * Plain packets sent the same way tell. A router that loses some of those loses this one, too: that
 * is for one check to say, and every other sends its packet again, and judges what comes then. When
 * all the plain ones arrive, what is missing is missing for a reason of its own.
 */
#ifndef LABCTL_GRADE_LOSS_H
#define LABCTL_GRADE_LOSS_H

#include "grade/trial.h"

#define LOSS_TRIES 10 /* so often the same is sent again */

/* A packet that may be lost, and its way. */
struct loss {
	const struct seen *sent;
	struct path p;
	enum loss_kind kind;
	bool again; /* sending it again is the same stimulus again */
};

/* What is waited for at this place (NULL: anywhere) depends on a packet that was sent: on which?
 * w NULL: on the last. False: on none. */
bool loss_suspect(const struct trial *t, const struct place *at, const struct want *w,
		  struct loss *ret);
/* Did the router lose any plain packets before? */
bool loss_is_known(const struct grader *g);
/* May and does this check send it again, because the router loses such packets? */
bool loss_is_forgiven(struct trial *t, const struct loss *l);
bool loss_send_again(struct trial *t, const struct loss *l);

/* Is it for loss that this did not come? True after recording the verdict: that the router loses
 * packets, or that the check waits for the one which says so. */
bool loss_is_cause(struct trial *t, const struct place *at, const struct want *w);

#endif
