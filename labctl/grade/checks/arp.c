/* SPDX-License-Identifier: MIT */
/* arp.c - checks of the Address Resolution Protocol. */
#include "base/mem.h"
#include "grade/trial.h"

#include "base/banned.h"

#define ARP_ALL                                                                                    \
	(F(ARP_HTYPE) | F(ARP_PTYPE) | F(ARP_HLEN) | F(ARP_PLEN) | F(ARP_OP) | F(ARP_SHA) |        \
	 F(ARP_SPA) | F(ARP_TPA))

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

static bool asks(struct trial *t, const struct place *at, bool unicast)
{
	struct station asker;
	struct frame ask;
	struct want reply;

	if (!trial_guest(t, at, &asker))
		return false;
	ask = arp_ask(&asker, at->router_ip);
	reply = reply_to(&asker);
	reply.judge = ARP_ALL | F(ARP_THA) | F(ETH_DST) | F(ETH_SRC);
	if (unicast) {
		ask.eth.dst = at->router_mac;
		reply.missing = "the router answers who-has by broadcast but not by unicast, which "
				"is how a neighbour confirms what it knows";
	}
	if (!trial_send(t, at, &ask))
		return false;
	return trial_expect(t, at, &reply) ? true : name_exchange(t, &asker);
}

static bool arp_reply(struct trial *t)
{
	const struct place *at;

	for (size_t i = 0; (at = trial_place(t, i)); i++) {
		if (!asks(t, at, false) || !asks(t, at, true))
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

static bool arp_reply_other(struct trial *t)
{
	struct station asker[3], stranger;
	struct frame ask;
	struct taboo v[3];
	struct path p;

	if (!trial_path(t, &p) || is_mute(t, &p) || !trial_guest(t, p.from, &stranger))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(asker); i++) {
		if (!trial_guest(t, p.from, &asker[i]))
			return false;
	}
	ask = arp_ask(&asker[0], stranger.ip);
	v[0] = silent_arp(&asker[0], &ask, "a who-has for a neighbour's address",
			  "the router answers who-has for an address that is not its own");
	ask = arp_ask(&asker[1], p.to->ip);
	v[1] = silent_arp(&asker[1], &ask, "a who-has for an address of another network",
			  "the router answers who-has for an address of another network: whoever "
			  "wants to go there asks for the gateway's address");
	ask = arp_ask(&asker[2], p.from->router_ip);
	ask.arp.op = ARP_REPLY;
	v[2] = silent_arp(&asker[2], &ask, "an ARP reply",
			  "the router answers an ARP reply: only requests are answered");
	return trial_forbid(t, &p, v, ARRAY_SIZE(v), control_life);
}

/* arp.malformed */

static bool arp_malformed(struct trial *t)
{
	static const struct {
		enum field field;
		uint64_t value;
		const char *name, *sentence;
	} cases[] = {
		{ F_ARP_HTYPE, 7, "an ARP request with hardware type 7",
		  "the router answers a request whose hardware type is not Ethernet (1)" },
		{ F_ARP_PTYPE, 0x86dd, "an ARP request with protocol type 0x86dd",
		  "the router answers a request whose protocol type is not IPv4 (0x0800)" },
		{ F_ARP_HLEN, 8, "an ARP request with hardware length 8",
		  "the router answers a request whose hardware length is not 6" },
		{ F_ARP_PLEN, 16, "an ARP request with protocol length 16",
		  "the router answers a request whose protocol length is not 4" },
	};
	struct station asker[ARRAY_SIZE(cases) + 1];
	struct taboo v[ARRAY_SIZE(asker)];
	struct frame ask, cut = { .has = LAYER_ETH };
	struct path p;

	if (!trial_path(t, &p) || is_mute(t, &p))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(asker); i++) {
		if (!trial_guest(t, p.from, &asker[i]))
			return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ask = arp_ask(&asker[i], p.from->router_ip);
		frame_set(&ask, cases[i].field, cases[i].value);
		v[i] = silent_arp(&asker[i], &ask, cases[i].name, cases[i].sentence);
	}
	/* Ends in the middle of the sender's addresses. */
	cut.eth.dst = mac_from_number(0xffffffffffff);
	cut.eth.src = asker[ARRAY_SIZE(cases)].mac;
	cut.eth.type = ETHERTYPE_ARP;
	cut.payload = (const uint8_t *)"\x00\x01\x08\x00\x06\x04\x00\x01\x02\x42";
	cut.payload_len = 10;
	v[ARRAY_SIZE(cases)] =
		silent_arp(&asker[ARRAY_SIZE(cases)], &cut, "an ARP frame that ends after 10 bytes",
			   "the router answers an ARP frame that is cut off");
	return trial_forbid(t, &p, v, ARRAY_SIZE(v), control_life);
}

/* arp.resolve */

static struct want question_about(const struct station *guest)
{
	struct station router = { guest->at, guest->at->router_ip, guest->at->router_mac };
	struct want w = { .what = "the router's ARP request",
			  .missing = "the router did not ask who has the address of the next hop: "
				     "no ARP request came",
			  .frame = arp_ask(&router, guest->ip),
			  .all = F(ETH_TYPE) | F(ARP_TPA) };

