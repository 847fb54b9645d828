/* SPDX-License-Identifier: MIT */
/* test_docker_engine.c - calls to an engine that answers well, badly or not at all. */
#include "docker/engine.h"

#include <fcntl.h>
#include <time.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "fake_engine.h"

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void get_ok(struct fake *f, const char *path)
{
	ok(engine_call(f->e, "GET", path, NULL, NULL, err));
}

/* ---- the version ---- */

static void version_is_the_smaller(void **state)
{
	static const struct {
		const char *script, *want, *target;
	} cases[] = {
		{ "{'api': '1.41', 'rules': [{'on': 'GET /x', 'json': {}}]}", "1.41", "/v1.41/x" },
		{ "{'api': '1.99', 'rules': [{'on': 'GET /x', 'json': {}}]}", "1.51", "/v1.51/x" },
		{ "{'api': '1.25', 'rules': [{'on': 'GET /x', 'json': {}}]}", "1.25", "/v1.25/x" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fake f;
		json_t *log;

		fake_start(&f, cases[i].script);
		assert_string_equal(engine_api_version(f.e), "");
		get_ok(&f, "/x");
		get_ok(&f, "/x");
		assert_string_equal(engine_api_version(f.e), cases[i].want);
		log = fake_log(&f);
		assert_string_equal(fake_text(fake_find(log, "/x", 0), "target"), cases[i].target);
		/* one for this engine, one for fake_log's */
		assert_int_equal(fake_count(log, "/_ping"), 2);
		json_decref(log);
		fake_stop(&f);
	}
}

/* A socket of the engine's that a program inherits makes it root. */
static void sockets_are_close_on_exec(void **state)
{
	enum {
		FDS = 256
	};
	bool before[FDS];
	struct fake f;
	int opened = 0;

	(void)state;
	fake_start(&f, "{'rules': [{'on': 'GET /x', 'json': {}}]}");
	for (int fd = 0; fd < FDS; fd++)
		before[fd] = fcntl(fd, F_GETFD) >= 0;
	get_ok(&f, "/x");
	for (int fd = 0; fd < FDS; fd++) {
		int flags = before[fd] ? -1 : fcntl(fd, F_GETFD);

		opened += flags >= 0;
		assert_true(flags < 0 || flags & FD_CLOEXEC);
	}
	assert_true(opened > 0);
	fake_stop(&f);
}

static void version_out_of_reach(void **state)
{
	struct fake f;
	char msg[256];

	(void)state;
	fake_start(&f, "{'api': '1.24'}");
	snprintf(msg, sizeof(msg),
		 "the Docker Engine at %s is too old: its API is 1.24, labctl needs 1.25", f.host);
	fails_with_hint(engine_call(f.e, "GET", "/x", NULL, NULL, err), ERR_ENV, msg,
			"install Docker Engine 20.10 or newer");
	fake_stop(&f);

	fake_start(&f, "{'api': null}");
	snprintf(msg, sizeof(msg),
		 "what answers at %s is no Docker Engine: it names no API version", f.host);
	fails_with_hint(engine_call(f.e, "GET", "/x", NULL, NULL, err), ERR_ENV, msg, "");
	fake_stop(&f);

	fake_start(&f, "{'rules': [{'on': 'GET /_ping', 'status': 404, 'body': 'nothing here'}]}");
	fails_with_hint(engine_call(f.e, "GET", "/x", NULL, NULL, err), ERR_ENV,
			"the Docker Engine refuses 'GET /_ping' (404): nothing here", "");
	fake_stop(&f);
}

static void engine_newer_than_we_know(void **state)
{
	struct fake f;

	(void)state;
	fake_start(&f,
		   "{'api': '1.99', 'rules': [{'on': 'GET /x', 'status': 400, 'json': {'message': "
		   "'client version 1.51 is too old. Minimum supported API version is 1.60'}}]}");
	fails_with_hint(
		engine_call(f.e, "GET", "/x", NULL, NULL, err), ERR_ENV,
		"the Docker Engine refuses 'GET /x' (400): client version 1.51 is too old. Minimum "
		"supported API version is 1.60",
		"this labctl speaks API 1.51 at most, and the engine is newer: update labctl");
	fake_stop(&f);
}

/* ---- replies ---- */

static void statuses(void **state)
{
	struct fake f;

	(void)state;
	fake_start(&f,
		   "{'rules': ["
		   "{'on': 'GET /404', 'status': 404, 'json': {'message': 'No such container: x'}},"
		   "{'on': 'POST /409', 'status': 409, 'json': {'message': 'name in use\\n'}},"
		   "{'on': 'GET /500', 'status': 500, 'json': {'message': 'disk full'}},"
		   "{'on': 'GET /text', 'status': 500, 'type': 'text/plain', 'body': 'oh "
		   "no\\u0007\\n'},"
		   "{'on': 'GET /bare', 'status': 503},"
		   "{'on': 'GET /odd', 'status': 500, 'json': {'message': 7}},"
		   "{'on': 'POST /304', 'status': 304},"
		   "{'on': 'POST /204', 'status': 204},"
		   "{'on': 'GET /302', 'status': 302, 'headers': {'Location': '/404'}}"
		   "]}");
	fails_with_hint(engine_call(f.e, "GET", "/404?all=1", NULL, NULL, err), ERR_NOT_FOUND,
			"the Docker Engine refuses 'GET /404' (404): No such container: x", "");
	fails_with_hint(engine_call(f.e, "POST", "/409", json_object(), NULL, err), ERR_CONFLICT,
			"the Docker Engine refuses 'POST /409' (409): name in use", "");
	fails_with_hint(engine_call(f.e, "GET", "/500", NULL, NULL, err), ERR_ENV,
			"the Docker Engine refuses 'GET /500' (500): disk full", "");
	fails_with_hint(engine_call(f.e, "GET", "/text", NULL, NULL, err), ERR_ENV,
			"the Docker Engine refuses 'GET /text' (500): oh no?", "");
	fails_with_hint(engine_call(f.e, "GET", "/bare", NULL, NULL, err), ERR_ENV,
			"the Docker Engine answers 'GET /bare' with status 503 and no reason", "");
	fails_with_hint(engine_call(f.e, "GET", "/odd", NULL, NULL, err), ERR_ENV,
			"the Docker Engine refuses 'GET /odd' (500): {\"message\": 7}", "");
	fails_with_hint(engine_call(f.e, "GET", "/302", NULL, NULL, err), ERR_ENV,
			"the Docker Engine answers 'GET /302' with status 302 and no reason", "");
	for (size_t i = 0; i < 2; i++) {
		json_t *reply = json_true();

		ok(engine_call(f.e, "POST", i ? "/304" : "/204", NULL, &reply, err));
		assert_null(reply);
	}
	fake_stop(&f);
}

static void bodies_go_both_ways(void **state)
{
	struct fake f;
	json_t *reply = NULL, *log, *rq;

	(void)state;
	fake_start(&f, "{'rules': [{'on': 'POST /x', 'status': 201, 'json': {'Id': 'abc'}},"
		       "{'on': 'POST /y'}, {'on': 'DELETE /x', 'status': 204},"
		       "{'on': 'GET /plain', 'type': 'text/plain', 'body': 'OK'}]}");
	ok(engine_call(f.e, "POST", "/x", json_pack("{s:i}", "n", 1), &reply, err));
	assert_string_equal(json_string_value(json_object_get(reply, "Id")), "abc");
	json_decref(reply);
	ok(engine_call(f.e, "POST", "/y", NULL, &reply, err));
	assert_null(reply);
	ok(engine_call(f.e, "GET", "/plain", NULL, &reply, err));
	assert_null(reply);
	ok(engine_call(f.e, "DELETE", "/x", NULL, NULL, err));

	log = fake_log(&f);
	rq = fake_find(log, "/x", 0);
	assert_string_equal(fake_text(rq, "body"), "{\"n\":1}");
	rq = json_object_get(rq, "headers");
	assert_string_equal(fake_text(rq, "content-type"), "application/json");
	assert_null(fake_text(rq, "expect"));
	rq = json_object_get(fake_find(log, "/y", 0), "headers");
	assert_string_equal(fake_text(rq, "content-length"), "0");
	assert_null(fake_text(rq, "content-type"));
	assert_string_equal(fake_text(fake_find(log, "/x", 1), "method"), "DELETE");
	json_decref(log);
	fake_stop(&f);
}

static void broken_replies(void **state)
{
	struct fake f;
	char msg[256];

	(void)state;
	fake_start(&f, "{'rules': ["
		       "{'on': 'GET /garbage', 'body': '{]'},"
		       "{'on': 'GET /closed', 'close': true},"
		       "{'on': 'GET /cut', 'json': {'a': 'long enough'}, 'cut': 5},"
		       "{'on': 'GET /cut-chunk', 'chunks': ['{', '}'], 'cut': 0},"
		       "{'on': 'GET /half-head', 'raw': 'HTTP/1.1 200 OK\\r\\nContent-'},"
		       "{'on': 'GET /ssh', 'raw': 'SSH-2.0-OpenSSH_9.2\\r\\n'},"
		       "{'on': 'GET /big', 'body': '0123456789abcdef', 'repeat': 4194305}"
		       "]}");
	fails_with_hint(
		engine_call(f.e, "GET", "/garbage", NULL, NULL, err), ERR_ENV,
		"the Docker Engine's reply to 'GET /garbage' is broken JSON (line 1, column 2: "
		"string "
		"or '}' expected near ']')",
		"");
	for (size_t i = 0; i < 4; i++) {
		static const char *const path[] = { "/closed", "/cut", "/cut-chunk", "/half-head" };

		snprintf(msg, sizeof(msg),
			 "the Docker Engine at %s closed the connection during 'GET %s'", f.host,
			 path[i]);
		fails_with_hint(engine_call(f.e, "GET", path[i], NULL, NULL, err), ERR_ENV, msg,
				LOST_HINT);
	}
	snprintf(msg, sizeof(msg),
		 "what answers at %s does not speak HTTP (Received HTTP/0.9 when not allowed)",
		 f.host);
	fails_with_hint(engine_call(f.e, "GET", "/ssh", NULL, NULL, err), ERR_ENV, msg, "");
	fails_with_hint(engine_call(f.e, "GET", "/big", NULL, NULL, err), ERR_ENV,
			"the Docker Engine's reply to 'GET /big' is over 64 MiB", "");
	fake_stop(&f);
}

static void slow_reply_arrives(void **state)
{
	struct fake f;
	json_t *reply = NULL;

	(void)state;
	fake_start(&f, "{'rules': [{'on': 'GET /x', 'delay': 0.3, 'gap': 0.1, "
		       "'chunks': ['{', '\\u0022a', '\\u0022: [1,', '2]', '}']}]}");
	ok(engine_call(f.e, "GET", "/x", NULL, &reply, err));
	assert_int_equal(json_array_size(json_object_get(reply, "a")), 2);
	json_decref(reply);
	fake_stop(&f);
}

/* ---- nobody there ---- */

static void fails_to_reach(const char *host, const char *msg, const char *hint)
{
	auto_engine e = NULL;

	ok(engine_open(host, &e, err));
	fails_with_hint(engine_call(e, "GET", "/info", NULL, NULL, err), ERR_ENV, msg, hint);
}

static void nobody_there(void **state)
{
	const char *start = fs_is_dir("/run/systemd/system")
				    ? "start it: 'sudo systemctl start docker'"
				    : "install and start it: 'sudo ./install.sh'";
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/labctl-docker-XXXXXX", host[128], msg[256];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", dir);
	snprintf(host, sizeof(host), "unix://%s/sock", dir);
	snprintf(msg, sizeof(msg),
		 "the Docker Engine does not answer at %s: No such file or directory", host);
	fails_to_reach(host, msg, start);
	/* a socket that is left of an engine that died */
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	snprintf(msg, sizeof(msg), "the Docker Engine does not answer at %s: Connection refused",
		 host);
	fails_to_reach(host, msg, start);
	unlink(addr.sun_path);
	rmdir(dir);

	fails_to_reach(
		"tcp://127.0.0.1:1",
		"the Docker Engine does not answer at tcp://127.0.0.1:1: Connection refused",
		"DOCKER_HOST says where the engine is; is that right, and does it run there?");
}

