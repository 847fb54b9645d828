/* SPDX-License-Identifier: MIT */
/* netport.h - what the verbs of netport share. */
#ifndef LABCTL_CMD_NETPORT_H
#define LABCTL_CMD_NETPORT_H

#include <jansson.h>

#include "cmd/command.h"
#include "netport/hostview.h"
#include "netport/lease.h"

int netport_open(const struct cmd *cmd, enum store_mode mode, struct store **ret,
		 struct err *err) MUST_CHECK;

/* "90", "90s", "15m", "2h", "1d"; at least a second. */
int netport_parse_ttl(const char *text, int64_t *ret_ms, struct err *err) MUST_CHECK;

/* Request and claim of the caller; owner NULL: his name. */
int netport_request(const struct cmd *cmd, const char *resource, const char *owner,
		    struct lease_request *ret, struct err *err) MUST_CHECK;
/* The real root may touch every lease, others those that they took. */
struct lease_claim netport_claim(const struct cmd *cmd, const char *owner);

json_t *netport_lease_json(const struct lease *l);
json_t *netport_leases_json(const struct lease_list *l);

extern const struct command cmd_netport_acquire, cmd_netport_renew, cmd_netport_release,
	cmd_netport_list, cmd_netport_who, cmd_netport_pool, cmd_netport_run, cmd_netport_serve,
	cmd_netport_token, cmd_netport_openapi;

#endif
