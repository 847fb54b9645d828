/* SPDX-License-Identifier: MIT */
/* record.c - a lab's record on disk, as JSON. */
#include "lab/lab.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/rights.h"

#include "base/banned.h"

#define RECORD_VERSION 1
#define RECORD_MAX     (4 << 20)

static json_t *networks_to_json(const struct lab *l)
{
	json_t *all = json_array();

	for (size_t i = 0; i < l->stage->n_networks; i++) {
		const struct lab_network *n = &l->networks[i];
		char mac[MACADDR_TEXT];

		json_array_append_new(all, json_pack("{s:s, s:b, s:s, s:s, s:s, s:b}", "name",
						     l->stage->networks[i].name, "direct",
						     n->wire == LAB_WIRE_DIRECT, "bridge",
						     n->bridge, "ifname", n->ifname, "mac",
						     macaddr_format(&n->mac, mac), "guarded",
						     n->guarded));
	}
	return all;
}

static json_t *ports_to_json(const struct lab *l)
{
	json_t *all = json_array();

	for (size_t i = 0; i < l->n_ports; i++)
		json_array_append_new(all,
				      json_pack("[i, i, i]", (int)l->ports[i].client,
						(int)l->ports[i].port, (int)l->ports[i].host_port));
	return all;
}

static json_t *to_json(const struct lab *l)
{
	const struct stage *s = l->stage;

	return json_pack(
		"{s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:s*, s:s, s:I, s:{s:I, s:I, s:s, s:s}, s:I, "
		"s:b, s:b, s:s, s:s, s:s, s:s, s:s*, s:s*, s:s, s:s*, s:o, s:o}",
		"version", RECORD_VERSION, "lab", l->name, "boot_id", l->boot_id, "stage", s->name,
		"dir", s->dir, "title", s->title, "scripts", s->kind == STAGE_SCRIPTS, "stage_text",
		l->stage_text, "state", lab_state_name(l->state), "since", (json_int_t)l->since,
		"owner", "uid", (json_int_t)l->owner.uid, "gid", (json_int_t)l->owner.gid, "name",
		l->owner.name, "home", l->owner.home, "group", (json_int_t)l->group, "isolated",
		l->isolated, "isolated_by_choice", l->isolated_by_choice, "seat_ns", l->seat_ns,
		"fabric_ns", l->fabric_ns, "guard", l->guard, "src_mode", lab_src_name(l->src),
		"src_dir", l->src_dir, "src_why", l->src_why, "image", l->image, "stage_file",
		l->stage_file, "networks", networks_to_json(l), "ports", ports_to_json(l));
}

int lab_save(struct lab *l, enum lab_state state, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the record of a lab");
	auto_free char *dir = xstrdup(l->record);
	auto_free char *text = NULL;
	json_auto_t *doc = NULL;

	l->state = state;
	doc = to_json(l);
	if (!doc)
		return err_set(err, ERR_INTERNAL, 0, "cannot pack the record of lab '%s'", l->name);
	text = json_dumps(doc, JSON_INDENT(1));
	*strrchr(dir, '/') = '\0';
	if (fs_mkdirs(dir, 0755, err) < 0)
		return -1;
	return fs_write(l->record, text, strlen(text), 0644, true, err);
}

/* The record is ours: a field that is missing or of another type means damage, and the caller
 * names the file. */
static const char *text_of(json_t *doc, const char *key)
{
	const char *s = json_string_value(json_object_get(doc, key));

	return s ? s : "";
}

static char *text_or_null(json_t *doc, const char *key)
{
	const char *s = json_string_value(json_object_get(doc, key));

	return s ? xstrdup(s) : NULL;
}

static int state_of(const char *name)
{
	for (int i = 0; i < LAB_STATE_MAX; i++) {
		if (strcmp(lab_state_name((enum lab_state)i), name) == 0)
			return i;
	}
	return -1;
}

static int src_of(const char *name)
{
	/* Earlier versions mounted so what they could not map. */
	if (strcmp(name, "read-only") == 0)
		return LAB_SRC_NONE;
	for (int i = 0; i < LAB_SRC_MAX; i++) {
		if (strcmp(lab_src_name((enum lab_src)i), name) == 0)
			return i;
	}
	return -1;
}