static void no_permission(void **state)
{
	struct fake f;
	char path[64], msg[256];
	int status;
	pid_t pid;

	(void)state;
	fake_start(&f, "{}");
	snprintf(path, sizeof(path), "%s/sock", f.dir);
	assert_int_equal(chmod(path, 0), 0);
	snprintf(msg, sizeof(msg), "no permission on %s: Permission denied", f.host);
	pid = fork();
	if (pid == 0) {
		struct err err = { 0 };

		if (geteuid() == 0 && (chmod(f.dir, 0755) || setgid(65534) || setuid(65534)))
			_exit(3);
		if (engine_call(f.e, "GET", "/x", NULL, NULL, &err) == 0)
			_exit(4);
		_exit(strcmp(err.msg, msg) != 0 || strcmp(err.hint, "run it with sudo") != 0 ||
		      err.kind != ERR_ENV);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fake_stop(&f);
}

static void engine_dies_between_calls(void **state)
{
	struct fake f, again;
	auto_free char *dir = NULL;

	(void)state;
	fake_start(&f,
		   "{'rules': [{'on': 'GET /x', 'json': {}, 'headers': {'Connection': 'close'}}]}");
	get_ok(&f, "/x");
	get_ok(&f, "/x");
	/* the same socket, another process: kept connections are dead, calls go on */
	again = f;
	close(f.stdin_fd);
	assert_int_equal(waitpid(f.pid, NULL, 0), f.pid);
	dir = xasprintf("%s/sock", f.dir);
	unlink(dir);
	{
		auto_free char *json = fake_json("{'rules': [{'on': 'GET /x', 'json': {}}]}");

		fake_spawn(&again, (const char *const[]){ "/usr/bin/python3", fake_program(), json,
							  dir, NULL });
	}
	get_ok(&again, "/x");
	fake_stop(&again);
}

/* ---- many at once ---- */

struct tally {
	struct engine *e;
	int done, failed, wanted;
	struct err err;
};

static void on_done(void *arg, json_t *reply, const struct err *err)
{
	struct tally *t = arg;

	(void)reply;
	t->done++;
	if (err) {
		t->failed++;
		t->err = *err;
	}
}

static void bounded_and_reused(void **state)
{
	struct fake f;
	json_t *log;

	(void)state;
	fake_start(&f, "{'rules': [{'on': 'GET /x', 'json': {}, 'delay': 0.05}]}");
	for (int round = 0; round < 2; round++) {
		struct tally t = { 0 };

		for (int i = 0; i < 40; i++)
			engine_submit(f.e, "GET", "/x", NULL, on_done, &t);
		assert_int_equal(t.done, 0);
		ok(engine_run(f.e, err));
		assert_int_equal(t.done, 40);
		assert_int_equal(t.failed, 0);
	}
	log = fake_log(&f);
	assert_int_equal(fake_count(log, "/x"), 80);
	/* and one more, which asks for the log */
	assert_int_equal(json_integer_value(json_object_get(log, "connections")),
			 ENGINE_CONNECTIONS + 1);
	assert_int_equal(json_integer_value(json_object_get(log, "together")), ENGINE_CONNECTIONS);
	json_decref(log);
	fake_stop(&f);
}

static void one_failure_stops_nobody(void **state)
{
	struct fake f;
	struct tally t = { 0 };

	(void)state;
	fake_start(&f, "{'rules': [{'on': 'GET /x', 'times': 3, 'close': true}, "
		       "{'on': 'GET /x', 'json': {}}]}");
	for (int i = 0; i < 30; i++)
		engine_submit(f.e, "GET", "/x", NULL, on_done, &t);
	ok(engine_run(f.e, err));
	assert_int_equal(t.done, 30);
	/* curl tries once more where a kept connection brought nothing */
	assert_in_range(t.failed, 1, 3);
	assert_int_equal(t.err.kind, ERR_ENV);
	fake_stop(&f);
}

static void on_chain(void *arg, json_t *reply, const struct err *err)
{
	struct tally *t = arg;

	on_done(arg, reply, err);
	if (t->wanted-- > 0)
		engine_submit(t->e, "GET", "/x", NULL, on_chain, t);
}

static void on_nest(void *arg, json_t *reply, const struct err *err)
{
	struct tally *t = arg;

	on_done(arg, reply, err);
	if (engine_call(t->e, "GET", "/y", NULL, NULL, ERR_IGNORED))
		t->failed++;
}

static void callbacks_may_submit_and_call(void **state)
{
	struct fake f;
	struct tally t = { .wanted = 10 };
	json_t *log;

	(void)state;
	fake_start(&f, "{'rules': [{'on': 'GET /[xy]', 'json': {}}]}");
	t.e = f.e;
	engine_submit(f.e, "GET", "/x", NULL, on_chain, &t);
	ok(engine_run(f.e, err));
	assert_int_equal(t.done, 11);

	t = (struct tally){ .e = f.e };
	for (int i = 0; i < 5; i++)
		engine_submit(f.e, "GET", "/x", NULL, on_nest, &t);
	ok(engine_run(f.e, err));
	assert_int_equal(t.done, 5);
	assert_int_equal(t.failed, 0);
	log = fake_log(&f);
	assert_int_equal(fake_count(log, "/y"), 5);
	json_decref(log);
	fake_stop(&f);
}

static void every_waiter_hears_of_a_dead_engine(void **state)
{
	auto_engine e = NULL;
	struct tally t = { .wanted = 3 };

	(void)state;
	ok(engine_open("unix:///tmp/labctl-docker-nothing-here", &e, err));
	t.e = e;
	engine_submit(e, "GET", "/x", NULL, on_chain, &t);
	for (int i = 0; i < 20; i++)
		engine_submit(e, "GET", "/x", NULL, on_done, &t);
	ok(engine_run(e, err));
	assert_int_equal(t.done, 24);
	assert_int_equal(t.failed, 24);
}

static void freed_with_requests_in_flight(void **state)
{
	struct fake f;
	struct tally t = { 0 };

	(void)state;
	fake_start(&f,
		   "{'rules': [{'on': 'GET /hang', 'hang': true}, {'on': 'GET /x', 'json': {}}]}");
	for (int i = 0; i < 30; i++)
		engine_submit(f.e, "GET", "/hang", json_object(), on_done, &t);
	engine_free(f.e);
	f.e = NULL;
	ok(engine_open(f.host, &f.e, err));
	get_ok(&f, "/x");
	for (int i = 0; i < 10; i++)
		engine_submit(f.e, "GET", "/hang", json_object(), on_done, &t);
	get_ok(&f, "/x"); /* starts the others */
	fake_stop(&f);
	assert_int_equal(t.done, 0);
}

/* ---- interrupts ---- */

static void run_until_interrupted(struct fake *f)
{
	struct tally t = { 0 };
	struct err err = { 0 };
	int64_t before;

	interrupt_install();
	for (int i = 0; i < 20; i++)
		engine_submit(f->e, "GET", "/hang", NULL, on_done, &t);
	before = now_ms();
	if (engine_run(f->e, &err) != -1 || err.kind != ERR_INTERRUPTED ||
	    strcmp(err.msg, "interrupted by SIGINT") != 0)
		_exit(2);
	if (t.done != 20 || t.failed != 20 || t.err.kind != ERR_INTERRUPTED)
		_exit(3);
	if (now_ms() - before > 5000)
		_exit(4);
	/* at once again, while it is not held */
	if (engine_call(f->e, "GET", "/x", NULL, NULL, &err) != -1 || err.kind != ERR_INTERRUPTED)
		_exit(5);
	/* the way back has an engine that works */
	interrupt_hold(true);
	if (engine_call(f->e, "GET", "/x", NULL, NULL, &err))
		_exit(6);
	engine_free(f->e);
	_exit(7);
}

static void interrupt_ends_everything(void **state)
{
	struct fake f;

	(void)state;
	fake_start(&f,
		   "{'rules': [{'on': 'GET /hang', 'hang': true}, {'on': 'GET /x', 'json': {}}]}");
	fake_interrupted(&f, "/hang", SIGINT, run_until_interrupted, 7);
	fake_stop(&f);
}

/* ---- addresses ---- */

static void addresses(void **state)
{
	static const struct {
		const char *host, *want;
	} good[] = {
		{ NULL, "unix:///var/run/docker.sock" },
		{ "unix://", "unix:///var/run/docker.sock" },
		{ "unix:///x/y.sock", "unix:///x/y.sock" },
		{ "tcp://10.0.0.1", "tcp://10.0.0.1:2375" },
		{ "tcp://engine.lan:99/", "tcp://engine.lan:99" },
		{ "tcp://[::1]:99", "tcp://[::1]:99" },
	};
	static const struct {
		const char *host, *msg, *hint;
	} bad[] = {
		{ "ssh://me@there", "the engine's address 'ssh://me@there' is not understood",
		  "DOCKER_HOST can be unix:///PATH or tcp://HOST:PORT" },
		{ "nonsense", "the engine's address 'nonsense' is not understood",
		  "DOCKER_HOST can be unix:///PATH or tcp://HOST:PORT" },
		{ "unix://x", "the engine's address 'unix://x' has no absolute path", "" },
		{ "tcp://", "the engine's address 'tcp://' is not tcp://HOST:PORT", "" },
		{ "tcp://a b", "the engine's address 'tcp://a b' is not tcp://HOST:PORT", "" },
		{ "tcp://a@b", "the engine's address 'tcp://a@b' is not tcp://HOST:PORT", "" },
		{ "tcp://[::1", "the engine's address 'tcp://[::1' is not tcp://HOST:PORT", "" },
		{ "tcp://[]", "the engine's address 'tcp://[]' is not tcp://HOST:PORT", "" },
	};
	char longest[200] = "unix:///";
	struct err e1 = { 0 };

	(void)state;
	unsetenv("DOCKER_HOST");
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		auto_engine e = NULL;

		ok(engine_open(good[i].host, &e, err));
		assert_string_equal(engine_host(e), good[i].want);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		auto_engine e = NULL;

		fails_with_hint(engine_open(bad[i].host, &e, err), ERR_USAGE, bad[i].msg,
				bad[i].hint);
	}
	memset(longest + 8, 'x', 150);
	{
		auto_engine e = NULL;

		assert_int_equal(engine_open(longest, &e, &e1), -1);
		assert_non_null(strstr(e1.msg, "is longer than 107 bytes: '/xxx"));
		assert_int_equal(engine_open("tcp://h:70000", &e, &e1), -1);
		assert_non_null(strstr(e1.msg, "the engine's address 'tcp://h:70000': "));
		assert_int_equal(e1.kind, ERR_USAGE);
	}
}

