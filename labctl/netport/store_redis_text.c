/* SPDX-License-Identifier: MIT */
/* store_redis_text.c - leases as Redis keeps them: JSON, and what its scripts answer. */
#include "netport/store_redis.h"

#include <string.h>

#include <hiredis/hiredis.h>
#include <jansson.h>

#include "base/mem.h"
#include "base/str.h"
#include "netport/lease.h"

#include "base/banned.h"

void redis_uid_text(uid_t uid, char ret[static 12])
{
	if (uid == LEASE_ANY_UID)
		snprintf(ret, 12, "-1");
	else
		snprintf(ret, 12, "%u", uid);
}

char *redis_lease_text(const struct lease *l, const struct resource_value *v)
{
	json_t *doc = json_pack("{s:s, s:s, s:s, s:I, s:s, s:i, s:s, s:s, s:I, s:I}", "resource",
				l->resource, "value", v->text, "owner", l->owner, "uid",
				(json_int_t)l->uid, "note", l->note, "bound", (int)l->bound, "host",
				l->host, "boot_id", l->boot_id, "pid", (json_int_t)l->pid, "start",
				(json_int_t)l->start);
	char *text;

	if (v->is_number)
		json_object_set_new(doc, "number", json_integer(v->number));
	if (v->lo[0]) {
		json_object_set_new(doc, "lo", json_string(v->lo));
		json_object_set_new(doc, "hi", json_string(v->hi));
	}
	text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	return text;
}

int redis_damaged(struct store_redis *s, const char *what, struct err *err)
{
	err_set(err, ERR_ENV, 0, "%s is damaged: %s", s->base.name, what);
	return err_hint(err, "it was left as it is; look for a program that shares its keys "
			     "(labctl:*)");
}

static int take_lease(struct store_redis *s, const char *text, struct lease *ret, struct err *err)
{
	const char *resource, *value, *owner, *note, *host, *boot_id;
	json_int_t id, uid, created, expires, pid, start;
	json_t *doc = json_loads(text, 0, NULL);
	int bound;
	bool ok = json_unpack(doc,
			      "{s:I, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:s, s:s, s:I, s:I}",
			      "id", &id, "resource", &resource, "value", &value, "owner", &owner,
			      "note", &note, "uid", &uid, "created", &created, "expires", &expires,
			      "bound", &bound, "host", &host, "boot_id", &boot_id, "pid", &pid,
			      "start", &start) == 0 &&
		  bound >= 0 && bound < LEASE_BOUND_MAX;

	if (ok) {
		*ret = (struct lease){ .id = (uint64_t)id,
				       .resource = xstrdup(resource),
				       .value = xstrdup(value),
				       .owner = xstrdup(owner),
				       .note = xstrdup(note),
				       .uid = (uid_t)uid,
				       .created = created,
				       .expires = expires,
				       .bound = (enum lease_bound)bound,
				       .pid = (pid_t)pid,
				       .start = (uint64_t)start };
		/* Too long is foreign: then it is of no host that we could judge. */
		if (!str_copy(ret->host, sizeof(ret->host), host) ||
		    !str_copy(ret->boot_id, sizeof(ret->boot_id), boot_id))
			ret->bound = LEASE_LASTS;
	}
	json_decref(doc);
	return ok ? 0 : redis_damaged(s, "a lease cannot be read", err);
}

int redis_take_list(struct store_redis *s, const struct redisReply *r, size_t from,
		    struct lease_list *ret, struct err *err)
{
	auto_lease_list list = { 0 };

	if (r->type != REDIS_REPLY_ARRAY)
		return redis_damaged(s, "no list of leases", err);
	for (size_t i = from; i < r->elements; i++) {
		if (take_lease(s, r->element[i]->str, array_push(list.v, list.n), err) < 0) {
			list.n--;
			return -1;
		}
	}
	*ret = list;
	list = (struct lease_list){ 0 };
	return 0;
}

int redis_take_result(struct store_redis *s, const struct redisReply *r, struct lease *ret,
		      struct err *err)
{
	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 ||
	    r->element[0]->type != REDIS_REPLY_INTEGER)
		return redis_damaged(s, "an operation answers strangely", err);
	if (r->element[1]->len && take_lease(s, r->element[1]->str, ret, err) < 0)
		return -1;
	return (int)r->element[0]->integer;
}
