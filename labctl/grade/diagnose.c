/* SPDX-License-Identifier: MIT */
/* diagnose.c - packet sockets that cannot work, programs that hear themselves. */
#include "grade/diagnose.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_ether.h>

#include "base/mem.h"
#include "grade/field.h"
#include "grade/trial.h"
#include "net/link.h"
#include "net/packetsock.h"

#include "base/banned.h"

/* Each of the stage's networks has one of these; the worst that its best socket has. */
enum hearing {
	HEARS_ALL,
	HEARS_COOKED, /* SOCK_DGRAM: without the Ethernet header */
	HEARS_IPV4,
	HEARS_ARP,
	HEARS_SWAPPED, /* the protocol's bytes are in the wrong order */
	HEARS_OTHER,
	HEARS_NOTHING, /* protocol 0 */
	HAS_NO_SOCKET,
	HEARING_MAX
};

#define OPEN_FOR_ALL "htons(ETH_P_ALL), in Python socket.htons(0x0003)."

/* Between the two stand the names of the networks. */
static const struct {
	const char *before, *after;
} sentences[HEARING_MAX] = {
	[HEARS_COOKED] = { "Your socket on ",
			   " is of type SOCK_DGRAM: frames come without their Ethernet header, and "
			   "what you send gets another one. Open it with SOCK_RAW." },
	[HEARS_IPV4] = { "Your socket on ",
			 " is open for protocol 0x0800 (IPv4) only: it never gets ARP, and the "
			 "guard that keeps the kernel away takes the rest. Open it for every "
			 "protocol: " OPEN_FOR_ALL },
	[HEARS_ARP] = { "Your socket on ",
			" is open for protocol 0x0806 (ARP) only: it never gets IPv4, and the "
			"guard that keeps the kernel away takes the rest. Open it for every "
			"protocol: " OPEN_FOR_ALL },
	[HEARS_SWAPPED] = { "The protocol of your socket on ",
			    " has its bytes in the wrong order, so that nothing arrives. It goes "
			    "in network byte order: " OPEN_FOR_ALL },
	[HEARS_OTHER] = { "Your socket on ",
			  " is open for a single protocol, and gets neither ARP nor IPv4. Open it "
			  "for every protocol: " OPEN_FOR_ALL },
	[HEARS_NOTHING] = { "Your socket on ",
			    " is open for protocol 0, and gets nothing. Open it for every "
			    "protocol: " OPEN_FOR_ALL },
	[HAS_NO_SOCKET] = { "Your program has no packet socket that listens on ",
			    ". Open one for each, and bind() it to the interface: "
			    "socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))." },
};

static enum hearing hearing_of(const struct packetsock *s)
{
	switch (s->protocol) {
	case ETH_P_ALL:
		return s->type == SOCK_DGRAM ? HEARS_COOKED : HEARS_ALL;
	case ETH_P_IP:
		return HEARS_IPV4;
	case ETH_P_ARP:
		return HEARS_ARP;
	case __builtin_bswap16(ETH_P_ALL):
	case __builtin_bswap16(ETH_P_IP):
	case __builtin_bswap16(ETH_P_ARP):
		return HEARS_SWAPPED;
	case 0:
		return HEARS_NOTHING;
	default:
		return HEARS_OTHER;
	}
}

/* In the host's own namespace a socket that is bound to no interface may be anybody's. */
static bool listens_there(const struct grader *g, const struct packetsock *s, unsigned ifindex)
{
	return s->ifindex == ifindex || (!s->ifindex && (g->runner || g->arena->seat_ns >= 0));
}

static bool was_there_before(const struct grader *g, ino_t inode)
{
	for (size_t i = 0; i < g->n_earlier; i++) {
		if (g->earlier[i] == inode)
			return true;
	}
	return false;
}

static enum hearing hearing_on(const struct grader *g, const struct packetsock *v, size_t n,
			       unsigned ifindex)
{
	enum hearing best = HAS_NO_SOCKET;

	for (size_t i = 0; i < n; i++) {
		enum hearing h = hearing_of(&v[i]);

		if (listens_there(g, &v[i], ifindex) && !was_there_before(g, v[i].inode) &&
		    h < best)
			best = h;
	}
	return best;
}

/* The interface of a network that the program serves; false: none of its business. */
static bool served(const struct grader *g, struct nl *nl, size_t network, unsigned *ret_ifindex)
{
	const char *ifname = g->arena->networks[network].ifname;
	struct link_info info;

	if (!ifname[0] || g->stage->networks[network].address_mode != STAGE_ADDRESS_PASSIVE ||
	    link_get(nl, ifname, &info, ERR_IGNORED) < 0)
		return false;
	*ret_ifindex = info.ifindex;
	return true;
}

void diagnose_begin(struct grader *g)
{
	auto_free struct packetsock *v = NULL;
	size_t n = 0;

	if (packetsock_list(g->arena->seat_ns, &v, &n, ERR_IGNORED) < 0)
		return;
	g->n_earlier = 0;
	for (size_t i = 0; i < n; i++)
		*array_push(g->earlier, g->n_earlier) = v[i].inode;
}

/* Is b the datagram a, sent once more with less time to live? Many have the same identification:
 * 0. */
