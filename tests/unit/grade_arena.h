/* SPDX-License-Identifier: MIT */
/*
 * grade_arena.h - a stage wired in nameless namespaces, without any engine, for tests of grade/:
 * two ends of a network are one veth pair, more are on a bridge, as in a lab; clients forward
 * where the stage says so; the seat's kernel is kept silent by the guard.
 */
#ifndef TESTS_UNIT_GRADE_ARENA_H
#define TESTS_UNIT_GRADE_ARENA_H

#include <fcntl.h>
#include <sched.h>

#include "base/fs.h"
#include "base/mem.h"
#include "grade/arena.h"
#include "grade/grader.h"
#include "grade/runner.h"
#include "lab/publish.h"
#include "net/guard.h"
#include "net/offload.h"
#include "net_lab.h"
#include "stage/load.h"

#define ARENA_GUARD "labctl_test"

struct test_arena {
	struct stage *stage;
	struct arena arena;
	int fabric_ns;
	char lab_file[64];
};

struct arena_end {
	int ns;
	struct link_end link;
	const struct ipnet *address; /* NULL: the seat's, which no kernel needs */
};

static inline size_t arena_ends(const struct test_arena *t, size_t network, struct arena_end *v)
{
	const struct stage_network *net = &t->stage->networks[network];
	size_t n = 0;

	if (net->has_router) {
		struct arena_network *an = &t->arena.networks[network];

		memcpy(an->ifname, net->name, IFNAMSIZ);
		an->mac = net->has_mac ? net->mac : macaddr_from_ipv4(&net->router);
		v[n] = (struct arena_end){ .ns = t->arena.seat_ns, .link.mac = an->mac };
		memcpy(v[n++].link.name, net->name, IFNAMSIZ);
	}
	for (size_t c = 0; c < t->stage->n_clients; c++) {
		for (size_t i = 0; i < t->stage->clients[c].n_interfaces; i++) {
			const struct stage_interface *f = &t->stage->clients[c].interfaces[i];

			if (f->network != network)
				continue;
			v[n] = (struct arena_end){ .ns = t->arena.client_ns[c],
						   .link.mac = lab_client_mac(f),
						   .address = &f->address };
			memcpy(v[n++].link.name, f->name, IFNAMSIZ);
		}
	}
	return n;
}

static inline void arena_offloads(int ns, const char *name)
{
	auto_offload o = NULL;

	ok(offload_open(ns, &o, err));
	ok(offload_disable(o, name, err));
}

static inline void arena_end_up(struct test_arena *t, size_t network, const struct arena_end *e)
{
	struct link_info info;
	auto_nl nl = NULL;

	arena_offloads(e->ns, e->link.name);
	ok(nl_open(e->ns, &nl, err));
	ok(link_get(nl, e->link.name, &info, err));
	ok(link_set_up(nl, info.ifindex, true, err));
	if (e->address) {
		ok(addr_add(nl, info.ifindex, e->address, false, err));
		return;
	}
	ok(guard_add(e->ns, ARENA_GUARD, e->link.name, err));
	t->arena.networks[network].guarded = true;
}

/* One end in the namespace of nl, on the bridge there if that is given. */
static inline void arena_pair(struct nl *nl, const struct arena_end *a, const struct arena_end *b,
			      unsigned mtu, unsigned bridge)
{
	struct link_veth v = { .end = a->link, .peer = b->link, .mtu = mtu, .master = bridge };

	v.peer.netns_fd = b->ns;
	ok(link_add_veth(nl, &v, err));
}

static inline void arena_switch(struct test_arena *t, size_t network, const struct arena_end *v,
				size_t n)
{
	const struct stage_network *net = &t->stage->networks[network];
	unsigned bridge;
	auto_nl nl = NULL;

	ok(nl_open(t->fabric_ns, &nl, err));
	ok(link_add_bridge(nl, net->name, 0, net->mtu, 0, &bridge, err));
	for (size_t i = 0; i < n; i++) {
		struct arena_end port = { .ns = t->fabric_ns };
		struct link_info info;

		snprintf(port.link.name, IFNAMSIZ, "p%u-%u", (unsigned)network % 1000,
			 (unsigned)i % 1000);
		arena_pair(nl, &port, &v[i], net->mtu, bridge);
		arena_offloads(t->fabric_ns, port.link.name);
		ok(link_get(nl, port.link.name, &info, err));
		ok(link_set_up(nl, info.ifindex, true, err));
	}
}

