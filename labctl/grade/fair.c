/* SPDX-License-Identifier: MIT */
/* fair.c - looks for the kernel's ways around the student's program. */
#include "grade/fair.h"

#include <string.h>

#include <linux/rtnetlink.h>

#include <jansson.h>
#include <libmnl/libmnl.h>
#include <nftables/libnftables.h>

#include "base/mem.h"
#include "lab/lab.h"
#include "net/guard.h"
#include "net/link.h"
#include "net/netns.h"

#include "base/banned.h"

DEFINE_AUTO(nft, struct nft_ctx *, nft_ctx_free, NULL)
#define auto_nft auto_cleanup(nft) struct nft_ctx *

static bool concerns(const struct arena *a, size_t network)
{
	return a->networks[network].ifname[0] &&
	       a->stage->networks[network].address_mode == STAGE_ADDRESS_PASSIVE;
}

static int inspect_forwarding(const struct arena *a, size_t network, struct strv *out,
			      struct err *err)
{
	const char *ifname = a->networks[network].ifname;
	auto_free char *key = xasprintf("net/ipv4/conf/%s/forwarding", ifname);
	auto_free char *value = NULL;

	if (netns_sysctl_get(a->seat_ns, key, &value, err) < 0)
		return -1;
	if (strcmp(value, "0") != 0)
		strv_addf(out,
			  "the kernel forwards what arrives on %s: somebody switched forwarding on "
			  "(turn it off: sysctl -w %s=0)",
			  ifname, key);
	return 0;
}

static int inspect_link(const struct arena *a, struct nl *nl, size_t network, unsigned *ret_index,
			struct strv *out, struct err *err)
{
	const char *ifname = a->networks[network].ifname;
	struct link_info info;

	if (link_get(nl, ifname, &info, err) < 0)
		return -1;
	if (info.master)
		strv_addf(out,
			  "the interface %s is a port of a bridge: the kernel passes frames on by "
			  "itself",
			  ifname);
	if (info.xdp)
		strv_addf(out, "an XDP program is attached to %s", ifname);
	if (!(info.flags & IFF_UP))
		strv_addf(out,
			  "the interface %s is down (set it up again: ip link set %s up; then "
			  "labctl repair)",
			  ifname, ifname);
	*ret_index = info.ifindex;
	return 0;
}

/* The kernel answers for an address that has a route in its table `local`, wherever it is. */
static int inspect_addresses(const struct arena *a, struct nl *nl, struct strv *out,
			     struct err *err)
{
	auto_free struct route_info *routes = NULL;
	char text[IPADDR_TEXT];
	size_t n = 0;

	if (route_list(nl, AF_INET, &routes, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < a->stage->n_networks; k++) {
			if (concerns(a, k) && routes[i].type == RTN_LOCAL &&
			    ipnet_contains(&routes[i].to, &a->stage->networks[k].router))
				strv_addf(out,
					  "the address %s is the kernel's own: it answers ARP and "
					  "ping in your program's place (it takes its "
					  "addresses back when a link was down and up: "
					  "labctl repair mends it)",
					  ipaddr_format(&a->stage->networks[k].router, text));
		}
	}
	return 0;
}

struct qdiscs {
	const struct arena *a;
	const unsigned *index; /* parallel to the networks */
	struct strv *out;
};

