/* SPDX-License-Identifier: MIT */
/* model.c - a stage as values: release and look-up. */
#include "stage/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

static void client_done(struct stage_client *c)
{
	for (size_t i = 0; i < c->n_sysctls; i++) {
		free(c->sysctls[i].key);
		free(c->sysctls[i].value);
	}
	for (size_t i = 0; i < c->n_ports; i++)
		free(c->ports[i].name);
	free(c->interfaces);
	free(c->routes);
	free(c->sysctls);
	free(c->ports);
	free(c->image);
	strv_done(&c->command);
	strv_done(&c->env);
	strv_done(&c->start);
}

void stage_free(struct stage *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_clients; i++)
		client_done(&s->clients[i]);
	for (size_t i = 0; i < s->n_checks; i++) {
		free(s->checks[i].use);
		json_decref(s->checks[i].args);
	}
	free(s->networks);
	free(s->clients);
	free(s->routes);
	free(s->checks);
	free(s->title);
	free(s->dir);
	free(s);
}

size_t stage_network_ends(const struct stage *s, size_t network)
{
	size_t n = s->networks[network].has_router;

	for (size_t c = 0; c < s->n_clients; c++)
		for (size_t i = 0; i < s->clients[c].n_interfaces; i++)
			n += s->clients[c].interfaces[i].network == network;
	return n;
}

const struct stage_client *stage_find_client(const struct stage *s, const char *name)
{
	for (size_t i = 0; i < s->n_clients; i++)
		if (strcmp(s->clients[i].name, name) == 0)
			return &s->clients[i];
	return NULL;
}
