/* SPDX-License-Identifier: MIT */
/* leftovers.c - what no lab's record knows: find it, remove it. */
#include "lab/leftovers.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/parse.h"
#include "docker/container.h"
#include "lab/claim.h"
#include "lab/down.h"
#include "lab/lab.h"
#include "lab/srcmount.h"
#include "net/link.h"
#include "net/netns.h"

#include "base/banned.h"

/* The labs that have a record, and those that a labctl is at work on. */
struct known {
	struct lab **labs;
	size_t n;
	struct strv busy;
};

static void known_done(struct known *k)
{
	for (size_t i = 0; i < k->n; i++)
		lab_free(k->labs[i]);
	free(k->labs);
	strv_done(&k->busy);
}

static void auto_known_(struct known *k)
{
	known_done(k);
}

void leftovers_done(struct leftovers *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].name);
		free(l->v[i].text);
		free(l->v[i].mend);
	}
	free(l->v);
	*l = (struct leftovers){ 0 };
}

/* The texts are stolen, name is copied. */
static void add(struct leftovers *all, enum leftover_kind kind, const char *name, char *text,
		char *mend)
{
	struct leftover *l = array_push(all->v, all->n);

	l->kind = kind;
	l->name = xstrdup(name);
	l->text = text;
	l->mend = mend;
}

static void find_busy(const struct lab_ctx *ctx, struct known *k)
{
	auto_dir d = opendir(ctx->run_dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char *dot = strrchr(e->d_name, '.');

		if (!dot || strcmp(dot, ".lock") != 0)
			continue;
		*dot = '\0';
		if (lab_is_locked(ctx, e->d_name))
			strv_add(&k->busy, e->d_name);
	}
}

static bool strv_has(const struct strv *v, const char *text)
{
	for (size_t i = 0; i < v->n; i++) {
		if (strcmp(v->v[i], text) == 0)
			return true;
	}
	return false;
}

static void judge_lab(const struct lab_ctx *ctx, const struct known *k, const struct lab *l,
		      struct leftovers *all)
{
	if (strv_has(&k->busy, l->name))
		return;
	if (lab_is_before_boot(l))
		add(all, LEFTOVER_BOOTED, l->name,
		    xasprintf("lab '%s' (%s) is from before the last boot", l->name,
			      l->stage->name),
		    xasprintf("sudo %s --lab %s repair", ctx->exe, l->name));
	else if (l->state != LAB_RUNNING)
		add(all, LEFTOVER_LAB, l->name,
		    xasprintf("lab '%s' (%s) is half-done", l->name, l->stage->name),
		    xasprintf("sudo %s --lab %s stage-stop", ctx->exe, l->name));
}

