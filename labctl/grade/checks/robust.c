/* SPDX-License-Identifier: MIT */
/* robust.c - checks of living on: noise, random frames, a link that goes down and up. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "grade/family.h"
#include "grade/trial.h"
#include "net/link.h"

#include "base/banned.h"

#define NOISE_FRAMES  12000 /* of one round */
#define NOISE_BATCH   25    /* fits into a socket's buffer as it is by default */
#define NOISE_SIZE    1400
#define NOISE_ROUNDS  20
#define GROWTH_MAX    ((size_t)NOISE_FRAMES * 24) /* bytes of one round: less than an entry each */
#define AMPLIFY_SHARE 10			  /* one frame out for so many in is too much */
#define FUZZ_FRAMES   3000
#define FUZZ_BATCH    25
#define FLAPS	      2
#define CARRIER_MS    2000
#define BACK_MS	      5000
#define BACK_TRY_MS   250

static bool wait_ms(struct trial *t, unsigned ms)
{
	struct err e = { 0 };

	if (probe_wait(t->g->probe, ms * NS_PER_MS, NULL, NULL, &e) < 0)
		return trial_error(t, &e);
	return true;
}

static bool forget(struct trial *t)
{
	struct err e = { 0 };

	t->since = 0;
	return probe_forget(t->g->probe, &e) == 0 ? true : trial_error(t, &e);
}

/* Memory */

/* Of the program and all that it has started. */
static size_t resident_bytes(pid_t program)
{
	auto_free struct process *v = NULL;
	size_t n = family_list(program, &v), sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += v[i].resident;
	return sum;
}

/* Noise: what is on any network and none of a router's business. */

static struct frame noise_ip(struct trial *t, const struct station *from, uint32_t dst,
			     uint64_t mac, uint16_t port)
{
	struct frame f = trial_datagram(t, from, from, MARK_LEN);

	f.eth.dst = mac_from_number(mac);
	f.ipv4.dst = dst;
	f.udp.sport = f.udp.dport = port;
	return f;
}

/* Somebody who was never heard of before, behind the MAC of `from`: who keeps an entry for every
 * address grows. */
static struct station stranger(struct trial *t, const struct station *from)
{
	struct station s = *from;

	s.ip = rng_range(&t->rng, 0x01000000, 0x7effffff);
	return s;
}

static struct frame arp_noise(struct trial *t, const struct station *from)
{
	struct station who = stranger(t, from);
	struct frame f = arp_ask(&who, from->at->ip);

	f.arp.sha = trial_random_mac(t);
	return f;
}

static struct frame noise_frame(struct trial *t, const struct station *guest, unsigned kind)
{
	const struct station who = stranger(t, guest), *from = &who;
	struct frame f = { .has = LAYER_ETH };
	struct ipnet net = ipnet_network(&from->at->net->subnet);
	uint32_t first = ip4_number(&net.addr), last = first | UINT32_MAX >> net.prefix;

	f.eth.src = from->mac;
	f.eth.dst = mac_from_number(0xffffffffffff);
	switch (kind % 8) {
	case 0: /* who has somebody else's address */
	case 7:
		return arp_noise(t, from);
	case 1: /* the network's own broadcast, NetBIOS names */
		return noise_ip(t, from, last, 0xffffffffffff, 137);
	case 2: /* DHCP */
		return noise_ip(t, from, 0xffffffff, 0xffffffffffff, 67);
	case 3: /* multicast DNS */
		return noise_ip(t, from, 0xe00000fb, 0x01005e0000fb, 5353);
	case 4: /* LLDP */
		f.eth.dst = mac_from_number(0x0180c200000e);
		f.eth.type = 0x88cc;
		break;
	case 5: /* IPv6 neighbour discovery */
		f.eth.dst = mac_from_number(0x333300000001);
		f.eth.type = 0x86dd;
		break;
	default: /* to another station */
		f = noise_ip(t, from, first + 1, 0x020000000000 | (rng_next(&t->rng) & 0xffffff),
			     9);
	}
	return f;
}

