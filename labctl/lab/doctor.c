/* SPDX-License-Identifier: MIT */
/* doctor.c - engine, privileges, kernel, image, src: what a lab needs. */
#include "lab/doctor.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/caller.h"
#include "base/fs.h"
#include "base/mem.h"
#include "docker/image.h"
#include "lab/leftovers.h"
#include "lab/srcmount.h"
#include "net/guard.h"
#include "net/link.h"
#include "net/shape.h"

#include "base/banned.h"

struct doctor {
	struct lab_ctx *ctx;
	json_t *findings;
	unsigned failed;
	const char *check; /* the one at work */
};

enum verdict {
	OK,
	WARN,
	FAIL,
	UNKNOWN
};

static const char *const verdicts[] = {
	[OK] = "ok",
	[WARN] = "warn",
	[FAIL] = "fail",
	[UNKNOWN] = "unknown",
};

/* mend: NULL or "" when there is nothing to do. */
static void say(struct doctor *d, enum verdict v, const char *mend, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

static void say(struct doctor *d, enum verdict v, const char *mend, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->failed += v == FAIL;
	json_array_append_new(d->findings, json_pack("{s:s, s:s, s:s, s:s*}", "check", d->check,
						     "status", verdicts[v], "text", text, "mend",
						     str_empty(mend) ? NULL : mend));
}

static void check_engine(struct doctor *d)
{
	json_auto_t *v = NULL;
	struct err err = { 0 };
	struct engine *e;
	const char *version;

	if (lab_ctx_engine(d->ctx, &e, &err) < 0 ||
	    engine_call(e, "GET", "/version", NULL, &v, &err) < 0) {
		say(d, FAIL, err.hint, "%s", err.msg);
		return;
	}
	version = json_string_value(json_object_get(v, "Version"));
	say(d, OK, NULL, "version %s, API %s, at %s", version ? version : "?",
	    engine_api_version(e), engine_host(e));
}

static void check_privileges(struct doctor *d)
{
	auto_free char *mend = xasprintf("sudo %s doctor", d->ctx->exe);

	if (geteuid() == 0)
		say(d, OK, NULL, "root, for user '%s'", d->ctx->caller.name);
	else
		say(d, WARN, mend,
		    "not root: stages can be listed and looked at, not started; some "
		    "checks below need root too");
}

static void check_host_seat(struct doctor *d)
{
	const struct caller *c = &d->ctx->caller;
	struct err err = { 0 };

	if (caller_is_real_root(c))
		say(d, OK, NULL, "root has it");
	else if (caller_check_host_seat(c, &err) == 0)
		say(d, OK, NULL, "user '%s' is listed in '%s'", c->name, caller_host_seat_file());
	else if (err_is(&err, ERR_FAILED))
		say(d, OK, NULL, "labs get a private seat (%s)", err.msg);
	else
		say(d, WARN, err.hint, "%s", err.msg);
}

static void check_kernel(struct doctor *d)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	uname(&u);
	if (sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	    (major > 5 || (major == 5 && minor >= 15)))
		say(d, OK, NULL, "Linux %s", u.release);
	else
		say(d, FAIL, "install a newer kernel", "Linux %s; 5.15 or newer is needed",
		    u.release);
}

static int try_links(struct err *err)
{
	const struct link_veth veth = {
		.end = { "a0", { { 2, 0, 0, 0, 0, 1 } }, -1 },
		.peer = { "a1", { { 2, 0, 0, 0, 0, 2 } }, -1 },
		.mtu = 1500,
	};
	auto_nl nl = NULL;
	unsigned ifindex;

	if (nl_open(-1, &nl, err) < 0)
		return -1;
	if (link_add_veth(nl, &veth, err) < 0)
		return err_wrap(err, "veth");
	if (link_add_bridge(nl, "b0", 0, 1500, 0, &ifindex, err) < 0)
		return err_wrap(err, "bridge");
	return 0;
}

/* In a child with a namespace of its own, which goes with it. */
static void check_links(struct doctor *d)
{
	int status = 0;
	pid_t pid;

	if (geteuid() != 0) {
		say(d, UNKNOWN, NULL, "veth and bridge can only be tried by root");
		return;
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNET) < 0 || try_links(ERR_IGNORED) < 0);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0)
		say(d, OK, NULL, "veth and bridge work");
	else
		say(d, FAIL, "sudo modprobe veth; sudo modprobe bridge",
		    "the kernel cannot make veth links or bridges");
}

