/* SPDX-License-Identifier: MIT */
/* lease.c - leases over a store: requests checked, conflicts in words. */
#include "netport/lease.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "netport/bound.h"
#include "netport/pattern.h"

#include "base/banned.h"

void lease_done(struct lease *l)
{
	free(l->resource);
	free(l->value);
	free(l->owner);
	free(l->note);
	*l = (struct lease){ 0 };
}

void lease_copy(const struct lease *from, struct lease *ret)
{
	struct lease l = *from;

	l.resource = xstrdup(from->resource);
	l.value = from->value ? xstrdup(from->value) : NULL;
	l.owner = xstrdup(from->owner);
	l.note = xstrdup(from->note);
	*ret = l;
}

void lease_list_done(struct lease_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		lease_done(&l->v[i]);
	free(l->v);
	*l = (struct lease_list){ 0 };
}

bool lease_is_held(const struct lease *l, int64_t now)
{
	struct bound_view view = { 0 };

	return (l->expires == 0 || l->expires > now) && bound_is_alive(&view, l);
}

char *lease_holder_text(const struct lease *l)
{
	bool lab = str_starts(l->owner, LEASE_LAB_OWNER);
	const char *name = lab ? l->owner + strlen(LEASE_LAB_OWNER) : l->owner;
	bool note = l->note && *l->note;

	return xasprintf("%s'%s'%s%s%s", lab ? "lab " : "", name, note ? " (" : "",
			 note ? l->note : "", note ? ")" : "");
}

const char *lease_time_text(int64_t ms, char buf[static LEASE_TIME_TEXT])
{
	time_t t = (time_t)(ms / 1000), now = time(NULL);
	struct tm then, today;

	localtime_r(&t, &then);
	localtime_r(&now, &today);
	if (then.tm_year == today.tm_year && then.tm_yday == today.tm_yday)
		strftime(buf, LEASE_TIME_TEXT, "%H:%M", &then);
	else
		strftime(buf, LEASE_TIME_TEXT, "%F %H:%M", &then);
	return buf;
}

int lease_conflict(const struct lease *holder, const char *wanted, struct err *err)
{
	auto_free char *who = lease_holder_text(holder);
	const char *noun = resource_noun(holder->resource);
	char since[LEASE_TIME_TEXT];

	lease_time_text(holder->created, since);
	if (wanted && strcmp(wanted, holder->value) != 0)
		return err_set(err, ERR_CONFLICT, 0,
			       "%s '%s' overlaps '%s', which is leased to %s since %s", noun,
			       wanted, holder->value, who, since);
	return err_set(err, ERR_CONFLICT, 0, "%s '%s' is leased to %s since %s", noun,
		       holder->value, who, since);
}

static bool has_control(const char *text)
{
	for (; *text; text++) {
		if (iscntrl((unsigned char)*text))
			return true;
	}
	return false;
}

/* The lease that the request asks for, but for its value. */
static int from_request(const struct lease_request *req, struct lease *ret, struct err *err)
{
	const char *note = req->note ? req->note : "";
	auto_lease l = { 0 };
	enum resource r;

	if (resource_parse(req->resource, &r, err) < 0)
		return -1;
	if (str_empty(req->owner) || strlen(req->owner) > LEASE_OWNER_MAX ||
	    has_control(req->owner))
		return err_set(err, ERR_USAGE, 0,
			       "'%.64s' cannot be an owner: 1 to %d bytes, no control characters",
			       req->owner ? req->owner : "", LEASE_OWNER_MAX);
	if (strlen(note) > LEASE_NOTE_MAX || has_control(note))
		return err_set(err, ERR_USAGE, 0,
			       "a note has at most %d bytes and no control characters",
			       LEASE_NOTE_MAX);
	if (req->ttl_ms < 0)
		return err_set(err, ERR_USAGE, 0, "a lease cannot end before it begins");
	if (bound_fill(req->bound, req->pid, &l, err) < 0)
		return -1;
	l.resource = xstrdup(req->resource);
	l.owner = xstrdup(req->owner);
	l.note = xstrdup(note);
	l.uid = req->uid;
	*ret = l;
	l = (struct lease){ 0 };
	return 0;
}

/* Brings lease_usable_fn to the store's simpler question, and keeps the reason. */
struct asker {
	lease_usable_fn *usable;
	void *arg;
	const char *why;
};

static bool ask(void *arg, const struct resource_value *v)
{
	struct asker *a = arg;

	return !a->usable || a->usable(a->arg, v, &a->why);
}

static int unusable(const char *resource, const struct resource_value *v, const char *why,
		    struct err *err)
{
	return err_set(err, ERR_CONFLICT, 0, "%s '%s' is in use%s%s", resource_noun(resource),
		       v->text, why ? ": " : "", why ? why : "");
}