/* Large, so that who keeps them grows. */
static bool send_noise(struct trial *t, const struct station *from, unsigned kind,
		       const uint8_t *filling)
{
	struct frame f = noise_frame(t, from, kind);

	if (f.has & LAYER_UDP) {
		f.payload = filling;
		f.payload_len = NOISE_SIZE - 42;
		f.udp.length = (uint16_t)(8 + f.payload_len);
		f.ipv4.length = (uint16_t)(28 + f.payload_len);
	} else if (!(f.has & LAYER_ARP)) {
		f.payload = filling;
		f.payload_len = NOISE_SIZE - 14;
	}
	return trial_send(t, from->at, &f);
}

static void drop_payloads(struct trial *t)
{
	while (t->n_payloads)
		free(t->payloads[--t->n_payloads]);
}

/* Frames that the router sent since the journal was emptied, anywhere; controls' replies aside. */
static size_t count_from_router(const struct trial *t)
{
	size_t n = 0;

	for (size_t i = 0; i < probe_count(t->g->probe); i++) {
		const struct seen *s = probe_get(t->g->probe, i);

		n += !s->sent && !trial_is_flooded(t, s) &&
		     !(s->f.has & LAYER_ARP && s->f.arp.op == ARP_REPLY);
	}
	return n;
}

/* One batch, then the control; what came meanwhile is judged and forgotten. */
static bool noise_batch(struct trial *t, const struct path *p, const struct station *guest,
			unsigned first, const uint8_t *filling, size_t *answers)
{
	if (!forget(t))
		return false;
	for (unsigned i = first; i < first + NOISE_BATCH; i++) {
		if (!send_noise(t, guest, i, filling))
			return false;
	}
	if (!trial_alive(t, p))
		return false;
	drop_payloads(t);
	*answers += count_from_router(t);
	return true;
}

static bool noise_round(struct trial *t, const struct path *p, const struct station *guest)
{
	uint8_t filling[NOISE_SIZE];
	size_t answers = 0;

	rng_fill(&t->rng, filling, sizeof(filling));
	for (unsigned i = 0; i < NOISE_FRAMES; i += NOISE_BATCH) {
		if (!noise_batch(t, p, guest, i, filling, &answers))
			return false;
		if (answers > NOISE_FRAMES / AMPLIFY_SHARE)
			return trial_fail(
				t,
				"noise that is none of the router's business, %u frames, made "
				"it send %zu frames: it must not add to it",
				i + NOISE_BATCH, answers);
	}
	return true;
}

/* Memory is compared from round to round, because every program takes some at first, and some
 * languages for a long time: only who grows in every round keeps what he gets. */
static bool robust_noise(struct trial *t)
{
	struct station guest;
	struct path p;
	size_t before = 0, after, first = 0;

	if (!trial_path(t, &p) || !trial_guest(t, p.from, &guest))
		return false;
	for (int i = 0; i < NOISE_ROUNDS; i++) {
		if (!noise_round(t, &p, &guest))
			return false;
		if (!t->g->runner)
			return true;
		after = resident_bytes(runner_pid(t->g->runner));
		if (i && after < before + GROWTH_MAX)
			return true;
		first = i ? first : after;
		before = after;
	}
	return trial_fail(
		t,
		"with every round of noise the program takes more memory: %zu MiB after the "
		"first, %zu MiB after %d",
		first >> 20, before >> 20, NOISE_ROUNDS);
}

/* Fuzz */

/* Any length, any bytes; to the router, or to all. */
static size_t random_frame(struct trial *t, const struct place *at, uint8_t *buf)
{
	static const uint16_t types[] = { ETHERTYPE_IPV4, ETHERTYPE_ARP, 0x86dd, ETHERTYPE_VLAN };
	size_t n = rng_range(&t->rng, 14, rng_range(&t->rng, 0, 3) ? 100 : 1514);
	uint16_t type = types[rng_range(&t->rng, 0, ARRAY_SIZE(types) - 1)];

	rng_fill(&t->rng, buf, n);
	memcpy(buf, at->router_mac.b, 6);
	buf[6] &= 0xfe;
	buf[12] = (uint8_t)(type >> 8);
	buf[13] = (uint8_t)type;
	if (type == ETHERTYPE_IPV4 && n > 15)
		buf[14] = (uint8_t)(0x40 | rng_range(&t->rng, 0, 15));
	return n;
}

