/* SPDX-License-Identifier: MIT */
/* guard.c - the ingress guard, by libnftables. */
#include "net/guard.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>

#include <jansson.h>
#include <nftables/libnftables.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/parse.h"
#include "net/netns.h"

#include "base/banned.h"

enum {
	PRIORITY = -500
}; /* before everything else that may sit on ingress */

DEFINE_AUTO(nft, struct nft_ctx *, nft_ctx_free, NULL)
#define auto_nft auto_cleanup(nft) struct nft_ctx *

/* libnftables ends the process when it cannot open its socket: look first. */
static int nfnetlink_there(struct err *err)
{
	auto_fd fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd >= 0)
		return 0;
	return err_set(err, ERR_ENV, errno == EPROTONOSUPPORT ? EOPNOTSUPP : errno,
		       "this kernel has no nftables");
}

/* libnftables hands on a kernel error only as the text behind its sentence. */
static int errno_in(const char *text)
{
	static const int known[] = { EOPNOTSUPP, ENOENT, EPERM,	       EEXIST, EBUSY,
				     ENODEV,	 EINVAL, EAFNOSUPPORT, ENOMEM };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strstr(text, strerror(known[i])))
			return known[i];
	return 0;
}

/* The first line of what nft has to say, without its place in the input. */
static int nft_error(const char *said, struct err *err)
{
	const char *text = strstr(said, "Error: ");
	char line[512];
	int sys;

	text = text ? text + strlen("Error: ") : said;
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
	sys = errno_in(line);
	err_set(err, ERR_ENV, 0, "nftables: %s", *line ? line : "unknown error");
	err->sys = sys;
	return sys == EPERM ? err_hint(err, "this needs root (CAP_NET_ADMIN)") : -1;
}

/* Runs one JSON command in the current namespace. ret may be NULL. */
static int nft_run(json_t *command, json_t **ret, struct err *err)
{
	auto_free char *text = json_dumps(command, JSON_COMPACT);
	auto_nft nft = NULL;

	if (nfnetlink_there(err) < 0)
		return -1;
	nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!nft || nft_ctx_buffer_output(nft) || nft_ctx_buffer_error(nft))
		return err_set(err, ERR_ENV, 0, "cannot start libnftables");
	/* JSON both ways: no name has to be quoted, or can be taken for a keyword. */
	nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_PRIO);
	if (nft_run_cmd_from_buffer(nft, text) != 0)
		return nft_error(nft_ctx_get_error_buffer(nft), err);
	if (ret)
		*ret = json_loads(nft_ctx_get_output_buffer(nft), 0, NULL);
	return 0;
}

#define CHAIN_PREFIX "if-"

/* One chain per interface, called after it as far as nft's grammar lets it be: people shall be
 * able to load again what `nft list ruleset` prints. */
static char *chain_name(const char *ifname)
{
	struct str name = { 0 };

	str_add(&name, CHAIN_PREFIX);
	for (const char *p = ifname; *p; p++)
		if (isascii(*p) && (isalnum((unsigned char)*p) || *p == '-' || *p == '.'))
			str_addc(&name, *p);
		else
			str_addf(&name, "_%02x", (unsigned)(unsigned char)*p);
	return str_steal(&name);
}

/* The interface that chain_name() was given; NULL: no chain of ours. */
static char *chain_ifname(const char *chain)
{
	struct str name = { 0 };

	if (!str_starts(chain, CHAIN_PREFIX))
		return NULL;
	for (const char *p = chain + strlen(CHAIN_PREFIX); *p; p++) {
		int high = *p == '_' ? parse_hex_digit(p[1]) : -1;
		int low = high >= 0 ? parse_hex_digit(p[2]) : -1;

		str_addc(&name, low >= 0 ? (char)(high << 4 | low) : *p);
		p += low >= 0 ? 2 : 0;
	}
	return str_steal(&name);
}

struct guard {
	const char *table;
	const char *ifname;
	struct strv *ret;
};

