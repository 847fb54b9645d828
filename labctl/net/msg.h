/* SPDX-License-Identifier: MIT */
/*
 * msg.h - building one netlink request, and reading attributes of replies. Private to net/.
 *
 * A request that outgrows its buffer is remembered as full, so that only sending it can fail.
 */
#ifndef LABCTL_NET_MSG_H
#define LABCTL_NET_MSG_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ipaddr.h"
#include "net/nl.h"

#define MSG_SIZE 2048

struct msg {
	union {
		struct nlmsghdr hdr;
		char buf[MSG_SIZE];
	};
	bool full;
};

/* Starts a request; returns its zeroed family header (struct ifinfomsg, ...) of that size. */
void *msg_begin(struct msg *m, uint16_t type, uint16_t flags, size_t header_size);
/* Appends bytes that are no attribute: a family header inside a nest. Zeroed. */
void *msg_raw(struct msg *m, size_t size);
void msg_put(struct msg *m, uint16_t type, const void *data, size_t len);
void msg_put_u8(struct msg *m, uint16_t type, uint8_t v);
void msg_put_u16(struct msg *m, uint16_t type, uint16_t v);
void msg_put_u32(struct msg *m, uint16_t type, uint32_t v);
void msg_put_text(struct msg *m, uint16_t type, const char *text); /* with its NUL */
void msg_put_ip(struct msg *m, uint16_t type, const struct ipaddr *a);
struct nlattr *msg_nest(struct msg *m, uint16_t type);
void msg_nest_end(struct msg *m, struct nlattr *nest);

/* nl_do() and nl_dump(), which refuse a full message. */
int msg_do(struct nl *nl, struct msg *m, struct err *err) MUST_CHECK;
int msg_dump(struct nl *nl, struct msg *m, nl_msg_fn *fn, void (*restart)(void *data), void *data,
	     struct err *err) MUST_CHECK;

/* ERR_CONFLICT, EEXIST: "<what> already exists". Always returns -1. */
int msg_exists(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Readers: an attribute too short for its type reads as 0, "" or none. */
uint8_t attr_u8(const struct nlattr *attr);
uint32_t attr_u32(const struct nlattr *attr);
/* Cut to size - 1 bytes. */
void attr_text(const struct nlattr *attr, char *dst, size_t size);
void attr_mac(const struct nlattr *attr, struct macaddr *ret);
void attr_ip(const struct nlattr *attr, int family, struct ipaddr *ret);

#endif
