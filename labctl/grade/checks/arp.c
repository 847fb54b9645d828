/* SPDX-License-Identifier: MIT */
/* arp.c - checks of the Address Resolution Protocol: what the router answers. */
#include "base/mem.h"
#include "grade/trial.h"

#include "base/banned.h"

/* Any ARP frame that speaks of this station is about its question. */
static struct want reply_to(const struct station *asker)
{
	struct station router = { asker->at, asker->at->router_ip, asker->at->router_mac };
	struct want w = { .what = "the ARP reply",
			  .missing = "the router did not answer who-has for its own address",
			  .frame = arp_tell(&router, asker),
			  .all = F(ETH_TYPE),
			  .any = F(ARP_TPA) | F(ARP_THA) | F(ETH_DST) };

	return w;
}

/* arp.reply */

/* A usual slip: sender and target of the request were not exchanged, or only half of them. */
static bool name_exchange(struct trial *t, const struct station *asker)
{
	const struct frame *f = t->evidence.seen ? &t->evidence.seen->f : NULL;

	if (t->verdict != VERDICT_FAIL || !f || !(f->has & LAYER_ARP) || f->arp.op != ARP_REPLY)
		return false;
	if (f->arp.spa == asker->ip && f->arp.tpa == asker->at->router_ip)
		return trial_fail(t, "the ARP reply has sender and target as they were in the "
				     "request: in a reply they change places");
	if (macaddr_equal(&f->arp.sha, &asker->mac))
		return trial_fail(t, "the ARP reply gives the asker's own MAC as the sender's: the "
				     "sender of the reply is the router, the asker is its target");
	return false;
}

#define PADDING 18 /* from an ARP packet's 28 bytes to the 46 that the shortest frame carries */

enum manner {
	BROADCAST,
	PROBE, /* by one who has no address yet */
	UNICAST,
	PADDED,
	MANNERS
};

/* *ret: the answer. */
static bool asks(struct trial *t, const struct place *at, enum manner manner, struct want *ret)
{
	static const uint8_t zeros[PADDING];
	struct station asker;
	struct frame ask;
	struct want reply;

	if (!trial_guest(t, at, &asker))
		return false;
	asker.ip = manner == PROBE ? 0 : asker.ip;
	ask = arp_ask(&asker, at->router_ip);
	reply = reply_to(&asker);
	reply.judge = ARP_ALL | F(ARP_THA) | F(ETH_DST) | F(ETH_SRC);
	if (manner == PROBE) {
		reply.missing =
			"the router does not answer who-has from 0.0.0.0: so asks who has no "
			"address yet and wants to know whether one is free (RFC 5227)";
	} else if (manner == UNICAST) {
		ask.eth.dst = at->router_mac;
		reply.missing = "the router answers who-has by broadcast but not by unicast, which "
				"is how a neighbour confirms what it knows";
	} else if (manner == PADDED) {
		ask.trailer = zeros;
		ask.trailer_len = sizeof(zeros);
		reply.missing = "the router does not answer who-has in a frame that is padded to "
				"60 bytes, as most network cards send it: the ARP packet is its "
				"first 28 bytes";
	}
	*ret = reply;
	if (!trial_send(t, at, &ask))
		return false;
	return trial_expect(t, at, &reply) ? true : name_exchange(t, &asker);
}

static bool answered_once(struct trial *t, const struct place *at, const struct want v[MANNERS])
{
	for (enum manner m = 0; m < MANNERS; m++) {
		size_t n = trial_count(t, at, &v[m], 0);

		if (n > 1)
			return trial_fail(t, "the router answers one who-has%s %zu times",
					  m == PROBE ? " from 0.0.0.0 (RFC 5227)" : "", n);
	}
	return true;
}

static bool arp_reply(struct trial *t)
{
	struct want v[MANNERS];
	const struct place *at;

	for (size_t i = 0; (at = trial_place(t, i)); i++) {
		for (enum manner m = 0; m < MANNERS; m++) {
			if (!asks(t, at, m, &v[m]))
				return false;
		}
		if (!answered_once(t, at, v))
			return false;
	}
	return !t->reason;
}

