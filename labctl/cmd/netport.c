/* SPDX-License-Identifier: MIT */
/* netport.c - the group netport, and its verbs acquire, renew and release. */
#include "cmd/netport.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/caller.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"

#include "base/banned.h"

int netport_open(const struct cmd *cmd, enum store_mode mode, struct store **ret, struct err *err)
{
	return store_open_default(cmd->ctx->state_dir, mode, ret, err);
}

int netport_parse_ttl(const char *text, int64_t *ret_ms, struct err *err)
{
	static const struct {
		char letter;
		uint32_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t len = strlen(text);
	uint32_t seconds = 1, n;
	char digits[16];

	for (size_t i = 0; len && i < ARRAY_SIZE(units); i++) {
		if (text[len - 1] == units[i].letter)
			seconds = units[i].seconds;
	}
	if (!str_copy(digits, sizeof(digits), text))
		digits[0] = '\0';
	if (*digits && strchr("smhd", digits[len - 1]))
		digits[len - 1] = '\0';
	if (parse_u32(digits, 1, INT32_MAX, &n, ERR_IGNORED) < 0) {
		err_set(err, ERR_USAGE, 0, "'%.64s' is not a duration", text);
		return err_hint(err, "use seconds, or 90s, 15m, 2h, 1d");
	}
	*ret_ms = (int64_t)n * seconds * 1000;
	return 0;
}

int netport_request(const struct cmd *cmd, const char *resource, const char *owner,
		    struct lease_request *ret, struct err *err)
{
	const struct caller *caller = &cmd->ctx->caller;

	/* In a book of his own a user is his own administrator: its file's rights say who writes. */
	bool own = geteuid() != 0 || caller_is_administrator(caller);

	/* Otherwise anyone could sign with a lab's name. */
	if (owner && str_starts(owner, LEASE_LAB_OWNER) && caller->uid != 0) {
		err_set(err, ERR_USAGE, 0, "'%.64s' names a lab", owner);
		return err_hint(err, "choose another --owner; labs take their leases themselves");
	}
	if (owner && str_starts(owner, "portmaster") && !own) {
		err_set(err, ERR_USAGE, 0, "'%.64s' names what the service keeps", owner);
		return err_hint(err, "choose another --owner");
	}
	*ret = (struct lease_request){
		.resource = resource,
		.owner = owner ? owner : caller->name,
		.uid = caller->uid,
		.labs_ok = own,
		.quota = own ? LEASE_NO_QUOTA : LEASE_QUOTA,
	};
	return 0;
}

struct lease_claim netport_claim(const struct cmd *cmd, const char *owner)
{
	uid_t uid = cmd->ctx->caller.uid;

	return (struct lease_claim){ owner, uid == 0 ? LEASE_ANY_UID : uid };
}

json_t *netport_lease_json(const struct lease *l)
{
	static const char *const bounds[] = {
		[LEASE_LASTS] = NULL, [LEASE_BOUND_BOOT] = "boot", [LEASE_BOUND_PROCESS] = "process"
	};
	json_t *doc =
		json_pack("{s:I, s:s, s:s, s:s, s:i, s:s, s:I}", "id", (json_int_t)l->id,
			  "resource", l->resource, "value", l->value, "owner", l->owner, "uid",
			  (int)l->uid, "note", l->note, "created", (json_int_t)(l->created / 1000));

	json_object_set_new(doc, "expires",
			    l->expires ? json_integer(l->expires / 1000) : json_null());
	json_object_set_new(doc, "bound_to",
			    l->bound ? json_string(bounds[l->bound]) : json_null());
	if (l->bound == LEASE_BOUND_PROCESS)
		json_object_set_new(doc, "pid", json_integer(l->pid));
	return doc;
}

json_t *netport_leases_json(const struct lease_list *l)
{
	json_t *all = json_array();

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(all, netport_lease_json(&l->v[i]));
	return all;
}

enum {
	ACQUIRE_RANGE,
	ACQUIRE_TTL,
	ACQUIRE_OWNER,
	ACQUIRE_NOTE,
	ACQUIRE_PID,
	ACQUIRE_USED_OK,
};

static const struct option acquire_options[] = {
	[ACQUIRE_RANGE] = { 'r', "range", "RANGE", "any free value of this range",
			    COMPLETE_NOTHING },
	[ACQUIRE_TTL] = { 't', "ttl", "TIME", "the lease ends by itself: 90s, 15m, 2h, 1d",
			  COMPLETE_NOTHING },
	[ACQUIRE_OWNER] = { 'o', "owner", "NAME", "who holds it (default: your user name)",
			    COMPLETE_NOTHING },
	[ACQUIRE_NOTE] = { 'n', "note", "TEXT", "what it is for", COMPLETE_NOTHING },
	[ACQUIRE_PID] = { 'p', "pid", "PID", "the lease ends with this process", COMPLETE_NOTHING },
	[ACQUIRE_USED_OK] = { 0, "used-ok", NULL, "lease it even if the host uses it already",
			      COMPLETE_NOTHING },
	{ 0 },
};

/* What an interface or a namespace was dies with the kernel that had it. */
static enum lease_bound natural_bound(const char *resource)
{
	return strcmp(resource, resource_name(RESOURCE_INTERFACE)) == 0 ||
			       strcmp(resource, resource_name(RESOURCE_NETNS)) == 0
		       ? LEASE_BOUND_BOOT
		       : LEASE_LASTS;
}

static int acquire_request(const struct cmd *cmd, const struct args *args,
			   struct lease_request *req, struct err *err)
{
	const char *ttl = args->opt[ACQUIRE_TTL], *pid = args->opt[ACQUIRE_PID];
	uint32_t number = 0;

	if (netport_request(cmd, args->v[0], args->opt[ACQUIRE_OWNER], req, err) < 0 ||
	    (ttl && netport_parse_ttl(ttl, &req->ttl_ms, err) < 0) ||
	    (pid && parse_u32(pid, 1, INT_MAX, &number, err) < 0))
		return -1;
	req->note = args->opt[ACQUIRE_NOTE];
	req->bound = pid ? LEASE_BOUND_PROCESS : natural_bound(args->v[0]);
	req->pid = (pid_t)number;
	return 0;
}

/* A value alone means that one; with a range it is what the caller would like best. */
static int acquire(const struct args *args, struct store *s, const struct lease_request *req,
		   struct hostview *view, struct lease *ret, struct err *err)
{
	const char *range = args->opt[ACQUIRE_RANGE], *value = args->n > 1 ? args->v[1] : NULL;
	auto_pool pool = { 0 };

	view->lingering_ok = value && !range;
	if (value && !range)
		return lease_acquire(s, req, value, hostview_usable, view, ret, NULL, err);
	if (range ? pool_parse(req->resource, range, &pool, err) < 0
		  : pool_get(s, req->resource, &pool, err) < 0)
		return -1;
	if (value && pool_check(&pool, value, err) < 0)
		return -1;
	return lease_acquire_any(s, req, &pool, value, hostview_usable, view, ret, err);
}

static int acquire_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	struct lease_request req;
	auto_hostview view = { 0 };
	auto_store s = NULL;
	auto_lease l = { 0 };

	if (acquire_request(cmd, args, &req, err) < 0 ||
	    (!args->opt[ACQUIRE_USED_OK] && hostview_add(&view, req.resource, -1, err) < 0) ||
	    netport_open(cmd, STORE_WRITE, &s, err) < 0 ||
	    acquire(args, s, &req, &view, &l, err) < 0)
		return -1;
	if (cmd->json)
		print_json(netport_lease_json(&l));
	else
		out_printf(stdout, "%s\n", l.value);
	return 0;
}

