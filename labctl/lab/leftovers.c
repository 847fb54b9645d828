/* SPDX-License-Identifier: MIT */
/* leftovers.c - find what dead labs left. */
#include "lab/leftovers.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/parse.h"
#include "lab/containers.h"
#include "lab/lab.h"
#include "net/link.h"
#include "net/netns.h"
#include "netport/lease.h"

#include "base/banned.h"

/* Of whom nothing is a leftover: labs that have a record, readable or not, and those that a
 * labctl is at work on. */
struct known {
	struct strv labs, busy;
	struct lease_list leases; /* of all labs */
};

static void known_done(struct known *k)
{
	strv_done(&k->labs);
	strv_done(&k->busy);
	lease_list_done(&k->leases);
}

static void auto_known_(struct known *k)
{
	known_done(k);
}

void leftovers_done(struct leftovers *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].lab);
		free(l->v[i].name);
		free(l->v[i].text);
		free(l->v[i].mend);
	}
	free(l->v);
	*l = (struct leftovers){ 0 };
}

/* Text and mend are stolen. */
static struct leftover *add(struct leftovers *all, enum leftover_kind kind, const char *lab,
			    uid_t uid, const char *name, char *text, char *mend)
{
	struct leftover *l = array_push(all->v, all->n);

	*l = (struct leftover){ kind, xstrdup(lab), uid, xstrdup(name), text, mend };
	return l;
}

/* Who took the lab's leases. */
static uid_t uid_of(const struct known *k, const char *lab)
{
	for (size_t i = 0; i < k->leases.n; i++) {
		if (strcmp(k->leases.v[i].owner + strlen(LEASE_LAB_OWNER), lab) == 0)
			return k->leases.v[i].uid;
	}
	return LEASE_ANY_UID;
}

/* held: a lab whose lock is the caller's, or NULL. */
static void find_busy(const struct lab_ctx *ctx, const char *held, struct known *k)
{
	auto_dir d = opendir(ctx->run_dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char *dot = strrchr(e->d_name, '.');

		if (!dot || strcmp(dot, ".lock") != 0)
			continue;
		*dot = '\0';
		if ((!held || strcmp(e->d_name, held) != 0) && lab_is_locked(ctx, e->d_name))
			strv_add(&k->busy, e->d_name);
	}
}

static void judge_lab(const struct lab_ctx *ctx, const struct known *k, const struct lab *l,
		      struct leftovers *all)
{
	if (strv_has(&k->busy, l->name))
		return;
	if (lab_is_before_boot(l))
		add(all, LEFTOVER_BOOTED, l->name, l->owner.uid, l->name,
		    xasprintf("lab '%s' (%s) is from before the last boot", l->name,
			      l->stage->name),
		    xasprintf("sudo %s --lab %s repair", ctx->exe, l->name));
	else if (l->state != LAB_RUNNING)
		add(all, LEFTOVER_LAB, l->name, l->owner.uid, l->name,
		    xasprintf("lab '%s' (%s) is half-done", l->name, l->stage->name),
		    xasprintf("sudo %s --lab %s stage-stop", ctx->exe, l->name));
}

static int list_lab_leases(const struct lab_ctx *ctx, struct lease_list *ret, struct err *err)
{
	const struct lease_filter filter = { .owner_re = LEASE_LAB_OWNER, .uid = LEASE_ANY_UID };
	auto_store store = NULL;

	if (store_open_default(ctx->state_dir, STORE_READ, &store, err) < 0)
		return -1;
	return lease_list(store, &filter, ret, err);
}

static int load_known(struct lab_ctx *ctx, const char *held, struct known *k, struct leftovers *all,
		      struct err *err)
{
	auto_strv names = { 0 };

