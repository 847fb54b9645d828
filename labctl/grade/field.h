/* SPDX-License-Identifier: MIT */
/* field.h - the fields of a frame by name: read, print, compare. */
#ifndef LABCTL_GRADE_FIELD_H
#define LABCTL_GRADE_FIELD_H

#include <jansson.h>

#include "base/str.h"
#include "grade/frame.h"

const char *field_name(enum field f);  /* "ipv4.ttl" */
const char *field_title(enum field f); /* "the TTL" */

/* Is the field in this frame? The outer VLAN tag only with a tag, options only with some. */
bool field_there(const struct frame *f, enum field field);
/* Numeric fields; 0 for bytes and for what is not there. */
uint64_t field_number(const struct frame *f, enum field field);
/* "63", "0x1c2d", "02:42:01:01:01:01", "1.1.1.1", "56 bytes: 0a0b..."; "absent". */
void field_text(const struct frame *f, enum field field, struct str *out);

/* "byte 32 of the payload is 0x41 and should be 0x40", where field_text() of both looks the same;
 * otherwise nothing. */
void field_difference(const struct frame *want, const struct frame *seen, enum field field,
		      struct str *out);
/* Do both frames have the same value? A field that neither has is equal. */
bool field_equal(const struct frame *a, const struct frame *b, enum field field);

/* The fields of `judge` in which seen is not as wanted. Checksums are held against what is right
 * for the frame seen, not against want: another wrong field is its own fault. */
fields_t frame_diff(const struct frame *want, const struct frame *seen, fields_t judge);

/* The given fields as an object of name and text. For checksums of `want`, right ones of `seen`
 * (which may be NULL) are shown. */
json_t *frame_fields_json(const struct frame *f, fields_t fields);
json_t *frame_wanted_json(const struct frame *want, const struct frame *seen, fields_t fields);

/* One line: "1.1.1.2 > 2.2.2.2 UDP 4000 > 9, ttl 63, 64 bytes". */
void frame_summary(const struct frame *f, struct str *out);

#endif
