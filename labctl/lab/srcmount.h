/* SPDX-License-Identifier: MIT */
/*
 * srcmount.h - the student's src/ as a mount of its own, nosuid and nodev.
 *
 * Idmapped: what root writes in a client belongs to the owner on the host. Where kernel or file
 * system cannot do that, real root's own directory is mounted plainly, and anybody else's
 * read-only, so that a client never writes root's files into it.
 */
#ifndef LABCTL_LAB_SRCMOUNT_H
#define LABCTL_LAB_SRCMOUNT_H

#include <stdbool.h>

#include "lab/lab.h"

/* Mounts dir at target (made if need be). *ret_mode tells how. */
int srcmount_add(const char *dir, const struct caller *owner, const char *target,
		 enum lab_src *ret_mode, struct err *err) MUST_CHECK;
/* Unmounts and removes the mount point. Not there: success. */
int srcmount_remove(const char *target, struct err *err) MUST_CHECK;
bool srcmount_is_mounted(const char *target);
/* Can this kernel make an idmapped mount of dir? Needs root. */
bool srcmount_idmap_supported(const char *dir);

#endif
