/* SPDX-License-Identifier: MIT */
/* pool.c - ranges and patterns that values are chosen from. */
#include "netport/pool.h"

#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "base/parse.h"
#include "netport/store.h"

#include "base/banned.h"

enum {
	NAMES_MAX = 100000,
	SUBNET_BITS_MAX = 16, /* at most 2^16 subnets in one pool */
};

static const struct {
	enum resource resource;
	const char *text;
} builtin[] = {
	{ RESOURCE_PORT, "20000-29999" },	 { RESOURCE_INTERFACE, "net{1-999}" },
	{ RESOURCE_SUBNET, "10.192.0.0/12:24" }, { RESOURCE_MAC, "02:6c:61" },
	{ RESOURCE_VNI, "1048576-16777215" },	 { RESOURCE_NETNS, "lab{1-999}" },
	{ RESOURCE_LAB, "lab{1-999}" },
};

const char *pool_builtin(const char *resource)
{
	for (size_t i = 0; i < ARRAY_SIZE(builtin); i++) {
		if (strcmp(resource_name(builtin[i].resource), resource) == 0)
			return builtin[i].text;
	}
	return NULL;
}

void pool_done(struct pool *p)
{
	free(p->text);
	free(p->before);
	free(p->after);
	strv_done(&p->list);
	*p = (struct pool){ 0 };
}

/* "A-B" or "A" with 0 < A <= B <= max. */
static int take_range(const char *text, uint32_t min, uint32_t max, struct pool *p, struct err *err)
{
	auto_free char *from = xstrdup(text);
	char *dash = strchr(from, '-');

	if (dash)
		*dash++ = '\0';
	if (parse_u32(from, min, max, &p->first, err) < 0 ||
	    parse_u32(dash ? dash : from, min, max, &p->last, err) < 0)
		return -1;
	if (p->last < p->first)
		return err_set(err, ERR_USAGE, 0, "%u comes after %u", p->first, p->last);
	return 0;
}

static int take_subnets(const char *text, struct pool *p, struct err *err)
{
	auto_free char *net = xstrdup(text);
	auto_resource_value v = { 0 };
	/* The last one: an IPv6 network has colons of its own, and always a '/'. */
	char *slash = strchr(net, '/'), *colon = slash ? strchr(slash, ':') : NULL;
	unsigned bits;
	uint32_t prefix;

	if (colon)
		*colon++ = '\0';
	if (resource_value_parse("SUBNET", net, &v, err) < 0)
		return -1;
	p->net = v.net;
	bits = (unsigned)ipaddr_len(&p->net.addr) * 8;
	prefix = p->net.prefix;
	if (colon && parse_u32(colon, p->net.prefix, bits, &prefix, err) < 0)
		return -1;
	if (prefix - p->net.prefix > SUBNET_BITS_MAX)
		return err_set(err, ERR_USAGE, 0, "more than 2^%d subnets", SUBNET_BITS_MAX);
	p->prefix = prefix;
	p->last = (uint32_t)((1ull << (prefix - p->net.prefix)) - 1);
	return 0;
}

static int take_macs(const char *text, struct pool *p, struct err *err)
{
	size_t n = 0;

	for (const char *s = text;; s++) {
		int hi = parse_hex_digit(s[0]), lo = hi < 0 ? -1 : parse_hex_digit(s[1]);

		if (lo < 0 || n == 5)
			return err_set(err, ERR_USAGE, 0, "'%.64s' are not 1 to 5 bytes", text);
		p->mac[n++] = (uint8_t)(hi << 4 | lo);
		s += 2;
		if (!*s)
			break;
		if (*s != ':')
			return err_set(err, ERR_USAGE, 0, "'%.64s' are not 1 to 5 bytes", text);
	}
	if (p->mac[0] & 1)
		return err_set(err, ERR_USAGE, 0, "'%.64s' begins group addresses", text);
	p->prefix = (unsigned)n;
	p->last = n <= 2 ? UINT32_MAX : (uint32_t)(1u << (6 - n) * 8) - 1;
	return 0;
}

