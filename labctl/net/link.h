/* SPDX-License-Identifier: MIT */
/*
 * link.h - links, their addresses and routes, in the namespace of a struct nl.
 *
 * Interfaces are named in calls that make them and numbered (ifindex) afterwards. `group` is
 * labctl's mark of ownership, on a link from its birth.
 */
#ifndef LABCTL_NET_LINK_H
#define LABCTL_NET_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "net/nl.h"

struct link_end {
	char name[IFNAMSIZ];
	struct macaddr mac;
	int netns_fd; /* where this end is born; -1: the namespace of nl */
};

struct link_veth {
	struct link_end end; /* netns_fd is ignored: always the namespace of nl */
	struct link_end peer;
	unsigned mtu;	 /* both ends */
	uint32_t group;	 /* both ends */
	unsigned master; /* ifindex of a bridge for `end`; 0: none */
};

/* One RTM_NEWLINK; both ends are down afterwards. Name taken: ERR_CONFLICT, and the message names
 * the interface. An all-zero mac or mtu 0 leaves the choice to the kernel. */
int link_add_veth(struct nl *nl, const struct link_veth *spec, struct err *err) MUST_CHECK;
/* No STP, no multicast snooping, IPv6 off is the caller's (sysctl of the namespace). Up. */
int link_add_bridge(struct nl *nl, const char *name, uint32_t group, unsigned mtu,
		    uint16_t group_fwd_mask, unsigned *ret_ifindex, struct err *err) MUST_CHECK;
int link_set_up(struct nl *nl, unsigned ifindex, bool up, struct err *err) MUST_CHECK;
/* Waits until frames can pass: a link takes them some time after both ends were brought up, and
 * drops them before. ERR_ENV when it does not within ms milliseconds. */
int link_wait_carrier(struct nl *nl, const char *name, int ms, struct err *err) MUST_CHECK;
/* Alias and one alternative name, for people and for other tools; NULL: none. An alternative name
 * is unique in its namespace (ERR_CONFLICT). */
int link_set_label(struct nl *nl, unsigned ifindex, const char *altname, const char *alias,
		   struct err *err) MUST_CHECK;
/* Not there: success. */
int link_delete(struct nl *nl, unsigned ifindex, struct err *err) MUST_CHECK;
/* All links of this group in this namespace at once, and with a veth its peer, wherever that is;
 * none: success. Group 0 is refused. */
int link_delete_group(struct nl *nl, uint32_t group, struct err *err) MUST_CHECK;

struct link_info {
	unsigned ifindex;
	char name[IFNAMSIZ];
	char kind[16];	   /* "veth", "bridge", "" */
	char alias[128];   /* cut when longer */
	char altname[128]; /* the first one, or "" */
	struct macaddr mac;
	unsigned mtu;
	uint32_t group;
	unsigned flags;	 /* IFF_UP ... */
	bool carrier;	 /* IFF_LOWER_UP, and operstate up or unknown */
	unsigned master; /* ifindex or 0 */
	unsigned lower;	 /* of a VLAN or macvlan: the link below it, in this namespace; or 0 */
	bool xdp;	 /* a program is attached */
};

/* Reads an RTM_NEWLINK message; false: it is something else. */
bool link_read(const struct nlmsghdr *msg, struct link_info *ret);

/* By name; ERR_NOT_FOUND when there is none. An alternative name that is no longer than a name
 * finds its link too: ret->name tells. */
int link_get(struct nl *nl, const char *name, struct link_info *ret, struct err *err) MUST_CHECK;
/* All links; *ret is a heap array. */
int link_list(struct nl *nl, struct link_info **ret, size_t *ret_n, struct err *err) MUST_CHECK;

struct addr_info {
	unsigned ifindex;
	struct ipnet net;
};

/* noprefixroute: the kernel adds no route for the subnet. The broadcast address is never set, and
 * IPv6 addresses are usable at once (no duplicate address detection). */
int addr_add(struct nl *nl, unsigned ifindex, const struct ipnet *net, bool noprefixroute,
	     struct err *err) MUST_CHECK;
/* Not there: success. */
int addr_delete(struct nl *nl, unsigned ifindex, const struct ipnet *net,
		struct err *err) MUST_CHECK;
int addr_list(struct nl *nl, struct addr_info **ret, size_t *ret_n, struct err *err) MUST_CHECK;

struct route_spec {
	struct ipnet to;
	struct ipaddr via; /* family 0: on-link */
	unsigned ifindex;  /* 0: found by via */
};

int route_add(struct nl *nl, const struct route_spec *spec, struct err *err) MUST_CHECK;
/* The same, in the place of one to the same destination, if there is one. */
int route_set(struct nl *nl, const struct route_spec *spec, struct err *err) MUST_CHECK;
/* Removes what an address brought into the `local` table (its own route and, for IPv4, the one
 * for the broadcast address of its subnet), so that the host's own way there stays what it was.
 * A link that comes up gets them again: call it afterwards. Not there: success (for
 * IPv6 after 100 ms: its route comes a moment after the address). */
int route_delete_local(struct nl *nl, unsigned ifindex, const struct ipaddr *addr,
		       struct err *err) MUST_CHECK;
/* Is there a `local` route for this address on this interface? */
int route_has_local(struct nl *nl, unsigned ifindex, const struct ipaddr *addr, bool *ret,
		    struct err *err) MUST_CHECK;

struct route_info {
	struct ipnet to;
	struct ipaddr via; /* family 0: none */
	unsigned ifindex;
	uint32_t table;
	uint8_t type; /* RTN_UNICAST ... */
};
/* Of several next hops the first. All routes of all tables, of one family (AF_INET, AF_INET6). */
int route_list(struct nl *nl, int family, struct route_info **ret, size_t *ret_n,
	       struct err *err) MUST_CHECK;

#endif
