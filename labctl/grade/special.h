/* SPDX-License-Identifier: MIT */
/* special.h - what is special about a frame, derived from the frame itself. */
#ifndef LABCTL_GRADE_SPECIAL_H
#define LABCTL_GRADE_SPECIAL_H

#include "base/str.h"
#include "grade/frame.h"

/* "8 bytes of IP options, TTL 1, wrong header checksum": what an ordinary ARP packet or datagram
 * does not have, as a list; nothing is added when all is ordinary. router: the MAC that the frame
 * should be addressed to; NULL: that is not looked at. */
void frame_specials(const struct frame *f, const struct macaddr *router, struct str *out);

/* frame_summary(), and the specials in brackets. */
void frame_line(const struct frame *f, const struct macaddr *router, struct str *out);

#endif
