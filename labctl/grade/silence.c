/* SPDX-License-Identifier: MIT */
/* silence.c - with the student's program stopped, does anything do the router's work? */
#include "grade/trial.h"

#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

void trial_ask_everything(struct trial *t)
{
	for (size_t i = 0; i < t->g->n_places; i++) {
		struct station me = place_station(&t->g->places[i]);
		struct frame ask = arp_ask(&me, me.at->router_ip);
		struct frame echo = trial_echo(t, &me, me.at->router_ip, 32);

		if (!me.at->router_ip || me.at->net->address_mode != STAGE_ADDRESS_PASSIVE)
			continue;
		if (!trial_send(t, me.at, &ask) || !trial_send(t, me.at, &echo))
			return;
		for (size_t k = 0; k < t->g->n_places; k++) {
			struct station to = place_station(&t->g->places[k]);
			struct frame through = trial_datagram(t, &me, &to, 32);

			if (to.at->network != me.at->network && !trial_send(t, me.at, &through))
				return;
		}
	}
}

/* A datagram that one place sent and another received. */
static bool went_through(const struct trial *t, const struct seen *s)
{
	for (size_t i = 0; i < probe_count(t->g->probe); i++) {
		const struct seen *sent = probe_get(t->g->probe, i);
		struct want trace = want_trace(&sent->f);

		if (sent->sent && sent->f.has & LAYER_UDP && want_means(&trace, s))
			return true;
	}
	return false;
}

char *trial_who_answers(const struct trial *t)
{
	static const char where[] = "is your program, or another router, still running? (else the "
				    "kernel does it)";

	for (size_t i = 0; i < probe_count(t->g->probe); i++) {
		const struct seen *s = probe_get(t->g->probe, i);

		if (!s->sent && went_through(t, s) && !trial_is_flooded(t, s))
			return xasprintf("datagrams to %s are delivered without your program: %s",
					 ip4_text(s->f.ipv4.dst).s, where);
		for (size_t k = 0; k < t->g->n_places; k++) {
			const struct place *p = &t->g->places[k];

			if (s->sent || s->port != p->port || !p->router_ip)
				continue;
			if (s->f.has & LAYER_ARP && s->f.arp.spa == p->router_ip)
				return xasprintf("something answers ARP for %s without your "
						 "program: %s",
						 ip4_text(p->router_ip).s, where);
			if (s->f.has & LAYER_ICMP && s->f.icmp.type == ICMP_ECHO_REPLY &&
			    s->f.ipv4.src == p->router_ip)
				return xasprintf("something answers ping at %s without your "
						 "program: %s",
						 ip4_text(p->router_ip).s, where);
		}
	}
	return NULL;
}
