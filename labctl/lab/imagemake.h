/* SPDX-License-Identifier: MIT */
/* imagemake.h - the client image: from the distribution's packages, or from the Dockerfile. */
#ifndef LABCTL_LAB_IMAGEMAKE_H
#define LABCTL_LAB_IMAGEMAKE_H

#include "lab/ctx.h"

/* Without any registry: images/build-rootfs.sh makes a root file system of images/packages, the
 * engine imports it with the settings of images/config. Needs root. */
int imagemake_from_packages(struct lab_ctx *ctx, struct err *err) MUST_CHECK;

/* From images/Dockerfile; base (may be NULL) replaces its BASE. The engine must be able to get
 * the base image and packages. */
int imagemake_from_dockerfile(struct lab_ctx *ctx, const char *base, struct err *err) MUST_CHECK;

#endif
