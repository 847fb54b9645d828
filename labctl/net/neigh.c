/* SPDX-License-Identifier: MIT */
/* neigh.c - entries of the neighbour table. */
#include "net/neigh.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>

#include "net/msg.h"

#include "base/banned.h"

int neigh_confirm(struct nl *nl, unsigned ifindex, const struct ipaddr *ip,
		  const struct macaddr *mac, struct err *err)
{
	char text[IPADDR_TEXT];
	struct ndmsg *ndm;
	struct msg m;

	ndm = msg_begin(&m, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*ndm));
	ndm->ndm_family = (unsigned char)ip->family;
	ndm->ndm_ifindex = (int)ifindex;
	ndm->ndm_state = NUD_REACHABLE;
	msg_put_ip(&m, NDA_DST, ip);
	msg_put(&m, NDA_LLADDR, mac->b, sizeof(mac->b));
	if (msg_do(nl, &m, err) == 0)
		return 0;
	return err_wrap(err, "cannot set the neighbour entry for '%s'", ipaddr_format(ip, text));
}
