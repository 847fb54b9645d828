/* SPDX-License-Identifier: MIT */
/* values.c - the single values of a stage file: names, addresses, quantities. */
#include "stage/parse.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"

#include "base/banned.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

void parse_check_link_name(struct reader *r, const struct node *n)
{
	const char *name = n->key;
	size_t len = strlen(name);
	char quoted[QUOTE_TEXT];

	node_quote(name, quoted);
	if (len == 0 || len >= IFNAMSIZ) {
		reader_add(r, n, "an interface's name has 1 to %d characters, '%s' has %zu",
			   IFNAMSIZ - 1, quoted, len);
	} else if (strspn(name, LOWER UPPER DIGITS "_.-") != len || name[0] == '-' ||
		   strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		reader_add(r, n, "'%s' is no name for an interface", quoted);
		reader_hint(r, "letters, digits, '_', '.' and '-', as in net1 or eth0");
	} else if (strcmp(name, "lo") == 0) {
		reader_add(r, n, "'lo' is the loopback interface, it is there already");
	} else if (strcmp(name, "all") == 0 || strcmp(name, "default") == 0) {
		reader_add(r, n, "the kernel takes no interface called '%s'", name);
		reader_hint(r, "/proc/sys/net/ipv4/conf/%s means something else", name);
	}
}

void parse_check_label(struct reader *r, const struct node *n, const char *what)
{
	const char *name = n->key;
	size_t len = strlen(name);
	char quoted[QUOTE_TEXT];

	if (len > 0 && len <= STAGE_NAME_MAX && strspn(name, LOWER DIGITS "-") == len &&
	    name[0] != '-' && name[len - 1] != '-')
		return;
	reader_add(r, n, "'%s' is no name for a %s", node_quote(name, quoted), what);
	reader_hint(r, "lower-case letters, digits and inner '-', at most %d, as in %s1",
		    STAGE_NAME_MAX, what);
}

/* The reader's own sentence about a text that is no plain address of this family. */
static bool not_an_address(struct reader *r, const struct node *n, const char *text, int family)
{
	struct ipnet net;
	char quoted[QUOTE_TEXT], plain[IPADDR_TEXT];

	node_quote(text, quoted);
	if (ipnet_parse(text, &net, ERR_IGNORED) == 0 && net.addr.family == family) {
		reader_add(r, n, "'%s' has a prefix length, a plain address is expected", quoted);
		reader_hint(r, "write '%s': the prefix length is the network's",
			    ipaddr_format(&net.addr, plain));
		return false;
	}
	reader_add(r, n, "'%s' is no %s address", quoted, family == AF_INET ? "IPv4" : "IPv6");
	reader_hint(r, "%s",
		    family == AF_INET ? "four numbers from 0 to 255, as in 1.1.1.2"
				      : "as in fd00:1::2");
	return false;
}

static bool parse_address(struct reader *r, const struct node *n, int family, struct ipaddr *ret)
{
	const char *text;
	struct ipaddr a;
	char quoted[QUOTE_TEXT];

	if (!node_string(r, n, &text))
		return false;
	if (ipaddr_parse(text, &a, ERR_IGNORED) < 0 || a.family != family)
		return not_an_address(r, n, text, family);
	if (!ipaddr_is_unicast_host(&a)) {
		reader_add(r, n, "'%s' cannot be the address of a host", node_quote(text, quoted));
		reader_hint(r, "%s",
			    family == AF_INET ? "not 0.x.x.x, 127.x.x.x, or from 224.0.0.0 on"
					      : "not ::, ::1, or ff00::/8");
		return false;
	}
	*ret = a;
	return true;
}

bool parse_ipv4(struct reader *r, const struct node *n, struct ipaddr *ret)
{
	return parse_address(r, n, AF_INET, ret);
}

bool parse_ipv6(struct reader *r, const struct node *n, struct ipaddr *ret)
{
	return parse_address(r, n, AF_INET6, ret);
}

bool parse_mac(struct reader *r, const struct node *n, struct macaddr *ret)
{
	static const struct macaddr zero;
	struct macaddr m;
	struct err err;
	const char *text;
	char quoted[QUOTE_TEXT];

	if (!node_string(r, n, &text))
		return false;
	node_quote(text, quoted);
	if (strlen(text) != MACADDR_TEXT - 1 ||
	    strspn(text, DIGITS "abcdefABCDEF:") != MACADDR_TEXT - 1) {
		reader_add(r, n, "'%s' is no MAC address", quoted);
		reader_hint(r, "six pairs of hex digits, as in 02:42:01:01:01:02");
		return false;
	}
	if (macaddr_parse(text, &m, &err) < 0) {
		reader_add(r, n, "%s", err.msg);
		reader_hint(r, "the first pair is even, as in 02:42:01:01:01:02");
		return false;
	}
	if (macaddr_equal(&m, &zero)) {
		reader_add(r, n, "the kernel does not take the MAC address '%s'", quoted);
		return false;
	}
	*ret = m;
	return true;
}

/* "024" is read as 24 by some and as 20 by others. */
static bool has_leading_zero(const char *text)
{
	const char *slash = strchr(text, '/');

	return slash && slash[1] == '0' && slash[2];
}