const struct command cmd_netport_acquire = {
	.name = "netport acquire",
	.synopsis = "RESOURCE [VALUE]",
	.summary = "lease a value: this one, or any free one",
	.details =
		"RESOURCE is PORT, INTERFACE, SUBNET, MAC, VNI, NETNS, LAB, PATH, PROCESS or a "
		"name of\n"
		"your own. Prints the value, which is then neither leased to anyone else nor in "
		"use on\n"
		"this host. Without VALUE it comes from --range, else from the resource's pool;\n"
		"with both, VALUE (one of the range) if it is free, else any of the range.\n\n"
		"  PORT=$(labctl netport acquire PORT --range 20000-29999)\n"
		"  NET=$(labctl netport acquire SUBNET --range 10.64.0.0/16:24 --ttl 2h)",
	.options = acquire_options,
	.min_args = 1,
	.max_args = 2,
	.needs = NEEDS_BOOK,
	.complete = COMPLETE_RESOURCE,
	.run = acquire_run,
};

enum {
	RENEW_TTL,
};

static const struct option renew_options[] = {
	[RENEW_TTL] = { 't', "ttl", "TIME", "from now: 90s, 15m, 2h, 1d (default: no end)",
			COMPLETE_NOTHING },
	{ 0 },
};

static int renew_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	const struct lease_claim claim = netport_claim(cmd, NULL);
	auto_store s = NULL;
	auto_lease l = { 0 };
	int64_t ttl_ms = 0;

	if ((args->opt[RENEW_TTL] && netport_parse_ttl(args->opt[RENEW_TTL], &ttl_ms, err) < 0) ||
	    netport_open(cmd, STORE_WRITE, &s, err) < 0 ||
	    lease_renew(s, args->v[0], args->v[1], &claim, ttl_ms, &l, err) < 0)
		return -1;
	if (cmd->json)
		print_json(netport_lease_json(&l));
	return 0;
}

