/* SPDX-License-Identifier: MIT */
/* resource.h - the kinds of things that can be leased, and the one way to write their values. */
#ifndef LABCTL_NETPORT_RESOURCE_H
#define LABCTL_NETPORT_RESOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/ipaddr.h"

#define RESOURCE_NAME_MAX  32
#define RESOURCE_VALUE_MAX 4096
/* Family digit and 32 hex digits: addresses as text that sorts as they do. */
#define RESOURCE_EXTENT_TEXT 34

/* Known resources; any other name ([A-Z0-9_.-]+, case kept) takes any text as its value. */
enum resource {
	RESOURCE_PORT,	    /* 1..65535, TCP and UDP */
	RESOURCE_INTERFACE, /* a link's name in the host's namespace */
	RESOURCE_SUBNET,    /* 10.1.2.0/24; two that overlap conflict */
	RESOURCE_MAC,	    /* 02:42:0a:01:02:03 */
	RESOURCE_VNI,	    /* 1..16777215 */
	RESOURCE_NETNS,	    /* a name in /run/netns */
	RESOURCE_LAB,	    /* a lab's name */
	RESOURCE_PATH,	    /* an absolute path */
	RESOURCE_PROCESS,   /* a command line */
	RESOURCE_OTHER,
	RESOURCE_MAX
};

/* A value in its one form. */
struct resource_value {
	char *text;	  /* heap */
	bool is_number;	  /* PORT and VNI */
	uint32_t number;  /* likewise */
	struct ipnet net; /* SUBNET; family 0 otherwise */
	/* SUBNET: first and last address; empty otherwise */
	char lo[RESOURCE_EXTENT_TEXT], hi[RESOURCE_EXTENT_TEXT];
};

void resource_value_done(struct resource_value *v);
static inline void auto_resource_value_(struct resource_value *v)
{
	resource_value_done(v);
}
#define auto_resource_value auto_cleanup(resource_value) struct resource_value

/* ERR_USAGE when the name is none. */
int resource_parse(const char *name, enum resource *ret, struct err *err) MUST_CHECK;
const char *resource_name(enum resource r); /* "PORT"; "" for RESOURCE_OTHER */
/* "port", "interface", ... for messages; an unknown resource's own name. */
const char *resource_noun(const char *name);

/* Names that labs find each other by: leased by labs and by the host's administrators only, so
 * that nobody can keep a lab from starting. */
bool resource_is_for_labs(const char *name);

/* ERR_USAGE says what is wrong with the text. */
int resource_value_parse(const char *resource, const char *text, struct resource_value *ret,
			 struct err *err) MUST_CHECK;
/* Of PORT and VNI; no check. */
void resource_value_from_number(uint32_t number, struct resource_value *ret);

#endif
