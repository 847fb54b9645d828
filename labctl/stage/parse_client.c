/* SPDX-License-Identifier: MIT */
/* parse_client.c - one client of a stage file. */
#include "stage/parse.h"

#include <string.h>

#include "base/mem.h"
#include "base/parse.h"

#include "base/banned.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

#define SYSCTL_KEY_MAX	 128
#define SYSCTL_VALUE_MAX 256
#define SYSCTL_MAX	 9007199254740991 /* the whole numbers that JSON can tell apart */
#define IMAGE_MAX	 255
#define COMMAND_MAX	 4096

static void read_network(void *ctx, const struct node *n, void *target)
{
	struct stage_interface *i = target;
	struct parse *p = ctx;
	const struct node *network;
	const char *name;
	char quoted[QUOTE_TEXT];

	if (!node_string(p->r, n, &name) || !p->networks)
		return;
	network = node_get(p->networks, name);
	if (network) {
		if (network->index < p->stage->n_networks)
			i->network = network->index;
		return;
	}
	reader_add(p->r, n, "there is no network '%s'", node_quote(name, quoted));
	reader_suggest(p->r, name, p->networks);
}

static void read_address(void *ctx, const struct node *n, void *target)
{
	struct stage_interface *i = target;
	struct parse *p = ctx;

	i->has_address = parse_ipv4(p->r, n, &i->address.addr);
}

static void read_ipv6(void *ctx, const struct node *n, void *target)
{
	struct stage_interface *i = target;
	struct parse *p = ctx;

	i->has_ipv6 = parse_ipv6(p->r, n, &i->ipv6.addr);
}

static void read_mac(void *ctx, const struct node *n, void *target)
{
	struct stage_interface *i = target;
	struct parse *p = ctx;

	i->has_mac = parse_mac(p->r, n, &i->mac);
}

static void read_interface(struct parse *p, const struct node *n, struct stage_interface *i)
{
	static const struct field fields[] = {
		{ "network", true, read_network },
		{ "address", false, read_address },
		{ "ipv6", false, read_ipv6 },
		{ "mac", false, read_mac },
	};

	i->network = PARSE_NO_NETWORK;
	parse_check_link_name(p->r, n);
	if (!str_copy(i->name, sizeof(i->name), n->key))
		i->name[0] = '\0';
	if (!node_fields(p->r, n, fields, ARRAY_SIZE(fields), p, i))
		return;
	if (!node_get(n, "address") && !node_get(n, "mac")) {
		reader_add(p->r, n, "the interface needs an address or a mac");
		reader_hint(p->r, "its MAC address is made from its IPv4 address; without one, "
				  "give it a \"mac\"");
	}
}

static void read_interfaces(void *ctx, const struct node *n, void *target)
{
	struct stage_client *c = target;
	struct parse *p = ctx;
	size_t count;

	if (!node_object(p->r, n))
		return;
	count = parse_count(p->r, n, STAGE_INTERFACES_MAX);
	if (count == 0) {
		reader_add(p->r, n, "a client needs at least one interface");
		reader_hint(p->r,
			    "as in \"eth0\": { \"network\": \"net1\", \"address\": \"1.1.1.2\" }");
		return;
	}
	c->interfaces = xcalloc(count, sizeof(*c->interfaces));
	c->n_interfaces = count;
	for (size_t i = 0; i < count; i++)
		read_interface(p, n->kids[i], &c->interfaces[i]);
}

static void read_gateway(void *ctx, const struct node *n, void *target)
{
	struct stage_client *c = target;
	struct parse *p = ctx;

	parse_ipv4(p->r, n, &c->gateway);
}

static void read_ipv6_gateway(void *ctx, const struct node *n, void *target)
{
	struct stage_client *c = target;
	struct parse *p = ctx;

	parse_ipv6(p->r, n, &c->ipv6_gateway);
}

static void read_to(void *ctx, const struct node *n, void *target)
{
	parse_destination(((struct parse *)ctx)->r, n, &((struct stage_route *)target)->to);
}

static void read_via(void *ctx, const struct node *n, void *target)
{
	parse_next_hop(((struct parse *)ctx)->r, n, &((struct stage_route *)target)->via);
}

static void read_dev(void *ctx, const struct node *n, void *target)
{
	struct stage_route *route = target;
	struct parse *p = ctx;
	const struct node *interfaces = node_get(n->parent->parent->parent, "interfaces");
	const char *name;
	char quoted[QUOTE_TEXT];

	if (!node_string(p->r, n, &name))
		return;
	if (node_get(interfaces, name)) {
		if (!str_copy(route->dev, sizeof(route->dev), name))
			route->dev[0] = '\0';
		return;
	}
	reader_add(p->r, n, "the client has no interface '%s'", node_quote(name, quoted));
	reader_suggest(p->r, name, interfaces);
}

