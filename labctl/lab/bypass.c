/* SPDX-License-Identifier: MIT */
/* bypass.c - looks for the kernel's ways around the student's program. */
#include "lab/bypass.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>
#include <nftables/libnftables.h>

#include "base/mem.h"
#include "net/guard.h"
#include "net/link.h"
#include "net/netns.h"

#include "base/banned.h"

DEFINE_AUTO(nft, struct nft_ctx *, nft_ctx_free, NULL)
#define auto_nft auto_cleanup(nft) struct nft_ctx *

struct seat {
	const struct stage *stage;
	const struct bypass_net *nets;
	const char *guard;
	int ns;
	struct nl *nl;
	struct link_info *links; /* parallel to nets; ifindex 0: not there, or not our concern */
	struct bypasses *ret;
};

void bypasses_done(struct bypasses *b)
{
	free(b->v);
	*b = (struct bypasses){ 0 };
}

static struct bypass *add(struct seat *s, size_t network, const char *fmt, ...) PRINTF_LIKE(3, 4);

static struct bypass *add(struct seat *s, size_t network, const char *fmt, ...)
{
	struct bypass *b = array_push(s->ret->v, s->ret->n);
	va_list ap;

	b->network = network;
	va_start(ap, fmt);
	vsnprintf(b->text, sizeof(b->text), fmt, ap);
	va_end(ap);
	return b;
}

static int look_at_links(struct seat *s, struct err *err)
{
	for (size_t i = 0; i < s->stage->n_networks; i++) {
		struct err e = { 0 };

		if (!s->nets[i].ifname[0] ||
		    s->stage->networks[i].address_mode != STAGE_ADDRESS_PASSIVE)
			continue;
		if (link_get(s->nl, s->nets[i].ifname, &s->links[i], &e) < 0) {
			s->links[i].ifindex = 0;
			if (!err_is(&e, ERR_NOT_FOUND))
				return err_pass(err, &e);
		}
	}
	return 0;
}

static int find_forwarding(struct seat *s, size_t i, struct err *err)
{
	const char *ifname = s->nets[i].ifname;
	auto_free char *key = xasprintf("net/ipv4/conf/%s/forwarding", ifname);
	auto_free char *value = NULL;

	if (netns_sysctl_get(s->ns, key, &value, err) < 0)
		return -1;
	if (strcmp(value, "0") != 0)
		add(s, i, "the kernel forwards what arrives on %s: somebody switched forwarding on",
		    ifname);
	return 0;
}

static void find_on_link(struct seat *s, size_t i)
{
	const char *ifname = s->nets[i].ifname;

	if (s->links[i].master)
		add(s, i,
		    "the interface %s is a port of a bridge: the kernel passes frames on by itself",
		    ifname)
			->relink = true;
	if (s->links[i].xdp)
		add(s, i, "an XDP program is attached to %s", ifname)->relink = true;
}

/* Not what the interface has of its own address when it was down and up: repair mends that. */
static void add_foreign(struct seat *s, size_t i, const struct route_info *r, const char *addr)
{
	auto_free struct link_info *all = NULL;
	const char *dev = "?";
	size_t n = 0;

	if (link_list(s->nl, &all, &n, ERR_IGNORED) < 0)
		n = 0;
	for (size_t k = 0; k < n; k++)
		dev = all[k].ifindex == r->ifindex ? all[k].name : dev;
	add(s, i,
	    "the address %s is the kernel's own: it answers ARP and ping in your program's place "
	    "(a local address or route on interface '%s' says so: remove it there)",
	    addr, dev)
		->by_hand = true;
}

/* The kernel answers for an address that has a route in its table `local`, wherever it is. */
static int find_addresses(struct seat *s, struct err *err)
{
	auto_free struct route_info *routes = NULL;
	char text[IPADDR_TEXT];
	size_t n = 0;

	if (route_list(s->nl, AF_INET, &routes, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < s->stage->n_networks; i++) {
		const struct ipaddr *router = &s->stage->networks[i].router;

		for (size_t k = 0; k < n && s->links[i].ifindex; k++) {
			const struct route_info *r = &routes[k];

			if (r->type != RTN_LOCAL || !ipnet_contains(&r->to, router))
				continue;
			ipaddr_format(router, text);
			if (r->to.prefix == 32 && r->ifindex == s->links[i].ifindex)
				add(s, i,
				    "the address %s is the kernel's own: it answers ARP and ping "
				    "in your program's place (it takes its addresses back when a "
				    "link was down and up)",
				    text);
			else
				add_foreign(s, i, r, text);
		}
	}
	return 0;
}

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
	struct seat *s = data;
	const struct tcmsg *tc = mnl_nlmsg_get_payload(msg);
	const char *kind = "";

	if (msg->nlmsg_type != RTM_NEWQDISC || mnl_nlmsg_get_payload_len(msg) < sizeof(*tc))
		return MNL_CB_OK;
	mnl_attr_parse(msg, sizeof(*tc), see_kind, &kind);
	if (strcmp(kind, "ingress") != 0 && strcmp(kind, "clsact") != 0)
		return MNL_CB_OK;
	for (size_t i = 0; i < s->stage->n_networks; i++) {
		if (s->links[i].ifindex && (int)s->links[i].ifindex == tc->tcm_ifindex)
			add(s, i, "a tc filter point (%s) sits on %s: it can redirect frames", kind,
			    s->nets[i].ifname)
				->relink = true;
	}
	return MNL_CB_OK;
}

