/* SPDX-License-Identifier: MIT */
/*
 * child.h - what a program that labctl starts has from it: descriptors 0, 1 and 2, an environment,
 * and no way to more rights.
 *
 * Environment, by what the program is:
 *
 *   CHILD_ENV_CLEAN   LANG, LANGUAGE, LC_*, TERM, COLORTERM, NO_COLOR and TZ as they are here; a PATH of the
 *                     system's directories; HOME, USER, LOGNAME and SHELL of the user it runs as.
 *   CHILD_ENV_CALLER  the caller's own program: whatever sudo left him, without SUDO_*, LABCTL_*
 *                     and MAIL, and with HOME, USER, LOGNAME and SHELL his. Unchanged when labctl
 *                     was not called through sudo: then it is his own in the first place.
 *   CHILD_ENV_LABCTL  labctl itself: as CLEAN, and SUDO_UID, SUDO_GID, SUDO_USER, PKEXEC_UID,
 *                     DOAS_USER (who calls), LABCTL_* and DOCKER_*.
 *   CHILD_ENV_AS_IS   arranged by whoever starts it.
 */
#ifndef LABCTL_BASE_CHILD_H
#define LABCTL_BASE_CHILD_H

#include <stdbool.h>

#include "base/err.h"

struct caller;

enum child_env {
	CHILD_ENV_CLEAN,
	CHILD_ENV_CALLER,
	CHILD_ENV_LABCTL,
	CHILD_ENV_AS_IS,
};

struct child {
	const struct caller *as; /* runs as this user; NULL: as we are */
	enum child_env env;
	const char *const *vars; /* "K=V" besides, NULL-terminated; may be NULL */
	int keep_fd;		 /* above 2: handed over as well; 0: none */
	bool net_raw;		 /* CAP_NET_RAW, and no other capability ever; rawfilter.h */
	/* With net_raw, for the real root alone: CAP_SETUID, CAP_SETGID, CAP_CHOWN and CAP_KILL besides. Root's
	 * tcpdump becomes a user of its own and hands its capture files to him. */
	bool other_users;
	/* Started by one user for another: a session of its own without a terminal, /dev/null for
	 * stdin, no keys of ours. */
	bool detached;
};

/* In the new process, before it executes the program: all of the above, and no_new_privs unless
 * it could do everything that we can (the same user, not limited to CAP_NET_RAW). Lasting. */
int child_prepare(const struct child *c, struct err *err) MUST_CHECK;

#endif
