/* SPDX-License-Identifier: MIT */
/* eth.c - checks of what the router does with Ethernet headers. */
#include "base/mem.h"
#include "grade/series.h"
#include "grade/story.h"

#include "base/banned.h"

#define SAMPLE 32 /* datagrams each way of which a check looks at everything */

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
	const struct seen *s, *asked;

	if (!trial_life(t, at, 0)) {
		if (t->verdict == VERDICT_ERROR || trial_waits_for(t, "arp.reply"))
			return false;
		return trial_fail(t, "the router answers nothing on %s", at->net->name);
	}
	s = its_answer(t, at);
	if (!s || macaddr_equal(&s->f.eth.src, &where->seat_mac))
		return true;
	w.frame.has = LAYER_ETH;
	asked = probe_get(t->g->probe, t->since);
	w.frame.eth.src = where->seat_mac;
	trial_judge(t, &w, &s->f);
	t->evidence.about = asked;
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

/* The reply to this echo request, whatever MAC it goes to. */
static struct want echo_reply(const struct frame *request, const struct station *asker)
{
	struct want w = { .what = "the echo reply",
			  .missing = "the router did not answer an echo request",
			  .frame = *request,
			  .all = F(ETH_TYPE) | F(IPV4_PROTO) | F(IPV4_DST) | F(ICMP_TYPE),
			  .mark = true,
			  .judge = F(ETH_SRC) | F(ETH_DST) };

	w.frame.eth.src = asker->at->router_mac;
	w.frame.eth.dst = asker->mac;
	w.frame.ipv4.dst = asker->ip;
	w.frame.ipv4.src = request->ipv4.dst;
	w.frame.icmp.type = ICMP_ECHO_REPLY;
	return w;
}

/* A neighbour that the router knows by ARP, and a request of his that comes in a frame from
 * another MAC, as through a second router: the reply goes where ARP says. */
static bool replies_by_arp(struct trial *t, const struct path *p)
{
	struct station asker;
	struct frame ask, request;
	struct want reply;

	if (!trial_guest(t, p->from, &asker))
		return false;
	trial_answer(t, &asker);
	ask = arp_ask(&asker, p->from->router_ip);
	request = trial_echo(t, &asker, p->from->router_ip, 32);
	reply = echo_reply(&request, &asker);
	if (!trial_send(t, p->from, &ask) || !trial_alive(t, p) ||
	    !trial_send(t, p->from, &request))
		return false;
	/* Who answers no echo at all has another fault: see icmp.echo. */
	if (!trial_await(t, p->from, &reply))
		return t->verdict != VERDICT_ERROR;
	if (!trial_expect(t, p->from, &reply))
		return false;
	request = trial_echo(t, &asker, p->from->router_ip, 32);
	reply = echo_reply(&request, &asker);
	request.eth.src = trial_random_mac(t);
	reply.what = "the reply to an echo request that came in a frame from another MAC than "
		     "its sender has by ARP";
	reply.missing = "the router did not answer an echo request that came in a frame from "
			"another MAC than its sender has by ARP";
	return trial_send(t, p->from, &request) && trial_expect(t, p->from, &reply);
}

static bool eth_rewrite(struct trial *t)
{
	struct path p, back;

	if (!trial_path(t, &p))
		return false;
	back = path_back(&p);
	return rewritten(t, &p) && rewritten(t, &back) &&
	       series_both_ways(t, &p, SAMPLE, F(ETH_SRC) | F(ETH_DST)) && replies_by_arp(t, &p) &&
	       replies_by_arp(t, &back);
}

/* eth.other */

static const struct {
	uint64_t mac; /* 0: another station's */
	const char *name, *sentence;
} elsewhere[] = {
	{ 0, "a datagram in a frame to another station's MAC",
	  "the router forwards a datagram from a frame that was addressed to another station's "
	  "MAC" },
	{ 0xffffffffffff, "a datagram in a broadcast frame",
	  "the router forwards a datagram to a single host from a frame that was sent to all "
	  "stations: every router of the network would forward it" },
	{ 0x01005e000005, "a datagram in a multicast frame",
	  "the router forwards a datagram to a single host from a frame that was sent to a group "
	  "of stations: every router of the group would forward it" },
};

