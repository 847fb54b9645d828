/* SPDX-License-Identifier: MIT */
/* trial.c - one check's verdict, stations and stimuli. */
#include "grade/trial.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "grade/replay.h"

#include "base/banned.h"

#define GUEST_TRIES 1000

void trial_done(struct trial *t)
{
	for (size_t i = 0; i < t->n_payloads; i++)
		free(t->payloads[i]);
	free(t->payloads);
	free(t->answering);
	free(t->unanswered);
	free(t->reason);
	json_decref(t->expected);
	json_decref(t->seen);
	*t = (struct trial){ 0 };
}

bool trial_fail(struct trial *t, const char *fmt, ...)
{
	auto_str text = { 0 };
	char buf[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	str_add(&text, buf);
	t->verdict = VERDICT_FAIL;
	free(t->reason);
	t->reason = str_steal(&text);
	return false;
}

bool trial_error(struct trial *t, const struct err *err)
{
	trial_fail(t, "%s", err->msg);
	t->verdict = VERDICT_ERROR;
	return false;
}

bool trial_waits_for(struct trial *t, const char *id)
{
	const struct results *all = t->g->results;

	for (size_t i = 0; all && i < all->n; i++) {
		const struct result *r = &all->v[i];

		if (strcmp(r->check->id, id) != 0 || !(r->selected || r->needed) ||
		    r->verdict == VERDICT_PASS)
			continue;
		trial_fail(t, "not tried, because %s did not pass", r->id);
		t->verdict = VERDICT_PENDING;
		t->waits_for = r->waits_for ? r->waits_for : r->id;
		return true;
	}
	return false;
}

static bool args_error(struct trial *t, const char *text, const char *value)
{
	struct err e = { 0 };

	err_set(&e, ERR_STAGE, 0, "the stage's entry for '%s': %s%s%s", t->check->id, text,
		value ? ": " : "", value ? value : "");
	return trial_error(t, &e);
}

static const struct place *place_of(struct trial *t, const char *client)
{
	for (size_t i = 0; i < t->g->n_places; i++) {
		if (strcmp(t->g->places[i].client->name, client) == 0 && t->g->places[i].router_ip)
			return &t->g->places[i];
	}
	return NULL;
}

/* The place that key names; *ret stays when the stage does not give the key. */
static bool place_arg(struct trial *t, const char *key, const struct place **ret)
{
	json_t *v = json_object_get(t->args, key);

	if (!v)
		return true;
	*ret = json_is_string(v) ? place_of(t, json_string_value(v)) : NULL;
	if (*ret)
		return true;
	return args_error(t, "no such client with the router as neighbour",
			  json_is_string(v) ? json_string_value(v) : key);
}

bool trial_path(struct trial *t, struct path *ret)
{
	struct path p = { 0 };

	if (!place_arg(t, "from", &p.from) || !place_arg(t, "to", &p.to))
		return false;
	for (size_t i = 0; i < t->g->n_places && !(p.from && p.to); i++) {
		const struct place *c = &t->g->places[i];

		if (!c->router_ip)
			continue;
		if (!p.from && !(p.to && p.to->network == c->network))
			p.from = c;
		else if (!p.to && p.from && p.from->network != c->network)
			p.to = c;
	}
	if (!p.from || !p.to || p.from->network == p.to->network)
		return args_error(t, "it needs clients on two of the router's networks", NULL);
	*ret = p;
	return true;
}

struct path path_back(const struct path *p)
{
	return (struct path){ p->to, p->from };
}

size_t path_room(const struct path *p, unsigned headers)
{
	unsigned mtu = p->from->net->mtu < p->to->net->mtu ? p->from->net->mtu : p->to->net->mtu;

	return mtu > headers + MARK_LEN ? mtu - headers : MARK_LEN;
}

const struct place *trial_place(struct trial *t, size_t i)
{
	const struct place *named = NULL;

	if (!place_arg(t, "on", &named))
		return NULL;
	if (named)
		return i ? NULL : named;
	for (size_t k = 0; k < t->g->n_places; k++) {
		const struct place *p = &t->g->places[k];
		bool first = p->router_ip != 0;

		for (size_t m = 0; m < k; m++)
			first = first && t->g->places[m].network != p->network;
		if (first && i-- == 0)
			return p;
	}
	return NULL;
}

bool trial_stage_error(struct trial *t, const char *text)
{
	return args_error(t, text, NULL);
}

bool trial_number(struct trial *t, const char *key, long long min, long long max, long long *ret)
{
	json_t *v = json_object_get(t->args, key);

	if (!v)
		return true;
	if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
		return args_error(t, "a number is missing, too small or too large", key);
	*ret = json_integer_value(v);
	return true;
}

struct station place_station(const struct place *p)
{
	return (struct station){ p, p->ip, p->mac };
}

/* Does a route of the router's table lead to this address in spite of the network's subnet? */
static bool is_routed_away(const struct stage *s, const struct stage_network *net,
			   const struct ipaddr *a)
{
	for (size_t i = 0; i < s->n_routes; i++) {
		if (s->routes[i].to.prefix > net->subnet.prefix &&
		    ipnet_contains(&s->routes[i].to, a))
			return true;
	}
	return false;
}

static bool is_taken(const struct grader *g, const struct stage_network *net, uint32_t ip)
{
	struct ipaddr a = ip4_addr(ip);

	if (ipnet_is_reserved_host(&net->subnet, &a) || !ipaddr_is_unicast_host(&a) ||
	    (net->has_router && ip == ip4_number(&net->router)) ||
	    is_routed_away(g->stage, net, &a))
		return true;
	for (size_t i = 0; i < g->n_places; i++) {
		if (g->places[i].ip == ip)
			return true;
	}
	for (size_t i = 0; i < g->n_taken; i++) {
		if (g->taken[i] == ip)
			return true;
	}
	return false;
}

bool trial_guest(struct trial *t, const struct place *at, struct station *ret)
{
	struct ipnet net = ipnet_network(&at->net->subnet);
	uint32_t base = ip4_number(&net.addr);
	uint32_t last = net.prefix >= 32 ? 0 : UINT32_MAX >> net.prefix;
	struct err e = { 0 };

	for (int i = 0; i < GUEST_TRIES; i++) {
		uint32_t ip = base + rng_range(&t->rng, 0, last);
		struct ipaddr a = ip4_addr(ip);

		if (is_taken(t->g, at->net, ip))
			continue;
		*array_push(t->g->taken, t->g->n_taken) = ip;
		*ret = (struct station){ at, ip, macaddr_from_ipv4(&a) };
		return true;
	}
	err_set(&e, ERR_STAGE, 0, "network '%s' is too small: the grader finds no free address",
		at->net->name);
	return trial_error(t, &e);
}

void trial_answer(struct trial *t, const struct station *s)
{
	*array_push(t->answering, t->n_answering) = *s;
}

struct frame arp_ask(const struct station *asker, uint32_t target)
{
	struct frame f = { .has = LAYER_ETH | LAYER_ARP };

	f.eth.dst = mac_from_number(0xffffffffffff);
	f.eth.src = asker->mac;
	f.arp.op = ARP_REQUEST;
	f.arp.sha = asker->mac;
	f.arp.spa = asker->ip;
	f.arp.tpa = target;
	f.arp.htype = 1; /* what a comparison expects; encoding computes them anyway */
	f.arp.ptype = ETHERTYPE_IPV4;
	f.arp.hlen = 6;
	f.arp.plen = 4;
	f.eth.type = ETHERTYPE_ARP;
	return f;
}

struct frame arp_tell(const struct station *who, const struct station *whom)
{
	struct frame f = arp_ask(who, whom->ip);

	f.eth.dst = whom->mac;
	f.arp.op = ARP_REPLY;
	f.arp.tha = whom->mac;
	return f;
}

bool arp_is_answer(const struct frame *f)
{
	return f->has & LAYER_ARP && (f->arp.op == ARP_REPLY || !(f->eth.dst.b[0] & 1));
}

const uint8_t *trial_bytes(struct trial *t, size_t len)
{
	uint8_t *p = xmalloc(len + 1);

	rng_fill(&t->rng, p, len);
	*array_push(t->payloads, t->n_payloads) = p;
	return p;
}

struct frame trial_datagram(struct trial *t, const struct station *from, const struct station *to,
			    size_t len)
{
	struct frame f = { .has = LAYER_ETH | LAYER_IPV4 | LAYER_UDP };

	f.eth.dst = from->at->router_mac;
	f.eth.src = from->mac;
	f.eth.type = ETHERTYPE_IPV4;
	f.ipv4.version = 4;
	f.ipv4.ihl = 5;
	f.ipv4.id = (uint16_t)rng_range(&t->rng, 1, UINT16_MAX);
	f.ipv4.length = (uint16_t)(28 + len);
	f.ipv4.ttl = 64;
	f.ipv4.proto = PROTO_UDP;
	f.ipv4.src = from->ip;
	f.ipv4.dst = to->ip;
	f.udp.sport = (uint16_t)rng_range(&t->rng, 1024, 32767);
	f.udp.dport = to->at->sink_port;
	f.udp.length = (uint16_t)(8 + len);
	f.payload = trial_bytes(t, len);
	f.payload_len = len;
	return f;
}

struct frame trial_segment(struct trial *t, const struct station *from, const struct station *to,
			   size_t len)
{
	struct frame f = trial_datagram(t, from, to, len);

	f.has = LAYER_ETH | LAYER_IPV4 | LAYER_TCP;
	f.ipv4.proto = PROTO_TCP;
	f.tcp.sport = f.udp.sport;
	f.tcp.dport = 80;
	f.tcp.flags = TCP_RST;
	f.tcp.offset = 5;
	f.tcp.seq = (uint32_t)rng_next(&t->rng);
	f.ipv4.length = (uint16_t)(40 + len);
	return f;
}

struct macaddr trial_random_mac(struct trial *t)
{
	return mac_from_number(0x020000000000 | (rng_next(&t->rng) & 0xffffffffff));
}

struct frame trial_echo(struct trial *t, const struct station *from, uint32_t to, size_t len)
{
	const struct station router = { from->at, to, from->at->router_mac };
	struct frame f = trial_datagram(t, from, &router, len);

	f.has = LAYER_ETH | LAYER_IPV4 | LAYER_ICMP;
	f.ipv4.proto = PROTO_ICMP;
	f.icmp.type = ICMP_ECHO;
	f.icmp.id = (uint16_t)rng_range(&t->rng, 1, UINT16_MAX);
	/* Every other one as ping counts, from 1 on. */
	f.icmp.seq = (uint16_t)(t->g->echoes++ % 2 ? rng_range(&t->rng, 1, UINT16_MAX)
						   : t->g->echoes / 2 + 1);
	return f;
}

bool trial_send(struct trial *t, const struct place *at, const struct frame *f)
{
	auto_free uint8_t *buf = xmalloc(FRAME_MAX);
	size_t n = frame_encode(f, buf, FRAME_MAX);
	struct err e = { 0 };

	if (!n) {
		err_set(&e, ERR_INTERNAL, 0, "check '%s' made a frame that cannot be",
			t->check->id);
		return trial_error(t, &e);
	}
	if (replay_pause(t->g, &e) < 0)
		return trial_error(t, &e);
	t->since = t->stimulus = probe_count(t->g->probe);
	t->end = 0;
	if (probe_send(t->g->probe, at->port, buf, n, &e) < 0)
		return trial_error(t, &e);
	return true;
}

struct text ip4_text(uint32_t ip)
{
	struct ipaddr a = ip4_addr(ip);
	struct text t = { "" };

	ipaddr_format(&a, t.s);
	return t;
}

struct text mac_text(const struct macaddr *m)
{
	struct text t = { "" };

	macaddr_format(m, t.s);
	return t;
}
