/* SPDX-License-Identifier: MIT */
/* msg.c - building one netlink request, and reading attributes of replies. */
#include "net/msg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "base/banned.h"

void *msg_raw(struct msg *m, size_t size)
{
	if (m->hdr.nlmsg_len + MNL_ALIGN(size) > sizeof(m->buf)) {
		m->full = true;
		/* Somewhere harmless to write to: a full message is never sent. */
		return m->buf;
	}
	return mnl_nlmsg_put_extra_header(&m->hdr, size);
}

void *msg_begin(struct msg *m, uint16_t type, uint16_t flags, size_t header_size)
{
	memset(m, 0, sizeof(*m));
	mnl_nlmsg_put_header(m->buf);
	m->hdr.nlmsg_type = type;
	m->hdr.nlmsg_flags = flags;
	return msg_raw(m, header_size);
}

void msg_put(struct msg *m, uint16_t type, const void *data, size_t len)
{
	if (!mnl_attr_put_check(&m->hdr, sizeof(m->buf), type, len, data))
		m->full = true;
}

void msg_put_u8(struct msg *m, uint16_t type, uint8_t v)
{
	msg_put(m, type, &v, sizeof(v));
}

void msg_put_u16(struct msg *m, uint16_t type, uint16_t v)
{
	msg_put(m, type, &v, sizeof(v));
}

void msg_put_u32(struct msg *m, uint16_t type, uint32_t v)
{
	msg_put(m, type, &v, sizeof(v));
}

void msg_put_text(struct msg *m, uint16_t type, const char *text)
{
	msg_put(m, type, text, strlen(text) + 1);
}

void msg_put_ip(struct msg *m, uint16_t type, const struct ipaddr *a)
{
	msg_put(m, type, a->b, ipaddr_len(a));
}

struct nlattr *msg_nest(struct msg *m, uint16_t type)
{
	struct nlattr *nest = mnl_attr_nest_start_check(&m->hdr, sizeof(m->buf), type);

	if (!nest)
		m->full = true;
	return nest;
}

void msg_nest_end(struct msg *m, struct nlattr *nest)
{
	if (nest)
		mnl_attr_nest_end(&m->hdr, nest);
}

static int refuse_full(const struct msg *m, struct err *err)
{
	if (m->full)
		return err_set(err, ERR_INTERNAL, 0, "a netlink request of over %d bytes",
			       MSG_SIZE);
	return 0;
}

int msg_do(struct nl *nl, struct msg *m, struct err *err)
{
	if (refuse_full(m, err) < 0)
		return -1;
	return nl_do(nl, &m->hdr, err);
}

int msg_dump(struct nl *nl, struct msg *m, nl_msg_fn *fn, void (*restart)(void *data), void *data,
	     struct err *err)
{
	if (refuse_full(m, err) < 0)
		return -1;
	return nl_dump(nl, &m->hdr, fn, restart, data, err);
}

int msg_exists(struct err *err, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	err_set(err, ERR_CONFLICT, 0, "%s already exists", what);
	err->sys = EEXIST;
	return -1;
}

uint8_t attr_u8(const struct nlattr *attr)
{
	return mnl_attr_validate(attr, MNL_TYPE_U8) < 0 ? 0 : mnl_attr_get_u8(attr);
}

uint32_t attr_u32(const struct nlattr *attr)
{
	return mnl_attr_validate(attr, MNL_TYPE_U32) < 0 ? 0 : mnl_attr_get_u32(attr);
}

void attr_text(const struct nlattr *attr, char *dst, size_t size)
{
	size_t n = strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));

	if (n > size - 1)
		n = size - 1;
	memcpy(dst, mnl_attr_get_payload(attr), n);
	dst[n] = '\0';
}

void attr_mac(const struct nlattr *attr, struct macaddr *ret)
{
	/* Other link layers have addresses of other lengths. */
	if (mnl_attr_get_payload_len(attr) == sizeof(ret->b))
		memcpy(ret->b, mnl_attr_get_payload(attr), sizeof(ret->b));
}

void attr_ip(const struct nlattr *attr, int family, struct ipaddr *ret)
{
	struct ipaddr a = { .family = family };

	if ((family != AF_INET && family != AF_INET6) ||
	    mnl_attr_get_payload_len(attr) != ipaddr_len(&a))
		return;
	memcpy(a.b, mnl_attr_get_payload(attr), ipaddr_len(&a));
	*ret = a;
}
