/* SPDX-License-Identifier: MIT */
/* lab.c - a stage made concrete: names, MACs, wires, the mark on its links, its lock. */
#include "lab/lab.h"

#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/rights.h"
#include "lab/claim.h"
#include "lab/srcmount.h"
#include "stage/load.h"

#include "base/banned.h"

static const char *const state_names[] = {
	[LAB_STARTING] = "starting",
	[LAB_RUNNING] = "running",
	[LAB_STOPPING] = "stopping",
};
_Static_assert(ARRAY_SIZE(state_names) == LAB_STATE_MAX, "a state lacks its name");

static const char *const src_names[] = {
	[LAB_SRC_NONE] = "none",
	[LAB_SRC_IDMAP] = "idmapped",
	[LAB_SRC_PLAIN] = "plain",
};
_Static_assert(ARRAY_SIZE(src_names) == LAB_SRC_MAX, "a src mode lacks its name");

const char *lab_state_name(enum lab_state s)
{
	return state_names[s];
}

const char *lab_src_name(enum lab_src s)
{
	return src_names[s];
}

void lab_free(struct lab *l)
{
	if (!l)
		return;
	stage_free(l->stage);
	free(l->stage_text);
	free(l->networks);
	free(l->ports);
	free(l->src_dir);
	free(l->src_why);
	free(l->image);
	free(l->book);
	free(l->dir);
	free(l->record);
	free(l->stage_file);
	free(l);
}

bool lab_marks_match(const char *book, const char *lab, const json_t *labels)
{
	const char *of_lab = json_string_value(json_object_get(labels, LAB_LABEL));
	const char *of_book = json_string_value(json_object_get(labels, LAB_LABEL_BOOK));

	return of_lab && of_book && strcmp(of_book, book) == 0 &&
	       (!lab || strcmp(of_lab, lab) == 0);
}

char *lab_container_name(const struct lab *l, const char *client)
{
	return xasprintf("labctl-%s-%s", l->name, client);
}

char *lab_path(const struct lab *l, const char *file)
{
	return xasprintf("%s/%s", l->dir, file);
}

bool lab_is_before_boot(const struct lab *l)
{
	char now[37];

	return proc_boot_id(now, ERR_IGNORED) == 0 && strcmp(now, l->boot_id) != 0;
}

struct macaddr lab_client_mac(const struct stage_interface *ifc)
{
	return ifc->has_mac ? ifc->mac : macaddr_from_ipv4(&ifc->address.addr);
}

static void name_network(struct lab *l, size_t i)
{
	const struct stage_network *sn = &l->stage->networks[i];
	struct lab_network *n = &l->networks[i];

	if (stage_network_ends(l->stage, i) == 2) {
		n->wire = LAB_WIRE_DIRECT;
	} else {
		n->wire = LAB_WIRE_BRIDGE;
		snprintf(n->bridge, sizeof(n->bridge), "br%u", (unsigned)i + 1);
		snprintf(l->fabric_ns, sizeof(l->fabric_ns), "labctl-%s-fabric", l->name);
	}
	if (!sn->has_router)
		return;
	memcpy(n->ifname, sn->name, sizeof(n->ifname));
	n->mac = sn->has_mac ? sn->mac : macaddr_from_ipv4(&sn->router);
	n->guarded = sn->address_mode == STAGE_ADDRESS_PASSIVE;
}

static void name_ports(struct lab *l)
{
	for (size_t c = 0; c < l->stage->n_clients; c++) {
		for (size_t p = 0; p < l->stage->clients[c].n_ports; p++)
			*array_push(l->ports, l->n_ports) = (struct lab_port){ c, p, 0 };
	}
}

static int read_stage_text(struct lab *l, struct err *err)
{
	auto_free char *path = xasprintf("%s/stage.json", l->stage->dir);

	if (l->stage->kind == STAGE_SCRIPTS)
		return 0;
	return fs_read(path, 1 << 20, &l->stage_text, NULL, err);
}

