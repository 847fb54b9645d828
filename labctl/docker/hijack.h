/* SPDX-License-Identifier: MIT */
/* hijack.h - a request after which the connection carries bytes, not HTTP. Internal to
 * docker/. */
#ifndef LABCTL_DOCKER_HIJACK_H
#define LABCTL_DOCKER_HIJACK_H

#include "base/str.h"
#include "docker/engine.h"
#include "docker/http.h"

/* POSTs body (JSON text) to path (without version) and asks for the upgrade; the engine may
 * answer 101 or 200. *ret_rest (to be str_done()) holds what came behind the reply's head. */
int hijack_open(struct engine *e, const char *path, const char *body, struct http_conn **ret,
		struct str *ret_rest, struct err *err) MUST_CHECK;

#endif
