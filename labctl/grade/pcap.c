/* SPDX-License-Identifier: MIT */
/* pcap.c - the journal as a capture file: pcapng (draft-ietf-opsawg-pcapng), host byte order. */
#include "grade/pcap.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

#define BLOCK_SECTION	  0x0a0d0d0au
#define BLOCK_INTERFACE	  1u
#define BLOCK_PACKET	  6u
#define BYTE_ORDER_MAGIC  0x1a2b3c4du
#define LINKTYPE_ETHERNET 1u

#define OPT_END	    0
#define OPT_COMMENT 1
#define OPT_IF_NAME 2
#define OPT_APPL    4
#define OPT_TSRESOL 9

/* A block is built whole: its length stands at both ends. */
static void add32(struct str *b, uint32_t v)
{
	str_addn(b, &v, sizeof(v));
}

static void add16(struct str *b, uint16_t v)
{
	str_addn(b, &v, sizeof(v));
}

static void add_padded(struct str *b, const void *data, size_t n)
{
	static const char zeros[4];

	str_addn(b, data, n);
	str_addn(b, zeros, (4 - n % 4) % 4);
}

static void add_option(struct str *b, uint16_t code, const void *data, size_t n)
{
	n = n > UINT16_MAX ? UINT16_MAX : n;
	add16(b, code);
	add16(b, (uint16_t)n);
	add_padded(b, data, n);
}

static void begin(struct str *b, uint32_t type)
{
	str_done(b);
	add32(b, type);
	add32(b, 0); /* its length, see write_block() */
}

static size_t block_size(const struct str *b)
{
	return b->len + 8; /* the end of its options and its length again */
}

static bool write_block(struct str *b, FILE *f)
{
	uint32_t len = (uint32_t)block_size(b);

	add_option(b, OPT_END, "", 0);
	add32(b, len);
	memcpy(b->s + 4, &len, sizeof(len));
	return fwrite(b->s, 1, b->len, f) == b->len;
}

static bool write_head(const struct grader *g, FILE *f)
{
	static const uint8_t nanoseconds = 9;
	auto_str b = { 0 };
	bool ok;

	begin(&b, BLOCK_SECTION);
	add32(&b, BYTE_ORDER_MAGIC);
	add16(&b, 1);
	add16(&b, 0);
	add32(&b, UINT32_MAX); /* the section's length is not given */
	add32(&b, UINT32_MAX);
	add_option(&b, OPT_APPL, "labctl", 6);
	ok = write_block(&b, f);
	for (size_t i = 0; i < g->n_places && ok; i++) {
		const struct place *p = &g->places[i];
		auto_free char *name =
			xasprintf("%s/%s", p->client->name, probe_ifname(g->probe, p->port));

		begin(&b, BLOCK_INTERFACE);
		add16(&b, LINKTYPE_ETHERNET);
		add16(&b, 0);
		add32(&b, FRAME_MAX);
		add_option(&b, OPT_IF_NAME, name, strlen(name));
		add_option(&b, OPT_TSRESOL, &nanoseconds, 1);
		ok = write_block(&b, f);
	}
	return ok;
}

static void add_comment(struct str *b, const char *text)
{
	add_option(b, OPT_COMMENT, text, strlen(text));
}

static void add_frame(struct str *b, const struct grader *g, size_t interface, const struct seen *s)
{
	begin(b, BLOCK_PACKET);
	add32(b, (uint32_t)interface);
	add32(b, (uint32_t)(s->ns >> 32));
	add32(b, (uint32_t)s->ns);
	add32(b, (uint32_t)s->len);
	add32(b, (uint32_t)s->len);
	add_padded(b, s->bytes, s->len);
	if (s->sent) {
		add_comment(b, "sent by labctl");
	} else if (s->kernel) {
		auto_free char *who =
			xasprintf("%s's own kernel", g->places[interface].client->name);

		add_comment(b, who);
	}
}

/* At the last frame. */
static void add_lesson(struct str *b, const struct result *r)
{
	const struct rung *last = r->ladder.n ? &r->ladder.v[r->ladder.n - 1] : NULL;
	auto_free char *lesson = NULL;

	if (last && last->kind == RUNG_MISSING) {
		auto_free char *missing = xasprintf("%s, to %s", last->frame, last->to);

		add_comment(b, missing);
	}
	if (!r->reason)
		return;
	lesson = xasprintf("%s %s: %s", verdict_name(r->verdict), r->id, r->reason);
	add_comment(b, lesson);
}

static size_t interface_of(const struct grader *g, unsigned port)
{
	size_t i = 0;

	while (i + 1 < g->n_places && g->places[i].port != port)
		i++;
	return i;
}

int pcap_write(const struct grader *g, const struct result *r, const char *path, size_t *room,
	       bool *ret_cut, struct err *err)
{
	size_t n;
	auto_free const struct seen **v = probe_timeline(g->probe, probe_count(g->probe), &n);
	auto_file f = fopen(path, "we");
	auto_str b = { 0 };
	bool ok = f && write_head(g, f);

	*ret_cut = false;
	for (size_t i = 0; i < n && ok; i++) {
		add_frame(&b, g, interface_of(g, v[i]->port), v[i]);
		if (i + 1 == n)
			add_lesson(&b, r);
		if (block_size(&b) > *room) {
			*ret_cut = true;
			break;
		}
		*room -= block_size(&b);
		ok = write_block(&b, f);
	}
	if (!ok || fflush(f) != 0)
		return err_set(err, ERR_ENV, errno, "cannot write '%s'", path);
	return 0;
}
