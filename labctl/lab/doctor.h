/* SPDX-License-Identifier: MIT */
/* doctor.h - is this computer fit for labs? For each thing missing, the command that mends it. */
#ifndef LABCTL_LAB_DOCTOR_H
#define LABCTL_LAB_DOCTOR_H

#include <jansson.h>

#include "lab/ctx.h"

/* An array of {"check", "status": "ok"|"warn"|"fail"|"unknown", "text", "mend"}; mend only
 * where there is something to do. Owned by the caller. *ret_failed counts the "fail"s. */
json_t *doctor_run(struct lab_ctx *ctx, unsigned *ret_failed);

#endif