static int load_stage(struct lab *l, json_t *doc, struct err *err)
{
	const char *name = text_of(doc, "stage");
	json_t *text = json_object_get(doc, "stage_text");

	if (json_is_string(text)) {
		if (stage_parse(json_string_value(text), json_string_length(text), l->record, name,
				&l->stage, NULL, err) < 0)
			return -1;
		l->stage_text = xstrdup(json_string_value(text));
		free(l->stage->dir);
	} else {
		l->stage = xcalloc(1, sizeof(*l->stage));
		l->stage->kind = STAGE_SCRIPTS;
		l->stage->title = xstrdup(text_of(doc, "title"));
		if (!str_copy(l->stage->name, sizeof(l->stage->name), name))
			return err_set(err, ERR_ENV, 0, "stage name too long");
	}
	l->stage->dir = xstrdup(text_of(doc, "dir"));
	return 0;
}

static int load_networks(struct lab *l, json_t *doc, struct err *err)
{
	json_t *all = json_object_get(doc, "networks"), *n;
	size_t i;

	if (json_array_size(all) != l->stage->n_networks)
		return err_set(err, ERR_ENV, 0, "networks and stage do not agree");
	l->networks = xcalloc(l->stage->n_networks, sizeof(*l->networks));
	json_array_foreach (all, i, n) {
		struct lab_network *ln = &l->networks[i];

		ln->wire = json_is_true(json_object_get(n, "direct")) ? LAB_WIRE_DIRECT
								      : LAB_WIRE_BRIDGE;
		ln->guarded = json_is_true(json_object_get(n, "guarded"));
		if (!str_copy(ln->bridge, sizeof(ln->bridge), text_of(n, "bridge")) ||
		    !str_copy(ln->ifname, sizeof(ln->ifname), text_of(n, "ifname")))
			return err_set(err, ERR_ENV, 0, "an interface name is too long");
		if (macaddr_parse(text_of(n, "mac"), &ln->mac, err) < 0)
			return -1;
	}
	return 0;
}

static int load_ports(struct lab *l, json_t *doc, struct err *err)
{
	json_t *p;
	size_t i;

	json_array_foreach (json_object_get(doc, "ports"), i, p) {
		struct lab_port port = {
			.client = (size_t)json_integer_value(json_array_get(p, 0)),
			.port = (size_t)json_integer_value(json_array_get(p, 1)),
			.host_port = (uint16_t)json_integer_value(json_array_get(p, 2)),
		};

		if (port.client >= l->stage->n_clients ||
		    port.port >= l->stage->clients[port.client].n_ports)
			return err_set(err, ERR_ENV, 0, "ports and stage do not agree");
		*array_push(l->ports, l->n_ports) = port;
	}
	return 0;
}

static int load_owner(struct lab *l, json_t *doc, struct err *err)
{
	json_t *o = json_object_get(doc, "owner");

	l->owner.uid = (uid_t)json_integer_value(json_object_get(o, "uid"));
	l->owner.gid = (gid_t)json_integer_value(json_object_get(o, "gid"));
	if (!json_is_object(o) ||
	    !str_copy(l->owner.name, sizeof(l->owner.name), text_of(o, "name")) ||
	    !str_copy(l->owner.home, sizeof(l->owner.home), text_of(o, "home")))
		return err_set(err, ERR_ENV, 0, "no owner");
	return 0;
}

