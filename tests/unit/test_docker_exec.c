/* SPDX-License-Identifier: MIT */
/* test_docker_exec.c - commands over an upgraded connection, against a scripted engine. The
 * terminal and the real engine: tests/docker. */
#include "docker/exec.h"

#include "base/log.h"
#include "fake_engine.h"

/* A rule for the creation; the command's end with code CODE; what the start does is the rest. */
#define EXEC(code, start)                                                                          \
	"{'rules': [{'on': 'POST /containers/c/exec', 'status': 201, 'json': {'Id': 'e1'}},"       \
	"{'on': 'GET /exec/e1/json', 'json': {'Running': false, 'ExitCode': " #code                \
	", 'Pid': 0, 'ContainerID': 'c'}}, {'on': 'POST /exec/e1/start', " start "}]}"

struct io {
	int in, out, err; /* our ends */
	struct exec_spec spec;
	int theirs[3];
};

static const char *const argv_true[] = { "true", NULL };

static void io_open(struct io *io, const char *input)
{
	int p[3][2];

	for (int i = 0; i < 3; i++)
		assert_int_equal(pipe2(p[i], O_CLOEXEC), 0);
	*io = (struct io){
		.in = p[0][1],
		.out = p[1][0],
		.err = p[2][0],
		.theirs = { p[0][0], p[1][1], p[2][1] },
		.spec = { .container = "c",
			  .argv = argv_true,
			  .stdin_open = input != NULL,
			  .stdin_fd = p[0][0],
			  .stdout_fd = p[1][1],
			  .stderr_fd = p[2][1] },
	};
	if (input)
		assert_int_equal(write(io->in, input, strlen(input)), strlen(input));
	close(io->in);
}

/* Closes their ends and compares what came. */
static void io_expect(struct io *io, const char *out, const char *err)
{
	char text[65536];
	ssize_t n;

	for (int i = 0; i < 3; i++)
		close(io->theirs[i]);
	n = read(io->out, text, sizeof(text) - 1);
	text[n] = '\0';
	assert_string_equal(text, out);
	n = read(io->err, text, sizeof(text) - 1);
	text[n] = '\0';
	assert_string_equal(text, err);
	close(io->out);
	close(io->err);
}

static void runs(const char *script, const char *input, int want_code, const char *out,
		 const char *errors)
{
	struct fake f;
	struct io io;
	int code = -1;

	fake_start(&f, script);
	io_open(&io, input);
	ok(exec_run(f.e, &io.spec, &code, err));
	assert_int_equal(code, want_code);
	io_expect(&io, out, errors);
	fake_stop(&f);
}

static void streams_stay_apart(void **state)
{
	(void)state;
	runs(EXEC(0, "'hijack': [{'frame': [1, 'out']}, {'frame': [2, 'err']}, {'frame': [1, "
		     "'\\n']}]"),
	     NULL, 0, "out\n", "err");
	runs(EXEC(3, "'hijack': [{'piece': 1}, {'frame': [2, 'err']}, {'frame': [1, 'out']}]"),
	     NULL, 3, "out", "err");
	/* an engine that does not say 101 */
	runs(EXEC(0, "'status': 200, 'hijack': [{'frame': [1, 'out']}]"), NULL, 0, "out", "");
	runs(EXEC(126, "'hijack': []"), NULL, 126, "", "");
}

static void input_arrives_and_ends(void **state)
{
	(void)state;
	runs(EXEC(0, "'hijack': [{'echo': true}]"), "hello", 0, "hello<end>", "");
	runs(EXEC(0, "'hijack': [{'echo': true}]"), "", 0, "<end>", "");
	/* the command ends without a look at it */
	runs(EXEC(5, "'hijack': [{'frame': [1, 'no']}]"), "hello", 5, "no", "");
}

