/* SPDX-License-Identifier: MIT */
/* docker_driver.c - the room docker/ as a command line, for tests that need a process: a
 * terminal, signals, a real engine. Exit codes are labctl's; an error goes to stderr as
 * "kind: message" and "hint: ...". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "docker/container.h"
#include "docker/engine.h"
#include "docker/exec.h"
#include "docker/image.h"

#include "base/banned.h"

/* call METHOD PATH [BODY] */
static int do_call(struct engine *e, char **argv, int *ret_code, struct err *err)
{
	json_auto_t *reply = NULL;
	json_t *body = argv[2] ? json_loads(argv[2], 0, NULL) : NULL;
	auto_free char *text = NULL;

	(void)ret_code;
	if (engine_call(e, argv[0], argv[1], body, &reply, err))
		return -1;
	text = reply ? json_dumps(reply, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	puts(text ? text : "-");
	return 0;
}

/* exec [-t] [-i] [-e K=V] [-w DIR] CONTAINER COMMAND... */
static int do_exec(struct engine *e, char **argv, int *ret_code, struct err *err)
{
	const char *env[2] = { NULL, NULL };
	struct exec_spec spec = { .stdin_fd = 0, .stdout_fd = 1, .stderr_fd = 2, .env = env };

	for (; **argv == '-'; argv++) {
		if (strcmp(*argv, "-t") == 0)
			spec.tty = true;
		else if (strcmp(*argv, "-i") == 0)
			spec.stdin_open = true;
		else if (strcmp(*argv, "-e") == 0)
			env[0] = *++argv;
		else if (strcmp(*argv, "-w") == 0)
			spec.workdir = *++argv;
	}
	spec.container = *argv;
	spec.argv = (const char *const *)argv + 1;
	return exec_run(e, &spec, ret_code, err);
}

static int do_capture(struct engine *e, char **argv, int *ret_code, struct err *err)
{
	auto_free char *text = NULL;

	if (exec_capture(e, argv[0], (const char *const *)argv + 1, ret_code, &text, err))
		return -1;
	fputs(text, stdout);
	return 0;
}

/* run NAME IMAGE LABEL COMMAND...: create and start. */
static int do_run(struct engine *e, char **argv, int *ret_code, struct err *err)
{
	const char *labels[] = { "labctl.test", argv[2], NULL };
	struct container_bind bind = { .source = "/tmp", .target = "/mnt", .read_only = true };
	static const char *const caps[] = { "NET_ADMIN", NULL };
	struct container_spec spec = {
		.image = argv[1],
		.hostname = "client1",
		.command = (const char *const *)argv + 3,
		.labels = labels,
		.binds = &bind,
		.n_binds = 1,
		.caps = caps,
	};
	auto_free char *create = xasprintf("/containers/create?name=%s", argv[0]);
	auto_free char *start = xasprintf("/containers/%s/start", argv[0]);

	(void)ret_code;
	if (engine_call(e, "POST", create, container_create_body(&spec), NULL, err))
		return -1;
	return engine_call(e, "POST", start, NULL, NULL, err);
}

static int do_list(struct engine *e, char **argv, int *ret_code, struct err *err)
{
	auto_container_list list = { 0 };

	(void)ret_code;
	if (container_list_by_label(e, argv[0], &list, err))
		return -1;
	for (size_t i = 0; i < list.n; i++)
		printf("%s %s %s\n", list.v[i].name, list.v[i].state,
		       json_string_value(json_object_get(list.v[i].labels, "labctl.test")));
	return 0;
}

static int do_log(struct engine *e, char **argv, int *ret_code, struct err *err)
{
	auto_free char *text = NULL;

	(void)ret_code;
	if (container_log_tail(e, argv[0], 10, &text, err))
		return -1;
	fputs(text, stdout);
	return 0;
}

static void on_progress(void *arg, const char *text)
{
	(void)arg;
	printf("progress: %s\n", text);
	fflush(stdout);
}

/* import REF [CHANGE...] < tar */
static int do_import(struct engine *e, char **argv, int *ret_code, struct err *err)
{
	(void)ret_code;
	return image_import(e, 0, argv[0], (const char *const *)argv + 1, on_progress, NULL, err);
}

/* build REF [ARG=V...] < tar */
static int do_build(struct engine *e, char **argv, int *ret_code, struct err *err)
{
	(void)ret_code;
	return image_build(e, 0, argv[0], "Dockerfile", (const char *const *)argv + 1, on_progress,
			   NULL, err);
}

static int do_inspect(struct engine *e, char **argv, int *ret_code, struct err *err)
{
	struct image_info info;

	(void)ret_code;
	if (image_inspect(e, argv[0], &info, err))
		return -1;
	printf("%s %lld %s\n", info.id, (long long)info.size, info.created);
	return 0;
}

static int do_remove(struct engine *e, char **argv, int *ret_code, struct err *err)
{
	(void)ret_code;
	return image_remove(e, argv[0], err);
}

static const struct {
	const char *name;
	int (*run)(struct engine *e, char **argv, int *ret_code, struct err *err);
	int min_args;
} verbs[] = {
	{ "call", do_call, 2 },	    { "exec", do_exec, 2 },   { "capture", do_capture, 2 },
	{ "run", do_run, 4 },	    { "list", do_list, 1 },   { "log", do_log, 1 },
	{ "import", do_import, 1 }, { "build", do_build, 1 }, { "inspect", do_inspect, 1 },
	{ "remove", do_remove, 1 },
};

int main(int argc, char **argv)
{
	auto_engine e = NULL;
	struct err err = { 0 };
	int code = 0, r = -1;

	mem_adopt_jansson();
	if (!getenv("DRIVER_NO_INTERRUPT"))
		interrupt_install();
	if (getenv("DRIVER_DEBUG"))
		log_set_level(LOG_DEBUG);
	err_set(&err, ERR_USAGE, 0, "usage: docker_driver VERB ...");
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(argv[1], verbs[i].name) != 0 || argc - 2 < verbs[i].min_args)
			continue;
		r = engine_open(NULL, &e, &err);
		if (r == 0)
			r = verbs[i].run(e, argv + 2, &code, &err);
	}
	if (r == 0)
		return code;
	fprintf(stderr, "%s: %s\n", err_kind_name(err.kind), err.msg);
	if (*err.hint)
		fprintf(stderr, "hint: %s\n", err.hint);
	return err_exit_code(err.kind);
}
