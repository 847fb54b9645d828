/* SPDX-License-Identifier: MIT */
/*
 * ladder.h - a check's frames as a ladder picture: time goes down, stations stand side by side, each
 * frame is an arrow with its decoded line; what should have come and did not is dashed.
 *
 *     ms  client1    router    client2
 *    0.0     │──────────→│          │     1.1.1.2 > 2.2.2.2 UDP 4000 > 9, ttl 64, 32 bytes
 *    0.4     │           │╌╌╌╌╌╌╌╌╌→│     missing: 1.1.1.2 > 2.2.2.2 UDP 4000 > 9, ttl 63, 32 bytes
 */
#ifndef LABCTL_GRADE_LADDER_H
#define LABCTL_GRADE_LADDER_H

#include <jansson.h>

#include "base/str.h"

struct trial;

/* Rows of a ladder; of more frames, those in the middle are one row. */
#define LADDER_ROWS 30

enum rung_kind {
	RUNG_SENT,    /* by labctl */
	RUNG_KERNEL,  /* by the client's own kernel */
	RUNG_ROUTER,  /* what arrived and neither of them sent */
	RUNG_MISSING, /* what should have arrived */
	RUNG_MORE,    /* frames that are not shown: frame is "212 more frames" */
};

struct rung {
	double ms;  /* since the first frame */
	char *from; /* a client, "router"; "" for RUNG_MORE */
	char *to;
	char *frame;
	enum rung_kind kind;
	bool meant; /* the lesson is about this one */
};

struct ladder {
	struct rung *v;
	size_t n;
};

/* Of a trial that failed, after story_close(). Empty when no frame passed. */
void ladder_make(const struct trial *t, struct ladder *ret);
/* Every frame of the journal's first `end`, and nothing that is missing. */
void ladder_make_all(const struct trial *t, size_t end, struct ladder *ret);
void ladder_done(struct ladder *l);

/* [{"ms","from","to","frame","kind":"sent|kernel|router|missing|more"}]; null when it is empty. */
json_t *ladder_json(const struct ladder *l);

/* The picture, each line begun with indent; in UTF-8, or in ASCII. */
void ladder_draw(const struct ladder *l, bool utf8, const char *indent, struct str *out);

#endif
