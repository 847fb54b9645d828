/* SPDX-License-Identifier: MIT */
/*
 * probe.h - packet sockets in several namespaces, in one event loop, and a journal of what they
 * sent and saw.
 *
 * A port is an AF_PACKET socket on one interface, opened inside that interface's namespace. It
 * sees what arrives there, with the kernel's time stamp, VLAN tags put back. What that namespace's
 * own kernel sends (ARP replies of a client) is kept apart from the journal, for reports alone, and
 * only the first frames of it. One thread; nothing blocks but probe_wait().
 */
#ifndef LABCTL_GRADE_PROBE_H
#define LABCTL_GRADE_PROBE_H

#include "base/cleanup.h"
#include "base/err.h"
#include "grade/frame.h"

/* Frames and bytes kept; what comes later is only counted. */
#define PROBE_JOURNAL_MAX   65536
#define PROBE_JOURNAL_BYTES (64u << 20)
/* Of the kernels' own frames, since probe_forget(): the rest passes unseen and costs nothing. */
#define PROBE_KERNEL_MAX 256

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

struct probe;

/* One frame of the journal. */
struct seen {
	uint64_t ns; /* CLOCK_REALTIME: arrival as the kernel saw it, or when it was sent */
	unsigned port;
	bool sent;   /* by the grader */
	bool kernel; /* by the kernel of the port's own namespace; none of these is in the journal */
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

const char *probe_ifname(const struct probe *p, unsigned port);

/* Sends one frame, at once; it is in the journal then. */
int probe_send(struct probe *p, unsigned port, const void *bytes, size_t len,
	       struct err *err) MUST_CHECK;

/* The journal, in the order in which frames were sent and read. */
size_t probe_count(const struct probe *p);
const struct seen *probe_get(const struct probe *p, size_t i);
/* What the kernels of the ports' namespaces sent. */
size_t probe_kernel_count(const struct probe *p);
const struct seen *probe_kernel_get(const struct probe *p, size_t i);
/* The first n frames of the journal and all kernel frames, by time; heap, of *ret_n. */
const struct seen **probe_timeline(const struct probe *p, size_t n, size_t *ret_n);
/* Reads what is there already, then empties the journal and forgets the kernels' frames. */
int probe_forget(struct probe *p, struct err *err) MUST_CHECK;
/* Frames that were lost since the last probe_forget(): the sockets' buffers or the journal were
 * full. Judging silence is impossible then. */
unsigned probe_lost(struct probe *p);

/* Called for every frame that arrives (not for a kernel's own), when it is in the journal already; may send. */
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
