/* SPDX-License-Identifier: MIT */
/*
 * test_netport_many.c - many writers at once, and writers that are killed. Any store
 * (LABCTL_TEST_STORE=URL; SQLite if unset). LABCTL_TEST_SOAK=1: 500 rounds of kills, not 50.
 */
#include "netport_lab.h"

#include <fcntl.h>

#include "base/banned.h"

enum {
	PROCESSES = 32,
	EACH = 200,
	RANGE_FIRST = 20000,
	RANGE = PROCESSES * EACH,
	KILL_WRITERS = 3,
	KILL_ROUNDS = 50,
	KILL_ROUNDS_SOAK = 500,
	KILL_LIFE_US = 20000,
	NUMBERS = 65536,
};

static int report(const struct err *err)
{
	fprintf(stderr, "# %s\n", err->msg);
	return 1;
}

static int write_all(int fd, const void *data, size_t len)
{
	return write(fd, data, len) == (ssize_t)len ? 0 : -1;
}

/* One of the processes: takes its share and tells every number, with the time it took. */
static int acquirer(const char *url, int out, int go)
{
	struct lease_request r = by("many", "PORT");
	auto_pool pool = { 0 };
	auto_store s = NULL;
	struct err err = { 0 };
	char c;

	if (pool_parse("PORT", "20000-26399", &pool, &err) < 0 ||
	    store_open(url, STORE_WRITE, &s, &err) < 0)
		return report(&err);
	if (read(go, &c, 1) != 0)
		return 1;
	for (int i = 0; i < EACH; i++) {
		int64_t begun = clock_ms(CLOCK_MONOTONIC);
		auto_lease l = { 0 };
		uint32_t told[2];

		if (lease_acquire_any(s, &r, &pool, NULL, NULL, NULL, &l, &err) < 0)
			return report(&err);
		told[0] = (uint32_t)strtoul(l.value, NULL, 10);
		told[1] = (uint32_t)(clock_ms(CLOCK_MONOTONIC) - begun);
		if (write_all(out, told, sizeof(told)) < 0)
			return 1;
	}
	return 0;
}

/* 32 x 200 out of 6400: each number once, none left, and then the pool is used up. */
static void test_32_times_200(void **state)
{
	const struct place *p = *state;
	auto_free bool *seen = xcalloc(RANGE, sizeof(*seen));
	int out[2], go[2], n = 0, status;
	uint32_t told[2], longest = 0;
	int64_t begun, took;

	{
		auto_store s = NULL;

		ok(store_open(p->url, STORE_WRITE, &s, err));
	}
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(go), 0);
	for (int i = 0; i < PROCESSES; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			close(go[1]);
			_exit(acquirer(p->url, out[1], go[0]));
		}
	}
	close(out[1]);
	close(go[0]);
	begun = clock_ms(CLOCK_MONOTONIC);
	close(go[1]);
	while (read(out[0], told, sizeof(told)) == sizeof(told)) {
		assert_in_range(told[0], RANGE_FIRST, RANGE_FIRST + RANGE - 1);
		assert_false(seen[told[0] - RANGE_FIRST]);
		seen[told[0] - RANGE_FIRST] = true;
		longest = told[1] > longest ? told[1] : longest;
		n++;
	}
	took = clock_ms(CLOCK_MONOTONIC) - begun;
	close(out[0]);
	for (int i = 0; i < PROCESSES; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(n, RANGE);
	auto_store s = NULL;
	ok(store_open(p->url, STORE_WRITE, &s, err));
	assert_int_equal(held(s, "PORT"), RANGE);
	auto_pool pool = { 0 };
	struct lease_request r = by("late", "PORT");
	ok(pool_parse("PORT", "20000-26399", &pool, err));
	fails(lease_acquire_any(s, &r, &pool, NULL, NULL, NULL, NULL, err), ERR_CONFLICT,
	      "no port of '20000-26399' is free");
	ok(store_check(s, err));
	print_message("# %d acquisitions by %d processes in %" PRId64 " ms: %" PRId64
		      " a second, the longest %u ms\n",
		      n, PROCESSES, took, (int64_t)n * 1000 / (took ? took : 1), longest);
}

/* What a writer tells: before it releases (the lease may be gone), after it (it is), and after
 * it acquired (it is held). */
enum word {
	ACQUIRED,
	RELEASING,
	RELEASED,
};

struct said {
	uint32_t word;
	uint32_t number;
	uint64_t id; /* of the lease */
};

/* Takes and gives back until it is killed. */
static int doomed(const char *url, const char *range, int out, unsigned seed)
{
	struct lease_request r = by("doomed", "VNI");
	const struct lease_claim claim = { "doomed", 1000 };
	auto_pool pool = { 0 };
	auto_store s = NULL;
	struct err err = { 0 };
	struct said last = { 0 };

	if (pool_parse("VNI", range, &pool, &err) < 0)
		return report(&err);
	pool.order = POOL_SPREAD;
	if (store_open(url, STORE_WRITE, &s, &err) < 0)
		return report(&err);
	for (;;) {
		auto_lease l = { 0 };
		struct said said = { .word = ACQUIRED };

		if (lease_acquire_any(s, &r, &pool, NULL, NULL, NULL, &l, &err) < 0)
			return report(&err);
		said.number = (uint32_t)strtoul(l.value, NULL, 10);
		said.id = l.id;
		if (write_all(out, &said, sizeof(said)) < 0)
			return 1;
		if (last.id && rand_r(&seed) % 3 == 0) {
			auto_free char *value = xasprintf("%u", last.number);

			said = last;
			said.word = RELEASING;
			if (write_all(out, &said, sizeof(said)) < 0 ||
			    lease_release(s, "VNI", value, &claim, &err) < 0)
				return report(&err);
			said.word = RELEASED;
			if (write_all(out, &said, sizeof(said)) < 0)
				return 1;
			last.id = 0;
		} else {
			last = said;
		}
	}
}