static int take_list(const char *resource, const char *text, struct pool *p, struct err *err)
{
	auto_free char *copy = xstrdup(text);
	char *save, *word = copy;

	while ((save = word)) {
		auto_resource_value v = { 0 };

		word = strchr(save, ',');
		if (word)
			*word++ = '\0';
		if (resource_value_parse(resource, save, &v, err) < 0)
			return -1;
		strv_add(&p->list, v.text);
	}
	p->last = (uint32_t)p->list.n - 1;
	return 0;
}

static int take_names(const char *text, struct pool *p, struct err *err)
{
	auto_free char *copy = xstrdup(text);
	char *open = strchr(copy, '{'), *shut = open ? strchr(open, '}') : NULL;
	auto_resource_value v = { 0 };

	if (!shut)
		return err_set(err, ERR_USAGE, 0, "there is no '}' in '%.64s'", text);
	*open++ = '\0';
	*shut++ = '\0';
	if (take_range(open, 0, NAMES_MAX, p, err) < 0)
		return -1;
	p->before = xstrdup(copy);
	p->after = xstrdup(shut);
	p->kind = POOL_NAMES;
	/* The longest name is the last: when that is a name, all are. */
	auto_free char *longest = xasprintf("%s%u%s", p->before, p->last, p->after);
	return resource_value_parse(p->resource, longest, &v, err);
}

static const char *example(enum resource r)
{
	switch (r) {
	case RESOURCE_PORT:
		return "20000-29999";
	case RESOURCE_VNI:
		return "5000-5999";
	case RESOURCE_SUBNET:
		return "10.192.0.0/12:24 (the /24 networks of 10.192.0.0/12)";
	case RESOURCE_MAC:
		return "02:6c:61 (addresses that begin so)";
	default:
		return "net{1-99}, or a list: red,green,blue";
	}
}

static int take_text(enum resource r, const char *text, struct pool *p, struct err *err)
{
	switch (r) {
	case RESOURCE_PORT:
		p->kind = POOL_NUMBERS;
		p->order = POOL_SPREAD;
		return take_range(text, 1, 65535, p, err);
	case RESOURCE_VNI:
		p->kind = POOL_NUMBERS;
		return take_range(text, 1, 0xffffff, p, err);
	case RESOURCE_SUBNET:
		p->kind = POOL_SUBNETS;
		return take_subnets(text, p, err);
	case RESOURCE_MAC:
		p->kind = POOL_MACS;
		p->order = POOL_SPREAD;
		return take_macs(text, p, err);
	default:
		if (strchr(text, '{'))
			return take_names(text, p, err);
		p->kind = POOL_LIST;
		return take_list(p->resource, text, p, err);
	}
}

int pool_parse(const char *resource, const char *text, struct pool *ret, struct err *err)
{
	auto_pool p = { 0 };
	enum resource r;

	if (resource_parse(resource, &r, err) < 0)
		return -1;
	if (!str_copy(p.resource, sizeof(p.resource), resource))
		return err_set(err, ERR_INTERNAL, 0, "resource name '%s'", resource);
	p.text = xstrdup(text);
	if (take_text(r, text, &p, err) < 0) {
		err_wrap(err, "'%.64s' is not a range of %s", text, resource);
		return err_hint(err, "a range of %s looks like: %s", resource, example(r));
	}
	*ret = p;
	p = (struct pool){ 0 };
	return 0;
}

uint64_t pool_size(const struct pool *p)
{
	return (uint64_t)p->last - p->first + 1;
}

static void subnet_value(const struct pool *p, uint32_t i, struct ipnet *net)
{
	*net = p->net;
	net->prefix = p->prefix;
	/* Adds i to the bits between the whole's prefix and one's. */
	for (unsigned bit = p->prefix; i && bit > p->net.prefix; bit--, i >>= 1) {
		if (i & 1)
			net->addr.b[(bit - 1) / 8] |= (uint8_t)(0x80 >> (bit - 1) % 8);
	}
}

