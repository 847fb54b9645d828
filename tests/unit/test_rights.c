/* SPDX-License-Identifier: MIT */
/* test_rights.c - a sudo caller's file rights, and root's inside brackets. */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/rights.h"

#include "base/banned.h"

#define STUDENT 64117

static char dir[] = "/tmp/labctl-rights.XXXXXX";
static char secret[64], shared[64];

static int make_files(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
		return -1;
	snprintf(secret, sizeof(secret), "%s/secret", dir);
	snprintf(shared, sizeof(shared), "%s/shared", dir);
	if (mkdir(shared, 0777) < 0 || chmod(shared, 0777) < 0)
		return -1;
	return close(open(secret, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int remove_files(void **state)
{
	char file[80];

	(void)state;
	snprintf(file, sizeof(file), "%s/file", shared);
	unlink(file);
	unlink(secret);
	rmdir(shared);
	rmdir(dir);
	return 0;
}

static bool can_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* As main() of a labctl that sudo has started, in a process of its own: 0 is good. */
static int as_student(int (*body)(const struct caller *c))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		struct caller c;
		struct err err = { 0 };

		setenv("SUDO_UID", "64117", 1);
		setenv("SUDO_GID", "64118", 1);
		_exit(file_rights_adopt(&c, &err) < 0 ? 99 : body(&c));
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static int from_the_start(const struct caller *c)
{
	gid_t groups[64];

	if (c->uid != STUDENT || geteuid() != 0)
		return 1;
	if (can_open(secret) || errno != EACCES || fs_access(secret, R_OK))
		return 2;
	return getgroups(64, groups) == 1 && groups[0] == 64118 ? 0 : 3;
}

static int in_brackets(const struct caller *c)
{
	struct err err = { 0 };

	{
		auto_file_rights as_root = file_rights_root("a test");
		auto_file_rights again = file_rights_root("a test");

		if (!can_open(secret) || !fs_access(secret, R_OK) || again.changed)
			return 1;
		auto_file_rights as_caller = { 0 };
		if (file_rights_of(c, &as_caller, &err) < 0 || can_open(secret))
			return 2;
		file_rights_restore(&as_caller);
		if (!can_open(secret))
			return 3;
	}
	return can_open(secret) ? 4 : 0;
}

static int files_are_his(const struct caller *c)
{
	struct stat st;
	struct err err = { 0 };
	char file[80];

	snprintf(file, sizeof(file), "%s/file", shared);
	if (fs_write(file, "x", 1, 0644, false, &err) < 0 || stat(file, &st) < 0)
		return 1;
	return st.st_uid == c->uid && st.st_gid == c->gid ? 0 : 2;
}

static int signal_stays(const struct caller *c)
{
	int sig = 0;

	(void)c;
	prctl(PR_SET_PDEATHSIG, (long)SIGUSR1);
	struct file_rights f = file_rights_root("a test");
	file_rights_restore(&f);
	prctl(PR_GET_PDEATHSIG, &sig);
	return sig == SIGUSR1 ? 0 : 1;
}

static void test_start(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(as_student(from_the_start), 0);
}

static void test_brackets(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(as_student(in_brackets), 0);
}

static void test_files(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(as_student(files_are_his), 0);
}

static void test_signal(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(as_student(signal_stays), 0);
}

/* root itself, and root as another user */
static void test_real_root(void **state)
{
	const struct caller student = { .uid = STUDENT, .gid = STUDENT, .name = "uid64117" };
	struct err err = { 0 };
	struct file_rights f;

	(void)state;
	need_root();
	f = file_rights_root("a test");
	assert_false(f.changed);
	assert_int_equal(file_rights_of(&student, &f, &err), 0);
	assert_false(can_open(secret));
	file_rights_restore(&f);
	assert_true(can_open(secret));
}

/* Which launcher called, in a process of its own: the uid, or 250 for an error. */
static int caller_by(const char *name, const char *value, const char *words)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		struct err err = { 0 };
		uid_t uid = 0;
		gid_t gid = 0;

		setenv(name, value, 1);
		if (caller_ids(&uid, &gid, &err) < 0)
			_exit(strstr(err.msg, words) ? 250 : 251);
		_exit((int)uid);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void test_launchers(void **state)
{
	(void)state;
	need_root();
	unsetenv("SUDO_UID");
	assert_int_equal(caller_by("SUDO_UID", "12", ""), 12);
	assert_int_equal(caller_by("PKEXEC_UID", "1", ""), 1);
	assert_int_equal(caller_by("DOAS_USER", "daemon", ""), 1);
	assert_int_equal(caller_by("DOAS_USER", "root", ""), 0);
	assert_int_equal(caller_by("SUDO_UID", "bob", "SUDO_UID"), 250);
	assert_int_equal(caller_by("PKEXEC_UID", "-1", "PKEXEC_UID"), 250);
	assert_int_equal(caller_by("DOAS_USER", "no such user", "DOAS_USER"), 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),	  cmocka_unit_test(test_brackets),
		cmocka_unit_test(test_files),	  cmocka_unit_test(test_signal),
		cmocka_unit_test(test_real_root), cmocka_unit_test(test_launchers),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
