/* SPDX-License-Identifier: MIT */
/* test_docker_tls.c - an engine on tcp with certificates. */
#include "docker/engine.h"

#include "docker/exec.h"
#include "fake_engine.h"

struct tls {
	char dir[32];
	struct fake f;
};

/* A directory as DOCKER_CERT_PATH wants it, and the server's pair; by openssl(1). */
static const char *const make_certificates =
	"cd \"$0\" && exec >/dev/null 2>&1 &&"
	"ec() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \"$@\"; } &&"
	"ec -x509 -days 2 -subj /CN=ca -keyout ca-key.pem -out ca.pem &&"
	"ec -subj /CN=server -keyout server-key.pem -out server.csr &&"
	"ec -subj /CN=client -keyout key.pem -out client.csr &&"
	"printf 'subjectAltName=IP:127.0.0.1' >ext &&"
	"openssl x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca-key.pem -set_serial 1"
	"  -extfile ext -out server.pem &&"
	"openssl x509 -req -days 2 -in client.csr -CA ca.pem -CAkey ca-key.pem -set_serial 2"
	"  -out cert.pem &&"
	"mkdir other && cp cert.pem key.pem other &&"
	"ec -x509 -days 2 -subj /CN=other -keyout other/ca-key.pem -out other/ca.pem";

static int shell(const char *script, const char *dir)
{
	pid_t pid = fork();
	int status = 1;

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", script, dir, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

static int open_tls(void **state)
{
	struct tls *t = xcalloc(1, sizeof(*t));
	auto_free char *json = fake_json(
		"{'rules': [{'on': 'GET /x', 'json': {'a': 1}},"
		"{'on': 'GET /big', 'body': '0123456789abcdef', 'repeat': 65536, 'type': "
		"'text/plain'},"
		"{'on': 'POST /containers/c/exec', 'status': 201, 'json': {'Id': 'e1'}},"
		"{'on': 'GET /exec/e1/json', 'json': {'Running': false, 'ExitCode': 3}},"
		"{'on': 'POST /exec/e1/start', 'hijack': [{'frame': [1, 'out '], 'repeat': 50000}, "
		"{'frame': [2, 'err']}]}]}");
	auto_free char *cert = NULL;
	auto_free char *key = NULL;
	auto_free char *ca = NULL;

	*t = (struct tls){ .dir = "/tmp/labctl-docker-XXXXXX" };
	*state = t;
	if (!mkdtemp(t->dir) || shell(make_certificates, t->dir)) {
		t->f.pid = 0;
		return 0;
	}
	cert = xasprintf("%s/server.pem", t->dir);
	key = xasprintf("%s/server-key.pem", t->dir);
	ca = xasprintf("%s/ca.pem", t->dir);
	fake_spawn(&t->f, (const char *const[]){ "/usr/bin/python3", fake_program(), json,
						 "127.0.0.1:0", cert, key, ca, NULL });
	return 0;
}

static int close_tls(void **state)
{
	struct tls *t = *state;
	int status = 0;

	if (t->f.pid) {
		close(t->f.stdin_fd);
		waitpid(t->f.pid, &status, 0);
	}
	shell("rm -rf \"$0\"", t->dir);
	free(t);
	unsetenv("DOCKER_TLS_VERIFY");
	unsetenv("DOCKER_CERT_PATH");
	return status;
}

static struct fake *need_tls(void **state, const char *dir)
{
	struct tls *t = *state;
	auto_free char *path = xasprintf("%s%s", t->dir, dir);

	if (!t->f.pid) {
		if (getenv("LABCTL_TEST_STRICT"))
			fail_msg("openssl makes no certificates");
		print_message("# skipped: openssl makes no certificates\n");
		skip();
	}
	setenv("DOCKER_TLS_VERIFY", "1", 1);
	setenv("DOCKER_CERT_PATH", path, 1);
	return &t->f;
}

static void calls_by_tls(void **state)
{
	struct fake *f = need_tls(state, "");
	auto_engine e = NULL;
	json_t *reply = NULL;

	ok(engine_open(f->host, &e, err));
	for (int i = 0; i < 3; i++) {
		ok(engine_call(e, "GET", "/x", NULL, &reply, err));
		assert_int_equal(json_integer_value(json_object_get(reply, "a")), 1);
		json_decref(reply);
	}
	ok(engine_call(e, "GET", "/big", NULL, NULL, err));
}

/* Data waits inside the TLS layer where poll(2) does not see it: nothing of it may be missed. */
static void command_by_tls(void **state)
{
	static const char *const argv[] = { "true", NULL };
	struct fake *f = need_tls(state, "");
	char path[] = "/tmp/labctl-docker-XXXXXX", text[8];
	int fd = mkostemp(path, O_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC), code;
	struct exec_spec spec = {
		.container = "c", .argv = argv, .stdin_fd = null, .stdout_fd = fd, .stderr_fd = null
	};
	auto_engine e = NULL;

	unlink(path);
	ok(engine_open(f->host, &e, err));
	ok(exec_run(e, &spec, &code, err));
	assert_int_equal(code, 3);
	assert_int_equal(lseek(fd, 0, SEEK_END), 200000);
	assert_int_equal(pread(fd, text, 8, 199992), 8);
	assert_memory_equal(text, "out out ", 8);
	close(fd);
	close(null);
}

static void strangers_are_refused(void **state)
{
	struct fake *f = need_tls(state, "/other");
	auto_engine e = NULL;
	struct err refusal = { 0 };

	ok(engine_open(f->host, &e, err));
	assert_int_equal(engine_call(e, "GET", "/x", NULL, NULL, &refusal), -1);
	assert_int_equal(refusal.kind, ERR_ENV);
	assert_non_null(strstr(refusal.msg, "'GET /_ping' at tcp://127.0.0.1:"));
	assert_non_null(strstr(refusal.msg, "certificate"));
}

static void files_that_are_missing(void **state)
{
	struct fake *f = need_tls(state, "/nowhere");
	auto_engine e = NULL;
	auto_free char *msg =
		xasprintf("cannot read '%s/ca.pem', needed to reach '%s' by TLS: No such file or "
			  "directory",
			  getenv("DOCKER_CERT_PATH"), f->host);

	fails_with_hint(
		engine_open(f->host, &e, err), ERR_ENV, msg,
		"DOCKER_CERT_PATH names the directory of ca.pem, cert.pem and key.pem; without "
		"DOCKER_TLS_VERIFY no TLS is used");
}

static void plain_text_to_tls(void **state)
{
	struct fake *f = need_tls(state, "");
	auto_engine e = NULL;
	auto_free char *msg =
		xasprintf("the Docker Engine at %s closed the connection during 'GET /_ping'",
			  f->host);

	unsetenv("DOCKER_TLS_VERIFY");
	ok(engine_open(f->host, &e, err));
	fails_with_hint(engine_call(e, "GET", "/x", NULL, NULL, err), ERR_ENV, msg, LOST_HINT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_by_tls),		 cmocka_unit_test(command_by_tls),
		cmocka_unit_test(strangers_are_refused), cmocka_unit_test(files_that_are_missing),
		cmocka_unit_test(plain_text_to_tls),
	};

	return cmocka_run_group_tests_name("docker/tls", tests, open_tls, close_tls);
}
