/* SPDX-License-Identifier: MIT */
/* image.h - images: is it there, import a root file system, build from a Dockerfile. */
#ifndef LABCTL_DOCKER_IMAGE_H
#define LABCTL_DOCKER_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "docker/engine.h"

struct image_info {
	char id[80];	  /* sha256:... */
	int64_t size;	  /* bytes */
	char created[40]; /* RFC 3339 */
};

/* ERR_NOT_FOUND when the engine has no such image. */
int image_inspect(struct engine *e, const char *ref, struct image_info *ret,
		  struct err *err) MUST_CHECK;

/* One line of progress as it comes; text is borrowed. */
typedef void image_progress_fn(void *arg, const char *text);

/* Streams a tar archive from fd until its end into a new image `ref` ("name:tag").
 * changes: Dockerfile instructions, NULL-terminated ("WORKDIR /~"). Memory use does not depend
 * on the archive's size. progress (may be NULL) gets "123 MiB sent". */
int image_import(struct engine *e, int fd, const char *ref, const char *const *changes,
		 image_progress_fn *progress, void *arg, struct err *err) MUST_CHECK;

/* Streams a build context (tar) from fd into POST /build; args is "K=V", NULL-terminated. The
 * engine's own output arrives line by line; an "error" in the stream is the error here. */
int image_build(struct engine *e, int fd, const char *ref, const char *dockerfile,
		const char *const *args, image_progress_fn *progress, void *arg,
		struct err *err) MUST_CHECK;

int image_remove(struct engine *e, const char *ref, struct err *err) MUST_CHECK;

#endif
