/* SPDX-License-Identifier: MIT */
/* clients.c - sockets of the clients' own kernels. */
#include "grade/clients.h"

#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "grade/events.h"
#include "net/netns.h"

#include "base/banned.h"

#define JOURNAL_KEEP 20000

static const struct place *client_place(struct trial *t, const char *key)
{
	const char *name = json_string_value(json_object_get(t->args, key));

	for (size_t i = 0; name && i < t->g->n_places; i++) {
		if (strcmp(t->g->places[i].client->name, name) == 0)
			return &t->g->places[i];
	}
	return NULL;
}

/* The i-th ordered pair of clients on different networks of the router's, round and round. */
static bool pair_at(const struct trial *t, size_t i, struct path *ret)
{
	const struct grader *g = t->g;

	for (size_t n = 0, round = 0; round <= i; round++) {
		for (size_t k = 0; k < g->n_places * g->n_places; k++) {
			const struct place *from = &g->places[k / g->n_places];
			/* Neighbours in the list come first with another: all take part early. */
			const struct place *to =
				&g->places[(k / g->n_places + 1 + k % g->n_places) % g->n_places];

			if (!from->router_ip || !to->router_ip || from->network == to->network)
				continue;
			if (n++ == i) {
				*ret = (struct path){ from, to };
				return true;
			}
		}
		if (n == 0)
			return false;
	}
	return false;
}

bool clients_path(struct trial *t, size_t i, struct path *ret)
{
	bool named = json_object_get(t->args, "from") || json_object_get(t->args, "to");

	if (!named)
		return pair_at(t, i, ret) ||
		       trial_stage_error(t, "it needs clients on two of the router's networks");
	ret->from = client_place(t, "from");
	ret->to = client_place(t, "to");
	if (!ret->from || !ret->to || ret->from->client == ret->to->client)
		return trial_stage_error(t, "'from' and 'to' must name two clients");
	return true;
}

/* Sockets */

struct socket_open {
	int type;
	int fd;
};

static int socket_open(void *arg, struct err *err)
{
	struct socket_open *o = arg;

	o->fd = socket(AF_INET, o->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return o->fd < 0 ? err_set(err, ERR_ENV, errno, "cannot open a socket in a client") : 0;
}

int client_socket(struct trial *t, const struct place *p, int type, struct err *err)
{
	size_t client = (size_t)(p->client - t->g->stage->clients);
	struct socket_open o = { type, -1 };

	if (netns_run(t->g->arena->client_ns[client], socket_open, &o, err) < 0)
		return -1;
	return o.fd;
}

static struct sockaddr_in address_of(uint32_t ip, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(ip) };
}

int client_bind(int fd, uint32_t ip, struct sockaddr_in *ret, struct err *err)
{
	socklen_t len = sizeof(*ret);

	*ret = address_of(ip, 0);
	if (bind(fd, (const struct sockaddr *)ret, sizeof(*ret)) < 0 ||
	    getsockname(fd, (struct sockaddr *)ret, &len) < 0)
		return err_set(err, ERR_ENV, errno, "cannot bind a socket in a client");
	return 0;
}

bool clients_keep_journal_short(struct trial *t)
{
	struct err e = { 0 };

	if (probe_count(t->g->probe) < JOURNAL_KEEP)
		return true;
	t->since = 0;
	return probe_forget(t->g->probe, &e) == 0 ? true : trial_error(t, &e);
}

/* Lessons */

/* Which checksum of a packet from another network is wrong; F_MAX: none. */
static enum field wrong_checksum(const struct trial *t, const struct seen *s)
{
	const struct place *at = place_of_port(t, s->port);
	struct ipaddr src = ip4_addr(s->f.ipv4.src);
	static const enum field sums[] = { F_IPV4_CHECKSUM, F_UDP_CHECKSUM, F_TCP_CHECKSUM };
	fields_t wrong;

	if (s->sent || !at || !(s->f.has & LAYER_IPV4) || s->f.broken ||
	    ipnet_contains(&at->net->subnet, &src))
		return F_MAX;
	wrong = frame_diff(&s->f, &s->f, F(IPV4_CHECKSUM));
	if (!s->f.ipv4.offset && !(s->f.ipv4.flags & IPV4_MF)) {
		wrong |= s->f.has & LAYER_TCP ? frame_diff(&s->f, &s->f, F(TCP_CHECKSUM)) : 0;
		wrong |= s->f.has & LAYER_UDP && s->f.udp.checksum
				 ? frame_diff(&s->f, &s->f, F(UDP_CHECKSUM))
				 : 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(sums); i++) {
		if (wrong >> sums[i] & 1)
			return sums[i];
	}
	return F_MAX;
}

static const struct seen *kernels_own(const struct trial *t, const struct frame *f)
{
	for (size_t i = 0; i < probe_kernel_count(t->g->probe); i++) {
		const struct seen *s = probe_kernel_get(t->g->probe, i);

		if (s->f.has & LAYER_IPV4 && s->f.ipv4.id == f->ipv4.id &&
		    s->f.ipv4.src == f->ipv4.src && s->f.ipv4.dst == f->ipv4.dst &&
		    s->f.ipv4.offset == f->ipv4.offset)
			return s;
	}
	return NULL;
}

static void blame(struct trial *t, const struct seen *s, enum field sum)
{
	struct want w = { .what = "a packet", .frame = s->f, .judge = (fields_t)1 << sum };
	auto_free char *reason = xstrdup(t->reason);

	trial_judge(t, &w, &s->f);
	t->evidence.about = kernels_own(t, &s->f);
	trial_fail(t,
		   "%s; your program sends packets on with a wrong %s%s, and the kernel of who "
		   "gets them drops them",
		   reason, field_title(sum) + strlen("the "),
		   sum == F_IPV4_CHECKSUM ? "" : ", or with data that are not as they came");
}

bool clients_fail(struct trial *t)
{
	bool alive = !t->g->runner || runner_alive(t->g->runner);

	for (size_t i = 0; i < probe_count(t->g->probe) && t->verdict == VERDICT_FAIL && alive;
	     i++) {
		const struct seen *s = probe_get(t->g->probe, i);
		enum field sum = wrong_checksum(t, s);

		if (sum == F_MAX)
			continue;
		blame(t, s, sum);
		break;
	}
	return false;
}