static int find_src(const struct lab_ctx *ctx, struct lab *l, struct err *err)
{
	char real[PATH_MAX];

	if (!ctx->src_dir || l->stage->kind == STAGE_SCRIPTS)
		return 0;
	if (!realpath(ctx->src_dir, real) || !fs_is_dir(real)) {
		err_set(err, ERR_NOT_FOUND, 0, "there is no directory '%s' to mount as src",
			ctx->src_dir);
		return err_hint(err, "make it (mkdir '%s') or name another with --src DIR",
				ctx->src_dir);
	}
	l->src_dir = xstrdup(real);
	return srcmount_check(real, err);
}

/* Each user's lab is called after him: nobody else may sit on that name. */
static bool is_anothers_name(const struct lab_ctx *ctx, const char *lab)
{
	const struct passwd *pw = ctx->caller.uid ? getpwnam(lab) : NULL;

	return pw && pw->pw_uid != ctx->caller.uid;
}

static int check_name(const struct lab_ctx *ctx, struct err *err)
{
	if (!is_anothers_name(ctx, ctx->lab))
		return 0;
	err_set(err, ERR_CONFLICT, 0, "the lab name '%s' is for the user of that name", ctx->lab);
	return err_hint(err, "choose another name with --lab NAME");
}

/* Client 'b-c' of lab 'a' would have the container name of client 'c' of lab 'a-b'. */
static int check_client_names(const struct lab_ctx *ctx, const struct stage *s, struct err *err)
{
	for (size_t i = 0; i < s->n_clients; i++) {
		const char *name = s->clients[i].name;

		for (const char *at = strchr(name, '-'); at; at = strchr(at + 1, '-')) {
			auto_free char *lab =
				xasprintf("%s-%.*s", ctx->lab, (int)(at - name), name);

			if (!is_anothers_name(ctx, lab))
				continue;
			err_set(err, ERR_CONFLICT, 0,
				"the container of client '%s' would have a name of user '%s'", name,
				lab);
			return err_hint(err, "choose another lab name with --lab NAME");
		}
	}
	return 0;
}

int lab_new(struct lab_ctx *ctx, struct stage *stage, bool isolated, struct lab **ret,
	    struct err *err)
{
	auto_lab l = xcalloc(1, sizeof(*l));

	memcpy(l->name, ctx->lab, sizeof(l->name));
	l->stage = stage;
	if (check_client_names(ctx, stage, err) < 0 || read_stage_text(l, err) < 0 ||
	    find_src(ctx, l, err) < 0 || proc_boot_id(l->boot_id, err) < 0) {
		l->stage = NULL; /* stays the caller's */
		return -1;
	}
	l->owner = ctx->caller;
	l->since = time(NULL);
	l->isolated = isolated;
	if (isolated)
		snprintf(l->seat_ns, sizeof(l->seat_ns), "labctl-%s", l->name);
	snprintf(l->guard, sizeof(l->guard), "labctl-%s", l->name);
	l->networks = xcalloc(stage->n_networks, sizeof(*l->networks));
	for (size_t i = 0; i < stage->n_networks; i++)
		name_network(l, i);
	name_ports(l);
	l->image = xstrdup(ctx->image);
	l->book = xstrdup(ctx->state_dir);
	l->dir = xasprintf("%s/%s", ctx->run_dir, l->name);
	l->record = xasprintf("%s/labs/%s.json", ctx->state_dir, l->name);
	if (ctx->default_lab && ctx->in_tree)
		l->stage_file = xasprintf("%s/.stage", ctx->root);
	*ret = steal_ptr(&l);
	return 0;
}

