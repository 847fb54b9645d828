/* SPDX-License-Identifier: MIT */
/*
 * containers.h - the containers of labs, by their labels.
 *
 * Several books (LABCTL_STATE) may share one engine: a container belongs to the lab whose name
 * and book its labels tell. Names of containers prove nothing.
 */
#ifndef LABCTL_LAB_CONTAINERS_H
#define LABCTL_LAB_CONTAINERS_H

#include "docker/container.h"
#include "lab/lab.h"

/* Of one lab, or (lab NULL) of all labs of this book, with a record or without. */
int lab_containers(struct lab_ctx *ctx, const char *lab, struct container_list *ret,
		   struct err *err) MUST_CHECK;
/* Removes them and waits until they are gone. None: success. */
int lab_containers_remove(struct lab_ctx *ctx, const char *lab, struct err *err) MUST_CHECK;

/* ERR_CONFLICT when a lab of that name from another book has containers here: names of
 * containers, namespaces and tables are one for the whole computer. */
int lab_containers_check(struct lab_ctx *ctx, const char *lab, struct err *err) MUST_CHECK;

/* After a labctl died: waits out what the engine still does for it. It finishes a request whose
 * sender is gone, so a container may appear after it was looked for in vain. Afterwards the list
 * is complete; it may hold containers without a process for clients that had none. */
int lab_containers_settle(struct lab_ctx *ctx, const struct lab *l, struct err *err) MUST_CHECK;

#endif
