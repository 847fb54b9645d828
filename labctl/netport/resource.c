/* SPDX-License-Identifier: MIT */
/* resource.c - resources and the one form of their values. */
#include "netport/resource.h"

#include <assert.h>
#include <ctype.h>
#include <net/if.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"

#include "base/banned.h"

#define LAB_NAME_LEN   32
#define NETNS_NAME_LEN 255

static const struct {
	const char *name;
	const char *noun;
} resources[] = {
	[RESOURCE_PORT] = { "PORT", "port" },
	[RESOURCE_INTERFACE] = { "INTERFACE", "interface" },
	[RESOURCE_SUBNET] = { "SUBNET", "subnet" },
	[RESOURCE_MAC] = { "MAC", "MAC address" },
	[RESOURCE_VNI] = { "VNI", "VNI" },
	[RESOURCE_NETNS] = { "NETNS", "namespace" },
	[RESOURCE_LAB] = { "LAB", "lab name" },
	[RESOURCE_PATH] = { "PATH", "path" },
	[RESOURCE_PROCESS] = { "PROCESS", "process" },
	[RESOURCE_OTHER] = { "", "" },
};
static_assert(ARRAY_SIZE(resources) == RESOURCE_MAX, "a resource lacks its row");

void resource_value_done(struct resource_value *v)
{
	free(v->text);
	*v = (struct resource_value){ 0 };
}

static enum resource find(const char *name)
{
	for (size_t i = 0; i < RESOURCE_OTHER; i++) {
		if (strcmp(resources[i].name, name) == 0)
			return (enum resource)i;
	}
	return RESOURCE_OTHER;
}

const char *resource_name(enum resource r)
{
	return resources[r].name;
}

const char *resource_noun(const char *name)
{
	enum resource r = find(name);

	return r == RESOURCE_OTHER ? name : resources[r].noun;
}

bool resource_is_for_labs(const char *name)
{
	static const char *const names[] = { "LAB", "INTERFACE", "NETNS", "GROUP" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

int resource_parse(const char *name, enum resource *ret, struct err *err)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	if (len && !name[len] && len <= RESOURCE_NAME_MAX) {
		*ret = find(name);
		return 0;
	}
	err_set(err, ERR_USAGE, 0, "'%.64s' is not the name of a resource", name);
	return err_hint(err,
			"PORT, INTERFACE, SUBNET, MAC, VNI, NETNS, LAB, PATH, PROCESS, or one of "
			"your own: up to %d of A-Z 0-9 _ . -",
			RESOURCE_NAME_MAX);
}

void resource_value_from_number(uint32_t number, struct resource_value *ret)
{
	*ret = (struct resource_value){ .text = xasprintf("%u", number),
					.is_number = true,
					.number = number };
}

static int take_number(const char *text, uint32_t max, struct resource_value *ret, struct err *err)
{
	uint32_t number;

	if (parse_u32(text, 1, max, &number, err) < 0)
		return -1;
	/* One form only: "080" would be another text for 80. */
	resource_value_from_number(number, ret);
	return 0;
}

static void extent_text(const struct ipaddr *a, char ret[static RESOURCE_EXTENT_TEXT])
{
	size_t n = 0;

	ret[n++] = a->family == AF_INET6 ? '6' : '4';
	for (size_t i = 0; i < ipaddr_len(a); i++) {
		ret[n++] = "0123456789abcdef"[a->b[i] >> 4];
		ret[n++] = "0123456789abcdef"[a->b[i] & 15];
	}
	ret[n] = '\0';
}

static int take_subnet(const char *text, struct resource_value *ret, struct err *err)
{
	char buf[IPNET_TEXT];
	struct ipaddr last;
	struct ipnet net;

	if (ipnet_parse(text, &net, err) < 0)
		return -1;
	if (!ipnet_is_network(&net)) {
		struct ipnet whole = ipnet_network(&net);

		err_set(err, ERR_USAGE, 0, "'%.64s' has host bits set", text);
		return err_hint(err, "the network is %s", ipnet_format(&whole, buf));
	}
	last = net.addr;
	for (unsigned bit = net.prefix; bit < ipaddr_len(&last) * 8; bit++)
		last.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	*ret = (struct resource_value){ .text = xstrdup(ipnet_format(&net, buf)), .net = net };
	extent_text(&net.addr, ret->lo);
	extent_text(&last, ret->hi);
	return 0;
}

static int take_mac(const char *text, struct resource_value *ret, struct err *err)
{
	char buf[MACADDR_TEXT];
	struct macaddr mac;

	if (macaddr_parse(text, &mac, err) < 0)
		return -1;
	*ret = (struct resource_value){ .text = xstrdup(macaddr_format(&mac, buf)) };
	return 0;
}

/* What the kernel's dev_valid_name() takes. */
static bool is_ifname(const char *text)
{
	if (!*text || strlen(text) >= IFNAMSIZ || !strcmp(text, ".") || !strcmp(text, ".."))
		return false;
	for (const char *p = text; *p; p++) {
		if (*p == '/' || *p == ':' || isspace((unsigned char)*p) ||
		    iscntrl((unsigned char)*p))
			return false;
	}
	return true;
}

static bool is_file_name(const char *text)
{
	return *text && strlen(text) <= NETNS_NAME_LEN && strcmp(text, ".") != 0 &&
	       strcmp(text, "..") != 0 && !strchr(text, '/');
}

static bool has_control(const char *text)
{
	for (const char *p = text; *p; p++) {
		if (iscntrl((unsigned char)*p))
			return true;
	}
	return false;
}

static bool text_fits(enum resource r, const char *text)
{
	switch (r) {
	case RESOURCE_INTERFACE:
		return is_ifname(text);
	case RESOURCE_NETNS:
		return is_file_name(text);
	case RESOURCE_LAB:
		return name_is_valid(text, LAB_NAME_LEN);
	case RESOURCE_PATH:
		return text[0] == '/';
	default:
		return true;
	}
}

int resource_value_parse(const char *resource, const char *text, struct resource_value *ret,
			 struct err *err)
{
	enum resource r;
	int rc;

	if (resource_parse(resource, &r, err) < 0)
		return -1;
	switch (r) {
	case RESOURCE_PORT:
		rc = take_number(text, 65535, ret, err);
		break;
	case RESOURCE_VNI:
		rc = take_number(text, 0xffffff, ret, err);
		break;
	case RESOURCE_SUBNET:
		rc = take_subnet(text, ret, err);
		break;
	case RESOURCE_MAC:
		rc = take_mac(text, ret, err);
		break;
	default:
		/* Lists are shown a line a lease, and read by scripts. */
		if (!*text || strlen(text) > RESOURCE_VALUE_MAX || has_control(text) ||
		    !text_fits(r, text))
			return err_set(err, ERR_USAGE, 0, "'%.64s' is not a value of %s", text,
				       resource);
		*ret = (struct resource_value){ .text = xstrdup(text) };
		return 0;
	}
	return rc < 0 ? err_wrap(err, "not a value of %s", resource) : 0;
}