const struct command cmd_netport_renew = {
	.name = "netport renew",
	.synopsis = "RESOURCE VALUE",
	.summary = "give a lease of yours a new end",
	.options = renew_options,
	.min_args = 2,
	.max_args = 2,
	.needs = NEEDS_BOOK,
	.complete = COMPLETE_RESOURCE,
	.run = renew_run,
};

enum {
	RELEASE_OWNER,
};

static const struct option release_options[] = {
	[RELEASE_OWNER] = { 'o', "owner", "NAME", "all leases of this owner (that you took)",
			    COMPLETE_NOTHING },
	{ 0 },
};

static int release_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	const char *owner = args->opt[RELEASE_OWNER];
	const struct lease_claim claim = netport_claim(cmd, owner);
	auto_store s = NULL;
	size_t n = 1;

	if (args->n != 2 && !(args->n == 0 && owner)) {
		err_set(err, ERR_USAGE, 0, "what is to be released?");
		return err_hint(err, "give RESOURCE and VALUE, or --owner NAME alone");
	}
	if (netport_open(cmd, STORE_WRITE, &s, err) < 0)
		return -1;
	if (args->n ? lease_release(s, args->v[0], args->v[1], &claim, err) < 0
		    : lease_release_owner(s, owner, claim.uid, &n, err) < 0)
		return -1;
	if (cmd->json)
		print_json(json_pack("{s:I}", "released", (json_int_t)n));
	return 0;
}

const struct command cmd_netport_release = {
	.name = "netport release",
	.synopsis = "[RESOURCE VALUE]",
	.summary = "give a lease of yours back, or all of one owner",
	.options = release_options,
	.max_args = 2,
	.needs = NEEDS_BOOK,
	.complete = COMPLETE_RESOURCE,
	.run = release_run,
};

static const struct command *const verbs[] = {
	&cmd_netport_acquire,
	&cmd_netport_renew,
	&cmd_netport_release,
	&cmd_netport_list,
	&cmd_netport_who,
	&cmd_netport_pool,
	&cmd_netport_run,
	&cmd_netport_serve,
	&cmd_netport_token,
	&cmd_netport_openapi,
	NULL,
};

const struct command cmd_netport = {
	.name = "netport",
	.synopsis = "VERB [ARGUMENT]...",
	.summary = "lease ports, names and numbers, so that nobody else gets them",
	.details = "The lease book is shared by all labs and users of this host. A lease ends by "
		   "release,\n"
		   "by its time (--ttl), or with its process (--pid, netport run).",
	.verbs = verbs,
};
