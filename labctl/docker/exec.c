/* SPDX-License-Identifier: MIT */
/* exec.c - commands in running containers. */
#include "docker/exec.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/syscall.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "docker/demux.h"
#include "docker/engine_raw.h"
#include "docker/hijack.h"
#include "docker/pump.h"
#include "docker/text.h"
#include "docker/tty.h"

#include "base/banned.h"

#define CAPTURE_MAX 4096
#define API_SIZE    42 /* from 1.42 on the terminal is born with its size */
/* The engine's own escape, Ctrl-P Ctrl-Q, would hold back each Ctrl-P until the next key. It
 * cannot be switched off: make it one that nobody types. */
#define NO_DETACH "ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@"

/* ---- the command's process ---- */

int exec_state_read(const json_t *reply, struct exec_state *ret, struct err *err)
{
	const char *container = json_string_value(json_object_get(reply, "ContainerID"));
	const json_t *running = json_object_get(reply, "Running");

	if (!json_is_boolean(running))
		return err_set(err, ERR_ENV, 0,
			       "the Docker Engine's reply to 'GET /exec/{id}/json' is not what the "
			       "API says");
	ret->running = json_is_true(running);
	ret->code = (int)json_integer_value(json_object_get(reply, "ExitCode"));
	ret->pid = (pid_t)json_integer_value(json_object_get(reply, "Pid"));
	if (!str_copy(ret->container, sizeof(ret->container), container ? container : ""))
		ret->container[0] = '\0';
	return 0;
}

/* The kernel's word that this process is the container's: its control group carries the id. */
static bool is_of_container(pid_t pid, const char *container)
{
	auto_free char *path = xasprintf("/proc/%d/cgroup", (int)pid);
	auto_free char *text = NULL;

	return strlen(container) == 64 && fs_read(path, 65536, &text, NULL, ERR_IGNORED) == 0 &&
	       strstr(text, container);
}

