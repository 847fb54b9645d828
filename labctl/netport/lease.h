/* SPDX-License-Identifier: MIT */
/*
 * lease.h - the lease book: who holds which name, port or number, and until when.
 *
 * The room netport/ keeps leases (this file) in a store (store.h), knows the resources and their
 * pools (resource.h, pool.h) and what the host itself already uses (hostview.h). It may use
 * base/ and net/ and knows nothing of stages, labs or command lines.
 *
 * At most one lease per (resource, value) is held at any time, and no two SUBNET leases overlap.
 * A lease that has expired, whose process is gone or whose host has booted since counts as not
 * held, everywhere and at once, swept or not.
 *
 * Owners are texts. "lab:NAME" is a lab and is shown as such. The holder of a lease is its owner
 * together with the user id that took it.
 */
#ifndef LABCTL_NETPORT_LEASE_H
#define LABCTL_NETPORT_LEASE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "netport/pool.h"
#include "netport/store.h"

#define LEASE_OWNER_MAX 255
#define LEASE_NOTE_MAX	1023
#define LEASE_LAB_OWNER "lab:" /* owner of a lab's leases: this and the lab's name */

/* What a lease ends with, besides release and expiry. */
enum lease_bound {
	LEASE_LASTS,	     /* nothing: it outlives a reboot */
	LEASE_BOUND_BOOT,    /* this host's next boot */
	LEASE_BOUND_PROCESS, /* the process `pid` */
	LEASE_BOUND_MAX
};

struct lease {
	uint64_t id; /* never used twice in one book */
	char *resource;
	char *value;
	char *owner;
	char *note;		  /* "" when there is none */
	uid_t uid;		  /* who took it */
	int64_t created, expires; /* milliseconds since the epoch; expires 0: never */
	enum lease_bound bound;
	char host[65];	  /* machine id; "" unless bound */
	char boot_id[37]; /* "" unless bound */
	pid_t pid;	  /* 0 unless bound to a process */
	uint64_t start;	  /* its start time, in clock ticks since boot */
};

void lease_done(struct lease *l);
void lease_copy(const struct lease *from, struct lease *ret);
static inline void auto_lease_(struct lease *l)
{
	lease_done(l);
}
#define auto_lease auto_cleanup(lease) struct lease

struct lease_list {
	struct lease *v;
	size_t n;
};

void lease_list_done(struct lease_list *l);
static inline void auto_lease_list_(struct lease_list *l)
{
	lease_list_done(l);
}
#define auto_lease_list auto_cleanup(lease_list) struct lease_list

struct lease_request {
	const char *resource;
	const char *owner;
	uid_t uid;
	int64_t ttl_ms;	  /* 0: no expiry */
	const char *note; /* may be NULL */
	enum lease_bound bound;
	pid_t pid;     /* with LEASE_BOUND_PROCESS; it must live */
	bool again_ok; /* held by the same holder already: success, with new expiry and note */
	bool labs_ok;  /* for a lab or an administrator: resource_is_for_labs() may be taken */
	/* How many leases the uid may hold, this one included; LEASE_UID_NOBODY's owners, each by
	 * itself. 0: LEASE_QUOTA. Not asked for what is taken again. */
	unsigned quota;
};

#define LEASE_QUOTA	 1000
#define LEASE_NO_QUOTA	 UINT_MAX
#define LEASE_UID_NOBODY ((uid_t)65534) /* holder of what other hosts and tokens take */

/* Who may touch a lease: its holder. The real root of a shared host says LEASE_ANY_UID. */
#define LEASE_ANY_UID ((uid_t)-1)
struct lease_claim {
	const char *owner; /* NULL: any */
	uid_t uid;	   /* LEASE_ANY_UID: any */
};

/* Is this value free of other use than leases? See hostview.h. On false *ret_why may be pointed
 * at static text: "in use by a program". Called with the store's write lock held: no I/O. */