static void asks_until_it_has_ended(void **state)
{
	(void)state;
	runs("{'rules': [{'on': 'POST /containers/c/exec', 'status': 201, 'json': {'Id': 'e1'}},"
	     "{'on': 'GET /exec/e1/json', 'times': 5, 'json': {'Running': true, 'ExitCode': null}},"
	     "{'on': 'GET /exec/e1/json', 'json': {'Running': false, 'ExitCode': 9}},"
	     "{'on': 'POST /exec/e1/start', 'hijack': [{'frame': [1, 'x']}]}]}",
	     NULL, 9, "x", "");
}

static void what_is_asked(void **state)
{
	static const char *const env[] = { "A=b", NULL };
	struct fake f;
	struct io io;
	json_t *log, *rq;
	int code;

	(void)state;
	fake_start(&f, EXEC(0, "'hijack': []"));
	io_open(&io, NULL);
	io.spec.env = env;
	io.spec.workdir = "/w";
	io.spec.user = "nobody";
	ok(exec_run(f.e, &io.spec, &code, err));
	io_expect(&io, "", "");
	log = fake_log(&f);
	assert_string_equal(
		fake_text(fake_find(log, "/containers/c/exec", 0), "body"),
		"{\"AttachStdin\":false,\"AttachStdout\":true,\"AttachStderr\":true,\"Tty\":false,"
		"\"Cmd\":[\"true\"],\"Env\":[\"A=b\"],\"User\":\"nobody\",\"WorkingDir\":\"/w\"}");
	rq = fake_find(log, "/exec/e1/start", 0);
	assert_string_equal(fake_text(rq, "body"), "{\"Detach\":false,\"Tty\":false}");
	rq = json_object_get(rq, "headers");
	assert_string_equal(fake_text(rq, "upgrade"), "tcp");
	assert_string_equal(fake_text(rq, "connection"), "Upgrade");
	json_decref(log);
	fake_stop(&f);
}

static void fails_to_run(const char *script, enum err_kind kind, const char *msg)
{
	struct fake f;
	struct io io;
	struct err e = { 0 };
	auto_free char *want = NULL;
	const char *at = strstr(msg, "HOST");
	int code = -1;

	fake_start(&f, script);
	want = at ? xasprintf("%.*s%s%s", (int)(at - msg), msg, f.host, at + 4) : xstrdup(msg);
	io_open(&io, "input");
	assert_int_equal(exec_run(f.e, &io.spec, &code, &e), -1);
	assert_string_equal(e.msg, want);
	assert_string_equal(err_kind_name(e.kind), err_kind_name(kind));
	assert_int_equal(code, -1);
	for (int i = 0; i < 3; i++)
		close(io.theirs[i]);
	close(io.out);
	close(io.err);
	fake_stop(&f);
}

static void refusals(void **state)
{
	(void)state;
	fails_to_run(
		"{'rules': [{'on': 'POST /containers/c/exec', 'status': 404, 'json': "
		"{'message': 'No such container: c'}}]}",
		ERR_NOT_FOUND,
		"the Docker Engine refuses 'POST /containers/c/exec' (404): No such container: c");
	fails_to_run(
		"{'rules': [{'on': 'POST /containers/c/exec', 'status': 409, 'json': "
		"{'message': 'Container c is not running'}}]}",
		ERR_CONFLICT,
		"the Docker Engine refuses 'POST /containers/c/exec' (409): Container c is not "
		"running");
	fails_to_run(
		"{'rules': [{'on': 'POST /containers/c/exec', 'status': 201, 'json': {}}]}",
		ERR_ENV,
		"the Docker Engine's reply to 'POST /containers/c/exec' is not what the API says");
	fails_to_run(
		EXEC(0, "'status': 409, 'json': {'message': 'Container c is paused'}"),
		ERR_CONFLICT,
		"running a command in 'c': the Docker Engine refuses 'POST /exec/e1/start' (409): "
		"Container c is paused");
	fails_to_run(
		EXEC(0, "'status': 500"), ERR_ENV,
		"running a command in 'c': the Docker Engine answers 'POST /exec/e1/start' with "
		"status 500 and no reason");
}