	/* First who is at work, then what there is: a lab that ends in between is in neither, one
	 * that begins in between is spared when its turn comes. */
	find_busy(ctx, held, k);
	if (list_lab_leases(ctx, &k->leases, err) < 0 || lab_names(ctx, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		auto_lab l = NULL;
		struct err e = { 0 };

		if (lab_load(ctx, names.v[i], &l, &e) < 0 && err_is(&e, ERR_NOT_FOUND))
			continue;
		strv_add(&k->labs, names.v[i]);
		if (l)
			judge_lab(ctx, k, l, all);
		else
			add(all, LEFTOVER_RECORD, names.v[i], uid_of(k, names.v[i]), names.v[i],
			    xstrdup(e.msg),
			    xasprintf("sudo rm %s/labs/%s.json && sudo %s gc", ctx->state_dir,
				      names.v[i], ctx->exe));
	}
	return 0;
}

static bool is_known(const struct known *k, const char *name)
{
	return strv_has(&k->labs, name) || strv_has(&k->busy, name);
}

static uid_t owner_of(const struct container_info *c)
{
	const char *text = json_string_value(json_object_get(c->labels, LAB_LABEL_OWNER));
	uint32_t uid;

	return text && parse_u32(text, 0, UINT32_MAX, &uid, ERR_IGNORED) == 0 ? uid : LEASE_ANY_UID;
}

static void find_containers(struct lab_ctx *ctx, const struct known *k, struct leftovers *all)
{
	auto_container_list list = { 0 };

	if (lab_containers(ctx, NULL, &list, ERR_IGNORED) < 0)
		return;
	for (size_t i = 0; i < list.n; i++) {
		const char *lab = json_string_value(json_object_get(list.v[i].labels, LAB_LABEL));

		if (!is_known(k, lab ? lab : ""))
			add(all, LEFTOVER_CONTAINER, lab ? lab : "", owner_of(&list.v[i]),
			    list.v[i].name,
			    xasprintf("container '%s' of lab '%s', which has no record",
				      list.v[i].name, lab),
			    xasprintf("docker rm -f %s", list.v[i].name));
	}
}

static const struct lease *lease_of(const struct known *k, const char *resource, const char *value)
{
	for (size_t i = 0; i < k->leases.n; i++) {
		if (strcmp(k->leases.v[i].resource, resource) == 0 &&
		    strcmp(k->leases.v[i].value, value) == 0)
			return &k->leases.v[i];
	}
	return NULL;
}

/* What carries labctl's mark is its leaseholder's. Without a lease in this book it is of another
 * one: told of (by the usual book), never touched. */
static void judge(const struct lab_ctx *ctx, const struct known *k, const struct lease *lease,
		  enum leftover_kind kind, const char *name, const char *what, const char *mend,
		  struct leftovers *all)
{
	const char *lab = lease ? lease->owner + strlen(LEASE_LAB_OWNER) : "";

	if (lease && !is_known(k, lab))
		add(all, kind, lab, lease->uid, name,
		    xasprintf("%s '%s' of lab '%s', which has no record", what, name, lab),
		    xasprintf("%s %s", mend, name));
	else if (!lease && strcmp(ctx->state_dir, LAB_STATE_DIR) == 0)
		add(all, LEFTOVER_STRANGE, lab, LEASE_ANY_UID, name,
		    xasprintf(
			    "%s '%s' looks like labctl's, but this lease book knows nothing of it",
			    what, name),
		    xstrdup("a lab of another LABCTL_STATE may need it: labctl removes it there"));
}

static int find_links(const struct lab_ctx *ctx, const struct known *k, struct leftovers *all,
		      struct err *err)
{
	auto_free struct link_info *links = NULL;
	auto_nl nl = NULL;
	size_t n = 0;

	if (nl_open(-1, &nl, err) < 0 || link_list(nl, &links, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		auto_free char *group = xasprintf("g%u", links[i].group & ~LAB_GROUP_MASK);

		if ((links[i].group & LAB_GROUP_MASK) == LAB_GROUP_BASE)
			judge(ctx, k, lease_of(k, "GROUP", group), LEFTOVER_LINK, links[i].name,
			      "interface", "sudo ip link del", all);
	}
	return 0;
}

static int find_namespaces(const struct lab_ctx *ctx, const struct known *k, struct leftovers *all,
			   struct err *err)
{
	auto_strv names = { 0 };

