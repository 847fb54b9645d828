/* SPDX-License-Identifier: MIT */
/* leftovers_remove.c - remove what dead labs left. */
#include "lab/leftovers.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rights.h"
#include "lab/claim.h"
#include "lab/containers.h"
#include "lab/down.h"
#include "lab/lab.h"
#include "lab/scripts.h"
#include "lab/srcmount.h"
#include "net/guard.h"
#include "net/link.h"
#include "net/netns.h"

#include "base/banned.h"

/* A lab's lock is held while something of it is removed. */

static int remove_lab(struct lab_ctx *ctx, const char *name, bool orphaned, struct err *err)
{
	auto_lab l = NULL;

	if (lab_load(ctx, name, &l, err) < 0)
		return -1;
	l->orphaned |= orphaned;
	if (l->state == LAB_RUNNING)
		return 0;
	if (l->stage->kind == STAGE_SCRIPTS && scripts_down(ctx, l, err) < 0)
		return -1;
	return lab_down(ctx, l, err);
}

static int remove_link(const struct leftover *l, struct err *err)
{
	struct link_info info;
	auto_nl nl = NULL;

	if (nl_open(-1, &nl, err) < 0 || link_get(nl, l->name, &info, err) < 0)
		return -1;
	if ((info.group & LAB_GROUP_MASK) != LAB_GROUP_BASE)
		return 0; /* another one by now */
	return link_delete(nl, info.ifindex, err);
}

/* Files, and directories that are empty: never below a mount. */
static int remove_directory(const char *path, struct err *err)
{
	auto_file_rights as_root = file_rights_root("what a lab left in root's directories");
	auto_free char *src = xasprintf("%s/" LAB_SRC_MOUNT, path);
	auto_dir d = opendir(path);
	struct dirent *e;

	rmdir(src);
	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    unlinkat(dirfd(d), e->d_name, 0) < 0)
			unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	}
	return fs_remove(path, err);
}

static int remove_file(const char *path, struct err *err)
{
	auto_file_rights as_root = file_rights_root("what a lab left in root's directories");

	return fs_remove(path, err);
}

/* The table of the lab's name, once its links are gone: one that guards a link which is there is
 * another's. */
static int remove_guard(const char *lab, struct err *err)
{
	auto_free char *guard = xasprintf("labctl-%s", lab);
	auto_strv guarded = { 0 };
	struct link_info info;
	auto_nl nl = NULL;

	if (nl_open(-1, &nl, err) < 0 || guard_list(-1, guard, &guarded, err) < 0)
		return -1;
	for (size_t i = 0; i < guarded.n; i++) {
		if (link_get(nl, guarded.v[i], &info, ERR_IGNORED) == 0)
			return 0;
	}
	return guard_delete(-1, guard, err);
}

static int remove_held(struct lab_ctx *ctx, const struct leftover *l, struct err *err)
{
	switch (l->kind) {
	case LEFTOVER_CONTAINER:
		return lab_containers_remove(ctx, l->lab, err);
	case LEFTOVER_LINK:
		return remove_link(l, err);
	case LEFTOVER_NETNS:
		return netns_delete(l->name, err);
	case LEFTOVER_MOUNT:
		return srcmount_remove(l->name, err);
	case LEFTOVER_DIRECTORY:
		return remove_directory(l->name, err);
	case LEFTOVER_LEASES:
		if (remove_guard(l->lab, err) < 0)
			return -1;
		return claim_release(ctx, l->name, err);
	case LEFTOVER_LAB:
	case LEFTOVER_FILE:
	case LEFTOVER_BOOTED:
	case LEFTOVER_RECORD:
	case LEFTOVER_STRANGE:
		break;
	}
	return 0;
}

static int remove_one(struct lab_ctx *ctx, const struct leftover *l, struct err *err)
{
	auto_lab_lock lock = { 0 };
	auto_lab again = NULL;
	struct err e = { 0 };

	if (lab_lock_named(ctx, l->lab, "gc", &lock, err) < 0)
		return -1;
	if (l->kind == LEFTOVER_LAB)
		return remove_lab(ctx, l->name, lock.orphaned, err);
	/* A lock goes with its release. */
	if (l->kind == LEFTOVER_FILE)
		return strcmp(l->name, lock.path) == 0 ? 0 : remove_file(l->name, err);
	/* It may have been started since it was looked at. */
	if (lab_load(ctx, l->lab, &again, &e) == 0 || !err_is(&e, ERR_NOT_FOUND))
		return err_set(err, ERR_BUSY, 0, "lab '%s' is there again", l->lab);
	return remove_held(ctx, l, err);
}

static bool may_remove(const struct lab_ctx *ctx, const struct leftover *l)
{
	if (l->kind == LEFTOVER_BOOTED || l->kind == LEFTOVER_RECORD || l->kind == LEFTOVER_STRANGE)
		return false;
	return ctx->caller.uid == 0 || ctx->caller.uid == l->uid;
}

int leftovers_remove(struct lab_ctx *ctx, const struct leftovers *all, struct strv *ret_done,
		     struct err *err)
{
	struct err first = { 0 };

	for (size_t i = 0; i < all->n; i++) {
		const struct leftover *l = &all->v[i];
		struct err e = { 0 };

		if (!may_remove(ctx, l))
			continue;
		if (remove_one(ctx, l, &e) == 0 || err_is(&e, ERR_NOT_FOUND)) {
			strv_add(ret_done, l->text);
			continue;
		}
		if (first.kind == ERR_NONE && !err_is(&e, ERR_BUSY)) {
			first = e;
			err_wrap(&first, "%s", l->text);
		}
	}
	return first.kind == ERR_NONE ? 0 : err_pass(err, &first);
}

/* Its own lock goes with the caller. */
static bool is_lock(const char *path)
{
	size_t n = strlen(path), end = strlen(".lock");

	return n > end && strcmp(path + n - end, ".lock") == 0;
}

int leftovers_sweep(struct lab_ctx *ctx, const char *lab, struct err *err)
{
	auto_leftovers all = { 0 };
	struct err first = { 0 };

	if (leftovers_find_of(ctx, lab, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		const struct leftover *l = &all.v[i];
		struct err e = { 0 };
		int r = 0;

		if (!may_remove(ctx, l))
			continue;
		if (l->kind != LEFTOVER_FILE)
			r = remove_held(ctx, l, &e);
		else if (!is_lock(l->name))
			r = remove_file(l->name, &e);
		if (r < 0 && !err_is(&e, ERR_NOT_FOUND) && first.kind == ERR_NONE)
			first = e;
	}
	return first.kind == ERR_NONE ? 0 : err_pass(err, &first);
}
