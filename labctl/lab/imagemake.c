/* SPDX-License-Identifier: MIT */
/* imagemake.c - the client image. */
#include "lab/imagemake.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "docker/image.h"

#include "base/banned.h"

#define TAIL_LINES 8

/* The last lines of a helper's output: they say why it failed. */
struct tail {
	char *lines[TAIL_LINES];
	size_t next;
};

static void tail_done(struct tail *t)
{
	for (size_t i = 0; i < TAIL_LINES; i++)
		free(t->lines[i]);
}

static void auto_tail_(struct tail *t)
{
	tail_done(t);
}

static void tail_add(struct tail *t, const char *line)
{
	size_t at = t->next++ % TAIL_LINES;

	free(t->lines[at]);
	t->lines[at] = xstrdup(line);
}

static void tail_text(const struct tail *t, struct str *ret)
{
	for (size_t i = 0; i < TAIL_LINES; i++) {
		const char *line = t->lines[(t->next + i) % TAIL_LINES];

		if (line)
			str_addf(ret, "\n    %s", line);
	}
}

static void on_progress(void *arg, const char *text)
{
	log_debug("%s", text);
	lab_ctx_progress(arg, 0, 0, "%s", text);
}

/* Which proxy and which place for large files, as the caller has it. */
static void build_variables(struct strv *ret)
{
	static const char *const names[] = { "http_proxy", "https_proxy", "ftp_proxy",
					     "no_proxy",   "HTTP_PROXY",  "HTTPS_PROXY",
					     "FTP_PROXY",  "NO_PROXY",	  "TMPDIR" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *v = getenv(names[i]);

		if (v)
			strv_addf(ret, "%s=%s", names[i], v);
	}
}

/* Runs build-rootfs.sh; each line it prints is progress. */
static int build_rootfs(struct lab_ctx *ctx, const char *out, struct err *err)
{
	auto_free char *script = xasprintf("%s/build-rootfs.sh", ctx->images_dir);
	const char *const argv[] = { script, out, NULL };
	struct proc_spec spec = { .argv = argv, .out = PROC_OUT_BOTH };
	auto_strv vars = { 0 };
	auto_cleanup(tail) struct tail tail = { 0 };
	auto_str said = { 0 };
	auto_free char *line = NULL;
	size_t size = 0;
	int fd, code;
	pid_t pid;

	build_variables(&vars);
	spec.child.vars = (const char *const *)vars.v;
	if (proc_spawn(&spec, &pid, &fd, err) < 0)
		return -1;
	auto_file f = fdopen(fd, "r");
	while (f && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\r\n")] = '\0';
		tail_add(&tail, line);
		on_progress(ctx, line);
	}
	/* A signal that ended the reading is passed on: the script cleans up after itself. */
	if (interrupt_seen())
		kill(pid, SIGTERM);
	if (proc_wait(pid, &code, err) < 0 || err_if_interrupted(err) < 0)
		return -1;
	if (code == 0)
		return 0;
	tail_text(&tail, &said);
	return err_set(err, ERR_ENV, 0, "'%s' ended with exit code %d:%.700s", script, code,
		       str_get(&said));
}

/* images/config, a Dockerfile instruction a line. */
static int read_config(struct lab_ctx *ctx, struct strv *ret, struct err *err)
{
	auto_free char *path = xasprintf("%s/config", ctx->images_dir);
	auto_free char *text = NULL;
	char *save = NULL;

	if (fs_read(path, 1 << 16, &text, NULL, err) < 0)
		return -1;
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (*l && *l != '#')
			strv_add(ret, l);
	}
	return 0;
}

static int import(struct lab_ctx *ctx, const char *tar, struct err *err)
{
	auto_strv changes = { 0 };
	auto_fd fd = open(tar, O_RDONLY | O_CLOEXEC);
	struct engine *e;

	if (fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot open '%s'", tar);
	if (read_config(ctx, &changes, err) < 0 || lab_ctx_engine(ctx, &e, err) < 0)
		return -1;
	return image_import(e, fd, ctx->image, (const char *const *)changes.v, on_progress, ctx,
			    err);
}

int imagemake_from_packages(struct lab_ctx *ctx, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	auto_free char *dir =
		xasprintf("%s/labctl-image.XXXXXX", str_empty(tmp) ? "/var/tmp" : tmp);
	auto_free char *tar = NULL;
	struct engine *e;
	int r;

	/* A minute of work for nothing would be a pity. */
	if (lab_ctx_engine(ctx, &e, err) < 0 ||
	    engine_call(e, "GET", "/version", NULL, NULL, err) < 0)
		return -1;
	if (!mkdtemp(dir))
		return err_set(err, ERR_ENV, errno, "cannot make the directory '%s'", dir);
	tar = xasprintf("%s/rootfs.tar", dir);
	r = build_rootfs(ctx, tar, err);
	if (r == 0)
		r = import(ctx, tar, err);
	unlink(tar);
	rmdir(dir);
	return r;
}

int imagemake_from_dockerfile(struct lab_ctx *ctx, const char *base, struct err *err)
{
	const char *const argv[] = { "tar", "-C", ctx->images_dir, "-c", ".", NULL };
	const struct proc_spec spec = { .argv = argv, .out = PROC_OUT_PIPE };
	auto_free char *arg = xasprintf("BASE=%s", base ? base : "");
	const char *const args[] = { base ? arg : NULL, NULL };
	auto_fd fd = -1;
	struct engine *e;
	pid_t pid;
	int code, r;

	if (lab_ctx_engine(ctx, &e, err) < 0 || proc_spawn(&spec, &pid, &fd, err) < 0)
		return -1;
	r = image_build(e, fd, ctx->image, "Dockerfile", args, on_progress, ctx, err);
	close(steal_fd(&fd)); /* tar ends, should it still be writing */
	if (proc_wait(pid, &code, r < 0 ? NULL : err) < 0 || r < 0)
		return -1;
	return code == 0 ? 0 : err_set(err, ERR_ENV, 0, "cannot pack '%s'", ctx->images_dir);
}
