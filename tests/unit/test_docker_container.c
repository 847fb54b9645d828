/* SPDX-License-Identifier: MIT */
/* test_docker_container.c - containers and images, against a scripted engine. */
#include "docker/container.h"

#include "base/log.h"
#include "docker/image.h"
#include "fake_engine.h"

/* ---- containers ---- */

static void create_body(void **state)
{
	static const char *const command[] = { "sleep", "9", NULL };
	static const char *const env[] = { "A=b", NULL };
	static const char *const labels[] = { "labctl.lab", "x", "labctl.client", "client1", NULL };
	static const char *const caps[] = { "NET_ADMIN", "NET_RAW", NULL };
	static const char *const latin1[] = { "\xe4", NULL };
	static const struct container_bind binds[] = { { "/a:b", "/~/src", false },
						       { "/c", "/d", true } };
	struct container_spec spec = {
		.image = "i:t",
		.hostname = "client1",
		.command = command,
		.env = env,
		.labels = labels,
		.binds = binds,
		.n_binds = 2,
		.caps = caps,
		.memory = 64 << 20,
		.processes = 10,
	};
	json_t *body = container_create_body(&spec);
	auto_free char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);

	(void)state;
	json_decref(body);
	assert_string_equal(
		text,
		"{\"Cmd\":[\"sleep\",\"9\"],\"Env\":[\"A=b\"],\"HostConfig\":{\"CapAdd\":[\"NET_"
		"ADMIN\",\"NET_RAW\"],\"CapDrop\":[\"ALL\"],\"LogConfig\":{\"Config\":{\"max-"
		"size\":\"4m\"},\"Type\":\"json-file\"},\"Memory\":67108864,\"MemorySwap\":"
		"67108864,\"Mounts\":[{\"ReadOnly\":false,\"Source\":\"/"
		"a:b\",\"Target\":\"/~/src\",\"Type\":\"bind\"},{\"ReadOnly\":true,\"Source\":\"/"
		"c\",\"Target\":\"/"
		"d\",\"Type\":\"bind\"}],\"PidsLimit\":10,\"RestartPolicy\":{\"Name\":\"no\"},"
		"\"SecurityOpt\":[\"no-new-privileges\"]},"
		"\"Hostname\":\"client1\",\"Image\":\"i:t\",\"Labels\":{\"labctl.client\":"
		"\"client1\",\"labctl.lab\":\"x\"},\"NetworkDisabled\":true}");
	spec = (struct container_spec){ .image = "i" };
	body = container_create_body(&spec);
	assert_null(json_object_get(body, "Cmd"));
	assert_null(json_object_get(body, "Hostname"));
	json_decref(body);
	spec.env = latin1;
	assert_null(container_create_body(&spec));
}

static void lists(void **state)
{
	struct fake f;
	struct container_list l = { 0 };
	json_t *log;

	(void)state;
	fake_start(&f,
		   "{'rules': [{'on': 'GET /containers/json', 'json': ["
		   "{'Id': 'abc', 'Names': ['/lab-client1', '/x/y'], 'State': 'running', "
		   "'Status': 'Up 3 seconds', 'Labels': {'labctl.lab': 'lab'}},"
		   "{'Id': 'def', 'Names': null, 'State': 'a state longer than any that is known', "
		   "'Labels': null}]}]}");
	ok(container_list_by_label(f.e, "labctl.lab=a b", &l, err));
	assert_int_equal(l.n, 2);
	assert_string_equal(l.v[0].id, "abc");
	assert_string_equal(l.v[0].name, "lab-client1");
	assert_string_equal(l.v[0].state, "running");
	assert_string_equal(l.v[0].status, "Up 3 seconds");
	assert_string_equal(fake_text(l.v[0].labels, "labctl.lab"), "lab");
	assert_string_equal(l.v[1].name, "");
	assert_string_equal(l.v[1].state, "a state longer ");
	assert_int_equal(json_object_size(l.v[1].labels), 0);
	container_list_done(&l);
	log = fake_log(&f);
	assert_string_equal(
		fake_text(fake_find(log, "/containers/json", 0), "target"),
		"/v1.41/containers/json?all=1&filters=%7B%22label%22%3A%5B%22labctl.lab%"
		"3Da%20b%22%5D%7D");
	json_decref(log);
	fake_stop(&f);
}

