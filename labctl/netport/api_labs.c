/* SPDX-License-Identifier: MIT */
/* api_labs.c - labctl's own API: labs, to be read. */
#include <string.h>

#include "base/mem.h"
#include "netport/api.h"
#include "netport/lease_text.h"

#include "base/banned.h"

#define LABS "/api/labs"

/* Others may keep the name of a lab from being used; that makes no lab. */
static bool is_lab(const struct lease *l)
{
	return str_starts(l->owner, LEASE_LAB_OWNER) &&
	       strcmp(l->owner + strlen(LEASE_LAB_OWNER), l->value) == 0;
}

/* The lab with its leases. */
static int add_lab(struct call *c, const struct lease *lab, struct err *err)
{
	auto_free char *owner = xasprintf(LEASE_LAB_OWNER "%s", lab->value);
	const struct lease_filter filter = { .owner = owner, .uid = LEASE_ANY_UID };
	struct str *out = &c->reply.body;
	auto_lease_list list = { 0 };
	char since[LEASE_TIME];
	bool any = false;

	if (lease_list(c->api->store, &filter, &list, err) < 0)
		return -1;
	str_add(out, "{\"name\":");
	lease_text_string(out, lab->value);
	str_add(out, ",\"stage\":");
	lease_text_string(out, lab->note);
	str_addf(out, ",\"uid\":%u,\"since\":\"%s\",\"leases\":[", lab->uid,
		 lease_time(lab->created, since));
	for (size_t i = 0; i < list.n; i++) {
		if (list.v[i].id == lab->id)
			continue;
		str_add(out, any ? "," : "");
		lease_text(out, &list.v[i]);
		any = true;
	}
	str_add(out, "]}");
	return 0;
}

static int lab_index(struct call *c, struct err *err)
{
	const struct lease_filter filter = { .resource = "LAB", .uid = LEASE_ANY_UID };
	auto_lease_list list = { 0 };
	bool any = false;

	if (lease_list(c->api->store, &filter, &list, err) < 0)
		return -1;
	reply_empty(c, 200);
	str_add(&c->reply.body, "{\"labs\":[");
	for (size_t i = 0; i < list.n; i++) {
		if (!is_lab(&list.v[i]))
			continue;
		str_add(&c->reply.body, any ? "," : "");
		if (add_lab(c, &list.v[i], err) < 0)
			return -1;
		any = true;
	}
	str_add(&c->reply.body, "]}");
	return 0;
}

static int lab_read(struct call *c, struct err *err)
{
	const struct lease_filter filter = { .resource = "LAB",
					     .value = c->arg[0],
					     .uid = LEASE_ANY_UID };
	auto_lease_list list = { 0 };

	if (lease_list(c->api->store, &filter, &list, err) < 0)
		return -1;
	if (!list.n || !is_lab(&list.v[0]))
		return err_set(err, ERR_NOT_FOUND, 0, "there is no lab '%.64s'", c->arg[0]);
	reply_empty(c, 200);
	return add_lab(c, &list.v[0], err);
}

#define OWN_READS .family = API_MODERN, .method = "GET", .scope = SCOPE_READ, .status = 200

const struct route routes_labs[] = {
	{ OWN_READS, .path = LABS, .summary = "Running labs and what they hold", .result = "Labs",
	  .handle = lab_index },
	{ OWN_READS, .path = LABS "/{name}", .summary = "One lab", .result = "Lab",
	  .handle = lab_read },
	{ 0 },
};