static int see_kind(const struct nlattr *attr, void *data)
{
	const char **kind = data;

	if (mnl_attr_get_type(attr) == TCA_KIND &&
	    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
		*kind = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

/* Filters on what arrives need one of these two: labctl itself has only queues for what leaves. */
static int see_qdisc(const struct nlmsghdr *msg, void *data)
{
	const struct qdiscs *q = data;
	const struct tcmsg *tc = mnl_nlmsg_get_payload(msg);
	const char *kind = "";

	if (msg->nlmsg_type != RTM_NEWQDISC || mnl_nlmsg_get_payload_len(msg) < sizeof(*tc))
		return MNL_CB_OK;
	mnl_attr_parse(msg, sizeof(*tc), see_kind, &kind);
	if (strcmp(kind, "ingress") != 0 && strcmp(kind, "clsact") != 0)
		return MNL_CB_OK;
	for (size_t i = 0; i < q->a->stage->n_networks; i++) {
		if (concerns(q->a, i) && (int)q->index[i] == tc->tcm_ifindex)
			strv_addf(q->out,
				  "a tc filter point (%s) sits on %s: it can redirect frames", kind,
				  q->a->networks[i].ifname);
	}
	return MNL_CB_OK;
}

static int inspect_tc(const struct arena *a, struct nl *nl, const unsigned *index, struct strv *out,
		      struct err *err)
{
	char buf[256];
	struct nlmsghdr *req = mnl_nlmsg_put_header(buf);
	struct qdiscs q = { a, index, out };
	struct tcmsg *tc;

	req->nlmsg_type = RTM_GETQDISC;
	req->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	tc = mnl_nlmsg_put_extra_header(req, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	return nl_dump(nl, req, see_qdisc, NULL, &q, err);
}

/* Is ifname a word of the line? */
static bool names_device(const char *line, size_t len, const char *ifname)
{
	const char *p = line;
	size_t n = strlen(ifname);

	while ((p = memmem(p, len - (size_t)(p - line), ifname, n))) {
		bool begins = p == line || strchr(" \"{,", p[-1]);
		bool ends = p + n == line + len || strchr(" \"},;", p[n]);

		if (begins && ends)
			return true;
		p += n;
	}
	return false;
}

/* The text that `nft list chains` prints: JSON of nft 1.0.6 leaves out a chain's device. */
static void read_chains(const struct arena *a, const char *text, struct strv *out)
{
	char table[128] = "";

	for (size_t len; *text; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (str_starts(text, "table ")) {
			const char *name = text + 6 + strcspn(text + 6, " ") + 1;

			snprintf(table, sizeof(table), "%.*s", (int)strcspn(name, " {\n"), name);
		}
		if (!memmem(text, len, " hook ", 6) || (a->guard && strcmp(table, a->guard) == 0))
			continue;
		for (size_t i = 0; i < a->stage->n_networks; i++) {
			if (concerns(a, i) && names_device(text, len, a->networks[i].ifname))
				strv_addf(out,
					  "an nftables chain of table '%s' sits on %s: it can "
					  "redirect frames",
					  table, a->networks[i].ifname);
		}
	}
}

struct chains {
	const struct arena *a;
	struct strv *out;
};

/* Chains of the families that see frames as they arrive. A kernel without nftables has none. */
static int nft_here(void *arg, struct err *err)
{
	struct chains *c = arg;
	auto_fd there = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	auto_nft nft = there >= 0 ? nft_ctx_new(NFT_CTX_DEFAULT) : NULL;
	static const char *const lists[] = { "list chains netdev", "list chains inet" };

	(void)err;
	if (!nft || nft_ctx_buffer_output(nft) || nft_ctx_buffer_error(nft))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		if (nft_run_cmd_from_buffer(nft, lists[i]) == 0)
			read_chains(c->a, nft_ctx_get_output_buffer(nft), c->out);
	}
	return 0;
}

static int inspect_nft(const struct arena *a, struct strv *out, struct err *err)
{
	struct chains c = { a, out };
	auto_strv guarded = { 0 };

	if (netns_run(a->seat_ns, nft_here, &c, err) < 0)
		return -1;
	if (a->guard && guard_list(a->seat_ns, a->guard, &guarded, err) < 0)
		return -1;
	for (size_t i = 0; i < a->stage->n_networks; i++) {
		bool there = false;

		for (size_t k = 0; k < guarded.n; k++)
			there = there || strcmp(guarded.v[k], a->networks[i].ifname) == 0;
		if (concerns(a, i) && a->networks[i].guarded && !there)
			strv_addf(out,
				  "the guard that keeps the kernel away from %s is gone (start the "
				  "stage again)",
				  a->networks[i].ifname);
	}
	return 0;
}

int fair_inspect(const struct arena *a, struct strv *ret_reasons, struct err *err)
{
	auto_free unsigned *index = xcalloc(a->stage->n_networks, sizeof(*index));
	auto_nl nl = NULL;

	if (nl_open(a->seat_ns, &nl, err) < 0)
		return -1;
	for (size_t i = 0; i < a->stage->n_networks; i++) {
		if (concerns(a, i) && (inspect_forwarding(a, i, ret_reasons, err) < 0 ||
				       inspect_link(a, nl, i, &index[i], ret_reasons, err) < 0))
			return err_wrap(err, "cannot look at the seat's interface '%s'",
					a->networks[i].ifname);
	}
	if (inspect_addresses(a, nl, ret_reasons, err) < 0 ||
	    inspect_tc(a, nl, index, ret_reasons, err) < 0)
		return err_wrap(err, "cannot look at the seat");
	return inspect_nft(a, ret_reasons, err);
}

int fair_watch(const struct arena *a, struct kernel_watch **ret, struct err *err)
{
	auto_free struct kernel_watch_net *nets = xcalloc(a->stage->n_networks, sizeof(*nets));
	struct kernel_watch_spec spec = { .netns_fd = a->seat_ns,
					  .whole = a->seat_ns >= 0,
					  .nets = nets,
					  .n_nets = a->stage->n_networks,
					  .nft_table = a->guard,
					  .others_group = LAB_GROUP_BASE,
					  .others_mask = LAB_GROUP_MASK };

	for (size_t i = 0; i < a->stage->n_networks; i++)
		nets[i] = (struct kernel_watch_net){ a->networks[i].ifname,
						     a->stage->networks[i].subnet, concerns(a, i) };
	return kernel_watch_open(&spec, ret, err);
}
