/* SPDX-License-Identifier: MIT */
/*
 * grade_arena.h - a stage wired in nameless namespaces, without any engine, for tests of grade/:
 * each network with two ends is one veth pair, as in a lab; the seat's kernel is kept silent by
 * the guard.
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
#include "net/guard.h"
#include "net/offload.h"
#include "net_lab.h"
#include "stage/load.h"

struct test_arena {
	struct stage *stage;
	struct arena arena;
	char lab_file[64];
};

static inline void arena_wire(struct test_arena *t, struct nl *seat, size_t network, size_t client,
			      const struct stage_interface *ifc)
{
	const struct stage_network *net = &t->stage->networks[network];
	struct arena_network *an = &t->arena.networks[network];
	int ns = t->arena.client_ns[client];
	struct link_veth v = { .mtu = net->mtu };
	struct route_spec route = { .via = t->stage->clients[client].gateway,
				    .to = { .addr = { .family = AF_INET } } };
	struct link_info here, there;
	auto_nl nl = NULL;

	memcpy(an->ifname, net->name, IFNAMSIZ);
	an->mac = macaddr_from_ipv4(&net->router);
	memcpy(v.end.name, net->name, IFNAMSIZ);
	v.end.mac = an->mac;
	memcpy(v.peer.name, ifc->name, IFNAMSIZ);
	v.peer.mac = lab_client_mac(ifc);
	v.peer.netns_fd = ns;
	ok(link_add_veth(seat, &v, err));
	ok(link_get(seat, net->name, &here, err));
	ok(nl_open(ns, &nl, err));
	ok(link_get(nl, ifc->name, &there, err));
	ok(link_set_up(seat, here.ifindex, true, err));
	ok(link_set_up(nl, there.ifindex, true, err));
	ok(addr_add(nl, there.ifindex, &ifc->address, false, err));
	ok(route_add(nl, &route, err));
	ok(guard_add(t->arena.seat_ns, "labctl_test", net->name, err));
	an->guarded = true;
}

static inline void arena_lab_file(struct test_arena *t)
{
	json_auto_t *nets = json_object(), *doc = NULL;
	auto_free char *text = NULL;
	int fd;

	for (size_t i = 0; i < t->stage->n_networks; i++) {
		const struct stage_network *n = &t->stage->networks[i];
		char subnet[IPNET_TEXT], address[IPADDR_TEXT], mac[MACADDR_TEXT];

		json_object_set_new(nets, n->name,
				    json_pack("{s:s, s:s, s:s, s:s, s:i}", "subnet",
					      ipnet_format(&n->subnet, subnet), "interface",
					      n->name, "address",
					      ipaddr_format(&n->router, address), "mac",
					      macaddr_format(&t->arena.networks[i].mac, mac), "mtu",
					      (int)n->mtu));
	}
	doc = json_pack("{s:O}", "networks", nets);
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
	auto_nl seat = NULL;

	ok(stage_load(stage_dir, &t->stage, NULL, err));
	arena_init(&t->arena, t->stage);
	t->arena.guard = "labctl_test";
	ok(netns_open_new(&t->arena.seat_ns, err));
	arena_quiet(t->arena.seat_ns);
	ok(nl_open(t->arena.seat_ns, &seat, err));
	for (size_t i = 0; i < t->stage->n_clients; i++) {
		const struct stage_client *c = &t->stage->clients[i];

		ok(netns_open_new(&t->arena.client_ns[i], err));
		arena_quiet(t->arena.client_ns[i]);
		for (size_t k = 0; k < c->n_interfaces; k++)
			arena_wire(t, seat, c->interfaces[k].network, i, &c->interfaces[k]);
	}
	arena_lab_file(t);
}

static inline void arena_close(struct test_arena *t)
{
	unlink(t->lab_file);
	arena_done(&t->arena);
	stage_free(t->stage);
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