/* What is on every network, and is neither ARP nor IPv4. */
static const struct {
	uint64_t mac;
	uint16_t type; /* below 1536 it is a length: IEEE 802.3 */
	const char *name, *sentence;
} foreign[] = {
	{ 0x333300000002, 0x86dd, "an IPv6 frame",
	  "the router sends an IPv6 frame on: the EtherType says which protocol follows, and yours "
	  "are 0x0800 and 0x0806" },
	{ 0x0180c200000e, 0x88cc, "a frame of LLDP, as switches send",
	  "the router sends a frame on that is neither ARP nor IPv4" },
	{ 0xffffffffffff, 0x8863, "a frame of another protocol (PPPoE)",
	  "the router sends a frame on that is neither ARP nor IPv4" },
	{ 0x0180c2000000, 38,
	  "a frame of a switch (IEEE 802.3, a length in place of the EtherType)",
	  "the router sends a frame on that is neither ARP nor IPv4" },
};

#define NOT_OURS (ARRAY_SIZE(elsewhere) + ARRAY_SIZE(foreign) + 1)

static struct taboo foreign_frame(struct trial *t, const struct path *p, size_t i)
{
	struct taboo v = { .at = p->from,
			   .name = foreign[i].name,
			   .sentence = foreign[i].sentence,
			   .answer = { .mark = true } };

	v.stimulus = (struct frame){ .has = LAYER_ETH,
				     .eth.dst = mac_from_number(foreign[i].mac),
				     .eth.src = p->from->mac,
				     .eth.type = foreign[i].type,
				     .payload = trial_bytes(t, 48),
				     .payload_len = 48 };
	v.answer.frame = v.stimulus;
	return v;
}

static void not_ours(struct trial *t, const struct path *p, struct taboo v[NOT_OURS])
{
	struct station from = place_station(p->from), to = place_station(p->to);
	struct taboo *echo = &v[NOT_OURS - 1];

	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		v[ARRAY_SIZE(elsewhere) + i] = foreign_frame(t, p, i);
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++) {
		struct macaddr mac =
			elsewhere[i].mac ? mac_from_number(elsewhere[i].mac) : trial_random_mac(t);

		v[i] = (struct taboo){ .at = p->from,
				       .name = elsewhere[i].name,
				       .sentence = elsewhere[i].sentence };
		v[i].stimulus = trial_datagram(t, &from, &to, 32);
		v[i].stimulus.eth.dst = mac;
		v[i].answer = (struct want){ .mark = true, .frame = v[i].stimulus };
	}
	*echo = (struct taboo){
		.at = p->from,
		.name = "an echo request in a frame to another station's MAC",
		.sentence = "the router answers an echo request from a frame that was addressed to "
			    "another station's MAC"
	};
	echo->stimulus = trial_echo(t, &from, p->from->router_ip, 32);
	echo->stimulus.eth.dst = trial_random_mac(t);
	echo->answer = (struct want){ .mark = true, .frame = echo->stimulus };
}

static bool eth_other(struct trial *t)
{
	struct taboo v[2 * NOT_OURS];
	struct path p, back;

	if (!trial_path(t, &p))
		return false;
	back = path_back(&p);
	not_ours(t, &p, v);
	not_ours(t, &back, v + NOT_OURS);
	return trial_forbid(t, &p, v, ARRAY_SIZE(v), control_forward);
}

/* eth.trailer */

#define ETH_HLEN    14
#define FRAME_LEAST 60 /* without the check sequence: shorter frames are padded */

/* Padding is zeros up to the least length of a frame; anything else came from somewhere. */
static bool ends_there(struct trial *t, const char *what, const struct frame *out,
		       const struct frame *f)
{
	size_t zeros = 0, len = ETH_HLEN + (size_t)f->ipv4.length + f->trailer_len;

	while (zeros < f->trailer_len && f->trailer[zeros] == 0)
		zeros++;
	if (zeros == f->trailer_len && (!zeros || len <= FRAME_LEAST))
		return true;
	return trial_fail(
		t,
		"%s came with %zu bytes behind the end of the datagram, which has a total "
		"length of %u: they are not part of it (the frame that brought it had %zu "
		"such bytes)",
		what, f->trailer_len, f->ipv4.length, out->trailer_len);
}