static void broken_streams(void **state)
{
	(void)state;
	fails_to_run(EXEC(0, "'close': true"), ERR_ENV,
		     "running a command in 'c': the Docker Engine at HOST closed the connection "
		     "during 'POST /exec/e1/start'");
	fails_to_run(EXEC(0, "'raw': 'HTTP/1.1 101 UPGR'"), ERR_ENV,
		     "running a command in 'c': the Docker Engine at HOST closed the connection "
		     "during 'POST /exec/e1/start'");
	fails_to_run(
		EXEC(0, "'raw': 'SSH-2.0\\r\\n\\r\\n'"), ERR_ENV,
		"running a command in 'c': what answers 'POST /exec/e1/start' at HOST does not "
		"speak HTTP");
	fails_to_run(EXEC(0, "'hijack': [{'send': 'no frames at all'}]"), ERR_ENV,
		     "running a command in 'c': the Docker Engine's output stream is broken (frame "
		     "6e6f2066)");
	fails_to_run(
		"{'rules': [{'on': 'POST /containers/c/exec', 'status': 201, 'json': {'Id': 'e1'}},"
		"{'on': 'GET /exec/e1/json', 'status': 404, 'json': {'message': 'No such exec'}},"
		"{'on': 'POST /exec/e1/start', 'hijack': [{'frame': [1, 'x']}, {'reset': true}]}]}",
		ERR_NOT_FOUND,
		"running a command in 'c': the Docker Engine refuses 'GET /exec/e1/json' (404): "
		"No such exec");
	fails_to_run(
		"{'rules': [{'on': 'POST /containers/c/exec', 'status': 201, 'json': {'Id': 'e1'}},"
		"{'on': 'GET /exec/e1/json', 'json': {}},"
		"{'on': 'POST /exec/e1/start', 'hijack': []}]}",
		ERR_ENV,
		"running a command in 'c': the Docker Engine's reply to 'GET /exec/{id}/json' is "
		"not what the API says");
}

static void terminal_is_needed(void **state)
{
	struct fake f;
	struct io io;
	int code;

	(void)state;
	fake_start(&f, EXEC(0, "'hijack': []"));
	io_open(&io, NULL);
	io.spec.tty = true;
	fails_with_hint(exec_run(f.e, &io.spec, &code, err), ERR_USAGE, "the input is no terminal",
			"");
	io_expect(&io, "", "");
	fake_stop(&f);
}

static void utf8_is_needed(void **state)
{
	static const char *const argv[] = { "echo", "\xff", NULL };
	struct fake f;
	struct io io;
	int code;

	(void)state;
	fake_start(&f, EXEC(0, "'hijack': []"));
	io_open(&io, NULL);
	io.spec.argv = argv;
	fails_with_hint(exec_run(f.e, &io.spec, &code, err), ERR_USAGE,
			"the command for 'c' is no valid UTF-8", "");
	io_expect(&io, "", "");
	fake_stop(&f);
}

/* Nobody reads our output, and the command's process is not to be found: a quiet end. */
static void nobody_reads(void **state)
{
	struct fake f;
	struct io io;
	int code = -1;

	(void)state;
	fake_start(&f,
		   "{'rules': ["
		   "{'on': 'POST /containers/c/exec', 'status': 201, 'json': {'Id': 'e1'}},"
		   "{'on': 'GET /exec/e1/json', 'json': {'Running': true, 'ExitCode': null, "
		   "'Pid': 1, 'ContainerID': 'c'}},"
		   "{'on': 'POST /exec/e1/start', 'hijack': [{'frame': [1, 'x']}, {'hang': true}]}"
		   "]}");
	io_open(&io, NULL);
	close(io.out);
	ok(exec_run(f.e, &io.spec, &code, err));
	assert_int_equal(code, 128 + SIGPIPE);
	for (int i = 0; i < 3; i++)
		close(io.theirs[i]);
	close(io.err);
	fake_stop(&f);
}

