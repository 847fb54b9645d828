/* SPDX-License-Identifier: MIT */
/* pcap.c - the journal as a capture file. */
#include "grade/pcap.h"

#include <stdlib.h>

#include <pcap/pcap.h>

#include "base/mem.h"

#include "base/banned.h"

#define RECORD_HEADER 16 /* bytes before each frame */

DEFINE_AUTO(pcap, pcap_t *, pcap_close, NULL)
DEFINE_AUTO(pcap_dumper, pcap_dumper_t *, pcap_dump_close, NULL)

static int by_time(const void *a, const void *b)
{
	const struct seen *x = *(const struct seen *const *)a, *y = *(const struct seen *const *)b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

int pcap_write_journal(const struct probe *p, const char *path, size_t *room, bool *ret_cut,
		       struct err *err)
{
	auto_cleanup(pcap) pcap_t *pc =
		pcap_open_dead_with_tstamp_precision(DLT_EN10MB, FRAME_MAX,
						     PCAP_TSTAMP_PRECISION_NANO);
	auto_file f = pc ? fopen(path, "we") : NULL;
	auto_cleanup(pcap_dumper) pcap_dumper_t *dump = f ? pcap_dump_fopen(pc, f) : NULL;
	size_t n = probe_count(p);
	auto_free const struct seen **order = xcalloc(n + 1, sizeof(*order));

	if (!dump)
		return err_set(err, ERR_ENV, f ? 0 : errno, "cannot write '%s'", path);
	f = NULL; /* the dump's now */
	for (size_t i = 0; i < n; i++)
		order[i] = probe_get(p, i);
	qsort(order, n, sizeof(*order), by_time);
	*ret_cut = false;
	for (size_t i = 0; i < n; i++) {
		size_t size = order[i]->len + RECORD_HEADER;

		struct pcap_pkthdr h = { .caplen = (bpf_u_int32)order[i]->len,
					 .len = (bpf_u_int32)order[i]->len };

		if (size > *room) {
			*ret_cut = true;
			break;
		}
		*room -= size;
		/* With nanosecond precision tv_usec holds nanoseconds. */
		h.ts.tv_sec = (time_t)(order[i]->ns / NS_PER_S);
		h.ts.tv_usec = (suseconds_t)(order[i]->ns % NS_PER_S);
		pcap_dump((u_char *)dump, &h, order[i]->bytes);
	}
	if (pcap_dump_flush(dump) < 0)
		return err_set(err, ERR_ENV, errno, "cannot write '%s'", path);
	return 0;
}
