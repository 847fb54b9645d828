/* SPDX-License-Identifier: MIT */
/* fit.c - a check's arguments against the model of the stage. */
#include "grade/fit.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#include "base/banned.h"

#define ETH_HLEN 14

/* A client's interface on a network of the router's. */
struct spot {
	const struct stage_client *client;
	size_t network;
};

/* The i-th one, in the order of the grader's places. */
static bool spot_at(const struct stage *s, size_t i, struct spot *ret)
{
	for (size_t c = 0; c < s->n_clients; c++) {
		for (size_t k = 0; k < s->clients[c].n_interfaces; k++) {
			const struct stage_interface *f = &s->clients[c].interfaces[k];

			if (!f->has_address || !s->networks[f->network].has_router || i--)
				continue;
			*ret = (struct spot){ &s->clients[c], f->network };
			return true;
		}
	}
	return false;
}

static int find_spot(const struct stage *s, const json_t *args, const char *key, struct spot *ret,
		     struct err *err)
{
	const char *name = json_string_value(json_object_get(args, key));
	struct spot at;

	if (!name)
		return 0;
	for (size_t i = 0; spot_at(s, i, &at); i++) {
		if (strcmp(at.client->name, name) == 0) {
			*ret = at;
			return 0;
		}
	}
	err_set(err, ERR_STAGE, 0, "'%s' names client '%s', which is on no network of the router's",
		key, name);
	return err_hint(err, "name a client that is the router's neighbour");
}

int fit_place(const struct stage *s, const json_t *args, struct err *err)
{
	struct spot at = { 0 };

	return find_spot(s, args, "on", &at, err);
}

static int find_path(const struct stage *s, const json_t *args, struct spot *from, struct spot *to,
		     struct err *err)
{
	struct spot c;

	*from = *to = (struct spot){ 0 };
	if (find_spot(s, args, "from", from, err) < 0 || find_spot(s, args, "to", to, err) < 0)
		return -1;
	for (size_t i = 0; !(from->client && to->client) && spot_at(s, i, &c); i++) {
		if (!from->client && !(to->client && to->network == c.network))
			*from = c;
		else if (!to->client && from->client && from->network != c.network)
			*to = c;
	}
	if (!from->client || !to->client) {
		err_set(err, ERR_STAGE, 0, "it needs clients on two networks of the router's");
		return err_hint(err, "give a second network a router and a client");
	}
	if (from->network != to->network)
		return 0;
	err_set(err, ERR_STAGE, 0, "'from' and 'to' are both on network '%s'",
		s->networks[to->network].name);
	return err_hint(err, "name clients with the router between them");
}

int fit_path(const struct stage *s, const json_t *args, struct err *err)
{
	struct spot from, to;

	return find_path(s, args, &from, &to, err);
}

int fit_narrow(const struct stage *s, const json_t *args, struct err *err)
{
	const struct stage_network *a, *b;
	struct spot from, to;

	if (find_path(s, args, &from, &to, err) < 0)
		return -1;
	a = &s->networks[from.network];
	b = &s->networks[to.network];
	if (a->mtu > b->mtu)
		return 0;
	err_set(err, ERR_STAGE, 0,
		"nothing is too large on the way from '%s' (%s, MTU %u) to '%s' (%s, MTU %u)",
		from.client->name, a->name, a->mtu, to.client->name, b->name, b->mtu);
	return err_hint(err, "give %s a smaller \"mtu\", or name other clients", b->name);
}

int fit_flow(const struct stage *s, const json_t *args, struct err *err)
{
	json_int_t size = json_integer_value(json_object_get(args, "size"));
	struct spot ends[2];

	if (find_path(s, args, &ends[0], &ends[1], err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		const struct stage_network *net = &s->networks[ends[i].network];

		if (size <= (json_int_t)net->mtu + ETH_HLEN)
			continue;
		err_set(err, ERR_STAGE, 0,
			"frames of %lld bytes do not pass on network '%s', whose MTU is %u",
			(long long)size, net->name, net->mtu);
		return err_hint(err, "a \"size\" of at most %u", net->mtu + ETH_HLEN);
	}
	return 0;
}

int fit_routes(const struct stage *s, const json_t *args, struct err *err)
{
	if (fit_path(s, args, err) < 0)
		return -1;
	if (s->n_routes)
		return 0;
	err_set(err, ERR_STAGE, 0, "the stage has no routes");
	return err_hint(err, "give it \"routes\": [ { \"to\": ..., \"via\": ... } ]");
}

static bool has_default(const struct stage *s)
{
	for (size_t i = 0; i < s->n_routes; i++) {
		if (s->routes[i].to.prefix == 0 && s->routes[i].to.addr.family == AF_INET)
			return true;
	}
	return false;
}

int fit_default(const struct stage *s, const json_t *args, struct err *err)
{
	if (fit_path(s, args, err) < 0)
		return -1;
	if (has_default(s))
		return 0;
	err_set(err, ERR_STAGE, 0, "the stage has no default route");
	return err_hint(err, "give it \"routes\": [ { \"to\": \"default\", \"via\": ... } ]");
}

int fit_nowhere(const struct stage *s, const json_t *args, struct err *err)
{
	if (fit_path(s, args, err) < 0)
		return -1;
	if (!has_default(s))
		return 0;
	err_set(err, ERR_STAGE, 0, "the stage has a default route: no destination is without one");
	return err_hint(err, "leave the check out, or the default route");
}

static bool is_on(const struct stage_client *c, size_t network)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		if (c->interfaces[i].network == network)
			return true;
	}
	return false;
}

/* Neighbours need no router. */
static int apart(const struct stage *s, const struct stage_client *a, const struct stage_client *b,
		 struct err *err)
{
	for (size_t i = 0; a && b && i < a->n_interfaces; i++) {
		if (!is_on(b, a->interfaces[i].network))
			continue;
		err_set(err, ERR_STAGE, 0, "'from' and 'to' are both on network '%s'",
			s->networks[a->interfaces[i].network].name);
		return err_hint(err, "name clients with the router between them");
	}
	return 0;
}

int fit_clients(const struct stage *s, const json_t *args, struct err *err)
{
	const char *from = json_string_value(json_object_get(args, "from"));
	const char *to = json_string_value(json_object_get(args, "to"));

	if (!from && !to)
		return fit_path(s, args, err);
	if (from && to && strcmp(from, to) != 0)
		return apart(s, stage_find_client(s, from), stage_find_client(s, to), err);
	err_set(err, ERR_STAGE, 0,
		from && to ? "'from' and 'to' are the same client" : "'from' or 'to' is missing");
	return err_hint(err, "name two clients, or none");
}

int fit_check(const struct check *c, const struct stage *s, const json_t *args, struct err *err)
{
	if (c->args_fit)
		return c->args_fit(s, args, err);
	if (check_has_key(c, "from"))
		return fit_path(s, args, err);
	return check_has_key(c, "on") ? fit_place(s, args, err) : 0;
}
