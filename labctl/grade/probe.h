/* SPDX-License-Identifier: MIT */
/*
 * probe.h - packet sockets in several namespaces, in one event loop, and a journal of what they
 * sent and saw.
 *
 * A port is an AF_PACKET socket on one interface, opened inside that interface's namespace. It
 * sees what arrives there (never its own frames, nor what that namespace's kernel sends), with
 * the kernel's time stamp, VLAN tags put back. One thread; nothing blocks but probe_wait().
 */
#ifndef LABCTL_GRADE_PROBE_H
#define LABCTL_GRADE_PROBE_H

#include "base/cleanup.h"
#include "base/err.h"
#include "grade/frame.h"

/* Frames and bytes kept; what comes later is only counted. */
#define PROBE_JOURNAL_MAX   65536
#define PROBE_JOURNAL_BYTES (64u << 20)

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

struct probe;

/* One frame of the journal. */
struct seen {
	uint64_t ns; /* CLOCK_REALTIME: arrival as the kernel saw it, or when it was sent */
	unsigned port;
	bool sent;
	size_t len;
	struct frame f; /* points into bytes */
	uint8_t bytes[];
};

int probe_new(struct probe **ret, struct err *err) MUST_CHECK;
void probe_free(struct probe *p);
DEFINE_AUTO(probe, struct probe *, probe_free, NULL)
#define auto_probe auto_cleanup(probe) struct probe *

/* netns_fd -1: the current namespace. Ports are numbered from 0. */
int probe_add_port(struct probe *p, int netns_fd, const char *ifname, unsigned *ret_port,
		   struct err *err) MUST_CHECK;

/* Sends one frame, at once; it is in the journal then. */
int probe_send(struct probe *p, unsigned port, const void *bytes, size_t len,
	       struct err *err) MUST_CHECK;

/* The journal, in the order in which frames were sent and read. */
size_t probe_count(const struct probe *p);
const struct seen *probe_get(const struct probe *p, size_t i);
/* Reads what is there already, then empties the journal. */
int probe_forget(struct probe *p, struct err *err) MUST_CHECK;
/* Frames that were lost since the last probe_forget(): the sockets' buffers or the journal were
 * full. Judging silence is impossible then. */
unsigned probe_lost(struct probe *p);

/* Called for every frame that arrives, when it is in the journal already; may send. */
typedef void probe_frame_fn(void *arg, const struct seen *s);
void probe_on_frame(struct probe *p, probe_frame_fn *fn, void *arg);

/* Has fn called whenever fd is readable, for as long as it is open and not unwatched. */
typedef void probe_ready_fn(void *arg);
int probe_watch(struct probe *p, int fd, probe_ready_fn *fn, void *arg, struct err *err) MUST_CHECK;
void probe_unwatch(struct probe *p, int fd);

/* Handles events until done() says so (asked before each wait) or the time is over. Returns 1
 * when done, 0 when time ran out, -1 on failure or an interrupt. done NULL: the time is waited. */
typedef bool probe_done_fn(void *arg);
int probe_wait(struct probe *p, uint64_t timeout_ns, probe_done_fn *done, void *arg,
	       struct err *err) MUST_CHECK;

uint64_t clock_mono_ns(void);
uint64_t clock_real_ns(void);

#endif