static int from_json(struct lab *l, const char *name, json_t *doc, struct err *err)
{
	int state = state_of(text_of(doc, "state")), src = src_of(text_of(doc, "src_mode"));
	json_int_t version = json_integer_value(json_object_get(doc, "version"));

	if (version != RECORD_VERSION)
		return err_set(err, ERR_ENV, 0, "version %lld, this labctl knows version %d",
			       (long long)version, RECORD_VERSION);
	if (strcmp(text_of(doc, "lab"), name) != 0)
		return err_set(err, ERR_ENV, 0, "it is of lab '%s'", text_of(doc, "lab"));
	if (state < 0 || src < 0 || !str_copy(l->name, sizeof(l->name), name) ||
	    !str_copy(l->boot_id, sizeof(l->boot_id), text_of(doc, "boot_id")) ||
	    !str_copy(l->seat_ns, sizeof(l->seat_ns), text_of(doc, "seat_ns")) ||
	    !str_copy(l->fabric_ns, sizeof(l->fabric_ns), text_of(doc, "fabric_ns")) ||
	    !str_copy(l->guard, sizeof(l->guard), text_of(doc, "guard")))
		return err_set(err, ERR_ENV, 0, "fields are missing or too long");
	l->state = (enum lab_state)state;
	l->orphaned = l->state != LAB_RUNNING;
	l->src = (enum lab_src)src;
	l->since = (time_t)json_integer_value(json_object_get(doc, "since"));
	l->group = (uint32_t)json_integer_value(json_object_get(doc, "group"));
	if ((l->group & LAB_GROUP_MASK) != LAB_GROUP_BASE)
		return err_set(err, ERR_ENV, 0, "link group %u is not labctl's", l->group);
	l->isolated = json_is_true(json_object_get(doc, "isolated"));
	l->isolated_by_choice = json_is_true(json_object_get(doc, "isolated_by_choice"));
	l->src_dir = text_or_null(doc, "src_dir");
	l->src_why = text_or_null(doc, "src_why");
	l->image = text_or_null(doc, "image");
	l->stage_file = text_or_null(doc, "stage_file");
	if (load_owner(l, doc, err) < 0 || load_stage(l, doc, err) < 0)
		return -1;
	return load_networks(l, doc, err) < 0 ? -1 : load_ports(l, doc, err);
}

static int read_record(const char *path, char **ret, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the record of a lab");

	return fs_read_plain(path, RECORD_MAX, ret, err);
}

static int damaged(const struct lab_ctx *ctx, const struct lab *l, struct err *err)
{
	err_wrap(err, "the record '%s' is damaged", l->record);
	err->kind = ERR_ENV;
	return err_hint(err, "put it right, or give the lab up: remove that file, then: sudo %s gc",
			ctx->exe);
}

int lab_load(const struct lab_ctx *ctx, const char *name, struct lab **ret, struct err *err)
{
	auto_lab l = xcalloc(1, sizeof(*l));
	auto_free char *text = NULL;
	json_auto_t *doc = NULL;
	json_error_t je;

	l->record = xasprintf("%s/labs/%s.json", ctx->state_dir, name);
	l->book = xstrdup(ctx->state_dir);
	l->dir = xasprintf("%s/%s", ctx->run_dir, name);
	if (read_record(l->record, &text, err) < 0) {
		if (!err_is(err, ERR_NOT_FOUND))
			return err->sys ? -1 : damaged(ctx, l, err);
		err_set(err, ERR_NOT_FOUND, 0, "no stage is running in lab '%s'", name);
		return err_hint(err, "start one: %s stage-start stage1", ctx->labctl);
	}
	doc = json_loads(text, 0, &je);
	if (!doc)
		err_set(err, ERR_ENV, 0, "line %d: %s", je.line, je.text);
	if (!doc || from_json(l, name, doc, err) < 0)
		return damaged(ctx, l, err);
	*ret = steal_ptr(&l);
	return 0;
}

int lab_names(const struct lab_ctx *ctx, struct strv *ret, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the records of labs");
	auto_free char *path = xasprintf("%s/labs", ctx->state_dir);
	auto_dir d = opendir(path);
	struct dirent *e;

	if (!d && errno == ENOENT)
		return 0;
	if (!d)
		return err_set(err, ERR_ENV, errno, "cannot read '%s'", path);
	while ((e = readdir(d))) {
		char *dot = strrchr(e->d_name, '.');

		if (!dot || strcmp(dot, ".json") != 0)
			continue;
		*dot = '\0';
		if (name_is_valid(e->d_name, LAB_NAME_MAX))
			strv_add(ret, e->d_name);
	}
	strv_sort(ret);
	return 0;
}
