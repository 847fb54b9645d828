/* SPDX-License-Identifier: MIT */
/* container.h - what labctl asks of containers: create, look, read the log, remove. */
#ifndef LABCTL_DOCKER_CONTAINER_H
#define LABCTL_DOCKER_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "docker/engine.h"

struct container_bind {
	const char *source;
	const char *target;
	bool read_only;
};

#define CONTAINER_LOG_MAX "4m"

/* Everything is borrowed for the time of the call. Arrays of texts are NULL-terminated and may
 * be NULL. */
struct container_spec {
	const char *image;
	const char *hostname;
	const char *const *command; /* NULL: the image's own */
	const char *const *env;	    /* "K=V" */
	const char *const *labels;  /* key, value, key, value, ... */
	const struct container_bind *binds;
	size_t n_binds;
	const char *const *caps; /* all that its root may do: "NET_ADMIN"; the others are dropped */
	uint64_t memory;	 /* bytes, swap included; 0: no limit */
	uint32_t processes;	 /* threads count, too; 0: no limit */
	const char *profile;	 /* profile.h; NULL: the engine's own */
};

/* The body for POST /containers/create: no Docker networking ("NetworkDisabled"), restart
 * policy "no", no new privileges, a log of CONTAINER_LOG_MAX at most. Owned by the caller; NULL when a text is no UTF-8 (the engine refuses an empty
 * body). */
json_t *container_create_body(const struct container_spec *spec);

struct container_info {
	char id[65];
	char name[128];	 /* without the leading '/' */
	char state[16];	 /* created running paused restarting removing exited dead */
	char status[64]; /* "Exited (1) 3 seconds ago" */
	json_t *labels;	 /* owned by the list */
};

struct container_list {
	struct container_info *v;
	size_t n;
};

/* All containers, running or not, that carry label "key" or "key=value". */
int container_list_by_label(struct engine *e, const char *label, struct container_list *ret,
			    struct err *err) MUST_CHECK;
void container_list_done(struct container_list *l);
static inline void auto_container_list_(struct container_list *l)
{
	container_list_done(l);
}
#define auto_container_list auto_cleanup(container_list) struct container_list

/* From a reply of GET /containers/{id}/json: what labctl needs to know of it. */
struct container_state {
	bool running;
	pid_t pid; /* 0 when not running */
	int exit_code;
	char error[256]; /* the engine's own words when it could not start */
};
int container_state_read(json_t *inspect, struct container_state *ret, struct err *err) MUST_CHECK;

/* Waits until the container has ended and gives its exit code; the engine learns of an end some
 * time after the process is gone. Not within timeout_ms: ERR_ENV. */
int container_wait_end(struct engine *e, const char *id, long timeout_ms, int *ret_exit_code,
		       struct err *err) MUST_CHECK;

/* The last lines of what the container printed, both streams, as heap text of at most 2 KiB. */
int container_log_tail(struct engine *e, const char *id, unsigned lines, char **ret_text,
		       struct err *err) MUST_CHECK;

#endif