typedef bool lease_usable_fn(void *arg, const struct resource_value *value, const char **ret_why);

/* Every ret_* below may be NULL. What a request may not have is ERR_FAILED, with sys EPERM
 * (labs_ok) or EDQUOT (quota). A ret lease is the caller's, to lease_done(). */

/* Exactly this value. ERR_CONFLICT names the holder and fills *ret_holder; ERR_USAGE when the
 * text is no value of this resource. usable may be NULL; asked only when nobody holds it. */
int lease_acquire(struct store *s, const struct lease_request *req, const char *value,
		  lease_usable_fn *usable, void *arg, struct lease *ret, struct lease *ret_holder,
		  struct err *err) MUST_CHECK;

/* The preferred value (may be NULL; need not lie in the pool) if it is free and usable, else the
 * first one of the pool that is. ERR_CONFLICT when the pool is used up. */
int lease_acquire_any(struct store *s, const struct lease_request *req, const struct pool *pool,
		      const char *preferred, lease_usable_fn *usable, void *arg, struct lease *ret,
		      struct err *err) MUST_CHECK;

/* The lease ends ttl_ms from now; 0: never. ERR_NOT_FOUND when nobody holds it, ERR_CONFLICT
 * when somebody else does. */
int lease_renew(struct store *s, const char *resource, const char *value,
		const struct lease_claim *claim, int64_t ttl_ms, struct lease *ret,
		struct err *err) MUST_CHECK;
/* As lease_renew(). */
int lease_release(struct store *s, const char *resource, const char *value,
		  const struct lease_claim *claim, struct err *err) MUST_CHECK;
/* All leases of an owner, as far as the uid took them. None: success, *ret_n 0. */
int lease_release_owner(struct store *s, const char *owner, uid_t uid, size_t *ret_n,
			struct err *err) MUST_CHECK;

struct lease_filter {
	const char *resource, *value, *owner; /* exact; NULL: any */
	uid_t uid;			      /* LEASE_ANY_UID: any */
	/* Regular expressions (pattern.h), matched at the beginning of the text (as Python's
	 * re.match does); NULL: any. ERR_USAGE when one is none. */
	const char *resource_re, *value_re, *owner_re;
};

/* Held leases, by resource and value. */
int lease_list(struct store *s, const struct lease_filter *filter, struct lease_list *ret,
	       struct err *err) MUST_CHECK;
/* Some of the leases that lease_list() would bring, and how many these are; of no resource named in
 * hidden (two texts, each may be NULL). No patterns. */
int lease_page(struct store *s, const struct lease_filter *filter, const char *const hidden[2],
	       size_t offset, size_t limit, struct lease_list *ret, size_t *ret_total,
	       struct err *err) MUST_CHECK;
/* Who holds this value, of one resource or (NULL) of any: there may be several. An address is
 * also found in the subnet that holds it. ERR_NOT_FOUND when nobody does. */
int lease_who(struct store *s, const char *resource, const char *value, struct lease_list *ret,
	      struct err *err) MUST_CHECK;
/* Removes from the book what is not held any more. */
int lease_sweep(struct store *s, size_t *ret_n, struct err *err) MUST_CHECK;

/* False when it has expired at `now` (milliseconds) or what it is bound to is gone. A process or
 * boot of another host cannot be judged from here: true. */
bool lease_is_held(const struct lease *l, int64_t now);

/* "lab 'lab-b' (stage1)", "'alice' (note)"; heap text. */
char *lease_holder_text(const struct lease *l);
/* "14:02", or "2026-11-19 14:02" when that is not today. */
#define LEASE_TIME_TEXT 24
const char *lease_time_text(int64_t ms, char buf[static LEASE_TIME_TEXT]);
/* ERR_CONFLICT: "interface 'net1' is leased to lab 'lab-b' (stage1) since 14:02". */
int lease_conflict(const struct lease *holder, const char *wanted, struct err *err);

#endif
