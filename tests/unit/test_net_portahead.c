/* SPDX-License-Identifier: MIT */
/* test_net_portahead.c - ports that were probed before they are asked for. */
#include "net/portahead.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "expect.h"

#include "base/banned.h"

static struct portahead *ahead(void)
{
	struct portprobe probe = portprobe_init();

	return portahead_new(&probe);
}

/* A port that some socket holds, of the given type; *ret_fd holds it. */
static uint32_t hold(int type, int *ret_fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*ret_fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	assert_true(*ret_fd >= 0);
	assert_int_equal(bind(*ret_fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&a, &len), 0);
	return ntohs(a.sin_port);
}

/* Free a moment ago; by the kernel's choice, so that it stays so. */
static uint32_t free_port(void)
{
	auto_fd fd = -1;

	return hold(SOCK_STREAM, &fd);
}

/* A loaded machine may need several tries to ask while the answer is fresh. */
static bool comes_true(struct portahead *a, const uint32_t *ports, size_t n, uint32_t port)
{
	for (int i = 0; i < 2000; i++) {
		portahead_begin(a, ports, n);
		if (portahead_is_free(a, port))
			return true;
	}
	return false;
}

static void test_answers(void **state)
{
	auto_fd tcp = -1;
	auto_fd udp = -1;
	const uint32_t ports[] = { free_port(), hold(SOCK_STREAM, &tcp), hold(SOCK_DGRAM, &udp) };
	struct portahead *a = ahead();

	(void)state;
	assert_false(portahead_is_free(a, ports[0])); /* not asked yet */
	assert_true(comes_true(a, ports, ARRAY_SIZE(ports), ports[0]));
	assert_false(portahead_is_free(a, ports[0])); /* once */
	assert_false(portahead_is_free(a, ports[1]));
	assert_false(portahead_is_free(a, ports[2]));
	portahead_free(a);
}

static void test_answers_grow_old(void **state)
{
	const struct timespec too_long = { .tv_nsec = (PORTAHEAD_FRESH_MS + 2) * 1000000 };
	const uint32_t port = free_port();
	struct portahead *a = ahead();

	(void)state;
	portahead_begin(a, &port, 1);
	assert_false(portahead_is_free(a, 1)); /* another, to wait until the thread is done */
	nanosleep(&too_long, NULL);
	assert_false(portahead_is_free(a, port));
	assert_true(comes_true(a, &port, 1, port));
	portahead_free(a);
}

static void test_many(void **state)
{
	uint32_t ports[PORTAHEAD_MAX + 1];
	struct portahead *a = ahead();

	(void)state;
	for (uint32_t i = 0; i <= PORTAHEAD_MAX; i++)
		ports[i] = 20000 + i;
	for (int round = 0; round < 200; round++)
		portahead_begin(a, ports, ARRAY_SIZE(ports));
	assert_false(portahead_is_free(a, ports[PORTAHEAD_MAX]));
	portahead_free(a); /* while it may be at work */
	portahead_free(ahead());
	portahead_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_answers_grow_old),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
