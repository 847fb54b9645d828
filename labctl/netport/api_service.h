/* SPDX-License-Identifier: MIT */
/* api_service.h - portmaster's services: named ranges of ports, kept as leases of their names. */
#ifndef LABCTL_NETPORT_API_SERVICE_H
#define LABCTL_NETPORT_API_SERVICE_H

#include "netport/api.h"

#define SERVICE_RESOURCE "PORTMASTER"
#define SERVICE_OWNER	 "portmaster"
/* Owner of a service's ports: this, the service, '/', the instance. */
#define SERVICE_PORT_OWNER "portmaster:"

struct service {
	char *name, *description, *by; /* by: owner text of who made it */
	uid_t uid;
	uint32_t start, end;
};

void service_done(struct service *s);
static inline void auto_service_(struct service *s)
{
	service_done(s);
}
#define auto_service auto_cleanup(service) struct service

/* 1: found; 0: there is none; -1. */
int service_get(struct store *store, const char *name, struct service *ret, struct err *err);
/* Made by this caller, or the caller is an administrator. */
bool service_is_mine(const struct call *c, const char *by, uid_t uid);
void service_forbidden(struct call *c);
void service_missing(struct call *c); /* 404 */

/* A field of a body as Django REST framework checks a text: NULL, and an error added, when it does
 * not fit. Borrowed from body. */
const char *body_text(const json_t *body, const char *name, size_t max, json_t *errors);

int service_list(struct call *c, struct err *err);
int service_create(struct call *c, struct err *err);
int service_read(struct call *c, struct err *err);
int service_update(struct call *c, struct err *err); /* PUT */
int service_patch(struct call *c, struct err *err);
int service_delete(struct call *c, struct err *err);

/* api_portmaster.c: a service's ports and offers. */
enum port_state {
	PORT_OFFERED,
	PORT_REGISTERED,
};

struct service_port {
	const struct lease *lease; /* borrowed */
	char *service, *name, *by;
	char *hash; /* of an offer's secret, in hex; NULL: registered */
	enum port_state state;
	int64_t created;
};

void service_port_done(struct service_port *p);
static inline void auto_service_port_(struct service_port *p)
{
	service_port_done(p);
}
#define auto_service_port auto_cleanup(service_port) struct service_port

/* False: this lease is no port of a service. */
bool service_port_of(const struct lease *l, struct service_port *ret);
/* All of one service, offers too. */
int service_ports(struct store *store, const char *service, struct lease_list *ret,
		  struct err *err) MUST_CHECK;

#endif