int exec_kill(const struct exec_state *state, int sig)
{
	struct pollfd p = { .events = POLLIN };
	auto_fd pidfd = -1;

	if (state->pid <= 1)
		return -1;
	/* held, so that the number cannot come to mean another process meanwhile */
	pidfd = (int)syscall(SYS_pidfd_open, state->pid, 0);
	if (pidfd < 0)
		return errno == ESRCH ? 0 : -1;
	if (!is_of_container(state->pid, state->container))
		return -1;
	p.fd = pidfd;
	if (poll(&p, 1, 0) != 0)
		return 0; /* it has ended */
	/* runtimes make the command a session of its own: its children hear it too */
	if (getpgid(state->pid) == state->pid)
		return kill(-state->pid, sig);
	return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

/* ---- create and start ---- */

static json_t *create_body(const struct exec_spec *spec)
{
	json_t *argv = text_array(spec->argv);
	json_t *env = text_array(spec->env);

	if (!argv || !env) {
		json_decref(argv);
		json_decref(env);
		return NULL;
	}
	return json_pack("{s:b, s:b, s:b, s:b, s:o, s:o, s:s*, s:s*, s:s*}", "AttachStdin",
			 spec->tty || spec->stdin_open, "AttachStdout", 1, "AttachStderr", 1, "Tty",
			 (int)spec->tty, "Cmd", argv, "Env", env, "User", spec->user, "WorkingDir",
			 spec->workdir, "DetachKeys", spec->tty ? NO_DETACH : NULL);
}

static int exec_create(struct engine *e, const struct exec_spec *spec, char **ret_id,
		       struct err *err)
{
	auto_free char *container = engine_escape(e, spec->container);
	auto_free char *path = xasprintf("/containers/%s/exec", container);
	json_t *body = create_body(spec);
	json_auto_t *reply = NULL;
	const char *id;

	if (!body)
		return err_set(err, ERR_USAGE, 0, "the command for '%s' is no valid UTF-8",
			       spec->container);
	if (engine_call(e, "POST", path, body, &reply, err))
		return -1;
	id = json_string_value(json_object_get(reply, "Id"));
	if (str_empty(id))
		return err_set(err, ERR_ENV, 0,
			       "the Docker Engine's reply to 'POST %s' is not what the API says",
			       path);
	*ret_id = engine_escape(e, id);
	return 0;
}

static char *start_body(const struct engine *e, const struct exec_spec *spec)
{
	json_t *body = json_pack("{s:b, s:b}", "Detach", 0, "Tty", (int)spec->tty);
	struct tty_size size;
	char *text;

	if (spec->tty && engine_api_at_least(e, API_SIZE) && tty_size_get(spec->stdin_fd, &size))
		json_object_set_new(body, "ConsoleSize",
				    json_pack("[i, i]", (int)size.rows, (int)size.cols));
	text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	return text;
}

int exec_run(struct engine *e, const struct exec_spec *spec, int *ret_code, struct err *err)
{
	auto_free char *id = NULL;
	auto_free char *path = NULL;
	auto_free char *body = NULL;
	auto_http_conn conn = NULL;
	auto_str first = { 0 };

	if (spec->tty && !isatty(spec->stdin_fd))
		return err_set(err, ERR_USAGE, 0, "the input is no terminal");
	if (exec_create(e, spec, &id, err))
		return -1;
	path = xasprintf("/exec/%s/start", id);
	body = start_body(e, spec);
	if (hijack_open(e, path, body, &conn, &first, err))
		return err_wrap(err, "running a command in '%s'", spec->container);
	return pump_run(e, spec, id, conn, &first, ret_code, err);
}

/* ---- capture ---- */

struct capture {
	struct demux demux;
	struct str text;
};

static int capture_add(void *arg, enum demux_stream stream, const char *data, size_t n)
{
	struct str *text = arg;

	(void)stream;
	/* the rest is read and dropped: the command must not stall */
	if (text->len < CAPTURE_MAX)
		str_addn(text, data, n);
	return 0;
}

static int capture_sink(void *arg, const char *data, size_t n, struct err *err)
{
	struct capture *c = arg;

	return demux_feed(&c->demux, data, n, capture_add, &c->text, err);
}

/* Asks until the command has ended; its output has, so that this is soon. */
static int wait_for_code(struct engine *e, const char *id, int *ret_code, struct err *err)
{
	auto_free char *path = xasprintf("/exec/%s/json", id);
	struct timespec wait = { .tv_nsec = 1000000 };

	for (;;) {
		json_auto_t *reply = NULL;
		struct exec_state state = { 0 };

		if (engine_call(e, "GET", path, NULL, &reply, err) ||
		    exec_state_read(reply, &state, err))
			return -1;
		if (!state.running) {
			*ret_code = state.code;
			return 0;
		}
		nanosleep(&wait, NULL);
		if (wait.tv_nsec < 100000000)
			wait.tv_nsec *= 2;
	}
}

static int capture_run(struct engine *e, const char *id, struct capture *c, int *ret_code,
		       struct err *err)
{
	auto_free char *path = xasprintf("/exec/%s/start", id);
	struct http_request rq = {
		.method = "POST",
		.target = path,
		.body = "{\"Detach\":false,\"Tty\":false}",
		.content_type = "application/json",
		.sink = capture_sink,
		.io_arg = c,
	};

	if (engine_stream(e, &rq, err))
		return -1;
	return wait_for_code(e, id, ret_code, err);
}

int exec_capture(struct engine *e, const char *container, const char *const *argv, int *ret_code,
		 char **ret_output, struct err *err)
{
	struct exec_spec spec = { .container = container, .argv = argv };
	auto_free char *id = NULL;
	struct capture c = { 0 };
	int r;

	if (exec_create(e, &spec, &id, err))
		return -1;
	r = capture_run(e, id, &c, ret_code, err);
	if (r)
		err_wrap(err, "running '%s' in '%s'", argv[0], container);
	else if (ret_output)
		*ret_output = text_clean(str_get(&c.text), c.text.len, CAPTURE_MAX);
	str_done(&c.text);
	return r;
}