	return w;
}

static bool reaches(struct trial *t, const struct path *p, const struct station *guest)
{
	struct station from = place_station(p->from);
	struct frame out = trial_datagram(t, &from, guest, 32);
	struct path back = path_back(p);
	struct want w = { .what = "the forwarded datagram",
			  .missing = "the router asked for the next hop's MAC, got the reply, and "
				     "still did not deliver to it",
			  .frame = path_forwarded(p, &out),
			  .all = F(ETH_TYPE),
			  .mark = true };
	const struct frame *seen;

	w.frame.eth.dst = guest->mac;
	/* The answer to this says that the router has read the reply before it. */
	if (!trial_alive(t, &back) || !trial_send(t, p->from, &out))
		return false;
	seen = trial_expect(t, p->to, &w);
	if (!seen)
		return false;
	/* Who broadcasts what it forwards has another fault: see eth.rewrite. */
	w.judge = seen->eth.dst.b[0] & 1 ? 0 : F(ETH_DST);
	return trial_judge(t, &w, seen);
}

static const char deaf[] =
	"while the router waits for an ARP reply it does nothing else: it must put "
	"the packet aside and go on with whatever arrives meanwhile";

/* At most one question a second, however many datagrams wait for the answer. */
static bool asks_once(struct trial *t, const struct path *p)
{
	struct station from = place_station(p->from), silent;
	size_t start = probe_count(t->g->probe), asked = 0;
	struct want question;
	uint64_t last = 0;

	if (!trial_guest(t, p->to, &silent))
		return false;
	question = question_about(&silent);
	for (int i = 0; i < 5; i++) {
		struct frame out = trial_datagram(t, &from, &silent, 32);
		struct taboo none = { .at = p->from, .stimulus = out, .name = "a datagram" };

		none.answer = want_trace(&out);
		none.sentence = "the router sent a datagram although nobody told it where to";
		if (i == 4 && !trial_alive_or(t, p, deaf))
			return false;
		if (i < 4 ? !trial_send(t, p->from, &out)
			  : !trial_forbid(t, p, &none, 1, control_life))
			return false;
	}
	for (size_t i = start; i < probe_count(t->g->probe); i++) {
		const struct seen *s = probe_get(t->g->probe, i);

		if (s->port != p->to->port || !want_means(&question, s))
			continue;
		/* 0.8 s: its clock, and when its frames leave, are not exactly ours. */
		if (asked++ && s->ns - last < 800 * NS_PER_MS)
			return trial_fail(t,
					  "the router asks more than once a second for the same "
					  "address: a second request came after %.0f ms",
					  (double)(s->ns - last) / 1e6);
		last = s->ns;
	}
	return true;
}

static bool arp_resolve(struct trial *t)
{
	struct station from, guest;
	struct frame out, reply;
	struct want question;
	struct path p;

	if (!trial_path(t, &p) || !trial_guest(t, p.to, &guest))
		return false;
	/* Not by the lab's convention: who computes MACs instead of asking is wrong now. */
	guest.mac = mac_from_number(0x020000000000 | (rng_next(&t->rng) & 0xffffffffff));
	from = place_station(p.from);
	out = trial_datagram(t, &from, &guest, 32);
	question = question_about(&guest);
	question.judge = ARP_ALL | F(ETH_DST) | F(ETH_SRC);
	if (!trial_send(t, p.from, &out) || !trial_expect(t, p.to, &question))
		return false;
	trial_answer(t, &guest);
	reply = arp_tell(&guest, &(struct station){ p.to, p.to->router_ip, p.to->router_mac });
	if (!trial_send(t, p.to, &reply))
		return false;
	return reaches(t, &p, &guest) && asks_once(t, &p);
}

/* arp.queue */

static bool arp_queue(struct trial *t)
{
	struct station from, guest;
	struct frame first, last, reply;
	struct want delivered = {
		.what = "the datagram that had to wait",
		.missing = "a datagram to a neighbour whose MAC was not known yet is lost: the "
			   "router must keep at least the latest one until the ARP reply comes",
		.all = F(ETH_TYPE),
		.mark = true,
	};
	struct want question;
	struct path p;

	if (!trial_path(t, &p) || !trial_guest(t, p.to, &guest))
		return false;
	from = place_station(p.from);
	first = trial_datagram(t, &from, &guest, 32);
	last = trial_datagram(t, &from, &guest, 32);
	question = question_about(&guest);
	if (!trial_send(t, p.from, &first))
		return false;
	if (!trial_await(t, p.to, &question) && trial_waits_for(t, "arp.resolve"))
		return false;
	if (!trial_expect(t, p.to, &question) || !trial_send(t, p.from, &last))
		return false;
	/* Once this is answered, the router has seen the second datagram. */
	if (!control_life(t, &p) && trial_waits_for(t, "arp.resolve"))
		return false;
	if (!trial_alive_or(t, &p, deaf))
		return false;
	trial_answer(t, &guest);
	reply = arp_tell(&guest, &(struct station){ p.to, p.to->router_ip, p.to->router_mac });
	delivered.frame = path_forwarded(&p, &last);
	return trial_send(t, p.to, &reply) && trial_expect(t, p.to, &delivered);
}