static void check_guard(struct doctor *d)
{
	if (geteuid() != 0)
		say(d, UNKNOWN, NULL, "the ingress hook can only be tried by root");
	else if (guard_supported())
		say(d, OK, NULL, "the nftables ingress hook works");
	else
		say(d, WARN, "sudo modprobe nf_tables_netdev",
		    "no nftables ingress hook: only the weaker guard (forwarding and ARP off) "
		    "keeps "
		    "the kernel from answering");
}

static void check_idmap(struct doctor *d)
{
	const char *dir = d->ctx->src_dir;

	if (geteuid() != 0)
		say(d, UNKNOWN, NULL, "idmapped mounts can only be tried by root");
	else if (!dir || !fs_access(dir, F_OK))
		say(d, UNKNOWN, NULL, "there is no src/ to try idmapped mounts with");
	else if (srcmount_idmap_supported(dir))
		say(d, OK, NULL, "idmapped mounts work for '%s'", dir);
	else
		say(d, d->ctx->caller.uid ? WARN : OK,
		    d->ctx->caller.uid ? "move the repository to an ext4, xfs or btrfs file system"
				       : NULL,
		    "no idmapped mounts on the file system of '%s'%s", dir,
		    d->ctx->caller.uid ? ": src/ is not mounted in the clients" : "");
}

static void check_netem(struct doctor *d)
{
	auto_free char *mend = NULL;
	struct utsname u;

	uname(&u);
	mend = xasprintf("sudo modprobe sch_netem   (Ubuntu: sudo apt-get install "
			 "linux-modules-extra-%s)",
			 u.release);
	if (geteuid() != 0)
		say(d, UNKNOWN, NULL, "netem can only be tried by root");
	else if (shape_has_netem())
		say(d, OK, NULL, "netem works: stages may ask for delay and loss");
	else
		say(d, WARN, mend,
		    "no netem: stages that ask for delay, jitter or loss do not start");
}

static void check_image(struct doctor *d)
{
	auto_free char *mend = xasprintf("sudo %s image-build", d->ctx->exe);
	struct image_info info;
	struct err err = { 0 };
	struct engine *e;

	if (lab_ctx_engine(d->ctx, &e, &err) == 0 &&
	    image_inspect(e, d->ctx->image, &info, &err) == 0)
		say(d, OK, NULL, "'%s', %lld MB, of %.10s", d->ctx->image,
		    (long long)(info.size / 1000000), info.created);
	else if (err_is(&err, ERR_NOT_FOUND))
		say(d, FAIL, mend, "the client image '%s' is not there", d->ctx->image);
	else
		say(d, UNKNOWN, NULL, "%s", err.msg);
}

static void check_src(struct doctor *d)
{
	const char *dir = d->ctx->src_dir;
	auto_free char *mkdir_cmd = xasprintf("mkdir -p %s", dir ? dir : "src");
	auto_free char *own_cmd =
		xasprintf("mkdir -p ~/src; %s stage-start --src ~/src STAGE", d->ctx->labctl);
	struct stat st;

	if (!dir || stat(dir, &st) < 0)
		say(d, FAIL, mkdir_cmd, "there is no '%s' for the student's program",
		    dir ? dir : "src");
	else if (!caller_is_real_root(&d->ctx->caller) && st.st_uid != d->ctx->caller.uid)
		say(d, FAIL, own_cmd, "'%s' does not belong to user '%s': it is not mounted", dir,
		    d->ctx->caller.name);
	else
		say(d, OK, NULL, "'%s' belongs to the user", dir);
}

static void check_leftovers(struct doctor *d)
{
	auto_leftovers all = { 0 };
	struct err err = { 0 };

	if (leftovers_find(d->ctx, &all, &err) < 0) {
		say(d, UNKNOWN, NULL, "%s", err.msg);
		return;
	}
	for (size_t i = 0; i < all.n; i++)
		say(d, WARN, all.v[i].mend, "%s", all.v[i].text);
	if (!all.n)
		say(d, OK, NULL, "none");
}

json_t *doctor_run(struct lab_ctx *ctx, unsigned *ret_failed)
{
	static const struct {
		const char *name;
		void (*run)(struct doctor *d);
	} checks[] = {
		{ "privileges", check_privileges }, { "host seat", check_host_seat },
		{ "engine", check_engine },	    { "kernel", check_kernel },
		{ "links", check_links },	    { "guard", check_guard },
		{ "idmapped mounts", check_idmap }, { "netem", check_netem },
		{ "image", check_image },	    { "src", check_src },
		{ "leftovers", check_leftovers },
	};
	struct doctor d = { .ctx = ctx, .findings = json_array() };

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		d.check = checks[i].name;
		checks[i].run(&d);
	}
	*ret_failed = d.failed;
	return d.findings;
}