/* A router that lives can be tried with a static neighbour. */
static bool arp_reply_usable(struct trial *t)
{
	for (size_t i = 0; i < t->g->n_places; i++) {
		if (t->g->places[i].life != LIFE_NONE)
			return true;
	}
	return false;
}

/* Who answers no who-has at all would pass every check of silence. */
static bool is_mute(struct trial *t, const struct path *p)
{
	return p->from->life != LIFE_ARP && trial_waits_for(t, "arp.reply");
}

/* arp.reply.other */

/* Any ARP frame to this asker would be an answer. */
static struct taboo silent_arp(const struct station *asker, const struct frame *stimulus,
			       const char *name, const char *sentence)
{
	struct taboo v = {
		.at = asker->at, .stimulus = *stimulus, .name = name, .sentence = sentence
	};

	v.answer = reply_to(asker);
	/* A question about the asker is no answer to it. */
	v.answer.any = F(ARP_THA) | F(ETH_DST);
	return v;
}

#define OTHERS 4

/* Of all that the router must not answer at p->from. */
static bool not_its_own(struct trial *t, const struct path *p, struct taboo v[OTHERS])
{
	struct station asker[OTHERS], stranger;
	struct frame ask;

	if (!trial_guest(t, p->from, &stranger))
		return false;
	for (size_t i = 0; i < OTHERS; i++) {
		if (!trial_guest(t, p->from, &asker[i]))
			return false;
	}
	ask = arp_ask(&asker[0], stranger.ip);
	v[0] = silent_arp(&asker[0], &ask, "a who-has for a neighbour's address",
			  "the router answers who-has for an address that is not its own");
	ask = arp_ask(&asker[1], p->to->ip);
	v[1] = silent_arp(&asker[1], &ask, "a who-has for an address of another network",
			  "the router answers who-has for an address of another network: whoever "
			  "wants to go there asks for the gateway's address");
	ask = arp_ask(&asker[2], p->to->router_ip);
	v[2] = silent_arp(&asker[2], &ask, "a who-has for its address on another network",
			  "the router answers who-has for its own address on another network: on "
			  "each network only its address there is to be had by ARP");
	ask = arp_ask(&asker[3], p->from->router_ip);
	ask.arp.op = ARP_REPLY;
	v[3] = silent_arp(&asker[3], &ask, "an ARP reply",
			  "the router answers an ARP reply: only requests are answered");
	return true;
}

static bool arp_reply_other(struct trial *t)
{
	struct taboo v[2 * OTHERS];
	struct path p, back;

	if (!trial_path(t, &p) || is_mute(t, &p))
		return false;
	back = path_back(&p);
	return not_its_own(t, &p, v) && not_its_own(t, &back, v + OTHERS) &&
	       trial_forbid(t, &p, v, ARRAY_SIZE(v), control_life);
}

/* arp.malformed */

static const struct {
	enum field field;
	uint64_t value;
	const char *name, *sentence;
} malformed[] = {
	{ F_ARP_HTYPE, 7, "an ARP request with hardware type 7",
	  "the router answers a request whose hardware type is not Ethernet (1)" },
	{ F_ARP_PTYPE, 0x86dd, "an ARP request with protocol type 0x86dd",
	  "the router answers a request whose protocol type is not IPv4 (0x0800)" },
	{ F_ARP_HLEN, 8, "an ARP request with hardware length 8",
	  "the router answers a request whose hardware length is not 6" },
	{ F_ARP_PLEN, 16, "an ARP request with protocol length 16",
	  "the router answers a request whose protocol length is not 4" },
	{ F_ARP_OP, 9, "an ARP packet with opcode 9",
	  "the router answers an ARP packet whose opcode is neither request (1) nor reply (2)" },
};