static void lists_that_are_none(void **state)
{
	static const char *const bodies[] = { "{}", "[{}]", "[7]", "[{'Id': 'a'}, {'Id': 7}]" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		auto_free char *script =
			xasprintf("{'rules': [{'on': 'GET /containers/json', 'json': %s}]}",
				  bodies[i]);
		struct container_list l = { 0 };
		struct fake f;

		fake_start(&f, script);
		fails_with_hint(
			container_list_by_label(f.e, "x", &l, err), ERR_ENV,
			"the Docker Engine's reply to 'GET /containers/json' is not what the API "
			"says",
			"");
		assert_int_equal(l.n, 0);
		fake_stop(&f);
	}
}

static void states(void **state)
{
	struct container_state s = { 0 };
	json_t *j = json_pack("{s:{s:b, s:i, s:i, s:s}}", "State", "Running", 0, "Pid", 0,
			      "ExitCode", 127, "Error", "no such file");
	json_t *none = json_pack("{s:{}}", "State");

	(void)state;
	ok(container_state_read(j, &s, err));
	assert_false(s.running);
	assert_int_equal(s.exit_code, 127);
	assert_string_equal(s.error, "no such file");
	fails_with_hint(
		container_state_read(none, &s, err), ERR_ENV,
		"the Docker Engine's reply to 'GET /containers/{id}/json' is not what the API says",
		"");
	fails_with_hint(
		container_state_read(NULL, &s, err), ERR_ENV,
		"the Docker Engine's reply to 'GET /containers/{id}/json' is not what the API says",
		"");
	json_decref(j);
	json_decref(none);
}

static void logs(void **state)
{
	struct fake f;
	char *text = NULL;
	json_t *log;

	(void)state;
	fake_start(
		&f,
		"{'rules': ["
		"{'on': 'GET /containers/a/logs', 'type': 'application/octet-stream', 'body': "
		"'\\u0001\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0004out\\n"
		"\\u0002\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0003err'},"
		"{'on': 'GET /containers/tty/logs', 'body': 'raw\\r\\n'},"
		"{'on': 'GET /containers/much/logs', 'body': '0123456789abcde\\n', 'repeat': 9999},"
		"{'on': 'GET /containers/none/logs', 'body': ''}"
		"]}");
	ok(container_log_tail(f.e, "a", 5, &text, err));
	assert_string_equal(text, "out\nerr");
	free(text);
	ok(container_log_tail(f.e, "tty", 5, &text, err));
	assert_string_equal(text, "raw\n");
	free(text);
	ok(container_log_tail(f.e, "much", 5, &text, err));
	assert_int_equal(strlen(text), 2048);
	assert_memory_equal(text, "0123456789abcde\n", 16);
	free(text);
	ok(container_log_tail(f.e, "none", 5, &text, err));
	assert_string_equal(text, "");
	free(text);
	fails_with_hint(
		container_log_tail(f.e, "gone", 5, &text, err), ERR_NOT_FOUND,
		"the Docker Engine refuses 'GET /containers/gone/logs' (404): no rule for GET "
		"/containers/gone/logs",
		"");
	log = fake_log(&f);
	assert_string_equal(fake_text(fake_find(log, "/containers/a/logs", 0), "target"),
			    "/v1.41/containers/a/logs?stdout=1&stderr=1&tail=5");
	json_decref(log);
	fake_stop(&f);
}

/* ---- images ---- */

static void inspects(void **state)
{
	struct fake f;
	struct image_info info;

	(void)state;
	fake_start(&f,
		   "{'rules': ["
		   "{'on': 'GET /images/labctl%2Fclient%3Alatest/json', 'json': {'Id': "
		   "'sha256:ab', 'Size': 5000000000, 'Created': '2024-01-01T00:00:00Z'}},"
		   "{'on': 'GET /images/odd/json', 'json': {'Id': 5}},"
		   "{'on': 'DELETE /images/used', 'status': 409, 'json': {'message': 'in use'}},"
		   "{'on': 'DELETE /images/x', 'json': [{'Untagged': 'x'}]}]}");
	ok(image_inspect(f.e, "labctl/client:latest", &info, err));
	assert_string_equal(info.id, "sha256:ab");
	assert_true(info.size == 5000000000);
	assert_string_equal(info.created, "2024-01-01T00:00:00Z");
	fails_with_hint(image_inspect(f.e, "a/b:c", &info, err), ERR_NOT_FOUND,
			"the Docker Engine has no image 'a/b:c'", "");
	fails_with_hint(
		image_inspect(f.e, "odd", &info, err), ERR_ENV,
		"the Docker Engine's reply to 'GET /images/odd/json' is not what the API says", "");
	ok(image_remove(f.e, "x", err));
	fails_with_hint(image_remove(f.e, "y", err), ERR_NOT_FOUND,
			"the Docker Engine has no image 'y'", "");
	fails_with_hint(image_remove(f.e, "used", err), ERR_CONFLICT,
			"the Docker Engine refuses 'DELETE /images/used' (409): in use", "");
	fake_stop(&f);
}

