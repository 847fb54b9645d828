/* SPDX-License-Identifier: MIT */
/*
 * fuzz_stage.c - any bytes as a stage file: no crash, no leak, and what the parser promises.
 *
 * Corpus: tests/golden. What is taken must be consistent as model.h says; what is refused must
 * say why, in file order, in printable text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stage/load.h"

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROMISE(x)                                                                                 \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "broken promise: %s\n", #x);                               \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void check_text(const char *text, size_t size)
{
	size_t n = strnlen(text, size);

	PROMISE(n < size);
	for (size_t i = 0; i < n; i++)
		PROMISE((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

static void check_problems(const struct stage_problems *problems, const struct err *err)
{
	unsigned line = 0;

	PROMISE(err->kind == ERR_STAGE);
	PROMISE(problems->n > 0);
	for (size_t i = 0; i < problems->n; i++) {
		const struct stage_problem *p = &problems->v[i];

		PROMISE(*p->text);
		check_text(p->text, sizeof(p->text));
		check_text(p->path, sizeof(p->path));
		check_text(p->hint, sizeof(p->hint));
		PROMISE(p->line >= line || p->line == 0);
		line = p->line;
	}
}

static void check_interface(const struct stage *s, const struct stage_interface *i)
{
	const struct stage_network *n;

	PROMISE(i->network < s->n_networks);
	n = &s->networks[i->network];
	PROMISE(*i->name && strlen(i->name) < IFNAMSIZ);
	PROMISE(i->has_address || i->has_mac);
	PROMISE(!i->has_address || (ipnet_contains(&n->subnet, &i->address.addr) &&
				    i->address.prefix == n->subnet.prefix));
	PROMISE(!i->has_address || !n->has_router || !ipaddr_equal(&i->address.addr, &n->router));
	PROMISE(!i->has_ipv6 || (n->has_ipv6 && ipnet_contains(&n->ipv6, &i->ipv6.addr)));
}

static void check_client(const struct stage *s, const struct stage_client *c)
{
	PROMISE(*c->name && c->n_interfaces > 0 && c->n_interfaces <= STAGE_INTERFACES_MAX);
	for (size_t i = 0; i < c->n_interfaces; i++)
		check_interface(s, &c->interfaces[i]);
	for (size_t i = 0; i < c->n_routes; i++) {
		PROMISE(c->routes[i].to.addr.family);
		PROMISE(c->routes[i].via.family || *c->routes[i].dev);
	}
	for (size_t i = 0; i < c->n_sysctls; i++) {
		PROMISE(str_starts(c->sysctls[i].key, "net.") && c->sysctls[i].value);
		PROMISE(!strstr(c->sysctls[i].key, "..") && !strchr(c->sysctls[i].key, '/'));
	}
	for (size_t i = 0; i < c->n_ports; i++)
		PROMISE(c->ports[i].port && *c->ports[i].name);
	for (size_t i = 0; i < c->env.n; i++)
		PROMISE(strchr(c->env.v[i], '='));
}

static void check_stage(const struct stage *s)
{
	PROMISE(s->kind == STAGE_JSON && *s->title && s->n_networks > 0 && s->n_clients > 0);
	PROMISE(s->n_networks <= STAGE_NETWORKS_MAX && s->n_clients <= STAGE_CLIENTS_MAX);
	for (size_t i = 0; i < s->n_networks; i++) {
		const struct stage_network *n = &s->networks[i];

		PROMISE(*n->name && strlen(n->name) < IFNAMSIZ && !strchr(n->name, '/'));
		PROMISE(n->mtu >= STAGE_MTU_MIN && n->mtu <= STAGE_MTU_MAX);
		PROMISE(ipnet_is_network(&n->subnet));
		PROMISE(!n->has_router || ipnet_contains(&n->subnet, &n->router));
		PROMISE(stage_network_ends(s, i) > 0);
		for (size_t j = 0; j < i; j++)
			PROMISE(!ipnet_overlaps(&n->subnet, &s->networks[j].subnet));
	}
	for (size_t i = 0; i < s->n_clients; i++)
		check_client(s, &s->clients[i]);
	for (size_t i = 0; i < s->n_checks; i++)
		PROMISE(s->checks[i].use && s->checks[i].points > 0 && s->checks[i].args);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_stage_problems problems = { 0 };
	auto_stage s = NULL;
	struct err err = { 0 };

	if (stage_parse((const char *)data, size, "stage.json", "fuzz", &s, &problems, &err) < 0)
		check_problems(&problems, &err);
	else
		check_stage(s);
	return 0;
}
