/* SPDX-License-Identifier: MIT */
/* leftovers.c - what no lab's record knows. */
#include "lab/leftovers.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "docker/container.h"
#include "lab/lab.h"
#include "net/link.h"
#include "net/netns.h"

#include "base/banned.h"

struct known {
	struct lab **labs;
	size_t n;
};

static void known_done(struct known *k)
{
	for (size_t i = 0; i < k->n; i++)
		lab_free(k->labs[i]);
	free(k->labs);
}

static void auto_known_(struct known *k)
{
	known_done(k);
}

void leftovers_done(struct leftovers *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].text);
		free(l->v[i].mend);
	}
	free(l->v);
	*l = (struct leftovers){ 0 };
}

/* Both texts are stolen. */
static void add(struct leftovers *all, char *text, char *mend)
{
	struct leftover *l = array_push(all->v, all->n);

	l->text = text;
	l->mend = mend;
}

static int load_known(struct lab_ctx *ctx, struct known *k, struct leftovers *all, struct err *err)
{
	auto_strv names = { 0 };

	if (lab_names(ctx, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct err e = { 0 };
		struct lab *l;

		if (lab_load(ctx, names.v[i], &l, &e) < 0) {
			add(all, xstrdup(e.msg),
			    xasprintf("rm %s/labs/%s.json", ctx->state_dir, names.v[i]));
			continue;
		}
		*array_push(k->labs, k->n) = l;
		if (l->state != LAB_RUNNING || lab_is_before_boot(l))
			add(all,
			    xasprintf("lab '%s' (%s) is %s", l->name, l->stage->name,
				      lab_is_before_boot(l) ? "from before the last boot"
							    : "half-done"),
			    xasprintf("sudo %s --lab %s stage-stop", ctx->exe, l->name));
	}
	return 0;
}

static const struct lab *known_by_name(const struct known *k, const char *name)
{
	for (size_t i = 0; i < k->n; i++) {
		if (strcmp(k->labs[i]->name, name) == 0)
			return k->labs[i];
	}
	return NULL;
}

static void find_containers(struct lab_ctx *ctx, const struct known *k, struct leftovers *all)
{
	auto_container_list list = { 0 };
	struct engine *e;

	if (lab_ctx_engine(ctx, &e, NULL) < 0 ||
	    container_list_by_label(e, LAB_LABEL, &list, NULL) < 0)
		return;
	for (size_t i = 0; i < list.n; i++) {
		const char *lab = json_string_value(json_object_get(list.v[i].labels, LAB_LABEL));

		if (!known_by_name(k, lab ? lab : ""))
			add(all,
			    xasprintf("container '%s' of lab '%s', which has no record",
				      list.v[i].name, lab ? lab : ""),
			    xasprintf("docker rm -f %s", list.v[i].name));
	}
}

static int find_links(const struct known *k, struct leftovers *all, struct err *err)
{
	auto_free struct link_info *links = NULL;
	auto_nl nl = NULL;
	size_t n = 0;

	if (nl_open(-1, &nl, err) < 0 || link_list(nl, &links, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		bool owned = (links[i].group & LAB_GROUP_MASK) != LAB_GROUP_BASE;

		for (size_t j = 0; j < k->n && !owned; j++)
			owned = k->labs[j]->group == links[i].group;
		if (!owned)
			add(all,
			    xasprintf("interface '%s' of a lab that has no record", links[i].name),
			    xasprintf("sudo ip link del %s", links[i].name));
	}
	return 0;
}

static int find_namespaces(const struct known *k, struct leftovers *all, struct err *err)
{
	auto_strv names = { 0 };

	if (netns_list("labctl-", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		bool owned = false;

		for (size_t j = 0; j < k->n && !owned; j++)
			owned = strcmp(k->labs[j]->seat_ns, names.v[i]) == 0 ||
				strcmp(k->labs[j]->fabric_ns, names.v[i]) == 0;
		if (!owned)
			add(all,
			    xasprintf("namespace '%s' of a lab that has no record", names.v[i]),
			    xasprintf("sudo ip netns del %s", names.v[i]));
	}
	return 0;
}

/* Mount points $LABCTL_RUN/<lab>/src of labs that are no more. */
static int find_mounts(const struct lab_ctx *ctx, const struct known *k, struct leftovers *all,
		       struct err *err)
{
	auto_free char *prefix = xasprintf("%s/", ctx->run_dir);
	auto_free char *text = NULL;
	char *save = NULL;

	if (fs_read("/proc/self/mountinfo", 16 << 20, &text, NULL, err) < 0)
		return -1;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char point[256], lab[LAB_NAME_MAX + 1] = "";

		if (sscanf(line, "%*s %*s %*s %*s %255s", point) != 1 || !str_starts(point, prefix))
			continue;
		snprintf(lab, sizeof(lab), "%.*s", (int)strcspn(point + strlen(prefix), "/"),
			 point + strlen(prefix));
		if (!known_by_name(k, lab))
			add(all, xasprintf("a mount at '%s' of a lab that has no record", point),
			    xasprintf("sudo umount %s", point));
	}
	return 0;
}

int leftovers_find(struct lab_ctx *ctx, struct leftovers *ret, struct err *err)
{
	auto_leftovers all = { 0 };
	auto_cleanup(known) struct known known = { 0 };

	if (load_known(ctx, &known, &all, err) < 0)
		return -1;
	find_containers(ctx, &known, &all);
	if (find_links(&known, &all, err) < 0 || find_namespaces(&known, &all, err) < 0 ||
	    find_mounts(ctx, &known, &all, err) < 0)
		return -1;
	*ret = all;
	all = (struct leftovers){ 0 };
	return 0;
}
