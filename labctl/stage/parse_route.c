/* SPDX-License-Identifier: MIT */
/* parse_route.c - routes of a stage file: the clients' and the table of the student's router. */
#include "stage/parse.h"

#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

void parse_destination(struct reader *r, const struct node *n, struct ipnet *ret)
{
	const char *text;
	char quoted[QUOTE_TEXT];

	if (!node_string(r, n, &text))
		return;
	if (strcmp(text, "default") == 0) {
		*ret = (struct ipnet){ .addr.family = AF_INET };
		return;
	}
	if (!strchr(text, '/')) {
		reader_add(r, n, "'%s' is no destination", node_quote(text, quoted));
		reader_hint(r,
			    "a subnet, as in 1.1.1.0/24, or default; a single host is 1.1.1.1/32");
		return;
	}
	if (strchr(text, ':'))
		parse_subnet(r, n, AF_INET6, 0, 128, ret);
	else
		parse_subnet(r, n, AF_INET, 0, 32, ret);
}

void parse_next_hop(struct reader *r, const struct node *n, struct ipaddr *ret)
{
	const char *text;

	if (!node_string(r, n, &text))
		return;
	if (strchr(text, ':'))
		parse_ipv6(r, n, ret);
	else
		parse_ipv4(r, n, ret);
}

void parse_check_versions(struct reader *r, const struct node *route, struct ipnet *to,
			  const struct ipaddr *via)
{
	const struct node *n = node_get(route, "to");

	if (!n || !to->addr.family || !via->family || to->addr.family == via->family)
		return;
	if (strcmp(json_string_value(n->value), "default") == 0)
		to->addr.family = via->family;
	else
		reader_add(r, node_get(route, "via"), "'to' and 'via' are not of one IP version");
}

static void read_to(void *ctx, const struct node *n, void *target)
{
	parse_destination(((struct parse *)ctx)->r, n, &((struct stage_table_route *)target)->to);
}

static void read_via(void *ctx, const struct node *n, void *target)
{
	parse_next_hop(((struct parse *)ctx)->r, n, &((struct stage_table_route *)target)->via);
}

void parse_table(struct parse *p, const struct node *n)
{
	static const struct field fields[] = {
		{ "to", true, read_to },
		{ "via", true, read_via },
	};
	struct stage *s = p->stage;

	if (!node_array(p->r, n))
		return;
	p->routes = n;
	s->n_routes = parse_count(p->r, n, STAGE_LIST_MAX);
	s->routes = xcalloc(s->n_routes, sizeof(*s->routes));
	for (size_t i = 0; i < s->n_routes; i++) {
		struct stage_table_route *r = &s->routes[i];

		r->network = PARSE_NO_NETWORK;
		if (node_fields(p->r, n->kids[i], fields, ARRAY_SIZE(fields), p, r))
			parse_check_versions(p->r, n->kids[i], &r->to, &r->via);
	}
}