static void read_route(struct parse *p, const struct node *n, struct stage_route *route)
{
	static const struct field fields[] = {
		{ "to", true, read_to },
		{ "via", false, read_via },
		{ "dev", false, read_dev },
	};

	if (!node_fields(p->r, n, fields, ARRAY_SIZE(fields), p, route))
		return;
	if (!node_get(n, "via") && !node_get(n, "dev"))
		reader_add(p->r, n, "a route needs 'via', 'dev', or both");
	else
		parse_check_versions(p->r, n, &route->to, &route->via);
}

static void read_routes(void *ctx, const struct node *n, void *target)
{
	struct stage_client *c = target;
	struct parse *p = ctx;

	if (!node_array(p->r, n))
		return;
	c->n_routes = parse_count(p->r, n, STAGE_LIST_MAX);
	c->routes = xcalloc(c->n_routes, sizeof(*c->routes));
	for (size_t i = 0; i < c->n_routes; i++)
		read_route(p, n->kids[i], &c->routes[i]);
}

/* "net." and further parts in plain characters: the key becomes a path below /proc/sys. */
static bool check_sysctl_key(struct parse *p, const struct node *n)
{
	const char *key = n->key;
	char quoted[QUOTE_TEXT];
	size_t len = strlen(key);

	node_quote(key, quoted);
	if (!str_starts(key, "net.")) {
		reader_add(p->r, n, "'%s' does not belong to a client's network", quoted);
		reader_hint(p->r, "keys begin with 'net.', as in net.ipv4.ip_forward");
		return false;
	}
	if (len > SYSCTL_KEY_MAX || strspn(key, LOWER UPPER DIGITS "_-.") != len ||
	    strstr(key, "..") || key[len - 1] == '.') {
		reader_add(p->r, n, "'%s' is no sysctl", quoted);
		reader_hint(p->r, "parts of letters, digits, '_' and '-' with '.' between, as in "
				  "net.ipv4.ip_forward");
		return false;
	}
	return true;
}

static void read_sysctl(struct parse *p, const struct node *n, struct stage_sysctl *s)
{
	bool ok = check_sysctl_key(p, n);
	char found[QUOTE_TEXT];
	const char *text;
	long long v;

	if (json_is_number(n->value)) {
		if (node_integer(p->r, n, -SYSCTL_MAX, SYSCTL_MAX, &v))
			s->value = xasprintf("%lld", v);
	} else if (json_is_string(n->value)) {
		if (parse_line(p->r, n, SYSCTL_VALUE_MAX, &text))
			s->value = xstrdup(text);
	} else {
		reader_add(p->r, n, "expected a string or a whole number, found %s",
			   node_describe(n, found));
	}
	if (ok)
		s->key = xstrdup(n->key);
}

static void read_sysctls(void *ctx, const struct node *n, void *target)
{
	struct stage_client *c = target;
	struct parse *p = ctx;

	if (!node_object(p->r, n))
		return;
	c->n_sysctls = parse_count(p->r, n, STAGE_LIST_MAX);
	c->sysctls = xcalloc(c->n_sysctls, sizeof(*c->sysctls));
	for (size_t i = 0; i < c->n_sysctls; i++)
		read_sysctl(p, n->kids[i], &c->sysctls[i]);
}

static void read_port_number(void *ctx, const struct node *n, void *target)
{
	struct stage_port *port = target;
	struct parse *p = ctx;
	long long v;

	if (node_integer(p->r, n, 1, UINT16_MAX, &v))
		port->port = (uint16_t)v;
}

static void read_protocol(void *ctx, const struct node *n, void *target)
{
	struct stage_port *port = target;
	struct parse *p = ctx;
	const char *text;
	char quoted[QUOTE_TEXT];

	if (!node_string(p->r, n, &text))
		return;
	port->udp = strcmp(text, "udp") == 0;
	if (!port->udp && strcmp(text, "tcp") != 0)
		reader_add(p->r, n, "expected 'tcp' or 'udp', found '%s'",
			   node_quote(text, quoted));
}

static void read_port(struct parse *p, const struct node *n, struct stage_port *port)
{
	static const struct field fields[] = {
		{ "port", true, read_port_number },
		{ "protocol", false, read_protocol },
	};
	char found[QUOTE_TEXT];

	parse_check_label(p->r, n, "port");
	port->name = xstrdup(n->key);
	if (json_is_object(n->value)) {
		node_fields(p->r, n, fields, ARRAY_SIZE(fields), p, port);
	} else if (json_is_number(n->value)) {
		read_port_number(p, n, port);
	} else {
		reader_add(p->r, n,
			   "expected a port number or { \"port\", \"protocol\" }, found %s",
			   node_describe(n, found));
	}
}

static void read_ports(void *ctx, const struct node *n, void *target)
{
	struct stage_client *c = target;
	struct parse *p = ctx;

	if (!node_object(p->r, n))
		return;
	c->n_ports = parse_count(p->r, n, STAGE_LIST_MAX);
	c->ports = xcalloc(c->n_ports, sizeof(*c->ports));
	for (size_t i = 0; i < c->n_ports; i++)
		read_port(p, n->kids[i], &c->ports[i]);
}

