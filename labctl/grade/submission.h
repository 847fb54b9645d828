/* SPDX-License-Identifier: MIT */
/* submission.h - a directory of submissions: which there are, what is run, what was handed in. */
#ifndef LABCTL_GRADE_SUBMISSION_H
#define LABCTL_GRADE_SUBMISSION_H

#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/str.h"

/* Names of the directories in dir (hidden ones left out), and of links to directories, which
 * submission_check() refuses; sorted. ERR_NOT_FOUND: there is none. */
int submissions_list(const char *dir, struct strv *ret, struct err *err) MUST_CHECK;

/* ERR_FAILED for a symbolic link: where students hand in, it may lead to another one's work. */
int submission_check(const char *dir, struct err *err) MUST_CHECK;

/* What starts the program, for sh -c in the submission's directory: `custom` with each {} become
 * `seen` (how the program calls that directory), else by the files that are there: run, router.py,
 * router. Heap text. ERR_NOT_FOUND: none of them. */
int submission_command(const char *dir, const char *custom, const char *seen, char **ret,
		       struct err *err) MUST_CHECK;

/* SHA-256 of what sha256sum says about all its files, sorted by name as bytes:
 *   find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
 * ERR_FAILED when the files have more than max bytes. */
int submission_digest(const char *dir, uint64_t max, char ret[static DIGEST_TEXT],
		      struct err *err) MUST_CHECK;

#endif
