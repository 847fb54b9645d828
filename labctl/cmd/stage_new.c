/* SPDX-License-Identifier: MIT */
/* stage_new.c - the verb stage-new. */
#include "cmd/command.h"

#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/proc.h"
#include "stage/skeleton.h"

#include "base/banned.h"

/* Beside the stages that labctl brings the schema is a file of the same directory. */
static char *schema_for(const struct lab_ctx *ctx, const char *dir)
{
	auto_free char *beside =
		xasprintf("%.*s/stage.schema.json", (int)(strrchr(dir, '/') - dir), dir);
	auto_free char *ours = xasprintf("%s/stages/stage.schema.json", ctx->root);

	if (fs_access(beside, F_OK) || !fs_access(ours, F_OK))
		return xstrdup("../stage.schema.json");
	return steal_ptr(&ours);
}

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	auto_free char *dir = strchr(args->v[0], '/')
				      ? xstrdup(args->v[0])
				      : xasprintf("%s/%s", cmd->ctx->stages_dir, args->v[0]);
	auto_free char *schema = NULL;
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		dir[--n] = '\0';
	schema = schema_for(cmd->ctx, dir);
	if (skeleton_write(dir, schema, err) < 0) {
		if (err->sys == EACCES && !strchr(args->v[0], '/'))
			err_hint(err, "name a directory of yours: labctl stage-new ./%s",
				 args->v[0]);
		return -1;
	}
	if (cmd->json) {
		print_json(
			json_pack("{s:s, s:s}", "name", strrchr(dir, '/') + 1, "directory", dir));
		return 0;
	}
	out_printf(stdout,
		   "%s: stage.json and README.md; now:\n"
		   "  labctl stage-validate %s\n"
		   "  labctl stage-start %s\n",
		   dir, args->v[0], args->v[0]);
	return 0;
}

const struct command cmd_stage_new = {
	.name = "stage-new",
	.synopsis = "NAME",
	.summary = "begin a new stage: a stage.json that works, a README to fill in",
	.details = "NAME is a new directory among the stages, or a path with a '/'. Nothing is "
		   "overwritten.",
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
