/* SPDX-License-Identifier: MIT */
/*
 * floor.c - the least that the Engine API costs: create with no networking and start, the same
 * number at a time as labctl, nothing else. Prints seconds; removes what it made.
 *
 * usage: floor IMAGE COUNT CONCURRENCY
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "docker/container.h"

#include "base/banned.h"

struct floor {
	struct engine *engine;
	const char *image;
	uint32_t total, next, in_flight, limit, failed;
	char **ids;
	uint32_t n_ids;
};

static void pump(struct floor *f);

static void on_started(void *arg, json_t *reply, const struct err *err)
{
	struct floor *f = arg;

	(void)reply;
	f->failed += err != NULL;
	f->in_flight--;
	pump(f);
}

static void on_created(void *arg, json_t *reply, const struct err *err)
{
	struct floor *f = arg;
	const char *id = json_string_value(json_object_get(reply, "Id"));
	auto_free char *path = id ? xasprintf("/containers/%s/start", id) : NULL;

	if (err || !id) {
		fprintf(stderr, "create: %s\n", err ? err->msg : "no id");
		f->failed++;
		f->in_flight--;
		return;
	}
	f->ids[f->n_ids++] = xstrdup(id);
	engine_submit(f->engine, "POST", path, NULL, on_started, f);
}

static void pump(struct floor *f)
{
	while (f->next < f->total && f->in_flight < f->limit) {
		const struct container_spec spec = { .image = f->image, .hostname = "floor" };
		auto_free char *path = xasprintf("/containers/create?name=labctl-floor-%d-%u",
						 (int)getpid(), f->next);

		f->next++;
		f->in_flight++;
		engine_submit(f->engine, "POST", path, container_create_body(&spec), on_created, f);
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_removed(void *arg, json_t *reply, const struct err *err)
{
	(void)reply;
	*(uint32_t *)arg += err != NULL;
}

int main(int argc, char **argv)
{
	struct floor f = { 0 };
	struct err err = { 0 };
	double t0;

	if (argc != 4 || parse_u32(argv[2], 1, 1000, &f.total, &err) < 0 ||
	    parse_u32(argv[3], 1, 64, &f.limit, &err) < 0) {
		fputs("usage: floor IMAGE COUNT CONCURRENCY\n", stderr);
		return 2;
	}
	f.image = argv[1];
	f.ids = xcalloc(f.total, sizeof(*f.ids));
	if (engine_open(NULL, &f.engine, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 3;
	}
	t0 = now();
	pump(&f);
	if (engine_run(f.engine, &err) < 0)
		fprintf(stderr, "%s\n", err.msg);
	printf("%.6f\n", now() - t0);
	for (uint32_t i = 0; i < f.n_ids; i++) {
		auto_free char *path = xasprintf("/containers/%s?force=1&v=1", f.ids[i]);

		engine_submit(f.engine, "DELETE", path, NULL, on_removed, &f.failed);
		free(f.ids[i]);
	}
	if (engine_run(f.engine, &err) < 0)
		f.failed++;
	free(f.ids);
	engine_free(f.engine);
	return f.failed ? 1 : 0;
}