static void environment_is_heard(void **state)
{
	auto_engine e = NULL;

	(void)state;
	setenv("DOCKER_HOST", "tcp://127.0.0.9:7", 1);
	ok(engine_open(NULL, &e, err));
	assert_string_equal(engine_host(e), "tcp://127.0.0.9:7");
	unsetenv("DOCKER_HOST");
}

static void proxies_are_not(void **state)
{
	auto_free char *json = fake_json("{'rules': [{'on': 'GET /x', 'json': {}}]}");
	struct fake f = { .dir = "" };

	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	fake_spawn(&f, (const char *const[]){ "/usr/bin/python3", fake_program(), json,
					      "127.0.0.1:0", NULL });
	ok(engine_open(f.host, &f.e, err));
	get_ok(&f, "/x");
	engine_free(f.e);
	close(f.stdin_fd);
	assert_int_equal(waitpid(f.pid, NULL, 0), f.pid);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
}

static void names_are_escaped(void **state)
{
	auto_engine e = NULL;
	auto_free char *text = NULL;

	(void)state;
	ok(engine_open("unix:///x", &e, err));
	text = engine_escape(e, "a/b c?d=\"\xc3\xa4\"~-._");
	assert_string_equal(text, "a%2Fb%20c%3Fd%3D%22%C3%A4%22~-._");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_is_the_smaller),
		cmocka_unit_test(version_out_of_reach),
		cmocka_unit_test(sockets_are_close_on_exec),
		cmocka_unit_test(engine_newer_than_we_know),
		cmocka_unit_test(statuses),
		cmocka_unit_test(bodies_go_both_ways),
		cmocka_unit_test(broken_replies),
		cmocka_unit_test(slow_reply_arrives),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(no_permission),
		cmocka_unit_test(engine_dies_between_calls),
		cmocka_unit_test(bounded_and_reused),
		cmocka_unit_test(one_failure_stops_nobody),
		cmocka_unit_test(callbacks_may_submit_and_call),
		cmocka_unit_test(every_waiter_hears_of_a_dead_engine),
		cmocka_unit_test(freed_with_requests_in_flight),
		cmocka_unit_test(interrupt_ends_everything),
		cmocka_unit_test(addresses),
		cmocka_unit_test(environment_is_heard),
		cmocka_unit_test(proxies_are_not),
		cmocka_unit_test(names_are_escaped),
	};

	return cmocka_run_group_tests_name("docker/engine", tests, NULL, NULL);
}