static int load_known(struct lab_ctx *ctx, struct known *k, struct leftovers *all, struct err *err)
{
	auto_strv names = { 0 };

	/* First who is at work, then what there is: a lab that ends in between is in neither. */
	find_busy(ctx, k);
	if (lab_names(ctx, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct err e = { 0 };
		struct lab *l;

		if (lab_load(ctx, names.v[i], &l, &e) < 0) {
			if (!err_is(&e, ERR_NOT_FOUND))
				add(all, LEFTOVER_RECORD, names.v[i], xstrdup(e.msg),
				    xasprintf("rm %s/labs/%s.json", ctx->state_dir, names.v[i]));
			continue;
		}
		*array_push(k->labs, k->n) = l;
		judge_lab(ctx, k, l, all);
	}
	return 0;
}

static bool is_known(const struct known *k, const char *name)
{
	for (size_t i = 0; i < k->n; i++) {
		if (strcmp(k->labs[i]->name, name) == 0)
			return true;
	}
	return strv_has(&k->busy, name);
}

static void find_containers(struct lab_ctx *ctx, const struct known *k, struct leftovers *all)
{
	auto_container_list list = { 0 };
	struct engine *e;

	if (lab_ctx_engine(ctx, &e, NULL) < 0 ||
	    container_list_by_label(e, LAB_LABEL, &list, NULL) < 0)
		return;
	for (size_t i = 0; i < list.n; i++) {
		const char *lab = json_string_value(json_object_get(list.v[i].labels, LAB_LABEL));

		if (lab_marks_match(ctx->state_dir, NULL, list.v[i].labels) && !is_known(k, lab))
			add(all, LEFTOVER_CONTAINER, list.v[i].name,
			    xasprintf("container '%s' of lab '%s', which has no record",
				      list.v[i].name, lab),
			    xasprintf("docker rm -f %s", list.v[i].name));
	}
}

/* Everything is leased before it is made, so the leases of labs that are no more name what such a
 * lab may have left. A mark that no lease of this book explains belongs to another book: it is
 * told of (by the usual book), never touched. */
static const struct lease *lease_of(const struct lease_list *leases, const char *resource,
				    const char *value)
{
	for (size_t i = 0; i < leases->n; i++) {
		if (strcmp(leases->v[i].resource, resource) == 0 &&
		    strcmp(leases->v[i].value, value) == 0)
			return &leases->v[i];
	}
	return NULL;
}

static void judge(const struct lab_ctx *ctx, const struct known *k, const struct lease *lease,
		  enum leftover_kind kind, const char *name, const char *what, const char *mend,
		  struct leftovers *all)
{
	if (lease && !is_known(k, lease->owner + strlen(LEASE_LAB_OWNER)))
		add(all, kind, name, xasprintf("%s '%s' of a lab that has no record", what, name),
		    xasprintf("%s %s", mend, name));
	else if (!lease && strcmp(ctx->state_dir, LAB_STATE_DIR) == 0)
		add(all, LEFTOVER_STRANGE, name,
		    xasprintf(
			    "%s '%s' looks like labctl's, but this lease book knows nothing of it",
			    what, name),
		    xasprintf("if nobody needs it: %s %s", mend, name));
}

static int find_links(const struct lab_ctx *ctx, const struct known *k,
		      const struct lease_list *leases, struct leftovers *all, struct err *err)
{
	auto_free struct link_info *links = NULL;
	auto_nl nl = NULL;
	size_t n = 0;

	if (nl_open(-1, &nl, err) < 0 || link_list(nl, &links, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		auto_free char *group = xasprintf("g%u", links[i].group & ~LAB_GROUP_MASK);

		if ((links[i].group & LAB_GROUP_MASK) == LAB_GROUP_BASE)
			judge(ctx, k, lease_of(leases, "GROUP", group), LEFTOVER_LINK,
			      links[i].name, "interface", "sudo ip link del", all);
	}
	return 0;
}

static int find_namespaces(const struct lab_ctx *ctx, const struct known *k,
			   const struct lease_list *leases, struct leftovers *all, struct err *err)
{
	auto_strv names = { 0 };

	if (netns_list(NETNS_PREFIX, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		judge(ctx, k, lease_of(leases, "NETNS", names.v[i]), LEFTOVER_NETNS, names.v[i],
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
			add(all, LEFTOVER_MOUNT, point,
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
			add(all, LEFTOVER_DIRECTORY, path,
			    xasprintf("the directory '%s' of a lab that has no record", path),
			    xasprintf("sudo rm -r --one-file-system %s", path));
	}
}

static int list_lab_leases(const struct lab_ctx *ctx, struct lease_list *ret, struct err *err)
{
	const struct lease_filter filter = { .owner_re = LEASE_LAB_OWNER, .uid = LEASE_ANY_UID };
	auto_store store = NULL;

	if (store_open_default(ctx->state_dir, STORE_READ, &store, err) < 0)
		return -1;
	return lease_list(store, &filter, ret, err);
}

static void find_leases(const struct lab_ctx *ctx, const struct known *k,
			const struct lease_list *leases, struct leftovers *all)
{
	auto_strv told = { 0 };

	for (size_t i = 0; i < leases->n; i++) {
		const char *lab = leases->v[i].owner + strlen(LEASE_LAB_OWNER);

		if (is_known(k, lab) || strv_has(&told, lab))
			continue;
		strv_add(&told, lab);
		add(all, LEFTOVER_LEASES, lab,
		    xasprintf("leases of lab '%s', which has no record", lab),
		    xasprintf("sudo %s gc", ctx->exe));
	}
}

int leftovers_find(struct lab_ctx *ctx, struct leftovers *ret, struct err *err)
{
	auto_leftovers all = { 0 };
	auto_lease_list leases = { 0 };
	auto_cleanup(known) struct known known = { 0 };

	if (load_known(ctx, &known, &all, err) < 0 || list_lab_leases(ctx, &leases, err) < 0)
		return -1;
	find_containers(ctx, &known, &all);
	if (find_links(ctx, &known, &leases, &all, err) < 0 ||
	    find_namespaces(ctx, &known, &leases, &all, err) < 0 ||
	    find_mounts(ctx, &known, &all, err) < 0)
		return -1;
	find_directories(ctx, &known, &all);
	find_leases(ctx, &known, &leases, &all);
	*ret = all;
	all = (struct leftovers){ 0 };
	return 0;
}

static int remove_lab(struct lab_ctx *ctx, const char *name, struct err *err)
{
	auto_lab_lock lock = { 0 };
	auto_lab l = NULL;

	if (lab_lock_named(ctx, name, "gc", &lock, err) < 0 || lab_load(ctx, name, &l, err) < 0)
		return -1;
	return l->state == LAB_RUNNING ? 0 : lab_down(ctx, l, err);
}

static int remove_link(const char *name, struct err *err)
{
	struct link_info info;
	auto_nl nl = NULL;

	if (nl_open(-1, &nl, err) < 0 || link_get(nl, name, &info, err) < 0)
		return -1;
	if ((info.group & LAB_GROUP_MASK) != LAB_GROUP_BASE)
		return 0; /* another one by now */
	return link_delete(nl, info.ifindex, err);
}

static int remove_container(struct lab_ctx *ctx, const char *name, struct err *err)
{
	auto_free char *path = xasprintf("/containers/%s?force=1&v=1", name);
	struct engine *e;

	if (lab_ctx_engine(ctx, &e, err) < 0)
		return -1;
	return engine_call(e, "DELETE", path, NULL, NULL, err);
}

static int remove_directory(const char *path, struct err *err)
{
	static const char *const files[] = { "lab.json", "hosts", "src" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		auto_free char *file = xasprintf("%s/%s", path, files[i]);

		if (fs_remove(file, err) < 0)
			return -1;
	}
	return fs_remove(path, err);
}

static int remove_one(struct lab_ctx *ctx, const struct leftover *l, struct err *err)
{
	switch (l->kind) {
	case LEFTOVER_LAB:
		return remove_lab(ctx, l->name, err);
	case LEFTOVER_CONTAINER:
		return remove_container(ctx, l->name, err);
	case LEFTOVER_LINK:
		return remove_link(l->name, err);
	case LEFTOVER_NETNS:
		return netns_delete(l->name, err);
	case LEFTOVER_MOUNT:
		return srcmount_remove(l->name, err);
	case LEFTOVER_DIRECTORY:
		return remove_directory(l->name, err);
	case LEFTOVER_LEASES:
		return claim_release(ctx, l->name, err);
	case LEFTOVER_BOOTED:
	case LEFTOVER_RECORD:
	case LEFTOVER_STRANGE:
		break;
	}
	return 0;
}

int leftovers_remove(struct lab_ctx *ctx, const struct leftovers *all, struct strv *ret_done,
		     struct err *err)
{
	struct err first = { 0 };

	for (size_t i = 0; i < all->n; i++) {
		const struct leftover *l = &all->v[i];
		struct err e = { 0 };

		if (l->kind == LEFTOVER_BOOTED || l->kind == LEFTOVER_RECORD ||
		    l->kind == LEFTOVER_STRANGE)
			continue;
		if (remove_one(ctx, l, &e) == 0 || err_is(&e, ERR_NOT_FOUND)) {
			strv_add(ret_done, l->text);
			continue;
		}
		if (first.kind == ERR_NONE) {
			first = e;
			err_wrap(&first, "%s", l->text);
		}
	}
	return first.kind == ERR_NONE ? 0 : err_pass(err, &first);
}