static void hang_until_interrupted(struct fake *f)
{
	struct err e = { 0 };
	struct io io;
	int code;

	io_open(&io, NULL);
	if (exec_run(f->e, &io.spec, &code, &e) != -1 || e.kind != ERR_INTERRUPTED)
		_exit(2);
	if (strcmp(e.msg, "interrupted by SIGTERM") != 0 ||
	    strcmp(e.hint, "the command may still run in 'c'") != 0)
		_exit(3);
	_exit(interrupt_pending() ? 7 : 4);
}

static void hang(struct fake *f)
{
	interrupt_install();
	hang_until_interrupted(f);
}

/* Held, so that only the last look sees it, as if it had come just before. */
static void hang_interrupted_before(struct fake *f)
{
	interrupt_install();
	interrupt_hold(true);
	raise(SIGTERM);
	hang_until_interrupted(f);
}

/* A process that is not of that container is never signalled: here it is the test's own. */
static void interrupt_kills_no_stranger(void **state)
{
	struct fake f;
	auto_free char *script = xasprintf(
		"{'rules': ["
		"{'on': 'POST /containers/c/exec', 'status': 201, 'json': {'Id': 'e1'}},"
		"{'on': 'GET /exec/e1/json', 'json': {'Running': true, 'ExitCode': null, 'Pid': "
		"%d, "
		"'ContainerID': '%064d'}},"
		"{'on': 'POST /exec/e1/start', 'hijack': [{'frame': [1, 'x']}, {'hang': true}]}]}",
		(int)getpid(), 7);

	(void)state;
	fake_start(&f, script);
	fake_interrupted(&f, "/exec/e1/start", SIGTERM, hang, 7);
	fake_interrupted(&f, "/exec/e1/start", 0, hang_interrupted_before, 7);
	fake_stop(&f);
}

static void capture_takes_both(void **state)
{
	struct fake f;
	char *text = NULL;
	int code = -1;

	(void)state;
	fake_start(&f, EXEC(4, "'type': 'application/vnd.docker.raw-stream', 'hijack': "
			       "[{'frame': [1, 'out \\u00ff']}, {'frame': [2, 'err\\n']}], "
			       "'status': 200"));
	ok(exec_capture(f.e, "c", argv_true, &code, &text, err));
	assert_int_equal(code, 4);
	assert_string_equal(text, "out ?err\n");
	free(text);
	ok(exec_capture(f.e, "c", argv_true, &code, NULL, err));
	fake_stop(&f);

	fake_start(&f,
		   EXEC(0, "'status': 200, 'hijack': [{'frame': [1, 'x'], 'repeat': 1000000}]"));
	ok(exec_capture(f.e, "c", argv_true, &code, &text, err));
	assert_int_equal(strlen(text), 4096);
	free(text);
	fake_stop(&f);

	fake_start(&f, EXEC(0, "'status': 409, 'json': {'message': 'Container c is paused'}"));
	fails_with_hint(
		exec_capture(f.e, "c", argv_true, &code, NULL, err), ERR_CONFLICT,
		"running 'true' in 'c': the Docker Engine refuses 'POST /exec/e1/start' (409): "
		"Container c is paused",
		"");
	fake_stop(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_stay_apart),
		cmocka_unit_test(input_arrives_and_ends),
		cmocka_unit_test(asks_until_it_has_ended),
		cmocka_unit_test(what_is_asked),
		cmocka_unit_test(refusals),
		cmocka_unit_test(broken_streams),
		cmocka_unit_test(terminal_is_needed),
		cmocka_unit_test(utf8_is_needed),
		cmocka_unit_test(nobody_reads),
		cmocka_unit_test(interrupt_kills_no_stranger),
		cmocka_unit_test(capture_takes_both),
	};

	return cmocka_run_group_tests_name("docker/exec", tests, NULL, NULL);
}