static int over_quota(const struct lease_request *req, unsigned quota, struct err *err)
{
	if (req->uid == LEASE_UID_NOBODY)
		err_set(err, ERR_FAILED, 0, "'%s' holds %u leases, and may have no more",
			req->owner, quota);
	else
		err_set(err, ERR_FAILED, 0, "user %u holds %u leases, and may have no more",
			req->uid, quota);
	err_hint(err, "give back what is not needed any more: labctl netport list --mine");
	err->sys = EDQUOT;
	return -1;
}

/* What has ended counts only until somebody wants its place. */
static int check_quota(struct store *s, const struct lease_request *req, struct err *err)
{
	const char *owner = req->uid == LEASE_UID_NOBODY ? req->owner : NULL;
	unsigned quota = req->quota ? req->quota : LEASE_QUOTA;
	size_t n;

	if (quota == LEASE_NO_QUOTA || req->again_ok)
		return 0;
	if (s->ops->count(s, owner, req->uid, quota, &n, err) < 0)
		return -1;
	if (n < quota)
		return 0;
	if (s->ops->sweep(s, NULL, err) < 0 ||
	    s->ops->count(s, owner, req->uid, quota, &n, err) < 0)
		return -1;
	return n < quota ? 0 : over_quota(req, quota, err);
}

static int check_rights(struct store *s, const struct lease_request *req, struct err *err)
{
	if (req->labs_ok || !resource_is_for_labs(req->resource))
		return check_quota(s, req, err);
	err_set(err, ERR_FAILED, 0, "%s is leased by labs and by administrators only",
		req->resource);
	err->sys = EPERM;
	return -1;
}

int lease_acquire(struct store *s, const struct lease_request *req, const char *value,
		  lease_usable_fn *usable, void *arg, struct lease *ret, struct lease *ret_holder,
		  struct err *err)
{
	struct asker asker = { .usable = usable, .arg = arg };
	auto_lease l = { 0 }, holder = { 0 };
	auto_resource_value v = { 0 };
	int rc;

	if (from_request(req, &l, err) < 0 ||
	    resource_value_parse(req->resource, value, &v, err) < 0 ||
	    check_rights(s, req, err) < 0)
		return -1;
	const struct store_want want = { &l, req->ttl_ms, req->again_ok };
	rc = s->ops->acquire(s, &want, &v, ask, &asker, ret, &holder, err);
	if (rc == STORE_NONE)
		return unusable(req->resource, &v, asker.why, err);
	if (rc != STORE_HELD)
		return rc;
	lease_conflict(&holder, v.text, err);
	if (ret_holder) {
		*ret_holder = holder;
		holder = (struct lease){ 0 };
	}
	return -1;
}

static int used_up(const struct pool *pool, struct err *err)
{
	err_set(err, ERR_CONFLICT, 0, "no %s of '%s' is free", resource_noun(pool->resource),
		pool->text);
	return err_hint(err, "'labctl netport list %s' shows who has them", pool->resource);
}

int lease_acquire_any(struct store *s, const struct lease_request *req, const struct pool *pool,
		      const char *preferred, lease_usable_fn *usable, void *arg, struct lease *ret,
		      struct err *err)
{
	struct asker asker = { .usable = usable, .arg = arg };
	auto_resource_value v = { 0 };
	auto_lease l = { 0 };
	int rc = STORE_NONE;

	if (from_request(req, &l, err) < 0 ||
	    (preferred && resource_value_parse(req->resource, preferred, &v, err) < 0) ||
	    check_rights(s, req, err) < 0)
		return -1;
	const struct store_want want = { &l, req->ttl_ms, req->again_ok };
	if (preferred)
		rc = s->ops->acquire(s, &want, &v, ask, &asker, ret, NULL, err);
	if (rc == STORE_NONE || rc == STORE_HELD)
		rc = s->ops->acquire_any(s, &want, pool, pool_start(pool), ask, &asker, ret, err);
	return rc == STORE_NONE ? used_up(pool, err) : rc;
}

/* What renew and release have to say when they could not. */
static int not_yours(int rc, const char *resource, const struct resource_value *v,
		     const struct lease *holder, struct err *err)
{
	if (rc == STORE_HELD)
		return lease_conflict(holder, NULL, err);
	if (rc == STORE_NONE)
		return err_set(err, ERR_NOT_FOUND, 0, "%s '%s' is not leased",
			       resource_noun(resource), v->text);
	return rc;
}

int lease_renew(struct store *s, const char *resource, const char *value,
		const struct lease_claim *claim, int64_t ttl_ms, struct lease *ret, struct err *err)
{
	auto_resource_value v = { 0 };
	auto_lease holder = { 0 };
	int rc;

	if (ttl_ms < 0)
		return err_set(err, ERR_USAGE, 0, "a lease cannot end before it begins");
	if (resource_value_parse(resource, value, &v, err) < 0)
		return -1;
	rc = s->ops->renew(s, resource, v.text, claim, ttl_ms, ret, &holder, err);
	return not_yours(rc, resource, &v, &holder, err);
}