/* The last word on each number. */
struct fate {
	enum {
		UNKNOWN, /* none that counts: it may be held or not */
		HELD,
		FREE,
	} is;
	uint64_t id;
};

/* Every acknowledged lease is there, every acknowledged release happened. A later lease of the
 * same number may be there, whose taker died before it could tell. */
static void compare(struct store *s, const struct fate *fate)
{
	const struct lease_filter f = { .resource = "VNI", .uid = LEASE_ANY_UID };
	auto_free uint64_t *there = xcalloc(NUMBERS, sizeof(*there));
	auto_lease_list l = { 0 };

	ok(lease_list(s, &f, &l, err));
	for (size_t i = 0; i < l.n; i++)
		there[strtoul(l.v[i].value, NULL, 10)] = l.v[i].id;
	for (size_t i = 0; i < NUMBERS; i++) {
		if (fate[i].is == HELD && there[i] != fate[i].id)
			fail_msg("acknowledged lease %zu is lost", i);
		if (fate[i].is == FREE && there[i] == fate[i].id)
			fail_msg("released lease %zu is back", i);
	}
}

static void test_killed_writers(void **state)
{
	const struct place *p = *state;
	/* Each its own: what one tells late is not what another told since. */
	static const char *const ranges[KILL_WRITERS] = { "1-20000", "20001-40000", "40001-60000" };
	int rounds = getenv("LABCTL_TEST_SOAK") ? KILL_ROUNDS_SOAK : KILL_ROUNDS;
	auto_free struct fate *fate = xcalloc(NUMBERS, sizeof(*fate));
	unsigned seed = (unsigned)getpid(), acquired = 0, released = 0;

	print_message("# seed %u\n", seed);
	/* On a slow disk they live longer, until enough is told. */
	for (int round = 0; round < rounds || acquired <= (unsigned)rounds || !released; round++) {
		unsigned life = KILL_LIFE_US * (1 + (unsigned)(round / rounds));
		pid_t pids[KILL_WRITERS];
		struct said said;
		int out[2];

		assert_int_equal(pipe(out), 0);
		for (int i = 0; i < KILL_WRITERS; i++) {
			unsigned own = (unsigned)rand_r(&seed);

			pids[i] = fork();
			assert_true(pids[i] >= 0);
			if (pids[i] == 0)
				_exit(doomed(p->url, ranges[i], out[1], own));
		}
		close(out[1]);
		for (int i = 0; i < KILL_WRITERS; i++) {
			int status;

			usleep((unsigned)rand_r(&seed) % life);
			kill(pids[i], SIGKILL);
			waitpid(pids[i], &status, 0);
			/* It was we who ended it, not an error. */
			assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		}
		while (read(out[0], &said, sizeof(said)) == sizeof(said)) {
			fate[said.number].id = said.id;
			fate[said.number].is = said.word == ACQUIRED   ? HELD
					       : said.word == RELEASED ? FREE
								       : UNKNOWN;
			acquired += said.word == ACQUIRED;
			released += said.word == RELEASED;
		}
		close(out[0]);
		auto_store s = NULL;
		ok(store_open(p->url, STORE_WRITE, &s, err));
		ok(store_check(s, err));
		compare(s, fate);
	}
	print_message("# %d rounds and more: %u leases and %u releases acknowledged, none lost\n",
		      rounds, acquired, released);
}

static int64_t thousand_ms(struct store *s, const struct lease_request *r, const struct pool *pool)
{
	int64_t begun;

	ok(store_begin(s, err));
	begun = clock_ms(CLOCK_MONOTONIC);
	for (int i = 0; i < 1000; i++)
		ok(lease_acquire_any(s, r, pool, NULL, NULL, NULL, NULL, err));
	begun = clock_ms(CLOCK_MONOTONIC) - begun;
	store_rollback(s);
	return begun;
}

/* The cost of an acquisition does not grow with the number of leases. */
static void test_flat(void **state)
{
	const struct place *p = *state;
	struct lease_request r = by("flat", "PORT");
	int64_t cost[2] = { INT64_MAX, INT64_MAX };
	auto_pool pool = { 0 };
	auto_store s = NULL;
	uint32_t next = 1;

	ok(store_open(p->url, STORE_WRITE, &s, err));
	ok(pool_parse("PORT", "1-65535", &pool, err));
	for (int step = 0; step < 2; step++) {
		uint32_t fill = step ? 50000 : 100;

		/* Every fifth stays free, as after some time of use. */
		ok(store_begin(s, err));
		for (; next < fill; next++) {
			auto_free char *value = xasprintf("%u", next);

			if (next % 5)
				ok(lease_acquire(s, &r, value, NULL, NULL, NULL, NULL, err));
		}
		ok(store_commit(s, err));
		/* The least of several: the others waited for the processor, too. */
		for (int i = 0; i < 5; i++) {
			int64_t took = thousand_ms(s, &r, &pool);

			cost[step] = took < cost[step] ? took : cost[step];
		}
	}
	print_message("# 1000 acquisitions without the disk: %" PRId64 " ms at 80 leases, %" PRId64
		      " ms at 40000\n",
		      cost[0], cost[1]);
	assert_true(cost[1] < 5 * cost[0] + 100);
}

#define test(f) cmocka_unit_test_setup_teardown(f, place_make, place_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_32_times_200),
		test(test_killed_writers),
		test(test_flat),
	};

	return cmocka_run_group_tests_name("netport_many", tests, NULL, NULL);
}