static void add_line(void *arg, const char *text)
{
	str_addf(arg, "%s|", text);
}

static int file_of(const char *text, size_t repeat)
{
	char path[] = "/tmp/labctl-docker-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(path);
	while (repeat--)
		assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void imports(void **state)
{
	static const char *const changes[] = { "WORKDIR /~", "ENV A=b c", NULL };
	struct fake f;
	auto_str lines = { 0 };
	int fd = file_of("a tar, so to say", 1);
	json_t *log, *rq;

	(void)state;
	fake_start(&f, "{'rules': [{'on': 'POST /images/create', 'gap': 0.02, 'chunks': "
		       "['{\\u0022status\\u0022:\\u0022Impo', 'rting\\u0022}\\r\\n{\\u0022stat', "
		       "'us\\u0022:\\u0022sha256:1234\\u0022}\\r\\n']}]}");
	ok(image_import(f.e, fd, "here:5000/labctl/client:v1", changes, add_line, &lines, err));
	assert_string_equal(str_get(&lines), "Importing|");
	log = fake_log(&f);
	rq = fake_find(log, "/images/create", 0);
	assert_string_equal(fake_text(rq, "body"), "a tar, so to say");
	assert_string_equal(
		fake_text(rq, "target"),
		"/v1.41/images/create?fromSrc=-&repo=here%3A5000%2Flabctl%2Fclient&tag=v1"
		"&changes=WORKDIR%20%2F~&changes=ENV%20A%3Db%20c");
	rq = json_object_get(rq, "headers");
	assert_string_equal(fake_text(rq, "transfer-encoding"), "chunked");
	assert_string_equal(fake_text(rq, "content-type"), "application/x-tar");
	json_decref(log);
	close(fd);
	fake_stop(&f);
}

static void imports_tell_progress(void **state)
{
	struct fake f;
	auto_str lines = { 0 };
	int fd = file_of("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 81920);

	(void)state;
	fake_start(&f, "{'rules': [{'on': 'POST /images/create', 'json': {'status': 'ok'}}]}");
	ok(image_import(f.e, fd, "x", NULL, add_line, &lines, err));
	assert_non_null(strstr(str_get(&lines), "5 MiB sent|ok|"));
	close(fd);
	fake_stop(&f);
}

static void import_failures(void **state)
{
	static const struct {
		const char *rule, *msg;
		enum err_kind kind;
	} cases[] = {
		{ "'status': 400, 'json': {'message': 'invalid reference format'}",
		  "importing image 'x:y': the Docker Engine refuses 'POST /images/create' (400): "
		  "invalid reference format",
		  ERR_ENV },
		/* an answer before all was read, then the connection closed */
		{ "'read': 65536, 'status': 500, 'json': {'message': 'no space left on device'}",
		  "importing image 'x:y': the Docker Engine refuses 'POST /images/create' (500): "
		  "no "
		  "space left on device",
		  ERR_ENV },
		{ "'body': '{\\u0022status\\u0022: \\u0022x\\u0022}{\\u0022error\\u0022: "
		  "\\u0022disk "
		  "full\\u0022, \\u0022errorDetail\\u0022: {}}'",
		  "importing image 'x:y': disk full", ERR_ENV },
		{ "'body': '{\\u0022status\\u0022: '",
		  "importing image 'x:y': the Docker Engine's progress report breaks off",
		  ERR_ENV },
		{ "'body': 'what?'",
		  "importing image 'x:y': the Docker Engine's progress report is broken: byte 0x77 "
		  "where an object should begin",
		  ERR_ENV },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		auto_free char *script =
			xasprintf("{'rules': [{'on': 'POST /images/create', %s}]}", cases[i].rule);
		int fd = file_of("0123456789abcdef0123456789abcdef", 65536);
		struct fake f;

		fake_start(&f, script);
		fails_with_hint(image_import(f.e, fd, "x:y", NULL, NULL, NULL, err), cases[i].kind,
				cases[i].msg, "");
		close(fd);
		fake_stop(&f);
	}
}

static void import_of_nothing_readable(void **state)
{
	struct fake f;
	int fd = open("/", O_RDONLY | O_CLOEXEC);

	(void)state;
	fake_start(&f, "{'rules': [{'on': 'POST /images/create', 'json': {}}]}");
	fails_with_hint(image_import(f.e, fd, "x", NULL, NULL, NULL, err), ERR_ENV,
			"importing image 'x': cannot read what is to be sent by 'POST "
			"/images/create': Is a "
			"directory",
			"");
	close(fd);
	fake_stop(&f);
}

/* The archive comes through a pipe that has nothing to give for a while. */
static void import_from_slow_pipe(void **state)
{
	struct fake f;
	json_t *log;
	int p[2];
	pid_t pid;

	(void)state;
	fake_start(&f, "{'rules': [{'on': 'POST /images/create', 'json': {}}]}");
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 5; i++) {
			usleep(50000);
			if (write(p[1], "piece ", 6) != 6)
				_exit(1);
		}
		_exit(0);
	}
	close(p[1]);
	ok(image_import(f.e, p[0], "x", NULL, NULL, NULL, err));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	log = fake_log(&f);
	assert_string_equal(fake_text(fake_find(log, "/images/create", 0), "body"),
			    "piece piece piece piece piece ");
	json_decref(log);
	close(p[0]);
	fake_stop(&f);
}