static void add_trailer(struct trial *t, struct frame *f, size_t n)
{
	uint8_t *bytes = xmalloc(n);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)rng_range(&t->rng, 1, 255);
	*array_push(t->payloads, t->n_payloads) = bytes;
	f->trailer = bytes;
	f->trailer_len = n;
}

static bool left_behind(struct trial *t, const struct path *p, size_t payload, size_t n)
{
	struct station from = place_station(p->from), to = place_station(p->to);
	struct frame out = trial_datagram(t, &from, &to, payload);
	struct want w = want_trace(&out);
	const struct frame *seen;

	w.missing = "the router did not deliver a datagram in a frame that is longer than it";
	add_trailer(t, &out, n);
	if (!trial_send(t, p->from, &out))
		return false;
	seen = trial_expect(t, p->to, &w);
	return seen && ends_there(t, "the forwarded frame", &out, seen);
}

static bool reply_without(struct trial *t, const struct path *p, size_t data, size_t n)
{
	struct station from = place_station(p->from);
	struct frame request = trial_echo(t, &from, p->from->router_ip, data);
	struct want w = echo_reply(&request, &from);
	const struct frame *seen;

	w.judge = 0;
	w.missing = "the router did not answer an echo request in a frame that is longer than it";
	add_trailer(t, &request, n);
	if (!trial_send(t, p->from, &request))
		return false;
	seen = trial_expect(t, p->from, &w);
	return seen && ends_there(t, "the echo reply", &request, seen);
}

static bool sheds_trailers(struct trial *t, const struct path *p)
{
	const size_t most = path_room(p, 28), room = most > 100 ? most : 100;
	const size_t large = room / 3 * 2, least = MARK_LEN + 8;
	const struct {
		size_t datagram, trailer;
	} sizes[] = {
		{ 36, 64 },
		{ 99, 1 },
		{ least, 2 },
		{ least, room - least },
		{ large, 1 },
		{ room - 1, 1 },
		{ large, room - large },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (!left_behind(t, p, sizes[i].datagram, sizes[i].trailer))
			return false;
	}
	return reply_without(t, p, 56, 40) && reply_without(t, p, 16, room - 16) &&
	       reply_without(t, p, room - 10, 10);
}

static bool eth_trailer(struct trial *t)
{
	struct path p, back;

	if (!trial_path(t, &p))
		return false;
	back = path_back(&p);
	return sheds_trailers(t, &p) && sheds_trailers(t, &back);
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
			   "nor broadcast; of IP packets to a single host, those in broadcast "
			   "frames, too." },
		.explain =
			"On a network with several stations a raw socket may see frames that are "
			"meant for others.\n"
			"A router that forwards those too sends everything twice. The same is true "
			"of a packet to a single\n"
			"host in a frame to all stations: each router that hears it would forward "
			"it.",
		.run = eth_other,
	},
	{
		.id = "eth.trailer",
		.title = "sends the datagram, not bytes behind its total length",
		.rfc = "RFC 894, RFC 791",
		.needs = "ipv4.forward icmp.echo",
		.args = "from to",
		.points = 1,
		.hints = { "Where does the packet end, and where does the frame?",
			   "A frame may be longer than the packet in it: the total length in the "
			   "IP header says how many bytes belong to it.",
			   "After the header is checked: packet = packet[:total_length] (in C: len "
			   "= ntohs(ip->tot_len)), and send no more than that. What is shorter "
			   "than 60 bytes may be padded again, with zeros." },
		.explain = "An Ethernet frame has at least 60 bytes, so short packets are padded; "
			   "some cards and tunnels\n"
			   "append more. What is behind the packet's total length is nobody's "
			   "data. Who sends the received\n"
			   "length again carries it on, and may tell others what was in some "
			   "memory.",
		.run = eth_trailer,
	},
	{ 0 },
};