	if (netns_list(NETNS_PREFIX, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		judge(ctx, k, lease_of(k, "NETNS", names.v[i]), LEFTOVER_NETNS, names.v[i],
		      "namespace", "sudo ip netns del", all);
	return 0;
}

/* Mount points $LABCTL_RUN/<lab>/src of labs that are no more. */
static int find_mounts(const struct lab_ctx *ctx, const struct known *k, struct leftovers *all,
		       struct err *err)
{
	auto_free char *prefix = xasprintf("%s/", ctx->run_dir);
	auto_free char *text = NULL;
	char *save = NULL;

	if (fs_read("/proc/self/mountinfo", 16 << 20, &text, NULL, err) < 0)
		return -1;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char point[256], lab[LAB_NAME_MAX + 1] = "";

		if (sscanf(line, "%*s %*s %*s %*s %255s", point) != 1 || !str_starts(point, prefix))
			continue;
		snprintf(lab, sizeof(lab), "%.*s", (int)strcspn(point + strlen(prefix), "/"),
			 point + strlen(prefix));
		if (!is_known(k, lab))
			add(all, LEFTOVER_MOUNT, lab, uid_of(k, lab), point,
			    xasprintf("a mount at '%s' of a lab that has no record", point),
			    xasprintf("sudo umount %s", point));
	}
	return 0;
}

static void find_directories(const struct lab_ctx *ctx, const struct known *k,
			     struct leftovers *all)
{
	auto_dir d = opendir(ctx->run_dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		auto_free char *path = xasprintf("%s/%s", ctx->run_dir, e->d_name);

		if (name_is_valid(e->d_name, LAB_NAME_MAX) && fs_is_dir(path) &&
		    !is_known(k, e->d_name))
			add(all, LEFTOVER_DIRECTORY, e->d_name, uid_of(k, e->d_name), path,
			    xasprintf("the directory '%s' of a lab that has no record", path),
			    xasprintf("sudo rm -r --one-file-system %s", path));
	}
}

/* The part of a file's name before `end`, when it is a lab's that is no more. A lock that stays
 * tells the next command on its lab that the last one died; drafts go with their lab. */
static bool lab_before(const struct known *k, const char *file, const char *end,
		       char ret[static LAB_NAME_MAX + 1])
{
	const char *at = strstr(file, end);

	if (!at || at - file > LAB_NAME_MAX)
		return false;
	snprintf(ret, LAB_NAME_MAX + 1, "%.*s", (int)(at - file), file);
	return name_is_valid(ret, LAB_NAME_MAX) && !is_known(k, ret);
}

/* Locks whose holder died; records that were being written when the writer died. */
static void find_files(const struct lab_ctx *ctx, const struct known *k, struct leftovers *all)
{
	auto_free char *labs = xasprintf("%s/labs", ctx->state_dir);
	const char *const where[][2] = { { ctx->run_dir, ".lock" }, { labs, ".json." } };

	for (size_t i = 0; i < ARRAY_SIZE(where); i++) {
		auto_dir d = opendir(where[i][0]);
		char lab[LAB_NAME_MAX + 1];
		struct dirent *e;

		while (d && (e = readdir(d))) {
			auto_free char *path = xasprintf("%s/%s", where[i][0], e->d_name);

			if (lab_before(k, e->d_name, where[i][1], lab))
				add(all, LEFTOVER_FILE, lab, uid_of(k, lab), path,
				    xasprintf("the file '%s' of a labctl that died", path),
				    xasprintf("sudo rm %s", path));
		}
	}
}

static void find_leases(const struct lab_ctx *ctx, const struct known *k, struct leftovers *all)
{
	auto_strv told = { 0 };

	for (size_t i = 0; i < k->leases.n; i++) {
		const char *lab = k->leases.v[i].owner + strlen(LEASE_LAB_OWNER);

		if (is_known(k, lab) || strv_has(&told, lab))
			continue;
		strv_add(&told, lab);
		add(all, LEFTOVER_LEASES, lab, k->leases.v[i].uid, lab,
		    xasprintf("leases of lab '%s', which has no record", lab),
		    xasprintf("sudo %s gc", ctx->exe));
	}
}

static int find_all(struct lab_ctx *ctx, const char *held, struct leftovers *ret, struct err *err)
{
	auto_leftovers all = { 0 };
	auto_cleanup(known) struct known known = { 0 };

	if (load_known(ctx, held, &known, &all, err) < 0)
		return -1;
	find_containers(ctx, &known, &all);
	if (find_links(ctx, &known, &all, err) < 0 || find_namespaces(ctx, &known, &all, err) < 0 ||
	    find_mounts(ctx, &known, &all, err) < 0)
		return -1;
	find_directories(ctx, &known, &all);
	/* Last: they name what the others are. */
	find_leases(ctx, &known, &all);
	find_files(ctx, &known, &all);
	*ret = all;
	all = (struct leftovers){ 0 };
	return 0;
}

int leftovers_find(struct lab_ctx *ctx, struct leftovers *ret, struct err *err)
{
	return find_all(ctx, NULL, ret, err);
}

int leftovers_find_of(struct lab_ctx *ctx, const char *lab, struct leftovers *ret, struct err *err)
{
	auto_leftovers all = { 0 };

	if (find_all(ctx, lab, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		if (strcmp(all.v[i].lab, lab) != 0)
			continue;
		*array_push(ret->v, ret->n) = all.v[i];
		all.v[i] = (struct leftover){ 0 };
	}
	return 0;
}