static bool same_directory(const char *a, const char *b)
{
	struct stat x, y;

	return a && b && stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static char *start_command(const struct lab_ctx *ctx, const struct lab *l, const char *stage)
{
	bool other_src = l->src_dir && !same_directory(l->src_dir, ctx->src_dir);

	return xasprintf("%s stage-start %s%s%s%s%s", ctx->labctl,
			 l->isolated_by_choice ? "--isolated " : "", other_src ? "--src " : "",
			 other_src ? l->src_dir : "", other_src ? " " : "", stage);
}

/* Is it one of labctl's own stages, and not one of the same name elsewhere? */
static bool is_named_stage(const struct lab_ctx *ctx, const struct lab *l)
{
	auto_free char *by_name = xasprintf("%s/%s", ctx->stages_dir, l->stage->name);

	return same_directory(by_name, l->stage->dir);
}

char *lab_start_command(const struct lab_ctx *ctx, const struct lab *l)
{
	return start_command(ctx, l, is_named_stage(ctx, l) ? l->stage->name : l->stage->dir);
}

char *lab_next_command(const struct lab_ctx *ctx, const struct lab *l)
{
	const char *name = l->stage->name, *digits = name + strlen(name);
	auto_free char *next = NULL, *dir = NULL;
	unsigned number;

	while (digits > name && digits[-1] >= '0' && digits[-1] <= '9')
		digits--;
	if (!is_named_stage(ctx, l) || parse_u32(digits, 0, UINT16_MAX, &number, ERR_IGNORED) < 0)
		return NULL;
	next = xasprintf("%.*s%u", (int)(digits - name), name, number + 1);
	if (stage_find(ctx->stages_dir, next, &dir, ERR_IGNORED) < 0)
		return NULL;
	return start_command(ctx, l, next);
}

int lab_forget(const struct lab_ctx *ctx, const struct lab *l, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the record of a lab");
	/* The record goes first: leases without a record are found by 'labctl gc'. */
	fs_remove_drafts(l->record);
	if (fs_remove(l->record, err) < 0)
		return err_wrap(err, "removing the record");
	if (claim_release(ctx, l->name, err) < 0)
		return err_wrap(err, "its leases stay until 'labctl gc'");
	return 0;
}

int lab_check_owner(const struct lab_ctx *ctx, const struct lab *l, struct err *err)
{
	if (ctx->caller.uid == 0 || ctx->caller.uid == l->owner.uid)
		return 0;
	err_set(err, ERR_CONFLICT, 0, "lab '%s' (%s) belongs to user '%s'", l->name, l->stage->name,
		l->owner.name);
	return err_hint(err, "only its owner or root may do that; start your own with --lab NAME");
}

int lab_check_caller(const struct lab_ctx *ctx, struct err *err)
{
	struct err e = { 0 };
	auto_lab l = NULL;

	if (ctx->caller.uid == 0)
		return 0;
	if (lab_load(ctx, ctx->lab, &l, &e) == 0)
		return lab_check_owner(ctx, l, err);
	return err_is(&e, ERR_NOT_FOUND) ? check_name(ctx, err) : 0;
}

int lab_lock_named(const struct lab_ctx *ctx, const char *lab, const char *what,
		   struct lab_lock *ret, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the lock of a lab");
	auto_free char *path = xasprintf("%s/%s.lock", ctx->run_dir, lab);
	auto_free char *who = xasprintf("'labctl %s' (process %d, user %s)", what, (int)getpid(),
					ctx->caller.name);
	char holder[256] = "";
	int fd;

	if (fs_mkdirs(ctx->run_dir, 0755, err) < 0)
		return -1;
	if (fs_lock(path, who, &fd, holder, sizeof(holder), err) < 0) {
		if (!err_is(err, ERR_BUSY))
			return -1;
		err_set(err, ERR_BUSY, 0, "%s is at work on lab '%s'",
			*holder ? holder : "another labctl", lab);
		return err_hint(err, "wait until it has finished, then try again");
	}
	ret->path = steal_ptr(&path);
	ret->fd = fd;
	ret->orphaned = holder[0];
	return 0;
}

int lab_lock(const struct lab_ctx *ctx, const char *what, struct lab_lock *ret, struct err *err)
{
	return lab_lock_named(ctx, ctx->lab, what, ret, err);
}

bool lab_is_locked(const struct lab_ctx *ctx, const char *lab)
{
	auto_file_rights as_root = file_rights_root("the lock of a lab");
	auto_free char *path = xasprintf("%s/%s.lock", ctx->run_dir, lab);

	return fs_is_locked(path);
}

bool lab_is_orphaned(const struct lab_ctx *ctx, const char *lab)
{
	auto_file_rights as_root = file_rights_root("the lock of a lab");
	auto_free char *path = xasprintf("%s/%s.lock", ctx->run_dir, lab);

	return fs_access(path, F_OK) && !fs_is_locked(path);
}

void lab_unlock(struct lab_lock *lock)
{
	auto_file_rights as_root = file_rights_root("the lock of a lab");
	if (!lock->path)
		return;
	fs_unlock(lock->path, lock->fd);
	free(steal_ptr(&lock->path));
}
