/* SPDX-License-Identifier: MIT */
/* fake_engine.h - what the tests of docker/ share: a scripted engine (tests/lib/fake-engine.py)
 * and the checks of errors. */
#ifndef TESTS_UNIT_FAKE_ENGINE_H
#define TESTS_UNIT_FAKE_ENGINE_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "docker/engine.h"
#include "expect.h"

#define FAKE_UNUSED __attribute__((unused))

#define LOST_HINT                                                                                  \
	"the engine's log tells more: 'journalctl -u docker', or the log of the dockerd that was " \
	"started by hand"

struct fake {
	pid_t pid;
	int stdin_fd; /* its end is the fake's end */
	char dir[32];
	char host[64]; /* "unix:///tmp/.../sock" */
	struct engine *e;
};

/* JSON where ' stands for ". */
FAKE_UNUSED static char *fake_json(const char *text)
{
	char *json = xstrdup(text);

	for (char *c = json; *c; c++)
		if (*c == '\'')
			*c = '"';
	return json;
}

static void fake_child(const char *const *argv, int in, int out)
{
	union {
		const char *const *in;
		char *const *out;
	} args = { argv };

	dup2(in, 0);
	dup2(out, 1);
	signal(SIGPIPE, SIG_DFL);
	execv(argv[0], args.out);
	_exit(127);
}

static void fake_spawn(struct fake *f, const char *const *argv)
{
	int in[2], out[2];
	FILE *ready;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	f->pid = fork();
	if (f->pid == 0)
		fake_child(argv, in[0], out[1]);
	assert_true(f->pid > 0);
	close(in[0]);
	close(out[1]);
	f->stdin_fd = in[1];
	ready = fdopen(out[0], "r");
	assert_non_null(fgets(f->host, sizeof(f->host), ready));
	f->host[strcspn(f->host, "\n")] = '\0';
	fclose(ready);
}

static const char *fake_program(void)
{
	static char path[4096];
	const char *root = getenv("LABCTL_ROOT");

	snprintf(path, sizeof(path), "%s/tests/lib/fake-engine.py", root ? root : ".");
	return path;
}

/* Starts it with a script (' for ") and opens an engine on it. */
FAKE_UNUSED static void fake_start(struct fake *f, const char *script)
{
	auto_free char *json = fake_json(script);
	auto_free char *path = NULL;

	*f = (struct fake){ .dir = "/tmp/labctl-docker-XXXXXX" };
	assert_non_null(mkdtemp(f->dir));
	path = xasprintf("%s/sock", f->dir);
	fake_spawn(f,
		   (const char *const[]){ "/usr/bin/python3", fake_program(), json, path, NULL });
	ok(engine_open(f->host, &f->e, err));
}

FAKE_UNUSED static void fake_stop(struct fake *f)
{
	auto_free char *path = xasprintf("%s/sock", f->dir);
	int status;

	engine_free(f->e);
	close(f->stdin_fd);
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	assert_int_equal(status, 0);
	unlink(path);
	assert_int_equal(rmdir(f->dir), 0);
}

/* What the engine was asked so far; by an engine value of its own. Free with json_decref(). */
FAKE_UNUSED static json_t *fake_log(const struct fake *f)
{
	auto_engine e = NULL;
	json_t *log = NULL;

	ok(engine_open(f->host, &e, err));
	ok(engine_call(e, "GET", "/_log", NULL, &log, err));
	return log;
}

/* The n-th request to this path in the log (from 0), or NULL; borrowed from log. */
FAKE_UNUSED static json_t *fake_find(json_t *log, const char *path, size_t nth)
{
	json_t *rq;
	size_t i;

	json_array_foreach (json_object_get(log, "requests"), i, rq) {
		const char *p = json_string_value(json_object_get(rq, "path"));

		if (strcmp(p, path) == 0 && nth-- == 0)
			return rq;
	}
	return NULL;
}

FAKE_UNUSED static size_t fake_count(json_t *log, const char *path)
{
	size_t n = 0;

	while (fake_find(log, path, n))
		n++;
	return n;
}

FAKE_UNUSED static const char *fake_text(json_t *rq, const char *key)
{
	return json_string_value(json_object_get(rq, key));
}

/* Runs fn in a process of its own (the interrupt flag cannot be taken back), which must end
 * with code; it is sent sig once the fake was asked for `path`. */
FAKE_UNUSED static void fake_interrupted(struct fake *f, const char *path, int sig,
					 void (*fn)(struct fake *f), int code)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		alarm(60); /* nobody waits longer for one that is not interrupted */
		fn(f);
		_exit(0);
	}
	for (;;) {
		json_t *log = fake_log(f);
		size_t n = fake_count(log, path);

		json_decref(log);
		if (n)
			break;
		usleep(5000);
	}
	kill(pid, sig);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), code);
}

#endif