#define MALFORMED (ARRAY_SIZE(malformed) + 1)

static bool malformed_at(struct trial *t, const struct place *at, struct taboo v[MALFORMED])
{
	struct frame ask, cut = { .has = LAYER_ETH };
	struct station asker;

	for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
		if (!trial_guest(t, at, &asker))
			return false;
		ask = arp_ask(&asker, at->router_ip);
		frame_set(&ask, malformed[i].field, malformed[i].value);
		v[i] = silent_arp(&asker, &ask, malformed[i].name, malformed[i].sentence);
	}
	if (!trial_guest(t, at, &asker))
		return false;
	/* Ends in the middle of the sender's addresses. */
	cut.eth.dst = mac_from_number(0xffffffffffff);
	cut.eth.src = asker.mac;
	cut.eth.type = ETHERTYPE_ARP;
	cut.payload = (const uint8_t *)"\x00\x01\x08\x00\x06\x04\x00\x01\x02\x42";
	cut.payload_len = 10;
	v[MALFORMED - 1] = silent_arp(&asker, &cut, "an ARP frame that ends after 10 bytes",
				      "the router answers an ARP frame that is cut off");
	return true;
}

static bool arp_malformed(struct trial *t)
{
	struct taboo v[2 * MALFORMED];
	struct path p;

	return trial_path(t, &p) && !is_mute(t, &p) && malformed_at(t, p.from, v) &&
	       malformed_at(t, p.to, v + MALFORMED) &&
	       trial_forbid(t, &p, v, ARRAY_SIZE(v), control_life);
}

const struct check checks_arp[] = {
	{
		.id = "arp.reply",
		.title = "answers who-has for its own address",
		.rfc = "RFC 826",
		.args = "on",
		.points = 1,
		.hints = { "What must be in each field of an ARP reply, and to whom does it go?",
			   "The reply turns the request round: the asker's addresses become the "
			   "target's, yours become the sender's.",
			   "op=2, sha/spa = your MAC and IP on that network, tha/tpa = sha/spa of "
			   "the request; Ethernet destination = the asker, source = you. Answer "
			   "unicast requests too." },
		.explain =
			"Before a neighbour can send you anything it asks the whole network: who "
			"has "
			"1.1.1.1?\n"
			"The router answers for its own address on that network, and to the asker "
			"alone.\n"
			"A neighbour that knows you already may ask again by unicast, to confirm.",
		.run = arp_reply,
		.usable = arp_reply_usable,
	},
	{
		.id = "arp.reply.other",
		.title = "stays silent for addresses that are not its own",
		.rfc = "RFC 826",
		.needs = "arp.reply",
		.args = "from to",
		.points = 1,
		.hints = { "For which addresses may your router answer?",
			   "Compare the request's target address with your address on the network "
			   "the request came from.",
			   "Answer only when op=1 and tpa is your own address; otherwise do "
			   "nothing at all." },
		.explain = "Who answers for somebody else's address takes away that station's "
			   "traffic. "
			   "The target\n"
			   "protocol address decides, and only a request (opcode 1) asks for an "
			   "answer.",
		.run = arp_reply_other,
	},
	{
		.id = "arp.malformed",
		.title = "ignores malformed ARP",
		.rfc = "RFC 826",
		.needs = "arp.reply",
		.args = "from to",
		.points = 1,
		.hints = { "What if the frame is not what its EtherType promises?",
			   "Look at the first eight bytes, and at the length, before you read the "
			   "addresses.",
			   "Fewer than 28 bytes, htype other than 1, ptype other than 0x0800, hlen "
			   "other than 6, plen other than 4: drop." },
		.explain =
			"RFC 826 asks in this order: do I have this hardware type? this protocol? "
			"Lengths that do not\n"
			"fit mean that the addresses lie elsewhere than you think. A frame that is "
			"cut must not end\n"
			"your program either.",
		.run = arp_malformed,
	},
	{ 0 },
};