/* arp.update */

/* Sends the guest a datagram through the router, and expects it at the MAC that it has now. */
static bool follows(struct trial *t, const struct path *p, const struct station *guest,
		    const char *missing)
{
	struct station from = place_station(p->from);
	struct frame out = trial_datagram(t, &from, guest, 32);
	struct want w = { .what = "the datagram to the neighbour that moved",
			  .missing = missing,
			  .frame = path_forwarded(p, &out),
			  .all = F(ETH_TYPE),
			  .mark = true,
			  .judge = F(ETH_DST) };

	w.frame.eth.dst = guest->mac;
	return trial_send(t, p->from, &out) && trial_expect(t, p->to, &w);
}

/* The guest has another MAC from now on, and answers with it. */
static void move(struct trial *t, struct station *guest)
{
	guest->mac = mac_from_number(0x020000000000 | (rng_next(&t->rng) & 0xffffffffff));
	for (size_t i = 0; i < t->n_answering; i++) {
		if (t->answering[i].ip == guest->ip)
			t->answering[i].mac = guest->mac;
	}
}

static bool arp_update(struct trial *t)
{
	static const char *const missing[] = {
		"nothing more reaches a neighbour that told its new MAC by a gratuitous ARP",
		"nothing more reaches a neighbour that asked for the router's address with a new "
		"MAC",
		"nothing more reaches a neighbour that asked for somebody else's address with a "
		"new MAC: the router heard that, too",
	};
	struct station guest, other;
	struct path p, back;

	if (!trial_path(t, &p) || !trial_guest(t, p.to, &guest) || !trial_guest(t, p.to, &other))
		return false;
	back = path_back(&p);
	trial_answer(t, &guest);
	if (!trial_warm_up(t, &p, &guest))
		return false;
	const uint32_t asked[] = { guest.ip, p.to->router_ip, other.ip };

	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		struct frame f;

		move(t, &guest);
		f = arp_ask(&guest, asked[i]);
		/* The answer to the next question says that this one was read. */
		if (!trial_send(t, p.to, &f) || !trial_alive(t, &back) ||
		    !follows(t, &p, &guest, missing[i]))
			return false;
	}
	return true;
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
	{
		.id = "arp.resolve",
		.title = "asks for unknown neighbours, at most once a second",
		.rfc = "RFC 1122 2.3.2.1",
		.needs = "arp.reply",
		.args = "from to",
		.points = 2,
		.hints = { "How does your router learn the MAC of the station it forwards to?",
			   "Broadcast a request on the outgoing network and remember what the "
			   "reply says; do not compute or write down MACs.",
			   "Keep a table address -> MAC per network, and the time of the last "
			   "request for each address: ask again only after a second." },
		.explain = "The next hop's MAC is found out by ARP: a broadcast request on the "
			   "network "
			   "that leads there,\n"
			   "from the router's own address on that network. While no answer comes, "
			   "further datagrams must\n"
			   "not each cause a new request: at most one a second for each target "
			   "(RFC 1122 2.3.2.1).",
		.run = arp_resolve,
		.usable = trial_crosses,
	},
	{
		.id = "arp.queue",
		.title = "keeps at least the latest packet while it resolves",
		.rfc = "RFC 1122 2.3.2.2",
		.needs = "arp.resolve",
		.args = "from to",
		.points = 1,
		.hints = { "What happens to the datagram for which you had to ask?",
			   "Put it aside with the address it waits for.",
			   "When the reply comes, send what waits for that address; of several "
			   "keep at least the newest." },
		.explain =
			"Without a queue the first packet of every conversation is lost: the first "
			"ping never comes\n"
			"back, every TCP connection begins with a second's wait. RFC 1122 asks to "
			"save at least the\n"
			"latest packet of each unresolved destination.",
		.run = arp_queue,
	},
	{
		.id = "arp.update",
		.title = "follows a neighbour whose MAC has changed",
		.rfc = "RFC 826",
		.needs = "ipv4.forward",
		.args = "from to",
		.points = 2,
		.hints = { "When does your router change an entry of its ARP table?",
			   "Any ARP frame tells something about its sender, a question as well as "
			   "an answer, and whoever it is for.",
			   "First, for every well-formed ARP frame: if there is an entry for the "
			   "sender's IP address on this network, put its MAC in. Then only look "
			   "whether you are the target." },
		.explain =
			"A station may get another MAC: a new card, or a stand-by machine that "
			"takes over its address. It\n"
			"says so in an ARP request about itself (gratuitous ARP), and in whatever "
			"else it asks. RFC 826\n"
			"merges the sender of every frame into the table if it is there already, "
			"so that nobody sends into\n"
			"nothing until his entry is too old.",
		.run = arp_update,
	},
	{ 0 },
};
