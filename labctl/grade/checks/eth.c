/* SPDX-License-Identifier: MIT */
/* eth.c - checks of what the router does with Ethernet headers. */
#include "base/mem.h"
#include "grade/trial.h"

#include "base/banned.h"

/* eth.mac */

/* The frame in which the router answers there; its sign of life has been given. */
static const struct seen *its_answer(const struct trial *t, const struct place *at)
{
	const struct place *where = at->life == LIFE_FORWARD ? at->across : at;

	for (size_t i = probe_count(t->g->probe); i-- > t->since;) {
		const struct seen *s = probe_get(t->g->probe, i);

		if (!s->sent && s->port == where->port && !trial_is_flooded(t, s) &&
		    (!(s->f.has & LAYER_ARP) || s->f.arp.spa == where->router_ip))
			return s;
	}
	return NULL;
}

static bool uses_own_mac(struct trial *t, const struct place *at)
{
	const struct place *where = at->life == LIFE_FORWARD ? at->across : at;
	struct want w = { .what = "the router's frame", .judge = F(ETH_SRC) };
	const struct seen *s;

	if (!trial_life(t, at, 0)) {
		if (t->verdict == VERDICT_ERROR || trial_waits_for(t, "arp.reply"))
			return false;
		return trial_fail(t, "the router answers nothing on %s", at->net->name);
	}
	s = its_answer(t, at);
	if (!s || macaddr_equal(&s->f.eth.src, &where->seat_mac))
		return true;
	w.frame.has = LAYER_ETH;
	w.frame.eth.src = where->seat_mac;
	trial_judge(t, &w, &s->f);
	return trial_fail(t,
			  "the router sends from %s on %s, which is not the MAC of that interface "
			  "(%s)",
			  mac_text(&s->f.eth.src).s, where->net->name,
			  mac_text(&where->seat_mac).s);
}

static bool eth_mac(struct trial *t)
{
	const struct place *at;

	for (size_t i = 0; (at = trial_place(t, i)); i++) {
		if (!uses_own_mac(t, at))
			return false;
	}
	return !t->reason;
}

/* eth.rewrite */

static bool rewritten(struct trial *t, const struct path *p)
{
	struct station from = place_station(p->from), to = place_station(p->to);
	struct frame out = trial_datagram(t, &from, &to, 32);

	return trial_deliver(t, p, &out, F(ETH_SRC) | F(ETH_DST));
}

static bool eth_rewrite(struct trial *t)
{
	struct path p, back;

	if (!trial_path(t, &p))
		return false;
	back = path_back(&p);
	return rewritten(t, &p) && rewritten(t, &back);
}

static bool eth_other(struct trial *t)
{
	struct station from, to;
	struct taboo v[2] = { 0 };
	struct path p;

	if (!trial_path(t, &p))
		return false;
	from = place_station(p.from);
	to = place_station(p.to);
	v[0].name = "a datagram in a frame to another station's MAC";
	v[0].sentence = "the router forwards a datagram from a frame that was addressed to another "
			"station's MAC";
	v[0].stimulus = trial_datagram(t, &from, &to, 32);
	v[1].name = "an echo request in a frame to another station's MAC";
	v[1].sentence = "the router answers an echo request from a frame that was addressed to "
			"another station's MAC";
	v[1].stimulus = trial_echo(t, &from, p.from->router_ip, 32);
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		v[i].at = p.from;
		v[i].stimulus.eth.dst =
			mac_from_number(0x020000000000 | (rng_next(&t->rng) & 0xffffffffff));
		v[i].answer = (struct want){ .mark = true, .frame = v[i].stimulus };
	}
	return trial_forbid(t, &p, v, ARRAY_SIZE(v), control_forward);
}

const struct check checks_eth[] = {
	{
		.id = "eth.mac",
		.title = "uses the MAC address of its interface",
		.rfc = "RFC 826",
		.needs = "arp.reply",
		.args = "on",
		.points = 1,
		.hints = { "Which MAC address does 'ip link show net1' show?",
			   "Each of your interfaces has a MAC address of its own. The lab tells it "
			   "to you; do not invent one.",
			   "Read networks.net1.mac from the file that LAB_FILE names, or "
			   "/sys/class/net/net1/address." },
		.explain = "Neighbours learn the router's MAC address by ARP and send there, "
			   "whatever it is, so a made-up\n"
			   "address works in this lab. On a real network card it does not: the "
			   "card only lets through\n"
			   "frames to its own address, and switches may block a port that uses "
			   "another one.",
		.run = eth_mac,
	},
	{
		.id = "eth.rewrite",
		.title = "sends from its own MAC on that network, to the next hop's",
		.rfc = "RFC 1812 5.2.1",
		.needs = "ipv4.forward",
		.args = "from to",
		.points = 1,
		.hints = { "Whose MAC addresses belong into the frame that leaves the router?",
			   "Each network has its own Ethernet header: take the old one off, put a "
			   "new one on.",
			   "Source = MAC of your interface on the outgoing network, destination = "
			   "MAC of the next hop from your ARP table." },
		.explain = "An Ethernet header is good for one network only. The IP addresses stay "
			   "the same all the way,\n"
			   "the MAC addresses change at every router.",
		.run = eth_rewrite,
	},
	{
		.id = "eth.other",
		.title = "ignores frames addressed to another station",
		.rfc = "RFC 1812 5.3.4",
		.needs = "ipv4.forward",
		.args = "from to",
		.points = 1,
		.hints = { "Does every frame that your socket reads concern you?",
			   "A raw socket sees all that passes on the wire, also what is for "
			   "others.",
			   "Drop frames whose destination is neither your MAC on that interface "
			   "nor broadcast." },
		.explain =
			"On a network with several stations a raw socket may see frames that are "
			"meant for others.\n"
			"A router that forwards those too sends everything twice.",
		.run = eth_other,
	},
	{ 0 },
};