bool parse_subnet(struct reader *r, const struct node *n, int family, unsigned min, unsigned max,
		  struct ipnet *ret)
{
	const char *example = family == AF_INET ? "1.1.1.0/24" : "fd00:1::/64";
	struct ipnet net, clean;
	const char *text;
	char quoted[QUOTE_TEXT], fixed[IPNET_TEXT];

	if (!node_string(r, n, &text))
		return false;
	node_quote(text, quoted);
	if (ipnet_parse(text, &net, ERR_IGNORED) < 0 || net.addr.family != family ||
	    has_leading_zero(text)) {
		reader_add(r, n, "'%s' is no %s subnet", quoted,
			   family == AF_INET ? "IPv4" : "IPv6");
		reader_hint(r, "address and prefix length, as in %s", example);
		return false;
	}
	if (net.prefix < min || net.prefix > max) {
		reader_add(r, n, "the prefix length of '%s' is not from %u to %u", quoted, min,
			   max);
		reader_hint(r, "as in %s", example);
		return false;
	}
	clean = ipnet_network(&net);
	if (!ipnet_is_network(&net)) {
		reader_add(r, n, "'%s' is an address inside of a subnet, not a subnet", quoted);
		reader_hint(r, "write '%s'", ipnet_format(&clean, fixed));
		return false;
	}
	*ret = net;
	return true;
}

bool parse_check_hosts(struct reader *r, const struct node *n, const struct ipnet *net)
{
	char text[IPNET_TEXT];

	if (ipaddr_is_unicast_host(&net->addr))
		return true;
	reader_add(r, n, "hosts cannot have addresses of '%s'", ipnet_format(net, text));
	reader_hint(r, "%s",
		    net->addr.family == AF_INET ? "not 0.x.x.x, 127.x.x.x, or from 224.0.0.0 on"
						: "not ::, ::1, or ff00::/8");
	return false;
}

/* Digits of "12.5" as 12 and 500000 millionths; how much text was read, or 0. */
static size_t scan_decimal(const char *text, uint64_t *ret_whole, uint64_t *ret_millionths)
{
	size_t n = strspn(text, DIGITS), digits = 0;
	uint64_t whole = 0, millionths = 0;

	if (n == 0 || n > 9 || (text[0] == '0' && n > 1))
		return 0;
	for (size_t i = 0; i < n; i++)
		whole = whole * 10 + (uint64_t)(text[i] - '0');
	if (text[n] == '.') {
		digits = strspn(text + n + 1, DIGITS);
		if (digits == 0 || digits > 6)
			return 0;
		for (size_t i = 0; i < 6; i++)
			millionths = millionths * 10 +
				     (i < digits ? (uint64_t)(text[n + 1 + i] - '0') : 0);
		n += 1 + digits;
	}
	*ret_whole = whole;
	*ret_millionths = millionths;
	return n;
}

bool parse_quantity(struct reader *r, const struct node *n, const struct unit *units,
		    size_t n_units, uint64_t max, const char *example, uint64_t *ret)
{
	uint64_t whole, millionths, v;
	const char *text;
	char quoted[QUOTE_TEXT];
	size_t used;

	if (!node_string(r, n, &text)) {
		reader_hint(r, "a string with a unit, as in \"%s\"", example);
		return false;
	}
	node_quote(text, quoted);
	used = scan_decimal(text, &whole, &millionths);
	for (size_t i = 0; used && i < n_units; i++) {
		if (strcmp(text + used, units[i].name) != 0)
			continue;
		/* 10^9 * 10^9 fits; so does a fraction's share. */
		v = whole * units[i].factor + millionths * units[i].factor / 1000000;
		if (v > max) {
			reader_add(r, n, "'%s' is too much", quoted);
			reader_hint(r, "at most %" PRIu64 "%s", max / units[i].factor,
				    units[i].name);
			return false;
		}
		if (v == 0 && (whole || millionths)) {
			reader_add(r, n, "'%s' is too little to be told from nothing", quoted);
			return false;
		}
		*ret = v;
		return true;
	}
	reader_add(r, n, "'%s' is no number with a unit", quoted);
	reader_hint(r, "as in \"%s\"; units: %s%s%s%s%s", example, units[0].name,
		    n_units > 1 ? ", " : "", n_units > 1 ? units[1].name : "",
		    n_units > 2 ? ", " : "", n_units > 2 ? units[2].name : "");
	return false;
}

size_t parse_length(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

bool parse_check_length(struct reader *r, const struct node *n, const char *text, size_t max)
{
	size_t length = parse_length(text);

	if (length <= max)
		return true;
	reader_add(r, n, "the text has %zu characters, at most %zu are allowed", length, max);
	return false;
}

bool parse_line(struct reader *r, const struct node *n, size_t max, const char **ret)
{
	const char *text;

	if (!node_string(r, n, &text))
		return false;
	if (!*text) {
		reader_add(r, n, "the text is empty");
		return false;
	}
	if (!parse_check_length(r, n, text, max))
		return false;
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c >= 0x20 && *c != 0x7f)
			continue;
		reader_add(r, n, "the text has a control character or a second line");
		return false;
	}
	*ret = text;
	return true;
}

size_t parse_count(struct reader *r, const struct node *n, size_t max)
{
	if (n->n_kids <= max)
		return n->n_kids;
	reader_add(r, n, "%zu entries, at most %zu are allowed", n->n_kids, max);
	return max;
}