int lease_release(struct store *s, const char *resource, const char *value,
		  const struct lease_claim *claim, struct err *err)
{
	auto_resource_value v = { 0 };
	auto_lease holder = { 0 };
	int rc;

	if (resource_value_parse(resource, value, &v, err) < 0)
		return -1;
	rc = s->ops->release(s, resource, v.text, claim, &holder, err);
	return not_yours(rc, resource, &v, &holder, err);
}

int lease_release_owner(struct store *s, const char *owner, uid_t uid, size_t *ret_n,
			struct err *err)
{
	const struct lease_claim claim = { owner, uid };

	return s->ops->release_owner(s, &claim, ret_n, err) < 0 ? -1 : 0;
}

/* *ret stays NULL when there is none. */
static int compile(const char *text, struct pattern **ret, struct err *err)
{
	if (text && pattern_compile(text, ret, err) < 0)
		return err_wrap(err, "'%.64s' is not a regular expression", text);
	return 0;
}

/* At the beginning, as the original's callers expect. *ret: so far. */
static int narrow(struct pattern *p, const char *text, bool *ret, struct err *err)
{
	return p && *ret ? pattern_matches(p, text, PATTERN_AT_START, ret, err) : 0;
}

int lease_list(struct store *s, const struct lease_filter *filter, struct lease_list *ret,
	       struct err *err)
{
	auto_pattern resource = NULL;
	auto_pattern value = NULL;
	auto_pattern owner = NULL;
	auto_lease_list all = { 0 };
	size_t n = 0;

	if (compile(filter->resource_re, &resource, err) < 0 ||
	    compile(filter->value_re, &value, err) < 0 ||
	    compile(filter->owner_re, &owner, err) < 0 ||
	    s->ops->list(s, filter->resource, filter->value, filter->owner, filter->uid, &all,
			 err) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		bool fits = true;

		if (narrow(resource, all.v[i].resource, &fits, err) < 0 ||
		    narrow(value, all.v[i].value, &fits, err) < 0 ||
		    narrow(owner, all.v[i].owner, &fits, err) < 0)
			return -1;
		if (!fits)
			continue;
		struct lease kept = all.v[i];

		all.v[i] = all.v[n];
		all.v[n++] = kept;
	}
	while (all.n > n)
		lease_done(&all.v[--all.n]);
	*ret = all;
	all = (struct lease_list){ 0 };
	return 0;
}

int lease_page(struct store *s, const struct lease_filter *filter, const char *const hidden[2],
	       size_t offset, size_t limit, struct lease_list *ret, size_t *ret_total,
	       struct err *err)
{
	const struct store_page page = { .resource = filter->resource,
					 .value = filter->value,
					 .owner = filter->owner,
					 .uid = filter->uid,
					 .hidden = { hidden[0], hidden[1] },
					 .offset = offset,
					 .limit = limit };
	auto_lease_list list = { 0 };

	if (s->ops->page(s, &page, &list, ret_total, err) < 0)
		return -1;
	*ret = list;
	list = (struct lease_list){ 0 };
	return 0;
}

/* The subnets that hold this address. */
static int add_subnets_of(struct store *s, const struct ipaddr *addr, struct lease_list *list,
			  struct err *err)
{
	const struct lease_filter filter = { .resource = resource_name(RESOURCE_SUBNET),
					     .uid = LEASE_ANY_UID };
	auto_lease_list subnets = { 0 };
	struct ipnet net;

	if (lease_list(s, &filter, &subnets, err) < 0)
		return -1;
	for (size_t i = 0; i < subnets.n; i++) {
		if (ipnet_parse(subnets.v[i].value, &net, ERR_IGNORED) < 0 ||
		    !ipnet_contains(&net, addr))
			continue;
		*array_push(list->v, list->n) = subnets.v[i];
		subnets.v[i] = (struct lease){ 0 };
	}
	return 0;
}

int lease_who(struct store *s, const char *resource, const char *value, struct lease_list *ret,
	      struct err *err)
{
	auto_resource_value v = { 0 };
	auto_lease_list found = { 0 };
	struct lease_filter filter = { .resource = resource, .value = value, .uid = LEASE_ANY_UID };
	struct ipaddr addr;
	bool is_addr = ipaddr_parse(value, &addr, ERR_IGNORED) == 0;
	bool subnets = !resource || strcmp(resource, resource_name(RESOURCE_SUBNET)) == 0;

	if (resource && !(is_addr && subnets)) {
		if (resource_value_parse(resource, value, &v, err) < 0)
			return -1;
		filter.value = v.text;
	}
	if (lease_list(s, &filter, &found, err) < 0 ||
	    (is_addr && subnets && add_subnets_of(s, &addr, &found, err) < 0))
		return -1;
	if (!found.n)
		return err_set(err, ERR_NOT_FOUND, 0, "nobody holds %s%s'%s'",
			       resource ? resource_noun(resource) : "", resource ? " " : "", value);
	*ret = found;
	found = (struct lease_list){ 0 };
	return 0;
}

int lease_sweep(struct store *s, size_t *ret_n, struct err *err)
{
	return s->ops->sweep(s, ret_n, err) < 0 ? -1 : 0;
}
