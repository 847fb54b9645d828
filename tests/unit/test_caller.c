/* SPDX-License-Identifier: MIT */
/* test_caller.c - who may have the host seat: the list, its owner, its mode. */
#include "expect.h"

#include <string.h>
#include <sys/stat.h>

#include "base/caller.h"
#include "base/fs.h"
#include "base/mem.h"

#include "base/banned.h"

static const struct caller root = { .uid = 0, .name = "root" };
static const struct caller ann = { .uid = 12345, .gid = 12345, .name = "ann" };
static const struct caller nameless = { .uid = 12347, .gid = 12347, .name = "uid12347" };
static char dir[] = "/tmp/labctl-caller-XXXXXX";
static char *list;

static void write_list(const char *text, mode_t mode)
{
	ok(fs_write(list, text, strlen(text), mode, false, err));
	setenv("LABCTL_HOST_SEAT", list, 1);
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	list = xasprintf("%s/host-seat", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(list);
	free(list);
	return rmdir(dir);
}

static void not_listed(const struct caller *c)
{
	auto_free char *msg = xasprintf("user '%s' is not listed in '%s'", c->name, list);

	fails_with_hint(caller_check_host_seat(c, err), ERR_FAILED, msg,
			"an administrator can add the name there: whoever is listed administers "
			"this host");
	assert_false(caller_is_administrator(c));
}

static void test_without_list(void **state)
{
	(void)state;
	setenv("LABCTL_HOST_SEAT", list, 1);
	assert_true(caller_is_administrator(&root));
	not_listed(&ann);
	unsetenv("LABCTL_HOST_SEAT");
	assert_string_equal(caller_host_seat_file(), "/etc/labctl/host-seat");
	setenv("LABCTL_HOST_SEAT", "", 1);
	assert_string_equal(caller_host_seat_file(), "/etc/labctl/host-seat");
}

static void test_names(void **state)
{
	(void)state;
	need_root();
	write_list("# who administers this host\n\n  ann\t# since May\r\nuid12347", 0644);
	ok(caller_check_host_seat(&ann, err));
	ok(caller_check_host_seat(&nameless, err));
	write_list("#ann\nanna\nan n\nAnn\n12347\n", 0644);
	not_listed(&ann);
	not_listed(&nameless);
	write_list("", 0600);
	not_listed(&ann);
}

static void ignored(const char *path)
{
	auto_free char *msg = xasprintf("'%s' is ignored: it must be a file that belongs to root "
					"and that nobody else may write to",
					path);
	auto_free char *hint =
		xasprintf("run: sudo chown root:root %s; sudo chmod 644 %s", path, path);

	setenv("LABCTL_HOST_SEAT", path, 1);
	fails_with_hint(caller_check_host_seat(&ann, err), ERR_ENV, msg, hint);
	assert_false(caller_is_administrator(&ann));
	assert_true(caller_is_administrator(&root));
}

static void test_a_list_of_others(void **state)
{
	(void)state;
	need_root();
	write_list("ann\n", 0664);
	ignored(list);
	write_list("ann\n", 0646);
	ignored(list);
	write_list("ann\n", 0644);
	assert_int_equal(chown(list, ann.uid, 0), 0);
	ignored(list);
	ignored(dir);
	ignored("/dev/null");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_list),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_a_list_of_others),
	};

	return cmocka_run_group_tests_name("caller", tests, setup, teardown);
}