static inline void arena_network(struct test_arena *t, size_t network)
{
	const struct stage_network *net = &t->stage->networks[network];
	auto_free struct arena_end *v = xcalloc(stage_network_ends(t->stage, network), sizeof(*v));
	size_t n = arena_ends(t, network, v);
	auto_nl nl = NULL;

	if (n == 2) {
		ok(nl_open(v[0].ns, &nl, err));
		arena_pair(nl, &v[0], &v[1], net->mtu, 0);
	} else {
		arena_switch(t, network, v, n);
	}
	for (size_t i = 0; i < n; i++)
		arena_end_up(t, network, &v[i]);
	for (size_t i = 0; i < n; i++) {
		auto_nl end = NULL;

		ok(nl_open(v[i].ns, &end, err));
		ok(link_wait_carrier(end, v[i].link.name, 2000, err));
	}
}

static inline void arena_client(struct test_arena *t, size_t client)
{
	const struct stage_client *c = &t->stage->clients[client];
	auto_nl nl = NULL;

	ok(nl_open(t->arena.client_ns[client], &nl, err));
	if (c->gateway.family) {
		struct route_spec route = { .via = c->gateway,
					    .to = { .addr = { .family = AF_INET } } };

		ok(route_add(nl, &route, err));
	}
	for (size_t i = 0; i < c->n_routes; i++) {
		struct route_spec route = { .via = c->routes[i].via, .to = c->routes[i].to };

		ok(route_add(nl, &route, err));
	}
	for (size_t i = 0; i < c->n_sysctls; i++)
		ok(netns_sysctl_set(t->arena.client_ns[client], c->sysctls[i].key,
				    c->sysctls[i].value, err));
}

/* lab.json as a real lab has it. */
static inline void arena_lab_file(struct test_arena *t)
{
	struct lab lab = { .name = "test", .stage = t->stage };
	json_auto_t *doc = NULL;
	auto_free char *text = NULL;
	int fd;

	lab.networks = xcalloc(t->stage->n_networks, sizeof(*lab.networks));
	for (size_t i = 0; i < t->stage->n_networks; i++) {
		memcpy(lab.networks[i].ifname, t->arena.networks[i].ifname, IFNAMSIZ);
		lab.networks[i].mac = t->arena.networks[i].mac;
	}
	doc = lab_describe(&lab);
	assert_non_null(doc);
	free(lab.networks);
	text = json_dumps(doc, JSON_INDENT(1));
	snprintf(t->lab_file, sizeof(t->lab_file), "/tmp/labctl-test-XXXXXX");
	fd = mkstemp(t->lab_file);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static inline void arena_quiet(int ns)
{
	ok(netns_sysctl_set(ns, "net.ipv6.conf.all.disable_ipv6", "1", err));
	ok(netns_sysctl_set(ns, "net.ipv6.conf.default.disable_ipv6", "1", err));
	ok(netns_sysctl_set(ns, "net.ipv4.ip_forward", "0", err));
}

static inline void arena_open(struct test_arena *t, const char *stage_dir)
{
	ok(stage_load(stage_dir, &t->stage, NULL, err));
	arena_init(&t->arena, t->stage);
	t->arena.guard = ARENA_GUARD;
	ok(netns_open_new(&t->fabric_ns, err));
	arena_quiet(t->fabric_ns);
	ok(netns_open_new(&t->arena.seat_ns, err));
	arena_quiet(t->arena.seat_ns);
	for (size_t i = 0; i < t->stage->n_clients; i++) {
		ok(netns_open_new(&t->arena.client_ns[i], err));
		arena_quiet(t->arena.client_ns[i]);
	}
	for (size_t i = 0; i < t->stage->n_networks; i++)
		arena_network(t, i);
	for (size_t i = 0; i < t->stage->n_clients; i++)
		arena_client(t, i);
	arena_lab_file(t);
}

static inline void arena_close(struct test_arena *t)
{
	unlink(t->lab_file);
	close(t->fabric_ns);
	arena_done(&t->arena);
	stage_free(t->stage);
}

/* One for all tests of a program; as root only. */
static struct test_arena the_arena;

static inline int open_the_arena(const char *stage_dir)
{
	if (geteuid() == 0)
		arena_open(&the_arena, stage_dir);
	return 0;
}

static inline int close_arena(void **state)
{
	(void)state;
	if (the_arena.stage)
		arena_close(&the_arena);
	return 0;
}

/* For struct runner_spec: in the seat, with LAB_FILE. */
static inline int arena_become(void *arg, char **argv, struct err *err)
{
	struct test_arena *t = arg;

	if (setns(t->arena.seat_ns, CLONE_NEWNET) < 0) {
		err_set(err, ERR_ENV, errno, "setns");
		return 125;
	}
	setenv("LAB_FILE", t->lab_file, 1);
	setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
	execvp(argv[0], argv);
	err_set(err, ERR_ENV, errno, "cannot run '%s'", argv[0]);
	return 127;
}

#endif
