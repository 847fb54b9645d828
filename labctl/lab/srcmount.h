/* SPDX-License-Identifier: MIT */
/*
 * srcmount.h - the student's src/ as a mount of its own, nosuid and nodev.
 *
 * Idmapped: what root writes in a client belongs to the owner on the host. A directory that is not
 * the owner's, or that kernel and file system cannot map, is not mounted at all: as root in the
 * clients he would reach files of others. Only the real root's directory is mounted plainly.
 */
#ifndef LABCTL_LAB_SRCMOUNT_H
#define LABCTL_LAB_SRCMOUNT_H

#include <stdbool.h>

#include "lab/lab.h"

/* May it be src? Not "/" and no part of the kernel's (proc, sysfs, devices, ...), for nobody:
 * ERR_USAGE. Looked up with the rights that this process has. */
int srcmount_check(const char *dir, struct err *err) MUST_CHECK;
/* Mounts dir at target (made if need be, for root alone to enter). *ret_mode tells how. With
 * LAB_SRC_NONE it is not mounted, and *ret_why, heap text, says why. */
int srcmount_add(const char *dir, const struct caller *owner, const char *target,
		 enum lab_src *ret_mode, char **ret_why, struct err *err) MUST_CHECK;
/* Unmounts and removes the mount point. Not there: success. */
int srcmount_remove(const char *target, struct err *err) MUST_CHECK;
bool srcmount_is_mounted(const char *target);
/* Can kernel and file system make an idmapped mount of dir? Needs root. */
bool srcmount_idmap_supported(const char *dir);

#endif