static int add_here(void *arg, struct err *err)
{
	const struct guard *g = arg;
	auto_free char *chain = chain_name(g->ifname);
	json_auto_t *command = NULL;

	/* Newer kernels take a chain for an interface that may yet come. */
	if (!if_nametoindex(g->ifname))
		return err_set(err, ERR_NOT_FOUND, ENODEV, "interface '%s'", g->ifname);
	command = json_pack("{s:[{s:{s:{s:s, s:s}}}, "
			    "{s:{s:{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s}}}]}",
			    "nftables", "add", "table", "family", "netdev", "name", g->table, "add",
			    "chain", "family", "netdev", "table", g->table, "name", chain, "type",
			    "filter", "hook", "ingress", "dev", g->ifname, "prio", PRIORITY,
			    "policy", "drop");
	return nft_run(command, NULL, err);
}

int guard_add(int netns_fd, const char *table, const char *ifname, struct err *err)
{
	struct guard g = { .table = table, .ifname = ifname };

	if (fault_point("guard", err) < 0 || netns_run(netns_fd, add_here, &g, err) < 0)
		return err_wrap(err, "cannot guard interface '%s'", ifname);
	return 0;
}

/* {"nftables": [{verb: {"table": {...}}}]} */
static json_t *table_command(const char *verb, const char *table)
{
	return json_pack("{s:[{s:{s:{s:s, s:s}}}]}", "nftables", verb, "table", "family", "netdev",
			 "name", table);
}

/* Without such a table, and where no kernel could have one, there is nothing to do. */
static bool means_none(const struct err *err)
{
	return err->sys == ENOENT || err->sys == EOPNOTSUPP || err->sys == EAFNOSUPPORT;
}

static int delete_here(void *arg, struct err *err)
{
	const struct guard *g = arg;
	json_auto_t *command = table_command("delete", g->table);

	return nft_run(command, NULL, err);
}

int guard_delete(int netns_fd, const char *table, struct err *err)
{
	struct guard g = { .table = table };
	struct err e = { 0 };

	if (fault_point("guard", &e) == 0 &&
	    (netns_run(netns_fd, delete_here, &g, &e) == 0 || means_none(&e)))
		return 0;
	*err = e;
	return err_wrap(err, "cannot remove the guard '%s'", table);
}

/* nft prints one device as a text and several as a list; 1.0.6 prints none, and there the name
 * of the chain tells. */
static void add_devices(const json_t *chain, struct strv *names)
{
	const json_t *dev = json_object_get(chain, "dev");
	const char *name = json_string_value(json_object_get(chain, "name"));
	auto_free char *ifname = !dev && name ? chain_ifname(name) : NULL;
	size_t i;
	json_t *one;

	if (ifname)
		strv_add(names, ifname);
	if (json_is_string(dev))
		strv_add(names, json_string_value(dev));
	json_array_foreach (dev, i, one)
		if (json_is_string(one))
			strv_add(names, json_string_value(one));
}

static bool has(const json_t *object, const char *key, const char *value)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && strcmp(text, value) == 0;
}

static int list_here(void *arg, struct err *err)
{
	struct guard *g = arg;
	json_auto_t *command = table_command("list", g->table);
	json_auto_t *listed = NULL;
	json_t *entry;
	size_t i;

	if (nft_run(command, &listed, err) < 0)
		return -1;
	if (!json_is_array(json_object_get(listed, "nftables")))
		return err_set(err, ERR_ENV, 0, "nftables: cannot read its list");
	json_array_foreach (json_object_get(listed, "nftables"), i, entry) {
		const json_t *chain = json_object_get(entry, "chain");

		if (has(chain, "hook", "ingress") && has(chain, "policy", "drop"))
			add_devices(chain, g->ret);
	}
	return 0;
}

int guard_list(int netns_fd, const char *table, struct strv *ret_ifnames, struct err *err)
{
	auto_strv names = { 0 };
	struct guard g = { .table = table, .ret = &names };
	struct err e = { 0 };

	if (netns_run(netns_fd, list_here, &g, &e) < 0 && !means_none(&e)) {
		*err = e;
		return err_wrap(err, "cannot read the guard '%s'", table);
	}
	strv_sort(&names);
	*ret_ifnames = names;
	names = (struct strv){ 0 };
	return 0;
}

bool guard_supported(void)
{
	auto_fd fd = -1;

	return netns_open_new(&fd, ERR_IGNORED) == 0 &&
	       guard_add(fd, "labctl-probe", "lo", ERR_IGNORED) == 0;
}