static void read_image(void *ctx, const struct node *n, void *target)
{
	struct stage_client *c = target;
	struct parse *p = ctx;
	const char *text;
	char quoted[QUOTE_TEXT];
	size_t len;

	if (!node_string(p->r, n, &text))
		return;
	len = strlen(text);
	if (len > 0 && len <= IMAGE_MAX && strspn(text, LOWER UPPER DIGITS "._:/@-") == len &&
	    strspn(text, LOWER UPPER DIGITS) > 0) {
		c->image = xstrdup(text);
		return;
	}
	reader_add(p->r, n, "'%s' is no image's name", node_quote(text, quoted));
	reader_hint(p->r, "name:tag, as in debian:12");
}

/* A list of texts. An empty text is one only where words may be empty. */
static void read_words(struct parse *p, const struct node *n, bool may_be_empty, struct strv *ret)
{
	size_t count = parse_count(p->r, n, STAGE_LIST_MAX);
	const char *text;

	for (size_t i = 0; i < count; i++) {
		const struct node *kid = n->kids[i];

		if (!node_string(p->r, kid, &text))
			continue;
		if (!*text && (!may_be_empty || i == 0))
			reader_add(p->r, kid, "the text is empty");
		else if (parse_check_length(p->r, kid, text, COMMAND_MAX))
			strv_add(ret, text);
	}
}

static void read_command(void *ctx, const struct node *n, void *target)
{
	struct stage_client *c = target;
	struct parse *p = ctx;
	const char *text = json_string_value(n->value);
	char found[QUOTE_TEXT];

	if (text && !*text) {
		reader_add(p->r, n, "the command is empty");
	} else if (text) {
		if (!parse_check_length(p->r, n, text, COMMAND_MAX))
			return;
		strv_add(&c->command, "sh");
		strv_add(&c->command, "-c");
		strv_add(&c->command, text);
	} else if (!json_is_array(n->value)) {
		reader_add(p->r, n, "expected a string or a list of strings, found %s",
			   node_describe(n, found));
		reader_hint(p->r, "as in [\"sleep\", \"infinity\"]");
	} else if (n->n_kids == 0) {
		reader_add(p->r, n, "the command is empty");
		reader_hint(p->r, "leave 'command' out for the image's own");
	} else {
		read_words(p, n, true, &c->command);
	}
}

static void read_env(void *ctx, const struct node *n, void *target)
{
	struct stage_client *c = target;
	struct parse *p = ctx;
	char quoted[QUOTE_TEXT];
	const char *text;
	size_t count;

	if (!node_object(p->r, n))
		return;
	count = parse_count(p->r, n, STAGE_LIST_MAX);
	for (size_t i = 0; i < count; i++) {
		const struct node *kid = n->kids[i];
		size_t len = strlen(kid->key);

		if (len == 0 || strspn(kid->key, LOWER UPPER DIGITS "_") != len ||
		    (kid->key[0] >= '0' && kid->key[0] <= '9')) {
			reader_add(p->r, kid, "'%s' is no name for a variable",
				   node_quote(kid->key, quoted));
			reader_hint(p->r, "letters, digits and '_', no digit first");
		}
		if (!node_string(p->r, kid, &text))
			continue;
		if (parse_check_length(p->r, kid, text, COMMAND_MAX))
			strv_addf(&c->env, "%s=%s", kid->key, text);
	}
}

static void read_memory(void *ctx, const struct node *n, void *target)
{
	struct stage_client *c = target;
	struct parse *p = ctx;
	char quoted[QUOTE_TEXT];
	const char *text;

	if (!node_string(p->r, n, &text) || parse_memory(text, &c->memory, ERR_IGNORED) == 0)
		return;
	reader_add(p->r, n, "'%s' is no amount of memory", node_quote(text, quoted));
	reader_hint(p->r, "as in \"512M\" or \"2G\": 10M to 999999M, 1G to 999G");
}

static void read_processes(void *ctx, const struct node *n, void *target)
{
	struct stage_client *c = target;
	struct parse *p = ctx;
	long long v;

	if (node_integer(p->r, n, STAGE_PROCESSES_MIN, STAGE_PROCESSES_MAX, &v))
		c->processes = (uint32_t)v;
}

static void read_start(void *ctx, const struct node *n, void *target)
{
	struct stage_client *c = target;
	struct parse *p = ctx;

	if (node_array(p->r, n))
		read_words(p, n, false, &c->start);
}

void parse_client(struct parse *p, const struct node *n, struct stage_client *c)
{
	static const struct field fields[] = {
		{ "interfaces", true, read_interfaces },
		{ "gateway", false, read_gateway },
		{ "ipv6_gateway", false, read_ipv6_gateway },
		{ "routes", false, read_routes },
		{ "sysctls", false, read_sysctls },
		{ "ports", false, read_ports },
		{ "image", false, read_image },
		{ "command", false, read_command },
		{ "env", false, read_env },
		{ "memory", false, read_memory },
		{ "processes", false, read_processes },
		{ "start", false, read_start },
	};

	parse_check_label(p->r, n, "client");
	if (!str_copy(c->name, sizeof(c->name), n->key))
		c->name[0] = '\0';
	node_fields(p->r, n, fields, ARRAY_SIZE(fields), p, c);
}
