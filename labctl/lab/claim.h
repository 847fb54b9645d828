/* SPDX-License-Identifier: MIT */
/* claim.h - the leases that a lab stands on. All are owned by "lab:<name>". */
#ifndef LABCTL_LAB_CLAIM_H
#define LABCTL_LAB_CLAIM_H

#include "lab/lab.h"
#include "netport/lease.h"

#define CLAIM_LABS_MAX 16 /* of one user who does not administer the host */

/* Leases the lab's name, its link group, the names of its interfaces (the next free ones where
 * another lab has them) and namespaces, the subnets where the kernel owns the address, and host
 * ports; fills them in. All or none. ERR_CONFLICT names the holder;
 * ERR_FAILED: the user has CLAIM_LABS_MAX labs. */
int claim_take(struct lab_ctx *ctx, struct lab *l, struct err *err) MUST_CHECK;
/* None: success. */
int claim_release(const struct lab_ctx *ctx, const char *lab, struct err *err) MUST_CHECK;
/* The leases that the lab's record says it has and the book does not: "interface 'net1'". */
int claim_missing(const struct lab_ctx *ctx, const struct lab *l, struct strv *ret,
		  struct err *err) MUST_CHECK;
/* Takes those again, exactly as recorded. */
int claim_restore(struct lab_ctx *ctx, struct lab *l, struct err *err) MUST_CHECK;

#endif
