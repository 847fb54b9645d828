/* SPDX-License-Identifier: MIT */
/* test_grade_watch.c - a saved source file is noticed, also in a directory made meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "grade/watch.h"

#include "base/banned.h"

static void save(const char *dir, const char *name)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);
	auto_file f = fopen(path, "w");

	assert_non_null(f);
	fputs("x", f);
}

static void drop(const char *dir, const char *name)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);

	assert_int_equal(remove(path), 0);
}

static void test_watch(void **state)
{
	char dir[] = "/tmp/labctl-watch-XXXXXX";
	auto_free char *sub = NULL;
	struct err e = { 0 };
	auto_fd fd = -1;

	(void)state;
	assert_non_null(mkdtemp(dir));
	sub = xasprintf("%s/lib", dir);
	assert_int_equal(watch_open(dir, &fd, &e), 0);
	save(dir, "router.py");
	assert_int_equal(watch_wait(fd, dir, &e), 0);
	/* What tools make does not count: the directory is seen, then the file in it. */
	save(dir, "router.pyc");
	save(dir, ".router.py.swp");
	assert_int_equal(mkdir(sub, 0755), 0);
	save(dir, "router.py");
	assert_int_equal(watch_wait(fd, dir, &e), 0);
	save(sub, "arp.c");
	assert_int_equal(watch_wait(fd, dir, &e), 0);
	drop(sub, "arp.c");
	drop(dir, "router.py");
	drop(dir, "router.pyc");
	drop(dir, ".router.py.swp");
	rmdir(sub);
	assert_int_equal(rmdir(dir), 0);
}

static void test_not_there(void **state)
{
	struct err e = { 0 };
	int fd;

	(void)state;
	assert_int_equal(watch_open("/nonexistent/src", &fd, &e), -1);
	assert_string_equal(e.msg, "cannot watch '/nonexistent/src': No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