/* Something sensible, with some bits turned over, or cut. */
static size_t mutated_frame(struct trial *t, const struct station *guest, const struct station *to,
			    uint8_t *buf)
{
	struct frame f;
	size_t n;

	switch (rng_range(&t->rng, 0, 3)) {
	case 0:
		f = arp_ask(guest, guest->at->router_ip);
		break;
	case 1:
		f = trial_echo(t, guest, guest->at->router_ip, rng_range(&t->rng, 0, 200));
		break;
	default:
		f = trial_datagram(t, guest, to, rng_range(&t->rng, 8, 400));
		f.ipv4.ttl = (uint8_t)rng_range(&t->rng, 0, 3);
	}
	n = frame_encode(&f, buf, FRAME_MAX);
	for (uint32_t i = rng_range(&t->rng, 0, 6); i > 0; i--)
		buf[rng_range(&t->rng, 12, (uint32_t)n - 1)] ^=
			(uint8_t)(1u << rng_range(&t->rng, 0, 7));
	return rng_range(&t->rng, 0, 3) ? n : rng_range(&t->rng, 14, (uint32_t)n);
}

/* An address that a random frame may have told false things about says the truth again. */
static bool introduce(struct trial *t, const struct place *at)
{
	struct station me = place_station(at);
	struct frame ask = arp_ask(&me, at->router_ip);

	return trial_send(t, at, &ask);
}

static bool still_works(struct trial *t, const struct path *p, unsigned sent)
{
	struct path back = path_back(p);
	struct station to = place_station(p->to);

	if (!introduce(t, p->from) || !introduce(t, p->to))
		return false;
	if (!trial_alive(t, p) || !trial_alive(t, &back))
		return false;
	if (trial_warm_up(t, p, &to))
		return true;
	if (t->verdict != VERDICT_ERROR && !(t->g->runner && !runner_alive(t->g->runner)))
		trial_fail(t, "after %u random frames the router no longer forwards", sent);
	return false;
}

static bool robust_fuzz(struct trial *t)
{
	auto_free uint8_t *buf = xmalloc(FRAME_MAX);
	struct station guests[2];
	struct err e = { 0 };
	struct path p;

	if (!trial_path(t, &p) || !trial_guest(t, p.from, &guests[0]) ||
	    !trial_guest(t, p.to, &guests[1]))
		return false;
	for (unsigned i = 1; i <= FUZZ_FRAMES; i++) {
		const struct station *guest = &guests[i & 1], *other = &guests[~i & 1];
		size_t n = rng_range(&t->rng, 0, 1) ? random_frame(t, guest->at, buf)
						    : mutated_frame(t, guest, other, buf);

		if (probe_send(t->g->probe, guest->at->port, buf, n, &e) < 0)
			return trial_error(t, &e);
		if (i % FUZZ_BATCH)
			continue;
		if (!still_works(t, &p, i) || !forget(t))
			return false;
		drop_payloads(t);
	}
	return true;
}

/* Flap */

/* The seat's end of the network. A link that comes up brings the address's local route back, by
 * which the kernel would answer in the program's place. */
static int set_link(struct trial *t, const struct place *at, bool up, struct err *err)
{
	const char *ifname = t->g->arena->networks[at->network].ifname;
	struct link_info info;
	auto_nl nl = NULL;

	if (nl_open(t->g->arena->seat_ns, &nl, err) < 0 || link_get(nl, ifname, &info, err) < 0 ||
	    link_set_up(nl, info.ifindex, up, err) < 0)
		return -1;
	if (!up)
		return 0;
	if (at->net->address_mode == STAGE_ADDRESS_PASSIVE &&
	    route_delete_local(nl, info.ifindex, &at->net->router, err) < 0)
		return -1;
	return link_wait_carrier(nl, ifname, CARRIER_MS, err);
}

/* With the link down: datagrams for it come in all the same, and the other side works. */
static bool works_beside(struct trial *t, const struct path *p)
{
	struct station from = place_station(p->from), to = place_station(p->to);

	for (int i = 0; i < 5; i++) {
		struct frame out = trial_datagram(t, &from, &to, 32);

		if (!trial_send(t, p->from, &out))
			return false;
	}
	return trial_alive(t, p);
}

