/* SPDX-License-Identifier: MIT */
/* grade.c - the verb grade: a whole class's submissions, each in a lab of its own. */
#include "cmd/command.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/parse.h"
#include "cmd/problems.h"
#include "grade/batch.h"
#include "lab/session.h"

#include "version.h"

#include "base/banned.h"

#define TIMEOUT_S     120
#define TIMEOUT_MAX_S 86400

enum {
	OPT_SUBMISSIONS,
	OPT_JOBS,
	OPT_CSV,
	OPT_JSON,
	OPT_RUN,
	OPT_TIMEOUT,
	OPT_OUT,
	OPT_SEED,
};

static const struct option options[] = {
	[OPT_SUBMISSIONS] = { 0, "submissions", "DIR", "each directory in it is a submission",
			      COMPLETE_DIR },
	[OPT_JOBS] = { 'j', "jobs", "N", "so many at a time (default: half the processors)",
		       COMPLETE_NOTHING },
	[OPT_CSV] = { 0, "csv", "FILE", "write a table for spreadsheets", COMPLETE_NOTHING },
	[OPT_JSON] = { 0, "json", "FILE", "write everything", COMPLETE_NOTHING },
	[OPT_RUN] = { 0, "run", "COMMAND", "what starts the program; {}: its directory",
		      COMPLETE_COMMAND },
	[OPT_TIMEOUT] = { 0, "timeout", "SECONDS", "for one submission (default: 120)",
			  COMPLETE_NOTHING },
	[OPT_OUT] = { 0, "out", "DIR", "reports, transcripts, captures (default: grades-STAGE)",
		      COMPLETE_DIR },
	[OPT_SEED] = { 0, "seed", "N", "the addresses and values of an earlier grading",
		       COMPLETE_NOTHING },
	{ 0 },
};

static int number(const struct args *args, int opt, uint32_t min, uint32_t max, uint32_t *ret,
		  struct err *err)
{
	if (!args->opt[opt] || parse_u32(args->opt[opt], min, max, ret, err) == 0)
		return 0;
	return err_wrap(err, "--%s", options[opt].name);
}

static int numbers(const struct args *args, struct batch_options *o, struct err *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t seed, jobs = cpus > 3 ? (uint32_t)cpus / 2 : 1, timeout = TIMEOUT_S;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return err_set(err, ERR_ENV, errno, "no random numbers");
	jobs = jobs > BATCH_JOBS_MAX ? BATCH_JOBS_MAX : jobs;
	if (number(args, OPT_SEED, 0, UINT32_MAX, &seed, err) < 0 ||
	    number(args, OPT_JOBS, 1, BATCH_JOBS_MAX, &jobs, err) < 0 ||
	    number(args, OPT_TIMEOUT, 1, TIMEOUT_MAX_S, &timeout, err) < 0)
		return -1;
	o->seed = seed;
	o->jobs = jobs;
	o->timeout_s = timeout;
	return 0;
}

/* The named stage, or the one that the caller's lab runs. */
static int find_stage(struct cmd *cmd, const struct args *args, struct lab **ret, struct err *err)
{
	auto_stage_problems problems = { 0 };
	auto_lab running = NULL;
	const char *name = args->v[0];

	if (!name) {
		if (lab_load(cmd->ctx, cmd->ctx->lab, &running, err) < 0) {
			if (!err_is(err, ERR_NOT_FOUND))
				return -1;
			err_set(err, ERR_USAGE, 0, "which stage?");
			return err_hint(err, "labctl grade STAGE --submissions DIR");
		}
		name = running->stage->dir ? running->stage->dir : running->stage->name;
	}
	if (session_prepare(cmd->ctx, name, true, &problems, ret, err) < 0 ||
	    problems_of_checks((*ret)->stage, &problems, err) < 0) {
		problems_explain(&problems, err);
		return -1;
	}
	if (!(*ret)->stage->n_checks)
		return err_set(err, ERR_STAGE, 0, "stage '%s' has no checks", (*ret)->stage->name);
	return 0;
}

static int write_results(struct cmd *cmd, const struct args *args, const struct batch *b,
			 const char *out, struct err *err)
{
	json_auto_t *doc = batch_json(b, LABCTL_VERSION);
	auto_free char *text = printable_json(doc, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	auto_free char *summary = xasprintf("%s/summary.json", out);
	const char *json = args->opt[OPT_JSON] ? args->opt[OPT_JSON] : summary;
	auto_str csv = { 0 }, table = { 0 };
	char sum[DIGEST_TEXT];

	batch_csv(b, &csv);
	batch_table(b, &table);
	digest_of(text, strlen(text), sum);
	lab_ctx_progress_end(cmd->ctx);
	if (cmd->json) {
		print_json(json_incref(doc));
	} else {
		out_text(stdout, str_get(&table));
		out_printf(stdout, "SHA-256 of %s: %s\n", json, sum);
	}
	if (fs_write(json, text, strlen(text), 0644, false, err) < 0)
		return -1;
	if (args->opt[OPT_CSV])
		return fs_write(args->opt[OPT_CSV], str_get(&csv), csv.len, 0644, false, err);
	return 0;
}

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	struct batch_options o = { .submissions = args->opt[OPT_SUBMISSIONS],
				   .command = args->opt[OPT_RUN] };
	auto_free char *out = NULL;
	auto_batch b = { 0 };
	auto_lab l = NULL;

	if (!o.submissions) {
		err_set(err, ERR_USAGE, 0, "where are the submissions?");
		return err_hint(err, "name their directory with --submissions DIR");
	}
	free(steal_ptr(&cmd->ctx->src_dir)); /* of no use to strangers' programs */
	if (numbers(args, &o, err) < 0 || find_stage(cmd, args, &l, err) < 0)
		return -1;
	out = args->opt[OPT_OUT] ? xstrdup(args->opt[OPT_OUT])
				 : xasprintf("grades-%s", l->stage->name);
	o.out = out;
	if (batch_run(cmd->ctx, l->stage, l->stage_text, &o, &b, err) < 0 ||
	    write_results(cmd, args, &b, out, err) < 0)
		return -1;
	return b.graded == b.n ? 0 : err_exit_code(ERR_ENV);
}

const struct command cmd_grade = {
	.name = "grade",
	.synopsis = "[STAGE]",
	.summary = "grade many submissions, each in a lab of its own",
	.details =
		"Each directory in DIR is a submission; its program is an executable 'run', else\n"
		"'router.py', else an executable 'router', or what --run says. It runs apart from "
		"the\n"
		"computer, its network and the others, with limits on time, memory, processes.\n"
		"Exit code 3: some could not be graded; the table says which, and why.\n"
		"  labctl grade stage1 --submissions handed-in -j 4 --csv stage1.csv",
	.options = options,
	.max_args = 1,
	.needs = NEEDS_ROOT,
	.complete = COMPLETE_STAGE,
	.run = run,
};