static int find_tc(struct seat *s, struct err *err)
{
	char buf[256];
	struct nlmsghdr *req = mnl_nlmsg_put_header(buf);
	struct tcmsg *tc;

	req->nlmsg_type = RTM_GETQDISC;
	req->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	tc = mnl_nlmsg_put_extra_header(req, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	return nl_dump(s->nl, req, see_qdisc, NULL, s, err);
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
static void read_chains(struct seat *s, const char *text)
{
	char table[128] = "";

	for (size_t len; *text; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (str_starts(text, "table ")) {
			const char *name = text + 6 + strcspn(text + 6, " ") + 1;

			snprintf(table, sizeof(table), "%.*s", (int)strcspn(name, " {\n"), name);
		}
		if (!memmem(text, len, " hook ", 6) || (s->guard && strcmp(table, s->guard) == 0))
			continue;
		for (size_t i = 0; i < s->stage->n_networks; i++) {
			if (s->links[i].ifindex && names_device(text, len, s->nets[i].ifname))
				add(s, i,
				    "an nftables chain of table '%s' sits on %s and can redirect "
				    "frames: delete that chain",
				    table, s->nets[i].ifname)
					->by_hand = true;
		}
	}
}

/* Chains of the families that see frames as they arrive. A kernel without nftables has none. */
static int nft_here(void *arg, struct err *err)
{
	auto_fd there = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	auto_nft nft = there >= 0 ? nft_ctx_new(NFT_CTX_DEFAULT) : NULL;
	static const char *const lists[] = { "list chains netdev", "list chains inet" };

	(void)err;
	if (!nft || nft_ctx_buffer_output(nft) || nft_ctx_buffer_error(nft))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		if (nft_run_cmd_from_buffer(nft, lists[i]) == 0)
			read_chains(arg, nft_ctx_get_output_buffer(nft));
	}
	return 0;
}

static int find_nft(struct seat *s, struct err *err)
{
	auto_strv guarded = { 0 };

	if (netns_run(s->ns, nft_here, s, err) < 0)
		return -1;
	if (s->guard && guard_list(s->ns, s->guard, &guarded, err) < 0)
		return -1;
	for (size_t i = 0; i < s->stage->n_networks; i++) {
		if (s->links[i].ifindex && s->nets[i].guarded &&
		    !strv_has(&guarded, s->nets[i].ifname))
			add(s, i, "the guard that keeps the kernel away from %s is gone",
			    s->nets[i].ifname);
	}
	return 0;
}

int bypass_find(const struct stage *stage, const struct bypass_net *nets, const char *guard,
		int netns_fd, struct bypasses *ret, struct err *err)
{
	auto_free struct link_info *links = xcalloc(stage->n_networks, sizeof(*links));
	auto_nl nl = NULL;
	struct seat s = { .stage = stage,
			  .nets = nets,
			  .guard = guard,
			  .ns = netns_fd,
			  .links = links,
			  .ret = ret };

	if (nl_open(netns_fd, &nl, err) < 0)
		return -1;
	s.nl = nl;
	if (look_at_links(&s, err) < 0)
		return err_wrap(err, "cannot look at the seat");
	for (size_t i = 0; i < stage->n_networks; i++) {
		if (!links[i].ifindex)
			continue;
		if (find_forwarding(&s, i, err) < 0)
			return err_wrap(err, "cannot look at the seat's interface '%s'",
					nets[i].ifname);
		find_on_link(&s, i);
	}
	if (find_addresses(&s, err) < 0 || find_tc(&s, err) < 0 ||
	    (geteuid() == 0 && find_nft(&s, err) < 0))
		return err_wrap(err, "cannot look at the seat");
	return 0;
}

int bypass_find_in_lab(const struct lab *l, int netns_fd, struct bypasses *ret, struct err *err)
{
	auto_free struct bypass_net *nets = xcalloc(l->stage->n_networks, sizeof(*nets));

	for (size_t i = 0; i < l->stage->n_networks; i++)
		nets[i] = (struct bypass_net){ l->networks[i].ifname, l->networks[i].guarded };
	return bypass_find(l->stage, nets, l->guard, netns_fd, ret, err);
}
