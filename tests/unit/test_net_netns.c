/* SPDX-License-Identifier: MIT */
/* test_net_netns.c - namespaces by name and by fd, and their sysctls. */
#include "net/netns.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/mem.h"
#include "net_lab.h"

/* A name that no other run of this test has at the same time. */
static char *own_name(const char *what)
{
	return xasprintf(NETNS_PREFIX "test-%d-%s", (int)getpid(), what);
}

static bool same_ns(int a, int b)
{
	struct stat sa, sb;

	assert_int_equal(fstat(a, &sa), 0);
	assert_int_equal(fstat(b, &sb), 0);
	return sa.st_ino == sb.st_ino;
}

static void named_lives_and_goes(void **state)
{
	auto_free char *name = own_name("a"), *cmd = NULL, *taken = NULL, *none = NULL;
	auto_fd before = -1, made = -1, opened = -1, after = -1;
	auto_strv names = { 0 }, left = { 0 };
	struct link_info lo = { 0 };
	auto_nl nl = NULL;

	(void)state;
	need_root();
	ok(netns_open_self(&before, err));
	ok(netns_create(name, &made, err));
	ok(netns_open_self(&after, err));
	assert_true(same_ns(before, after));
	assert_false(same_ns(before, made));
	ok(netns_open_name(name, &opened, err));
	assert_true(same_ns(made, opened));
	ok(nl_open(made, &nl, err));
	ok(link_get(nl, "lo", &lo, err));
	assert_true(lo.flags & IFF_UP);
	ok(netns_list(name, &names, err));
	assert_int_equal(names.n, 1);
	assert_string_equal(names.v[0], name);

	taken = xasprintf("network namespace '%s' already exists", name);
	fails(netns_create(name, &opened, err), ERR_CONFLICT, taken);
	cmd = xasprintf("ip netns exec %s ip -o link show lo | grep -q UP && ip netns list | "
			"grep -q '^%s' && ip netns del %s",
			name, name, name);
	assert_int_equal(system(cmd), 0);
	none = xasprintf("no network namespace '%s': No such file or directory", name);
	fails(netns_open_name(name, &opened, err), ERR_NOT_FOUND, none);
	ok(netns_delete(name, err));
	ok(netns_list(name, &left, err));
	assert_int_equal(left.n, 0);
}

static void made_by_ip_is_opened_and_deleted(void **state)
{
	auto_free char *name = own_name("b"), *cmd = xasprintf("ip netns add %s", name);
	auto_strv left = { 0 };
	auto_fd fd = -1;

	(void)state;
	need_root();
	assert_int_equal(system(cmd), 0);
	ok(netns_open_name(name, &fd, err));
	ok(netns_delete(name, err));
	ok(netns_delete(name, err));
	ok(netns_list(name, &left, err));
	assert_int_equal(left.n, 0);
}

static void stale_file_is_used_again(void **state)
{
	auto_free char *name = own_name("c"), *foreign = xasprintf("test-%d", (int)getpid());
	auto_free char *path = xasprintf("%s/%s", NETNS_DIR, name);
	auto_free char *foreign_path = xasprintf("%s/%s", NETNS_DIR, foreign);
	auto_free char *plain =
		xasprintf("no network namespace '%s': '%s' is a plain file", name, path);
	auto_free char *taken = xasprintf("network namespace '%s' already exists", foreign);
	auto_fd made = -1, opened = -1;
	struct stat st;

	(void)state;
	need_root();
	ok(fs_mkdirs(NETNS_DIR, 0755, err));
	ok(fs_write(path, "", 0, 0, false, err));
	ok(fs_write(foreign_path, "", 0, 0, false, err));
	fails(netns_open_name(name, &opened, err), ERR_NOT_FOUND, plain);
	ok(netns_create(name, &made, err));
	ok(netns_open_name(name, &opened, err));
	assert_true(same_ns(made, opened));
	/* What is not marked as ours stays as it is. */
	fails(netns_create(foreign, &opened, err), ERR_CONFLICT, taken);
	assert_int_equal(stat(foreign_path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	ok(netns_delete(name, err));
	ok(netns_delete(foreign, err));
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(stat(foreign_path, &st), -1);
}

static void bad_names_are_refused(void **state)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "../x" };
	int fd = -1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		auto_free char *msg = xasprintf("'%s' is no name for a network namespace", bad[i]);

		fails(netns_create(bad[i], &fd, err), ERR_USAGE, msg);
		fails(netns_open_name(bad[i], &fd, err), ERR_USAGE, msg);
		fails(netns_delete(bad[i], err), ERR_USAGE, msg);
	}
}

