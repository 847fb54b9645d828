/* SPDX-License-Identifier: MIT */
/* rights.c - whose rights decide when files are opened. */
#include "base/rights.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#include "base/banned.h"

/* setfsuid(2) and setfsgid(2) report no failure; asking again tells. They forget the signal that
 * comes when the parent dies. */
static bool set_ids(uid_t uid, gid_t gid)
{
	int signal = 0;

	prctl(PR_GET_PDEATHSIG, &signal);
	setfsgid(gid);
	setfsuid(uid);
	if (signal)
		prctl(PR_SET_PDEATHSIG, (long)signal);
	return setfsuid((uid_t)-1) == (int)uid && setfsgid((gid_t)-1) == (int)gid;
}

static void must_set_ids(uid_t uid, gid_t gid, const char *what)
{
	if (set_ids(uid, gid))
		return;
	/* Going on with another's rights would be a hole; nothing sane can follow. */
	log_warn("cannot change file rights for %s", what);
	abort();
}

/* The user database may have no entry for an id; then the user has one group. */
static int set_groups(const struct caller *c)
{
	return initgroups(c->name, c->gid) < 0 ? setgroups(1, &c->gid) : 0;
}

int file_rights_adopt(struct caller *ret, struct err *err)
{
	struct caller c = { 0 };

	if (caller_ids(&c.uid, &c.gid, err) < 0)
		return -1;
	if (geteuid() == 0 && c.uid != 0) {
		/* Before the user database is asked: its files are the first to be opened. */
		if (setgroups(1, &c.gid) < 0 || !set_ids(c.uid, c.gid))
			return err_set(err, ERR_ENV, errno, "cannot take the file rights of uid %u",
				       c.uid);
	}
	caller_names(&c);
	if (geteuid() == 0 && c.uid != 0 && set_groups(&c) < 0)
		return err_set(err, ERR_ENV, errno,
			       "cannot set the supplementary groups of user '%s'", c.name);
	*ret = c;
	return 0;
}

struct file_rights file_rights_root(const char *what)
{
	struct file_rights f = { 0 };

	if (geteuid() != 0)
		return f;
	f.uid = (uid_t)setfsuid((uid_t)-1);
	f.gid = (gid_t)setfsgid((gid_t)-1);
	f.changed = f.uid != 0 || f.gid != 0;
	if (f.changed)
		must_set_ids(0, 0, what);
	return f;
}

int file_rights_of(const struct caller *c, struct file_rights *ret, struct err *err)
{
	struct file_rights f = { 0 };

	*ret = f;
	if (geteuid() != 0)
		return 0;
	f.uid = (uid_t)setfsuid((uid_t)-1);
	f.gid = (gid_t)setfsgid((gid_t)-1);
	if (f.uid == c->uid && f.gid == c->gid)
		return 0;
	f.n_groups = getgroups(0, NULL);
	f.groups = xcalloc((size_t)f.n_groups + 1, sizeof(*f.groups));
	f.n_groups = getgroups(f.n_groups, f.groups);
	f.changed = true;
	if (f.n_groups >= 0 && set_groups(c) == 0 && set_ids(c->uid, c->gid)) {
		*ret = f;
		return 0;
	}
	err_set(err, ERR_ENV, errno, "cannot take the file rights of user '%s'", c->name);
	file_rights_restore(&f);
	return -1;
}

void file_rights_restore(struct file_rights *f)
{
	int sys = errno;

	if (!f->changed)
		return;
	if (f->groups && setgroups((size_t)f->n_groups, f->groups) < 0)
		abort(); /* staying in another's groups would be a hole */
	must_set_ids(f->uid, f->gid, "what follows");
	free(f->groups);
	*f = (struct file_rights){ 0 };
	errno = sys;
}
