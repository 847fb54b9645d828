/* SPDX-License-Identifier: MIT */
/* fair.c - what the seat's kernel must not do in the student's place, before and during a check. */
#include "grade/fair.h"

#include <stdlib.h>

#include "base/mem.h"
#include "lab/bypass.h"
#include "lab/lab.h"
#include "net/link.h"

#include "base/banned.h"

static bool concerns(const struct arena *a, size_t network)
{
	return a->networks[network].ifname[0] &&
	       a->stage->networks[network].address_mode == STAGE_ADDRESS_PASSIVE;
}

/* Not a way around the program, but no frame passes. */
static int inspect_link(const struct arena *a, size_t network, struct strv *out, struct err *err)
{
	const char *ifname = a->networks[network].ifname;
	struct link_info info;
	auto_nl nl = NULL;

	if (nl_open(a->seat_ns, &nl, err) < 0 || link_get(nl, ifname, &info, err) < 0)
		return err_wrap(err, "cannot look at the seat's interface '%s'", ifname);
	if (!(info.flags & IFF_UP))
		strv_addf(out, "the interface %s is down (mend it: %s repair)", ifname, a->labctl);
	return 0;
}

int fair_inspect(const struct arena *a, struct strv *ret_reasons, struct err *err)
{
	auto_free struct bypass_net *nets = xcalloc(a->stage->n_networks, sizeof(*nets));
	auto_bypasses found = { 0 };

	for (size_t i = 0; i < a->stage->n_networks; i++)
		nets[i] = (struct bypass_net){ a->networks[i].ifname, a->networks[i].guarded };
	if (bypass_find(a->stage, nets, a->guard, a->seat_ns, &found, err) < 0)
		return -1;
	for (size_t i = 0; i < found.n; i++) {
		if (found.v[i].by_hand)
			strv_add(ret_reasons, found.v[i].text);
		else
			strv_addf(ret_reasons, "%s (mend it: %s repair)", found.v[i].text,
				  a->labctl);
	}
	for (size_t i = 0; i < a->stage->n_networks; i++) {
		if (concerns(a, i) && inspect_link(a, i, ret_reasons, err) < 0)
			return -1;
	}
	return 0;
}

int fair_watch(const struct arena *a, struct kernel_watch **ret, struct err *err)
{
	auto_free struct kernel_watch_net *nets = xcalloc(a->stage->n_networks, sizeof(*nets));
	struct kernel_watch_spec spec = { .netns_fd = a->seat_ns,
					  .whole = a->seat_ns >= 0,
					  .nets = nets,
					  .n_nets = a->stage->n_networks,
					  .nft_table = a->guard,
					  .others_group = LAB_GROUP_BASE,
					  .others_mask = LAB_GROUP_MASK };

	for (size_t i = 0; i < a->stage->n_networks; i++)
		nets[i] = (struct kernel_watch_net){ a->networks[i].ifname,
						     a->stage->networks[i].subnet, concerns(a, i) };
	return kernel_watch_open(&spec, ret, err);
}
