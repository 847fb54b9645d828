/* SPDX-License-Identifier: MIT */
/* ctx.c - who calls, where things are, the engine. */
#include "lab/ctx.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"

#include "version.h"

#include "base/banned.h"

static char *env_or(const char *name, const char *fallback)
{
	const char *v = getenv(name);

	return xstrdup(str_empty(v) ? fallback : v);
}

/* Absolute, but symbolic links stay: the text is a mark on containers and must be the same
 * before and after the directory is made. */
static char *dir_or(const char *name, const char *fallback)
{
	auto_free char *dir = env_or(name, fallback);
	char cwd[PATH_MAX];

	if (dir[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		return steal_ptr(&dir);
	return xasprintf("%s/%s", cwd, dir);
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), len = strlen(end);

	return n >= len && strcmp(text + n - len, end) == 0;
}

/* Not what belongs to another lab: its lock, the service's socket, the namespace of its bridges. */
bool lab_name_is_valid(const char *name)
{
	return name_is_valid(name, LAB_NAME_MAX) && !ends_with(name, ".lock") &&
	       !ends_with(name, ".sock") && !ends_with(name, "-fabric");
}

/* A login name may hold what a lab name must not ("First.Last@corp"). */
static void default_lab_name(const struct caller *c, char ret[static LAB_NAME_MAX + 1])
{
	size_t n = 0;

	for (const char *p = c->name; *p && n < LAB_NAME_MAX; p++) {
		char ch = (char)tolower((unsigned char)*p);

		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789", ch) || (n && strchr("_.-", ch)))
			ret[n++] = ch;
	}
	ret[n] = '\0';
	if (!lab_name_is_valid(ret))
		snprintf(ret, LAB_NAME_MAX + 1, "uid%u", c->uid);
}

/* REPO/build/FLAVOUR/labctl, or PREFIX/bin/labctl with PREFIX/share/labctl. */
static void find_root(struct lab_ctx *ctx)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	exe[n > 0 ? n : 0] = '\0';
	ctx->exe = xstrdup(exe);
	for (int up = 0; up < 3; up++) {
		char *slash = strrchr(exe, '/');

		if (!slash)
			break;
		*slash = '\0';
		auto_free char *stages = xasprintf("%s/stages", exe);
		auto_free char *share = xasprintf("%s/share/labctl/stages", exe);
		if (up == 2 && fs_is_dir(stages)) {
			ctx->root = xstrdup(exe);
			ctx->in_tree = true;
			return;
		}
		if (up == 1 && fs_is_dir(share)) {
			ctx->root = xasprintf("%s/share/labctl", exe);
			return;
		}
	}
	ctx->root = xstrdup(LABCTL_PREFIX "/share/labctl");
}

static void find_src(struct lab_ctx *ctx)
{
	const char *v = getenv("LABCTL_SRC");
	char cwd[PATH_MAX];

	if (!str_empty(v)) {
		ctx->src_dir = xstrdup(v);
		return;
	}
	ctx->src_dir = xasprintf("%s/src", ctx->root);
	if (ctx->in_tree)
		return;
	free(ctx->src_dir);
	ctx->src_dir = getcwd(cwd, sizeof(cwd)) ? xasprintf("%s/src", cwd) : NULL;
	if (ctx->src_dir && !fs_is_dir(ctx->src_dir)) {
		free(ctx->src_dir);
		ctx->src_dir = NULL;
	}
}

int lab_ctx_init(struct lab_ctx *ctx, const struct caller *caller, const char *lab, struct err *err)
{
	auto_free char *stages = NULL;

	ctx->caller = *caller;
	default_lab_name(&ctx->caller, ctx->lab);
	ctx->default_lab = !lab || strcmp(lab, ctx->lab) == 0;
	if (lab && (!lab_name_is_valid(lab) || !str_copy(ctx->lab, sizeof(ctx->lab), lab))) {
		err_set(err, ERR_USAGE, 0, "'%.64s' is not a lab name", lab);
		return err_hint(err,
				"use up to %d of a-z 0-9 _ . -, beginning with a letter or digit, "
				"not ending with .lock, .sock or -fabric",
				LAB_NAME_MAX);
	}
	snprintf(ctx->labctl, sizeof(ctx->labctl), "labctl%s%s", ctx->default_lab ? "" : " --lab ",
		 ctx->default_lab ? "" : ctx->lab);
	find_root(ctx);
	find_src(ctx);
	stages = xasprintf("%s/stages", ctx->root);
	ctx->stages_dir = env_or("LABCTL_STAGES", stages);
	ctx->images_dir = xasprintf("%s/images", ctx->root);
	ctx->state_dir = dir_or("LABCTL_STATE", LAB_STATE_DIR);
	ctx->run_dir = dir_or("LABCTL_RUN", "/run/labctl");
	ctx->image = env_or("LABCTL_IMAGE", LAB_IMAGE_DEFAULT);
	return 0;
}

void lab_ctx_done(struct lab_ctx *ctx)
{
	free(ctx->exe);
	free(ctx->root);
	free(ctx->stages_dir);
	free(ctx->images_dir);
	free(ctx->src_dir);
	free(ctx->state_dir);
	free(ctx->run_dir);
	free(ctx->image);
	engine_free(ctx->engine);
	*ctx = (struct lab_ctx){ 0 };
}

int lab_ctx_engine(struct lab_ctx *ctx, struct engine **ret, struct err *err)
{
	if (!ctx->engine && engine_open(NULL, &ctx->engine, err) < 0)
		return -1;
	*ret = ctx->engine;
	return 0;
}

void lab_ctx_progress(const struct lab_ctx *ctx, unsigned done, unsigned total, const char *fmt,
		      ...)
{
	char text[256];
	va_list ap;

	if (!ctx->progress)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ctx->progress(ctx->progress_arg, done, total, text);
}

void lab_ctx_progress_end(const struct lab_ctx *ctx)
{
	lab_ctx_progress(ctx, 0, 0, "%s", "");
}