static void import_hanging(struct fake *f)
{
	struct err e = { 0 };
	int fd = file_of("x", 1);

	interrupt_install();
	if (image_import(f->e, fd, "x", NULL, NULL, NULL, &e) != -1 || e.kind != ERR_INTERRUPTED)
		_exit(2);
	_exit(strcmp(e.msg, "importing image 'x': interrupted by SIGINT") == 0 ? 7 : 3);
}

static void import_interrupted(void **state)
{
	struct fake f;

	(void)state;
	fake_start(&f, "{'rules': [{'on': 'POST /images/create', 'hang': true}]}");
	fake_interrupted(&f, "/images/create", SIGINT, import_hanging, 7);
	fake_stop(&f);
}

static void builds(void **state)
{
	static const char *const args[] = { "MIRROR=http://a/?b=c", "EMPTY=", NULL };
	struct fake f;
	auto_str lines = { 0 };
	int fd = file_of("context", 1);
	json_t *log;

	(void)state;
	fake_start(&f, "{'rules': [{'on': 'POST /build', 'chunks': "
		       "['{\\u0022stream\\u0022:\\u0022Step 1/2', ' : FROM x\\\\n\\u0022}', "
		       "'{\\u0022stream\\u0022:\\u0022two\\\\nli\\u0022}{\\u0022stream\\u0022:"
		       "\\u0022nes\\\\n\\u0022}', "
		       "'{\\u0022status\\u0022:\\u0022Pulling\\u0022}{\\u0022aux\\u0022:{}}', "
		       "'{\\u0022stream\\u0022:\\u0022last\\u0022}']}]}");
	ok(image_build(f.e, fd, "l/c:t", "Dockerfile", args, add_line, &lines, err));
	assert_string_equal(str_get(&lines), "Step 1/2 : FROM x|two|lines|Pulling|last|");
	log = fake_log(&f);
	assert_string_equal(
		fake_text(fake_find(log, "/build", 0), "target"),
		"/v1.41/"
		"build?t=l%2Fc%3At&dockerfile=Dockerfile&buildargs=%7B%22MIRROR%22%3A%22http%3A%"
		"2F%2Fa%2F%3Fb%3Dc%22%2C%22EMPTY%22%3A%22%22%7D&rm=1&forcerm=1");
	json_decref(log);
	close(fd);
	fake_stop(&f);

	fd = file_of("context", 1);
	fake_start(&f,
		   "{'rules': [{'on': 'POST /build', 'chunks': "
		   "['{\\u0022stream\\u0022:\\u0022Step\\\\n\\u0022}', "
		   "'{\\u0022errorDetail\\u0022:{},\\u0022error\\u0022:\\u0022exit 9\\u0022}']}]}");
	fails_with_hint(image_build(f.e, fd, "x", "Dockerfile", NULL, NULL, NULL, err), ERR_ENV,
			"building image 'x': exit 9", "");
	close(fd);
	fake_stop(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_body),
		cmocka_unit_test(lists),
		cmocka_unit_test(lists_that_are_none),
		cmocka_unit_test(states),
		cmocka_unit_test(logs),
		cmocka_unit_test(inspects),
		cmocka_unit_test(imports),
		cmocka_unit_test(imports_tell_progress),
		cmocka_unit_test(import_failures),
		cmocka_unit_test(import_of_nothing_readable),
		cmocka_unit_test(import_from_slow_pipe),
		cmocka_unit_test(import_interrupted),
		cmocka_unit_test(builds),
	};

	return cmocka_run_group_tests_name("docker/container", tests, NULL, NULL);
}