static void pid_has_a_namespace_while_it_lives(void **state)
{
	auto_fd self = -1, of_pid = -1;
	char msg[64];
	pid_t pid;

	(void)state;
	ok(netns_open_self(&self, err));
	ok(netns_open_pid(getpid(), &of_pid, err));
	assert_true(same_ns(self, of_pid));
	pid = fork();
	if (pid == 0)
		_exit(0);
	/* A dead child that nobody has waited for still has its pid, but no namespace. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	snprintf(msg, sizeof(msg), "no process %d: No such file or directory", (int)pid);
	fails(netns_open_pid(pid, &of_pid, err), ERR_NOT_FOUND, msg);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	fails(netns_open_pid(pid, &of_pid, err), ERR_NOT_FOUND, msg);
}

static int fail_inside(void *arg, struct err *err)
{
	int fd = -1;

	if (netns_open_self(&fd, err) < 0)
		return -1;
	*(bool *)arg = true;
	close(fd);
	return err_set(err, ERR_FAILED, 0, "said no");
}

static void run_comes_back(void **state)
{
	auto_fd before = -1, other = -1, after = -1;
	auto_fd file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	bool ran = false;

	(void)state;
	need_root();
	ok(netns_open_self(&before, err));
	ok(netns_open_new(&other, err));
	fails(netns_run(other, fail_inside, &ran, err), ERR_FAILED, "said no");
	assert_true(ran);
	ran = false;
	fails(netns_run(file, fail_inside, &ran, err), ERR_ENV,
	      "cannot enter the network namespace: Invalid argument");
	assert_false(ran);
	ok(netns_open_self(&after, err));
	assert_true(same_ns(before, after));
}

static void sysctls_are_the_namespaces(void **state)
{
	auto_free char *here = NULL, *there = NULL, *again = NULL, *lo = NULL;
	auto_fd other = -1;

	(void)state;
	need_root();
	ok(netns_open_new(&other, err));
	ok(netns_sysctl_get(-1, "net.ipv4.ip_default_ttl", &here, err));
	ok(netns_sysctl_set(other, "net.ipv4.ip_default_ttl", "77", err));
	ok(netns_sysctl_get(other, "net.ipv4.ip_default_ttl", &there, err));
	ok(netns_sysctl_get(-1, "net.ipv4.ip_default_ttl", &again, err));
	assert_string_equal(there, "77");
	assert_string_equal(again, here);
	ok(netns_sysctl_set(other, "net/ipv4/conf/lo/forwarding", "1", err));
	ok(netns_sysctl_get(other, "net.ipv4.conf.lo.forwarding", &lo, err));
	assert_string_equal(lo, "1");
	fails(netns_sysctl_set(other, "net.ipv4.no_such", "1", err), ERR_NOT_FOUND,
	      "cannot open '/proc/sys/net/ipv4/no_such': No such file or directory");
	fails(netns_sysctl_set(other, "net.ipv4.ip_default_ttl", "x", err), ERR_ENV,
	      "cannot write 'x' to '/proc/sys/net/ipv4/ip_default_ttl': Invalid argument");
	fails(netns_sysctl_set(other, "net/../kernel/x", "1", err), ERR_USAGE,
	      "'net/../kernel/x' is no sysctl");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(named_lives_and_goes),
		cmocka_unit_test(made_by_ip_is_opened_and_deleted),
		cmocka_unit_test(stale_file_is_used_again),
		cmocka_unit_test(bad_names_are_refused),
		cmocka_unit_test(pid_has_a_namespace_while_it_lives),
		cmocka_unit_test(run_comes_back),
		cmocka_unit_test(sysctls_are_the_namespaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
