/* SPDX-License-Identifier: MIT */
/* image_build.c - the verb image-build. */
#include "cmd/command.h"

#include "docker/image.h"
#include "lab/imagemake.h"

#include "base/banned.h"

enum {
	OPT_DOCKERFILE,
	OPT_BASE
};

static const struct option options[] = {
	[OPT_DOCKERFILE] = { 0, "dockerfile", NULL, "from images/Dockerfile (needs a registry)",
			     COMPLETE_NOTHING },
	[OPT_BASE] = { 0, "base", "IMAGE", "with --dockerfile: the image to build on",
		       COMPLETE_NOTHING },
	{ 0 },
};

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	struct image_info info;
	struct engine *e;
	int r;

	if (args->opt[OPT_BASE] && !args->opt[OPT_DOCKERFILE])
		return err_set(err, ERR_USAGE, 0, "--base goes with --dockerfile");
	if (args->opt[OPT_DOCKERFILE])
		r = imagemake_from_dockerfile(cmd->ctx, args->opt[OPT_BASE], err);
	else
		r = imagemake_from_packages(cmd->ctx, err);
	if (r < 0 || lab_ctx_engine(cmd->ctx, &e, err) < 0 ||
	    image_inspect(e, cmd->ctx->image, &info, err) < 0)
		return -1;
	lab_ctx_progress_end(cmd->ctx);
	if (cmd->json)
		print_json(json_pack("{s:s, s:s, s:I}", "image", cmd->ctx->image, "id", info.id,
				     "size", (json_int_t)info.size));
	else
		out_printf(stdout, "image '%s' is built: %lld MB\n", cmd->ctx->image,
			   (long long)(info.size / 1000000));
	return 0;
}

const struct command cmd_image_build = {
	.name = "image-build",
	.synopsis = "",
	.summary = "build the client image",
	.details = "By default from the distribution's own packages (images/packages), without any "
		   "image\n"
		   "registry.",
	.options = options,
	.needs = NEEDS_ROOT,
	.who = WHO_ADMINISTRATOR,
	.run = run,
};