static char *value_text(const struct pool *p, uint32_t i)
{
	char buf[IPNET_TEXT];
	struct macaddr mac;
	struct ipnet net;

	switch (p->kind) {
	case POOL_SUBNETS:
		subnet_value(p, i, &net);
		return xstrdup(ipnet_format(&net, buf));
	case POOL_MACS:
		memcpy(mac.b, p->mac, 6);
		for (unsigned at = 5; at >= p->prefix && at >= 2; at--, i >>= 8)
			mac.b[at] = (uint8_t)i;
		return xstrdup(macaddr_format(&mac, buf));
	case POOL_NAMES:
		return xasprintf("%s%u%s", p->before, i, p->after);
	case POOL_LIST:
		return xstrdup(p->list.v[i]);
	case POOL_NUMBERS:
		break;
	}
	return xasprintf("%u", i);
}

bool pool_value(const struct pool *p, uint32_t i, struct resource_value *ret)
{
	if (p->kind == POOL_NUMBERS) {
		resource_value_from_number(i, ret);
		return true;
	}
	auto_free char *text = value_text(p, i);
	return resource_value_parse(p->resource, text, ret, ERR_IGNORED) == 0;
}

static bool name_contains(const struct pool *p, const char *text)
{
	size_t before = strlen(p->before), after = strlen(p->after), len = strlen(text);
	uint32_t n;

	if (len <= before + after || memcmp(text, p->before, before) != 0 ||
	    strcmp(text + len - after, p->after) != 0)
		return false;
	auto_free char *digits = xstrndup(text + before, len - before - after);
	/* No leading zeros: those are other names. */
	if (digits[0] == '0' && digits[1])
		return false;
	return parse_u32(digits, p->first, p->last, &n, ERR_IGNORED) == 0;
}

bool pool_contains(const struct pool *p, const struct resource_value *v)
{
	struct macaddr mac;

	switch (p->kind) {
	case POOL_NUMBERS:
		return v->is_number && v->number >= p->first && v->number <= p->last;
	case POOL_SUBNETS:
		return v->net.addr.family == p->net.addr.family && v->net.prefix == p->prefix &&
		       ipnet_contains(&p->net, &v->net.addr);
	case POOL_MACS:
		return macaddr_parse(v->text, &mac, ERR_IGNORED) == 0 &&
		       memcmp(mac.b, p->mac, p->prefix) == 0;
	case POOL_NAMES:
		return name_contains(p, v->text);
	case POOL_LIST:
		break;
	}
	return strv_has(&p->list, v->text);
}

int pool_check(const struct pool *p, const char *value, struct err *err)
{
	auto_resource_value v = { 0 };

	if (resource_value_parse(p->resource, value, &v, err) < 0)
		return -1;
	if (pool_contains(p, &v))
		return 0;
	return err_set(err, ERR_USAGE, 0, "%s '%s' is not in '%.64s'", resource_noun(p->resource),
		       v.text, p->text);
}

uint32_t pool_start(const struct pool *p)
{
	uint64_t r = 0;

	if (p->order == POOL_LOWEST)
		return p->first;
	/* Before the kernel's generator is ready (early boot) the lowest will do. */
	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != (ssize_t)sizeof(r))
		return p->first;
	return p->first + (uint32_t)(r % pool_size(p));
}

static char *setting(const char *resource)
{
	return xasprintf("pool.%s", resource);
}

int pool_get(struct store *s, const char *resource, struct pool *ret, struct err *err)
{
	auto_free char *key = setting(resource);
	auto_free char *text = NULL;
	const char *fallback = pool_builtin(resource);
	enum resource r;
	int rc;

	if (resource_parse(resource, &r, err) < 0)
		return -1;
	rc = s->ops->get(s, key, &text, err);
	if (rc < 0)
		return -1;
	if (rc == STORE_OK)
		return pool_parse(resource, text, ret, err);
	if (fallback)
		return pool_parse(resource, fallback, ret, err);
	err_set(err, ERR_NOT_FOUND, 0, "%s has no pool", resource);
	return err_hint(err, "give a range (--range), or a pool: labctl netport pool %s RANGE",
			resource);
}

int pool_set(struct store *s, const char *resource, const char *text, struct err *err)
{
	auto_free char *key = setting(resource);
	auto_pool p = { 0 };

	if (text && pool_parse(resource, text, &p, err) < 0)
		return -1;
	return s->ops->set(s, key, text, err) < 0 ? -1 : 0;
}
