/* SPDX-License-Identifier: MIT */
/* starter.h - what an empty src/ begins with: the same small program in Python and in C. */
#ifndef LABCTL_LAB_STARTER_H
#define LABCTL_LAB_STARTER_H

#include "lab/lab.h"

/* Puts starter.py and starter.c into the lab's src when it has nothing in it but a README and hidden
 * files. They are made with the rights of the caller, in a directory of his own only; the real root's
 * are made with those of the directory's owner. Nothing is overwritten. *ret_names: what was made. */
int starter_place(const struct lab_ctx *ctx, const struct lab *l, struct strv *ret_names,
		  struct err *err) MUST_CHECK;

#endif
