/* SPDX-License-Identifier: MIT */
/*
 * parse.h - from the tree of a stage file to the model. Internal to the room stage/.
 *
 * Reading fills the model as far as it can and reports what does not fit on its own; then
 * validation reports what does not fit together, passing over what was not readable, so that
 * one mistake is one problem. networks[i] and clients[i] of the model are always the i-th
 * members in the file.
 */
#ifndef LABCTL_STAGE_PARSE_H
#define LABCTL_STAGE_PARSE_H

#include <stdint.h>

#include "stage/model.h"
#include "stage/reader.h"

struct parse {
	struct reader *r;
	struct stage *stage;
	const struct node *networks; /* NULL when missing or no object */
	const struct node *clients;
	const struct node *routes; /* the table of the student's router */
};

/* A reference that could not be resolved; the problem is reported already. */
#define PARSE_NO_NETWORK SIZE_MAX

/* One member of "networks" or "clients". */
void parse_network(struct parse *p, const struct node *n, struct stage_network *net);
void parse_client(struct parse *p, const struct node *n, struct stage_client *c);

/* The member "routes" of the stage: the table of the student's router. */
void parse_table(struct parse *p, const struct node *n);

/* Of any route: "to", and "via". "default" is 0.0.0.0/0 until the versions are compared. */
void parse_destination(struct reader *r, const struct node *n, struct ipnet *ret);
void parse_next_hop(struct reader *r, const struct node *n, struct ipaddr *ret);
/* Does `to` go with `via` (family 0: there is none)? Makes "default" the IP version of via. */
void parse_check_versions(struct reader *r, const struct node *route, struct ipnet *to,
			  const struct ipaddr *via);

/* What interfaces and networks may be called: the kernel's rule for links (dev_valid_name(),
 * 15 bytes, not "all", "default"), in plain characters and not with a leading '-'. */
void parse_check_link_name(struct reader *r, const struct node *n);
/* A host name label: clients and their ports. */
void parse_check_label(struct reader *r, const struct node *n, const char *what);

/* Values; false after reporting. */
bool parse_ipv4(struct reader *r, const struct node *n, struct ipaddr *ret);
bool parse_ipv6(struct reader *r, const struct node *n, struct ipaddr *ret);
bool parse_mac(struct reader *r, const struct node *n, struct macaddr *ret);
/* An address with a prefix length of min..max, host bits clear. */
bool parse_subnet(struct reader *r, const struct node *n, int family, unsigned min, unsigned max,
		  struct ipnet *ret);
/* Reports a subnet that has no addresses for hosts, like 127.0.0.0/8. */
bool parse_check_hosts(struct reader *r, const struct node *n, const struct ipnet *net);
/* "10ms", "0.5%": a decimal number and one of the units; the value in the base unit. */
struct unit {
	const char *name;
	uint64_t factor;
};
bool parse_quantity(struct reader *r, const struct node *n, const struct unit *units,
		    size_t n_units, uint64_t max, const char *example, uint64_t *ret);
/* Characters, as JSON Schema counts them. */
size_t parse_length(const char *text);
/* Reports a text longer than max. */
bool parse_check_length(struct reader *r, const struct node *n, const char *text, size_t max);
/* A text of one line, 1..max characters. */
bool parse_line(struct reader *r, const struct node *n, size_t max, const char **ret);

/* Members of a list or an object, at most max: reports the excess and returns how many to read. */
size_t parse_count(struct reader *r, const struct node *n, size_t max);

/* What holds between parts of the stage. */
void validate_stage(struct parse *p);
/* ... and for the table, which needs networks and clients. */
void validate_table(struct parse *p);

#endif
