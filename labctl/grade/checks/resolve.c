/* SPDX-License-Identifier: MIT */
/* resolve.c - checks of the Address Resolution Protocol: what the router asks, and remembers. */
#include "grade/checks/resolve.h"

#include "base/mem.h"
#include "grade/story.h"

#include "base/banned.h"

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

/* Something to forward: UDP, or echo requests when the router forwards no UDP. */
static struct frame something(struct trial *t, const struct station *from, const struct station *to,
			      size_t len)
{
	return t->g->no_udp ? trial_echo(t, from, to->ip, len) : trial_datagram(t, from, to, len);
}

static bool reaches(struct trial *t, const struct path *p, const struct station *guest)
{
	struct station from = place_station(p->from);
	struct frame out = something(t, &from, guest, 32);
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

bool asked_slowly(struct trial *t, const struct station *silent, size_t start)
{
	struct want question = question_about(silent);
	uint64_t last = 0;
	size_t asked = 0;

	for (size_t i = start; i < probe_count(t->g->probe); i++) {
		const struct seen *s = probe_get(t->g->probe, i);

		if (s->port != silent->at->port || !want_means(&question, s) ||
		    s->f.arp.op != ARP_REQUEST)
			continue;
		if (asked++ && s->ns - last < ASK_LEAST_NS)
			return trial_fail(t,
					  "the router asks more than once a second for the same "
					  "address: a second request came after %.0f ms",
					  (double)(s->ns - last) / 1e6);
		last = s->ns;
	}
	return true;
}

/* Datagrams to a neighbour that never answers; the last is in *ret, still to be sent. */
static bool wait_in_vain(struct trial *t, const struct path *p, const struct station *silent,
			 struct taboo *ret)
{
	struct station from = place_station(p->from);

	for (int i = 0; i < 4; i++) {
		struct frame out = something(t, &from, silent, 32);

		if (!trial_send(t, p->from, &out))
			return false;
	}
	*ret = (struct taboo){ .at = p->from, .name = "a datagram" };
	ret->stimulus = something(t, &from, silent, 32);
	ret->answer = want_trace(&ret->stimulus);
	ret->sentence = "the router sent a datagram although nobody told it where to";
	return trial_alive_or(t, p, deaf);
}

/* However many datagrams wait for the answer, both ways. */
static bool asks_once(struct trial *t, const struct path ways[2])
{
	size_t start = probe_count(t->g->probe);
	struct station silent[2];
	struct taboo v[2];

	for (size_t i = 0; i < 2; i++) {
		if (!trial_guest(t, ways[i].to, &silent[i]))
			return false;
		if (t->g->n_silent < SILENT_MAX)
			t->g->silent[t->g->n_silent++] =
				(struct silent){ .ip = silent[i].ip, .port = silent[i].at->port };
		if (!wait_in_vain(t, &ways[i], &silent[i], &v[i]))
			return false;
	}
	if (!trial_forbid(t, &ways[0], v, 2, control_life))
		return false;
	for (size_t i = 0; i < 2; i++) {
		if (!asked_slowly(t, &silent[i], start)) {
			story_note(t, &v[i].stimulus, NULL, NULL);
			return false;
		}
	}
	return true;
}

/* No question came: perhaps one for the address turned round? */
static bool asked_in_host_order(struct trial *t, const struct station *guest)
{
	struct want question = question_about(guest);
	uint32_t ip = guest->ip;

	question.frame.arp.tpa = ip << 24 | (ip & 0xff00) << 8 | (ip >> 8 & 0xff00) | ip >> 24;
	if (!trial_count(t, guest->at, &question, t->since))
		return false;
	trial_fail(t,
		   "the router asks who has %s: that is %s with its bytes in reverse order. In a "
		   "packet the most significant byte comes first (network byte order)",
		   ip4_text(question.frame.arp.tpa).s, ip4_text(ip).s);
	return true;
}

/* Who forwards ping first and UDP later asks for ping's sake: what is missing is for ipv4.forward to
 * say. */
static bool asks_for_echo(struct trial *t, const struct path *p)
{
	struct station from = place_station(p->from), guest;
	struct want question;
	struct frame echo;

	if (t->g->no_udp || !trial_guest(t, p->to, &guest))
		return false;
	echo = trial_echo(t, &from, guest.ip, 56);
	question = question_about(&guest);
	t->g->no_udp = trial_send(t, p->from, &echo) && trial_await(t, p->to, &question);
	return t->g->no_udp;
}

static bool asked_there_only(struct trial *t, const struct path *p, const struct frame *out,
			     const struct want *question, size_t start)
{
	if (!trial_count(t, p->from, question, start))
		return true;
	story_note(t, out, NULL, NULL);
	return trial_fail(t,
			  "the router asks who has %s on the network of %s, too, where nobody can "
			  "have it: it asks on the network that the address belongs to, and on no "
			  "other",
			  ip4_text(question->frame.arp.tpa).s, p->from->client->name);
}

static bool resolves(struct trial *t, const struct path *p)
{
	struct station from = place_station(p->from), guest;
	struct frame out, reply;
	size_t start = probe_count(t->g->probe);
	struct want question;
	bool told;

	if (!trial_guest(t, p->to, &guest))
		return false;
	/* Not by the lab's convention: who computes MACs instead of asking is wrong now. */
	guest.mac = trial_random_mac(t);
	out = something(t, &from, &guest, 32);
	question = question_about(&guest);
	question.judge = ARP_ALL | F(ETH_DST) | F(ETH_SRC);
	if (!trial_send(t, p->from, &out))
		return false;
	if (!trial_await(t, p->to, &question) && !asked_in_host_order(t, &guest) &&
	    asks_for_echo(t, p))
		return resolves(t, p);
	told = t->reason != NULL;
	if (told || !trial_expect(t, p->to, &question)) {
		/* ... and not the echo request that was tried since. */
		if (!t->evidence.seen)
			story_note(t, &out, NULL, told ? NULL : p->to);
		return false;
	}
	trial_answer(t, &guest);
	reply = arp_tell(&guest, &(struct station){ p->to, p->to->router_ip, p->to->router_mac });
	/* The second goes to whom the router knows. */
	return trial_send(t, p->to, &reply) && reaches(t, p, &guest) && reaches(t, p, &guest) &&
	       asked_slowly(t, &guest, start) && asked_there_only(t, p, &out, &question, start);
}

static bool arp_resolve(struct trial *t)
{
	struct path ways[2];

	if (!trial_path(t, &ways[0]))
		return false;
	ways[1] = path_back(&ways[0]);
	return resolves(t, &ways[0]) && resolves(t, &ways[1]) && asks_once(t, ways);
}

/* arp.queue */

/* Datagrams that wait for a neighbour's MAC; the first need not be kept. */
struct waiting {
	struct station guest;
	struct frame first, out;
};

/* Two datagrams to an unknown neighbour: the second is the one that must wait. */
static bool put_aside(struct trial *t, const struct path *p, size_t len, struct waiting *ret)
{
	struct station from = place_station(p->from);
	struct want question;

	if (!trial_guest(t, p->to, &ret->guest))
		return false;
	ret->first = something(t, &from, &ret->guest, 32);
	ret->out = something(t, &from, &ret->guest, len);
	question = question_about(&ret->guest);
	if (!trial_send(t, p->from, &ret->first))
		return false;
	if (!trial_await(t, p->to, &question) && trial_waits_for(t, "arp.resolve"))
		return false;
	return trial_expect(t, p->to, &question) && trial_send(t, p->from, &ret->out);
}

#define WAITING_JUDGED                                                                             \
	(F(ETH_DST) | F(IPV4_SRC) | F(IPV4_DST) | F(IPV4_PROTO) | F(IPV4_LENGTH) |                 \
	 F(IPV4_CHECKSUM) | F(PAYLOAD))

/* What the router makes of a datagram that need not wait. */
struct known {
	struct frame out;
	fields_t right;
	uint8_t ttl;
};

/* False, without a lesson, when it does not deliver it: that is for ipv4.forward to say. */
static bool is_known(struct trial *t, const struct path *p, size_t len, struct known *ret)
{
	struct station from = place_station(p->from), to = place_station(p->to);
	struct frame out = something(t, &from, &to, len);
	struct want w = want_trace(&out);
	const struct frame *seen;

	if (!trial_send(t, p->from, &out) || !trial_await(t, p->to, &w))
		return false;
	seen = trial_expect(t, p->to, &w);
	if (!seen)
		return false;
	w.frame = path_forwarded(p, &out);
	*ret = (struct known){ out, WAITING_JUDGED & ~frame_diff(&w.frame, seen, WAITING_JUDGED),
			       seen->ipv4.ttl };
	return true;
}

/* What had to wait is as right as what had not. */
static bool comes_out(struct trial *t, const struct path *p, const struct waiting *w,
		      const struct known *known)
{
	const struct station router = { p->to, p->to->router_ip, p->to->router_mac };
	struct want delivered = {
		.what = "the datagram that had to wait",
		.missing = "a datagram to a neighbour whose MAC was not known yet is lost: the "
			   "router must keep at least the latest one for each neighbour until the "
			   "ARP reply comes",
		.frame = path_forwarded(p, &w->out),
		.all = F(ETH_TYPE),
		.mark = true,
		.judge = known->right | F(IPV4_TTL),
	};
	struct frame reply;

	trial_answer(t, &w->guest);
	reply = arp_tell(&w->guest, &router);
	delivered.frame.eth.dst = w->guest.mac;
	delivered.frame.ipv4.ttl = known->ttl;
	return trial_send(t, p->to, &reply) && trial_expect(t, p->to, &delivered);
}

/* Who sends everything twice has another fault: see ipv4.forward. */
static bool once(struct trial *t, const struct path *p, const struct waiting *w,
		 const struct known *known)
{
	struct want trace = want_trace(&w->out), plain = want_trace(&known->out);
	size_t n = trial_count(t, p->to, &trace, 0);

	if (n < 2 || trial_count(t, p->to, &plain, 0) > 1)
		return true;
	story_note(t, &w->out, NULL, NULL);
	return trial_fail(
		t,
		"the router sends a datagram that had to wait for the ARP reply %zu times: "
		"once it is sent, it must not stay in the queue",
		n);
}

/* The place in the journal of what became of it; that of its end: nothing. */
static size_t arrival(const struct trial *t, const struct place *at, const struct frame *out)
{
	const struct want trace = want_trace(out);
	size_t i = 0;

	while (i < probe_count(t->g->probe) && (probe_get(t->g->probe, i)->port != at->port ||
						!want_means(&trace, probe_get(t->g->probe, i))))
		i++;
	return i;
}

static bool in_order(struct trial *t, const struct path *p, const struct waiting *w)
{
	size_t first = arrival(t, p->to, &w->first);

	if (first == probe_count(t->g->probe) || first < arrival(t, p->to, &w->out))
		return true;
	story_note(t, &w->first, &probe_get(t->g->probe, first)->f, NULL);
	return trial_fail(t, "the router sends datagrams that waited for the ARP reply in another "
			     "order than they came in: the one that waited longest goes first");
}

/* Two neighbours that nobody knows yet: the second answers first. */
static bool keeps(struct trial *t, const struct path *p, size_t len)
{
	const struct path back = path_back(p);
	struct waiting one, other;
	struct known known;

	if (!is_known(t, p, len, &known))
		return !t->reason;
	if (!put_aside(t, p, len, &one) || !put_aside(t, p, len, &other))
		return false;
	/* Once this is answered, the router has seen the datagrams. */
	if (!control_life(t, p) && trial_waits_for(t, "arp.resolve"))
		return false;
	return trial_alive_or(t, p, deaf) && comes_out(t, p, &other, &known) &&
	       comes_out(t, p, &one, &known) && trial_alive(t, &back) && once(t, p, &one, &known) &&
	       once(t, p, &other, &known) && in_order(t, p, &one) && in_order(t, p, &other);
}

static struct want echo_reply(const struct frame *request, uint32_t to)
{
	struct want w = { .what = "the echo reply that had to wait",
			  .missing = "the router did not answer an echo request of a neighbour "
				     "whose MAC it did not know yet: its own packets have to wait "
				     "for the ARP reply, too",
			  .frame = *request,
			  .all = F(ETH_TYPE) | F(IPV4_DST),
			  .mark = true };

	w.frame.ipv4.dst = to;
	return w;
}

/* What the router says itself has to wait like what it forwards. */
static bool keeps_its_own(struct trial *t, const struct place *at)
{
	const struct station router = { at, at->router_ip, at->router_mac };
	struct station me = place_station(at), guest;
	struct frame request = trial_echo(t, &me, at->router_ip, 56), tell;
	struct want reply = echo_reply(&request, me.ip), question;

	/* Who answers no echo at all has another fault: see icmp.echo. */
	if (!trial_send(t, at, &request) || !trial_await(t, at, &reply))
		return !t->reason;
	if (!trial_guest(t, at, &guest))
		return false;
	request = trial_echo(t, &guest, at->router_ip, 56);
	reply = echo_reply(&request, guest.ip);
	question = question_about(&guest);
	tell = arp_tell(&guest, &router);
	if (!trial_send(t, at, &request))
		return false;
	/* Not asked, and perhaps answered all the same: that is for others to say. */
	if (!trial_await(t, at, &question))
		return trial_expect(t, at, &reply);
	trial_answer(t, &guest);
	return trial_send(t, at, &tell) && trial_expect(t, at, &reply);
}

static bool arp_queue(struct trial *t)
{
	struct path p, back;

	if (!trial_path(t, &p))
		return false;
	back = path_back(&p);
	return keeps(t, &p, 32) && keeps(t, &back, 32) && keeps(t, &p, path_room(&p, 28)) &&
	       keeps(t, &back, path_room(&back, 28)) && keeps_its_own(t, p.from) &&
	       keeps_its_own(t, p.to);
}

/* arp.update */

/* Sends the guest a datagram through the router, and expects it at the MAC that it has now. */
static bool follows(struct trial *t, const struct path *p, const struct station *guest,
		    const char *missing)
{
	struct station from = place_station(p->from);
	struct frame out = something(t, &from, guest, 32);
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
	guest->mac = trial_random_mac(t);
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

const struct check checks_resolve[] = {
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
