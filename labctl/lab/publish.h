/* SPDX-License-Identifier: MIT */
/* publish.h - what a running lab tells programs: lab.json, hosts, .stage. */
#ifndef LABCTL_LAB_PUBLISH_H
#define LABCTL_LAB_PUBLISH_H

#include <jansson.h>

#include "lab/lab.h"

/* The lab as programs see it (version 1): seat, networks, clients, routes. Owned by the caller. */
json_t *lab_describe(const struct lab *l);

/* The lab's directory with lab.json and the clients' common /etc/hosts. */
int lab_publish_files(const struct lab *l, struct err *err) MUST_CHECK;
/* .stage of the repository, owned by the lab's owner. */
int lab_publish_stage(const struct lab *l, struct err *err) MUST_CHECK;
/* Takes all of that back. Not there: success. */
int lab_unpublish(const struct lab *l, struct err *err) MUST_CHECK;

#endif
