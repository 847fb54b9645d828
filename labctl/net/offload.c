/* SPDX-License-Identifier: MIT */
/* offload.c - checksum, segmentation, receive-merge and VLAN offloads off, by ethtool's ioctls. */
#include "net/offload.h"

#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>

#include "base/mem.h"
#include "net/netns.h"

#include "base/banned.h"

/* Features whose names start so change what a raw socket sees. Left alone: what is only a
 * promise about the driver (highdma, tx-lockless, tx-gso-robust, tx-gso-partial) and what
 * changes no frame (hashing, steering, encryption on real cards). */
static const char *const unwanted[] = {
	"tx-checksum-",
	"rx-checksum",
	"tx-scatter-gather",
	"tx-tcp",
	"tx-udp",
	"tx-sctp-",
	"tx-gre-",
	"tx-ipxip",
	"tx-esp-segm",
	"tx-fcoe-segm",
	"tx-tunnel-remcsum",
	"tx-generic-segmentation",
	"tx-gso-list",
	"rx-gro",
	"rx-lro",
	"rx-udp-gro",
	"rx-udp_tunnel-port",
	"tx-vlan-",
	"rx-vlan-hw",
	"rx-vlan-stag-hw",
};

enum {
	FEATURES_MAX = 1024
}; /* the kernel has some 65 */

struct offload {
	int sock;
	unsigned n;	/* features this kernel knows */
	uint32_t *mask; /* the unwanted ones, one bit each */
	char (*names)[ETH_GSTRING_LEN];
};

static int ethtool(struct offload *o, const char *ifname, void *cmd)
{
	struct ifreq ifr = { 0 };

	if (!str_copy(ifr.ifr_name, sizeof(ifr.ifr_name), ifname)) {
		errno = ENODEV;
		return -1;
	}
	ifr.ifr_data = cmd;
	return ioctl(o->sock, SIOCETHTOOL, &ifr);
}

static int failed(const char *what, const char *ifname, struct err *err)
{
	int sys = errno;

	return err_set(err, sys == ENODEV ? ERR_NOT_FOUND : ERR_ENV, sys,
		       "cannot %s the offloads of interface '%s'", what, ifname);
}

static bool is_unwanted(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(unwanted); i++)
		if (str_starts(name, unwanted[i]))
			return true;
	return false;
}

static unsigned blocks(const struct offload *o)
{
	return (o->n + 31) / 32;
}

/* The names are the kernel's, the same for all interfaces: asked for once. */
static int learn_names(struct offload *o, const char *ifname, struct err *err)
{
	auto_free struct ethtool_sset_info *info = xcalloc(1, sizeof(*info) + sizeof(uint32_t));
	auto_free struct ethtool_gstrings *strings = NULL;

	if (o->n)
		return 0;
	info->cmd = ETHTOOL_GSSET_INFO;
	info->sset_mask = 1ULL << ETH_SS_FEATURES;
	if (ethtool(o, ifname, info) < 0)
		return failed("count", ifname, err);
	if (!info->sset_mask || !info->data[0] || info->data[0] > FEATURES_MAX)
		return err_set(err, ERR_ENV, 0, "the kernel does not list its offloads");
	strings = xcalloc(1, sizeof(*strings) + (size_t)info->data[0] * ETH_GSTRING_LEN);
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = ETH_SS_FEATURES;
	strings->len = info->data[0];
	if (ethtool(o, ifname, strings) < 0)
		return failed("name", ifname, err);
	o->n = info->data[0];
	o->names = xcalloc(o->n, sizeof(*o->names));
	o->mask = xcalloc(blocks(o), sizeof(*o->mask));
	for (unsigned i = 0; i < o->n; i++) {
		memcpy(o->names[i], strings->data + (size_t)i * ETH_GSTRING_LEN,
		       ETH_GSTRING_LEN - 1);
		if (is_unwanted(o->names[i]))
			o->mask[i / 32] |= 1U << i % 32;
	}
	return 0;
}

static int read_features(struct offload *o, const char *ifname, struct ethtool_gfeatures **ret,
			 struct err *err)
{
	auto_free struct ethtool_gfeatures *got = NULL;

	if (learn_names(o, ifname, err) < 0)
		return -1;
	got = xcalloc(1, sizeof(*got) + blocks(o) * sizeof(got->features[0]));
	got->cmd = ETHTOOL_GFEATURES;
	got->size = blocks(o);
	if (ethtool(o, ifname, got) < 0)
		return failed("read", ifname, err);
	*ret = steal_ptr(&got);
	return 0;
}

int offload_check(struct offload *o, const char *ifname, struct strv *ret_on, struct err *err)
{
	auto_free struct ethtool_gfeatures *got = NULL;
	struct strv on = { 0 };

	if (read_features(o, ifname, &got, err) < 0)
		return -1;
	for (unsigned i = 0; i < o->n; i++)
		if (got->features[i / 32].active & o->mask[i / 32] & 1U << i % 32)
			strv_add(&on, o->names[i]);
	*ret_on = on;
	return 0;
}

static int refused(const char *ifname, const struct strv *on, struct err *err)
{
	auto_str list = { 0 };

	for (size_t i = 0; i < on->n; i++)
		str_addf(&list, "%s%s", i ? ", " : "", on->v[i]);
	return err_set(err, ERR_ENV, 0, "offloads of interface '%s' stay on: %s", ifname,
		       str_get(&list));
}

int offload_disable(struct offload *o, const char *ifname, struct err *err)
{
	auto_free struct ethtool_gfeatures *got = NULL;
	auto_free struct ethtool_sfeatures *set = NULL;
	auto_strv on = { 0 };

	if (read_features(o, ifname, &got, err) < 0)
		return -1;
	set = xcalloc(1, sizeof(*set) + blocks(o) * sizeof(set->features[0]));
	set->cmd = ETHTOOL_SFEATURES;
	set->size = blocks(o);
	/* Also what is off but wanted: it would come on when something else changes. */
	for (unsigned i = 0; i < blocks(o); i++)
		set->features[i].valid = o->mask[i] & got->features[i].available;
	if (ethtool(o, ifname, set) < 0)
		return failed("change", ifname, err);
	if (offload_check(o, ifname, &on, err) < 0)
		return -1;
	return on.n ? refused(ifname, &on, err) : 0;
}

static int open_here(void *arg, struct err *err)
{
	int *ret = arg;

	*ret = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (*ret < 0)
		return err_set(err, ERR_ENV, errno, "cannot open a socket");
	return 0;
}

int offload_open(int netns_fd, struct offload **ret, struct err *err)
{
	auto_offload o = xcalloc(1, sizeof(*o));

	o->sock = -1;
	if (netns_run(netns_fd, open_here, &o->sock, err) < 0)
		return -1;
	*ret = steal_ptr(&o);
	return 0;
}

void offload_close(struct offload *o)
{
	if (!o)
		return;
	if (o->sock >= 0)
		close(o->sock);
	free(o->mask);
	free(o->names);
	free(o);
}
