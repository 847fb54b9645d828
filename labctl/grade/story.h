/* SPDX-License-Identifier: MIT */
/*
 * story.h - what was sent and what the router did then, told from the journal.
 *
 * What fails notes what it is about (story_note()); when the check is over, story_close() notes
 * where its frames end; then it is told. A story says what can be read in the frames and guesses
 * nothing.
 */
#ifndef LABCTL_GRADE_STORY_H
#define LABCTL_GRADE_STORY_H

#include "grade/trial.h"

/* stimulus: the frame as it was sent, or one with its mark; NULL: the last that was sent. seen: a
 * frame of the journal that is wrong; NULL. missing_at: where something should have come; NULL. */
void story_note(struct trial *t, const struct frame *stimulus, const struct frame *seen,
		const struct place *missing_at);

/* When the check's function has returned, before anything else is sent. */
void story_close(struct trial *t);

/* The stimulus in one line, with what is special about it, as heap text:
 * "on net1: 1.1.1.2 > 2.2.2.2 UDP 4000 > 9, ttl 1, 32 bytes (TTL 1)"; NULL: nothing was sent. */
char *story_sent(const struct trial *t);
/* What the router did, as heap text, a sentence without its full stop: "your program asked who-has
 * 2.2.2.2 on net2, got the answer, and never sent the packet that waited"; NULL: there is nothing
 * to say. */
char *story_told(const struct trial *t);

#endif