static bool comes_back(struct trial *t, const struct path *p)
{
	struct station from = place_station(p->from), to = place_station(p->to);

	for (unsigned waited = 0; waited < BACK_MS; waited += BACK_TRY_MS) {
		struct frame out = trial_datagram(t, &from, &to, 32);
		struct want trace = want_trace(&out);

		trace.patience_ms = BACK_TRY_MS;
		if (!introduce(t, p->to) || !trial_send(t, p->from, &out))
			return false;
		if (trial_await(t, p->to, &trace))
			return true;
		if (t->verdict == VERDICT_ERROR || (t->g->runner && !runner_alive(t->g->runner)))
			break;
	}
	if (t->verdict == VERDICT_ERROR || !trial_alive(t, p))
		return false;
	return trial_fail(
		t,
		"%s went down and came back, and for %d seconds the router forwards nothing "
		"more to it",
		p->to->net->name, BACK_MS / 1000);
}

static bool down_and_up(struct trial *t, const struct path *p)
{
	struct err e = { 0 }, up = { 0 };
	bool fine;

	if (set_link(t, p->to, false, &e) < 0)
		return trial_error(t, &e);
	fine = works_beside(t, p) && wait_ms(t, 50);
	/* Up again, whatever happened. */
	if (set_link(t, p->to, true, &up) < 0)
		return trial_error(t, &up);
	return fine;
}

static bool flap(struct trial *t, const struct path *p)
{
	bool fine;

	kernel_watch_expect_flap(t->g->kernel, t->g->arena->networks[p->to->network].ifname);
	fine = down_and_up(t, p);
	kernel_watch_expect_flap(t->g->kernel, NULL);
	return fine && comes_back(t, p);
}

static bool robust_flap(struct trial *t)
{
	struct station to;
	struct path p;

	if (!trial_path(t, &p))
		return false;
	to = place_station(p.to);
	if (!trial_warm_up(t, &p, &to))
		return false;
	for (int i = 0; i < FLAPS; i++) {
		if (!flap(t, &p))
			return false;
	}
	return true;
}

const struct check checks_robust[] = {
	{
		.id = "robust.noise",
		.title = "lives with noise, without growing or adding to it",
		.rfc = "RFC 1812 5.3.4",
		.needs = "ipv4.forward",
		.args = "from to",
		.points = 2,
		.rough = true,
		.hints = { "What does your program do with frames that mean nothing to it?",
			   "Drop them at once: by the destination MAC, the EtherType, the "
			   "destination address. Nothing of them may stay in memory.",
			   "Frames to others, unknown types, broadcasts and multicasts: no answer, "
			   "no entry in any table. Lists and tables that grow by what arrives need "
			   "a bound." },
		.explain =
			"Real networks are full of announcements: neighbour discovery, LLDP, DHCP, "
			"mDNS, ARP for others. A\n"
			"minute's worth of that must leave your program as it was: alive, no "
			"larger, and silent.",
		.run = robust_noise,
	},
	{
		.id = "robust.flap",
		.title = "lives on when a link goes down and comes back",
		.rfc = "RFC 1812 5.3.12",
		.needs = "ipv4.forward",
		.args = "from to",
		.points = 3,
		.rough = true,
		.hints = { "What do recv() and send() return while the interface is down?",
			   "An error, ENETDOWN: that one packet is lost, nothing else. The socket "
			   "stays good.",
			   "Catch the error at every receive and every send, and go on; do not "
			   "close the socket, and do not stop watching it." },
		.explain = "Cables get unplugged. One network is gone then, the others are not, "
			   "and when it comes back, your\n"
			   "program goes on as if nothing had been.",
		.run = robust_flap,
	},
	{
		.id = "robust.fuzz",
		.title = "lives through random frames",
		.rfc = "RFC 1812 5.2.2",
		.needs = "ipv4.forward",
		.args = "from to",
		.points = 3,
		.rough = true,
		.hints = { "Which lengths in a packet do you believe?",
			   "Every length and offset that comes from outside can be wrong: compare "
			   "it with what really arrived before you use it.",
			   "At least 14 bytes for Ethernet, 28 more for ARP; IHL at least 5; "
			   "header "
			   "length <= total length <= bytes received; 8 bytes for UDP and ICMP. "
			   "And "
			   "one frame that is wrong must not end the loop: catch, drop, go on." },
		.explain = "Whatever can be sent will be sent, by broken cards and by people. No "
			   "bytes may end your program,\n"
			   "or make it forget its work.",
		.run = robust_fuzz,
	},
	{ 0 },
};
