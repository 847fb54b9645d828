/* SPDX-License-Identifier: MIT */
/* test_net_offload.c - with offloads off, a packet socket sees finished frames of real size. */
#include "net/offload.h"

#include "net_lab.h"

static bool contains(const struct strv *v, const char *text)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->v[i], text) == 0)
			return true;
	return false;
}

static uint32_t sum(const uint8_t *p, size_t n, uint32_t acc)
{
	for (size_t i = 0; i < n; i++)
		acc += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return acc;
}

/* Over an Ethernet frame with IPv4 and TCP or UDP: does the transport's checksum hold? */
static bool checksum_holds(const uint8_t *frame)
{
	const uint8_t *ip = frame + 14;
	size_t head = (size_t)(ip[0] & 15) * 4, total = (size_t)ip[2] << 8 | ip[3];
	uint32_t acc = sum(ip + 12, 8, ip[9] + (uint32_t)(total - head));

	acc = sum(ip + head, total - head, acc);
	while (acc >> 16)
		acc = (acc & 0xffff) + (acc >> 16);
	return acc == 0xffff;
}

static void address(struct net_pair *p, int side, const char *text)
{
	struct ipnet net = net_parse(text);

	ok(addr_add(p->nl[side], p->link[side].ifindex, &net, false, err));
}

static struct sockaddr_in where(const char *ip, uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, ip, &sa.sin_addr), 1);
	return sa;
}

/* Sends 20000 bytes by TCP from a0 to b0. */
static void send_stream(struct net_pair *p)
{
	auto_fd listener = net_socket(p->fd[1], AF_INET, SOCK_STREAM, 0);
	auto_fd client = net_socket(p->fd[0], AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in sa = where("1.1.1.2", 7);
	uint8_t data[20000];
	size_t got = 0;
	int on = 1;

	/* The connection before this one lingers. */
	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	memset(data, 'x', sizeof(data));
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&sa, sizeof(sa)), 0);
	auto_fd server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	assert_int_equal(send(client, data, sizeof(data), 0), sizeof(data));
	while (got < sizeof(data)) {
		ssize_t n = recv(server, data, sizeof(data), 0);

		assert_true(n > 0);
		got += (size_t)n;
	}
}

static void send_datagram(struct net_pair *p)
{
	auto_fd server = net_socket(p->fd[1], AF_INET, SOCK_DGRAM, 0);
	auto_fd client = net_socket(p->fd[0], AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in sa = where("1.1.1.2", 7);
	char data[8];

	assert_int_equal(bind(server, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(sendto(client, "hello", 5, 0, (struct sockaddr *)&sa, sizeof(sa)), 5);
	assert_int_equal(recv(server, data, sizeof(data), 0), 5);
}

struct seen {
	int frames, unfinished, giant;
};

/* Reads what the tap on b0 has of one IP protocol. */
static struct seen look(int tap, uint8_t protocol)
{
	static uint8_t frame[70000];
	struct seen s = { 0 };
	size_t n;

	while ((n = net_recv(tap, frame, sizeof(frame), 0))) {
		if (n < 34 || frame[12] != 8 || frame[13] != 0 || frame[23] != protocol)
			continue;
		s.frames++;
		s.unfinished += !checksum_holds(frame);
		s.giant += n > 1414;
	}
	return s;
}

static void frames_are_finished(void **state)
{
	struct net_pair p = { 0 };
	auto_strv before = { 0 }, after = { 0 };
	struct seen s;

	(void)state;
	need_root();
	net_pair_make(&p);
	address(&p, 0, "1.1.1.1/24");
	address(&p, 1, "1.1.1.2/24");
	auto_fd tap = net_tap(p.fd[1], p.link[1].ifindex);
	send_stream(&p);
	s = look(tap, IPPROTO_TCP);
	/* The trap is there: without this the test would prove nothing. */
	assert_true(s.unfinished > 0);
	assert_true(s.giant > 0);

	for (int i = 0; i < 2; i++) {
		auto_offload o = NULL;

		ok(offload_open(p.fd[i], &o, err));
		if (i == 0) {
			ok(offload_check(o, "a0", &before, err));
			assert_true(contains(&before, "tx-checksum-ip-generic"));
			assert_true(contains(&before, "tx-tcp-segmentation"));
			assert_false(contains(&before, "highdma"));
		}
		ok(offload_disable(o, p.link[i].name, err));
		ok(offload_disable(o, p.link[i].name, err));
		strv_done(&after);
		ok(offload_check(o, p.link[i].name, &after, err));
		assert_int_equal(after.n, 0);
	}
	send_stream(&p);
	s = look(tap, IPPROTO_TCP);
	assert_true(s.frames > 14);
	assert_int_equal(s.unfinished, 0);
	assert_int_equal(s.giant, 0);
	send_datagram(&p);
	s = look(tap, IPPROTO_UDP);
	assert_true(s.frames >= 1);
	assert_int_equal(s.unfinished, 0);
	net_pair_done(&p);
}

static void what_stays_on_is_named(void **state)
{
	auto_offload o = NULL;
	auto_fd fd = -1;

	(void)state;
	need_root();
	ok(netns_open_new(&fd, err));
	ok(offload_open(fd, &o, err));
	/* The loopback's checksum offload is fixed. */
	fails(offload_disable(o, "lo", err), ERR_ENV,
	      "offloads of interface 'lo' stay on: tx-scatter-gather, tx-checksum-ip-generic, "
	      "tx-scatter-gather-fraglist, tx-checksum-sctp, rx-checksum");
}

static void missing_interface_is_named(void **state)
{
	auto_offload o = NULL;
	auto_strv on = { 0 };
	auto_fd fd = -1;

	(void)state;
	need_root();
	ok(netns_open_new(&fd, err));
	ok(offload_open(fd, &o, err));
	fails(offload_check(o, "none", &on, err), ERR_NOT_FOUND,
	      "cannot count the offloads of interface 'none': No such device");
	fails(offload_disable(o, "much-too-long-a-name", err), ERR_NOT_FOUND,
	      "cannot count the offloads of interface 'much-too-long-a-name': No such device");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_finished),
		cmocka_unit_test(what_stays_on_is_named),
		cmocka_unit_test(missing_interface_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
