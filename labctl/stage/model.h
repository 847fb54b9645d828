/* SPDX-License-Identifier: MIT */
/*
 * model.h - a stage as values: networks, clients, interfaces, routes, checks.
 *
 * The room stage/ turns a directory below stages/ into this model and knows nothing of Docker
 * or netlink. A parsed model is valid: every reference resolves, addresses lie inside their
 * subnets, names fit the kernel. Everything is owned by the struct stage.
 */
#ifndef LABCTL_STAGE_MODEL_H
#define LABCTL_STAGE_MODEL_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/ipaddr.h"
#include "base/str.h"

#define STAGE_NAME_MAX	     32 /* also clients: a host name label */
#define STAGE_CLIENTS_MAX    512
#define STAGE_NETWORKS_MAX   256
#define STAGE_INTERFACES_MAX 64	  /* of one client */
#define STAGE_ENDS_MAX	     1023 /* of one network: the ports of a kernel bridge */
#define STAGE_LIST_MAX	     256  /* entries of any other list of a client; checks */
#define STAGE_PROCESSES_MIN  16
#define STAGE_PROCESSES_MAX  32768
#define STAGE_MTU_MIN	     68 /* RFC 791: every module must forward 68 octets */
#define STAGE_MTU_MAX	     65535
#define STAGE_MTU_DEFAULT    1500

/* What the wire does to frames; 0 everywhere: nothing. Applied at both ends, on egress. */
struct stage_impair {
	uint64_t rate_bps;  /* bits per second */
	uint32_t delay_us;  /* needs netem */
	uint32_t jitter_us; /* needs netem */
	uint32_t loss_ppm;  /* needs netem; parts per million */
};

enum stage_address_mode {
	STAGE_ADDRESS_PASSIVE, /* shown, but the kernel neither answers nor routes (default) */
	STAGE_ADDRESS_KERNEL,  /* an ordinary address: the kernel is the router's stack */
};

struct stage_network {
	char name[IFNAMSIZ]; /* also the seat's interface name */
	struct ipnet subnet;
	bool has_router;      /* reaches the seat */
	struct ipaddr router; /* IPv4, inside subnet */
	bool has_mac;
	struct macaddr mac; /* the seat's side; otherwise from the address */
	unsigned mtu;
	bool has_ipv6;
	struct ipnet ipv6;	   /* subnet, when "ipv6" names one */
	struct ipaddr ipv6_router; /* family 0: none */
	enum stage_address_mode address_mode;
	struct stage_impair impair;
	uint16_t group_fwd_mask; /* bridges only: link-local groups that are forwarded */
};

struct stage_interface {
	char name[IFNAMSIZ]; /* inside the client: eth0 */
	size_t network;	     /* index into stage.networks */
	bool has_address;
	struct ipnet address; /* prefix of the network's subnet */
	bool has_ipv6;
	struct ipnet ipv6;
	bool has_mac;
	struct macaddr mac;
};

struct stage_route {
	struct ipnet to;    /* "default" is 0.0.0.0/0, or ::/0 when via is IPv6 */
	struct ipaddr via;  /* family 0: on-link through dev */
	char dev[IFNAMSIZ]; /* empty: found by via */
};

struct stage_sysctl {
	char *key; /* "net.ipv4.ip_forward": net.* only, they belong to the client's namespace */
	char *value;
};

struct stage_port {
	char *name;
	uint16_t port; /* inside the client */
	bool udp;
};

struct stage_client {
	char name[STAGE_NAME_MAX + 1];
	struct stage_interface *interfaces;
	size_t n_interfaces;
	struct ipaddr gateway;	    /* family 0: none */
	struct ipaddr ipv6_gateway; /* family 0: none */
	struct stage_route *routes;
	size_t n_routes;
	struct stage_sysctl *sysctls;
	size_t n_sysctls;
	struct stage_port *ports;
	size_t n_ports;
	char *image;	     /* NULL: the default client image */
	struct strv command; /* empty: the image's own */
	struct strv env;     /* "K=V" */
	uint64_t memory;     /* bytes; 0: the default */
	uint32_t processes;  /* 0: the default */
	struct strv start;   /* shell commands, run once the client is wired, in order */
};

/* A row of the table that the student's router is given. Its networks' own subnets are not in it:
 * the router finds them at its interfaces. */
struct stage_table_route {
	struct ipnet to;   /* "default" is 0.0.0.0/0, or ::/0 when via is IPv6 */
	struct ipaddr via; /* a client's address */
	size_t network;	   /* where via is: index into stage.networks; has a router */
};

struct stage_check {
	char *use;	 /* catalogue id */
	unsigned points; /* 1 when not said */
	unsigned line;	 /* where it begins in the file */
	json_t *args;	 /* the whole object, for the grader */
};

enum stage_kind {
	STAGE_JSON,    /* stage.json */
	STAGE_SCRIPTS, /* executable up.sh and down.sh, perhaps connect.sh; no stage.json */
};

struct stage {
	enum stage_kind kind;
	char name[STAGE_NAME_MAX + 1];
	char *dir;   /* absolute */
	char *title; /* never NULL */
	struct stage_network *networks;
	size_t n_networks;
	struct stage_client *clients;
	size_t n_clients;
	struct stage_table_route *routes;
	size_t n_routes;
	struct stage_check *checks;
	size_t n_checks;
};

void stage_free(struct stage *s);
DEFINE_AUTO(stage, struct stage *, stage_free, NULL)
#define auto_stage auto_cleanup(stage) struct stage *

/* How many interfaces hang on a network, the seat's included (it is there with a router). */
size_t stage_network_ends(const struct stage *s, size_t network);
const struct stage_client *stage_find_client(const struct stage *s, const char *name);

#endif
