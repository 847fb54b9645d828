/* SPDX-License-Identifier: MIT */
/* limits.c - how much of the host a client and a user's labs may take. */
#include "lab/limits.h"

#include <stdlib.h>
#include <string.h>

#include "base/adminfile.h"
#include "base/caller.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"
#include "lab/claim.h"
#include "netport/lease.h"

#include "base/banned.h"

static const char *limits_file(void)
{
	const char *v = getenv("LABCTL_LIMITS");

	return str_empty(v) ? "/etc/labctl/limits" : v;
}

static int read_line(char *text, struct limits *l, struct err *err)
{
	char *value = text + strcspn(text, " \t");

	if (!*text)
		return 0;
	if (*value)
		*value++ = '\0';
	value += strspn(value, " \t");
	if (strcmp(text, "memory") == 0)
		return parse_memory(value, &l->memory, err);
	if (strcmp(text, "processes") == 0)
		return parse_u32(value, 1, STAGE_PROCESSES_MAX, &l->processes, err);
	if (strcmp(text, "clients") == 0)
		return parse_u32(value, 1, CLAIM_LABS_MAX * STAGE_CLIENTS_MAX, &l->clients, err);
	return err_set(err, ERR_ENV, 0, "'%.64s' is none of 'memory', 'processes', 'clients'",
		       text);
}

int limits_ceiling(const struct caller *owner, struct limits *ret, struct err *err)
{
	struct limits l = { LIMITS_MEMORY_CEILING, LIMITS_PROCESSES_CEILING,
			    LIMITS_CLIENTS_CEILING };
	const char *path = limits_file();
	auto_free char *line = NULL;
	struct err e = { 0 };
	auto_file f = NULL;
	size_t size = 0;
	char *text;

	*ret = (struct limits){ 0 };
	if (caller_is_administrator(owner))
		return 0;
	if (adminfile_open(path, &f, &e) < 0 && !err_is(&e, ERR_NOT_FOUND))
		return err_pass(err, &e);
	for (unsigned n = 1; f && adminfile_line(f, &line, &size, &text); n++) {
		if (read_line(text, &l, err) < 0) {
			err->kind = ERR_ENV;
			return err_wrap(err, "%s:%u", path, n);
		}
	}
	*ret = l;
	return 0;
}

static int too_much(const struct stage_client *c, const char *what, struct err *err)
{
	err_set(err, ERR_STAGE, 0, "client '%s' asks for more %s than this host allows", c->name,
		what);
	return err_hint(err, "an administrator can allow more in %s", limits_file());
}

int limits_check(const struct stage *s, const struct limits *ceiling, struct err *err)
{
	for (size_t i = 0; i < s->n_clients; i++) {
		const struct stage_client *c = &s->clients[i];

		if (ceiling->memory && c->memory > ceiling->memory)
			return too_much(c, "memory", err);
		if (ceiling->processes && c->processes > ceiling->processes)
			return too_much(c, "processes", err);
	}
	return 0;
}

/* Of the owner's labs but l. */
static int count_others(const struct lab_ctx *ctx, const struct lab *l, size_t *ret,
			struct err *err)
{
	const struct lease_filter filter = { .resource = "LAB", .uid = l->owner.uid };
	auto_lease_list labs = { 0 };
	auto_store store = NULL;
	size_t n = 0;

	if (store_open_default(ctx->state_dir, STORE_READ, &store, err) < 0 ||
	    lease_list(store, &filter, &labs, err) < 0)
		return -1;
	for (size_t i = 0; i < labs.n; i++) {
		auto_lab other = NULL;
		struct err e = { 0 };

		if (strcmp(labs.v[i].value, l->name) == 0)
			continue;
		if (lab_load(ctx, labs.v[i].value, &other, &e) < 0)
			log_debug("counting clients: %s", e.msg);
		else
			n += other->stage->n_clients;
	}
	*ret = n;
	return 0;
}

int limits_check_clients(const struct lab_ctx *ctx, const struct lab *l,
			 const struct limits *ceiling, struct err *err)
{
	size_t others;

	if (!ceiling->clients || !l->stage->n_clients)
		return 0;
	if (count_others(ctx, l, &others, err) < 0)
		return -1;
	if (others + l->stage->n_clients <= ceiling->clients)
		return 0;
	err_set(err, ERR_CONFLICT, 0,
		"stage '%s' has %zu clients, other labs of user '%s' have %zu, and one user may "
		"have %u",
		l->stage->name, l->stage->n_clients, l->owner.name, others, ceiling->clients);
	return err_hint(err,
			"stop a lab that is not needed ('labctl lab-list' shows them); an "
			"administrator can allow more in %s",
			limits_file());
}

struct limits limits_of(const struct stage_client *c, const struct limits *ceiling)
{
	struct limits l = {
		.memory = c->memory ? c->memory : LIMITS_MEMORY,
		.processes = c->processes ? c->processes : LIMITS_PROCESSES,
	};

	if (ceiling->memory && l.memory > ceiling->memory)
		l.memory = ceiling->memory;
	if (ceiling->processes && l.processes > ceiling->processes)
		l.processes = ceiling->processes;
	return l;
}