static bool goes_round(const struct seen *a, const struct seen *b)
{
	return a->port == b->port && b->f.has & LAYER_IPV4 && a->f.ipv4.id == b->f.ipv4.id &&
	       a->f.ipv4.src == b->f.ipv4.src && a->f.ipv4.dst == b->f.ipv4.dst &&
	       a->f.ipv4.offset == b->f.ipv4.offset && b->f.ipv4.ttl < a->f.ipv4.ttl &&
	       a->f.payload_len == b->f.payload_len && a->f.payload_len >= MARK_LEN &&
	       memcmp(a->f.payload, b->f.payload, a->f.payload_len) == 0;
}

static bool is_own_echo(const struct grader *g, size_t i)
{
	const struct seen *s = probe_get(g->probe, i);

	for (size_t k = 0; k < g->n_places; k++) {
		const struct place *p = &g->places[k];

		if (p->port == s->port && p->router_ip &&
		    macaddr_equal(&s->f.eth.dst, &p->router_mac) &&
		    macaddr_equal(&s->f.eth.src, &p->router_mac))
			return true;
	}
	for (size_t k = i + 1; s->f.has & LAYER_IPV4 && k < probe_count(g->probe); k++) {
		if (!probe_get(g->probe, k)->sent && goes_round(s, probe_get(g->probe, k)))
			return true;
	}
	return false;
}

void diagnose_frames(struct grader *g)
{
	const size_t enough = 200;

	for (size_t i = 0; !g->hears_itself && i < probe_count(g->probe) && i < enough; i++)
		g->hears_itself = !probe_get(g->probe, i)->sent && is_own_echo(g, i);
}

/* One sentence for all networks that have the same trouble. */
static void add_sentence(const struct grader *g, const enum hearing *v, enum hearing h,
			 struct str *out)
{
	auto_str names = { 0 };

	for (size_t i = 0; i < g->stage->n_networks; i++) {
		if (v[i] == h)
			str_addf(&names, "%s%s", names.len ? ", " : "",
				 g->arena->networks[i].ifname);
	}
	if (!names.len)
		return;
	str_addf(out, "%s%s%s%s", out->len ? " " : "", sentences[h].before, str_get(&names),
		 sentences[h].after);
}

/* A router can be written with SOCK_DGRAM: who knows how is told nothing. */
static bool answered(const struct grader *g)
{
	for (size_t i = 0; i < g->n_places; i++) {
		if (g->places[i].life != LIFE_NONE)
			return true;
	}
	return false;
}

char *diagnose_program(struct grader *g, bool *ret_sockets)
{
	auto_free enum hearing *v = xcalloc(g->stage->n_networks, sizeof(*v));
	auto_free struct packetsock *socks = NULL;
	auto_str text = { 0 };
	auto_nl nl = NULL;
	size_t n = 0;

	*ret_sockets = false;
	if (nl_open(g->arena->seat_ns, &nl, ERR_IGNORED) < 0 ||
	    packetsock_list(g->arena->seat_ns, &socks, &n, ERR_IGNORED) < 0)
		return NULL;
	for (size_t i = 0; i < g->stage->n_networks; i++) {
		unsigned ifindex;

		v[i] = served(g, nl, i, &ifindex) ? hearing_on(g, socks, n, ifindex) : HEARS_ALL;
		if (v[i] == HEARS_COOKED && answered(g))
			v[i] = HEARS_ALL;
	}
	for (enum hearing h = HEARS_ALL + 1; h < HEARING_MAX; h++)
		add_sentence(g, v, h, &text);
	*ret_sockets = text.len > 0;
	if (g->hears_itself)
		str_addf(&text,
			 "%sYour program takes frames that it has sent itself for somebody else's: "
			 "a packet socket shows what other sockets send on its interface. Skip "
			 "frames of packet type PACKET_OUTGOING (recvfrom() tells the type), and "
			 "those that are not addressed to you.",
			 text.len ? " " : "");
	return text.len ? str_steal(&text) : NULL;
}

bool diagnose_is_deaf(const struct grader *g)
{
	auto_free struct packetsock *socks = NULL;
	bool deaf = false;
	auto_nl nl = NULL;
	size_t n = 0;

	if (nl_open(g->arena->seat_ns, &nl, ERR_IGNORED) < 0 ||
	    packetsock_list(g->arena->seat_ns, &socks, &n, ERR_IGNORED) < 0)
		return false;
	for (size_t i = 0; i < g->stage->n_networks; i++) {
		enum hearing h;
		unsigned ifindex;

		if (!served(g, nl, i, &ifindex))
			continue;
		h = hearing_on(g, socks, n, ifindex);
		if (h == HEARS_ALL || h == HEARS_COOKED || h == HAS_NO_SOCKET)
			return false;
		deaf = true;
	}
	return deaf;
}

char *diagnose_listener(const struct grader *g, pid_t *ret_pid)
{
	auto_free struct packetsock *socks = NULL;
	auto_nl nl = NULL;
	size_t n = 0;

	if (nl_open(g->arena->seat_ns, &nl, ERR_IGNORED) < 0 ||
	    packetsock_list(g->arena->seat_ns, &socks, &n, ERR_IGNORED) < 0)
		return NULL;
	for (size_t i = 0; i < n * g->stage->n_networks; i++) {
		const struct packetsock *s = &socks[i % n];
		auto_free char *command = NULL;
		unsigned ifindex;
		pid_t pid;

		if (!s->protocol || !served(g, nl, i / n, &ifindex) ||
		    !listens_there(g, s, ifindex))
			continue;
		pid = packetsock_holder(s->inode, &command);
		if (!pid)
			continue;
		*ret_pid = pid;
		return xasprintf("process %d (%s)", (int)pid, command);
	}
	return NULL;
}
