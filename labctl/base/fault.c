/* SPDX-License-Identifier: MIT */
/* fault.c - faults on demand, for tests. */
#include "base/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parse.h"

#include "base/banned.h"

static struct {
	bool read;
	uint32_t die_at, fail_at; /* 0: never */
	uint32_t passed;
	const char *count_file;
	pid_t pid; /* a child's points are not ours */
} plan;

static uint32_t number_from(const char *name)
{
	const char *text = getenv(name);
	uint32_t n = 0;

	if (text && parse_u32(text, 0, UINT32_MAX, &n, ERR_IGNORED) < 0)
		log_warn("%s is not a number", name);
	return n;
}

static void write_count(void)
{
	FILE *f = plan.pid == getpid() ? fopen(plan.count_file, "we") : NULL;

	if (!f)
		return;
	fprintf(f, "%u\n", plan.passed);
	fclose(f);
}

static void read_plan(void)
{
	plan.read = true;
	plan.die_at = number_from("LABCTL_TEST_DIE_AT");
	plan.fail_at = number_from("LABCTL_TEST_FAIL_AT");
	plan.count_file = getenv("LABCTL_TEST_COUNT");
	plan.pid = getpid();
	if (plan.count_file)
		atexit(write_count);
}

int fault_point(const char *what, struct err *err)
{
	if (!plan.read)
		read_plan();
	plan.passed++;
	if (plan.passed == plan.die_at) {
		log_debug("dying at point %u: %s", plan.passed, what);
		kill(getpid(), SIGKILL);
	}
	if (plan.passed == plan.fail_at)
		return err_set(err, ERR_ENV, ENOBUFS, "%s (fault on demand)", what);
	return 0;
}
