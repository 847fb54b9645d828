/* SPDX-License-Identifier: MIT */
/* grading.c - one submission, graded in a lab of its own. */
#include "grade/grading.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/printable.h"
#include "base/rights.h"
#include "grade/report.h"
#include "grade/sandbox.h"
#include "grade/submission.h"
#include "lab/session.h"

#include "base/banned.h"

#define MEMORY_MAX   (512u << 20)
#define PIDS_MAX     64
#define CPU_PERCENT  100
#define UID_BASE     0x70000000u /* and the process's number: nobody else's on this computer */
#define LAB_JSON_MAX (4u << 20)

/* What is known of a submission so far. */
struct work {
	struct lab_ctx *ctx;
	const struct grading *g;
	json_t *doc;
	char *command;
};

static void put(struct work *w, const char *key, json_t *value)
{
	json_object_set_new(w->doc, key, value);
}

json_t *grading_text(const char *text)
{
	auto_free char *plain = xstrdup(text);

	printable_line(plain);
	return json_string(plain);
}

static void put_failure(struct work *w, const struct err *e)
{
	put(w, "status", json_string(GRADING_ERROR));
	put(w, "reason", grading_text(e->msg));
}

static int write_out(const struct work *w, const char *file, const char *text, struct err *err)
{
	auto_file_rights as_caller = { 0 };
	auto_free char *path = xasprintf("%s/%s", w->g->out, file);

	if (file_rights_of(&w->ctx->caller, &as_caller, err) < 0)
		return -1;
	return fs_write(path, text, strlen(text), 0644, false, err);
}

/* Of an earlier grading: a capture of a check that is passed now would mislead. */
static int clear_out(const struct work *w, struct err *err)
{
	static const char *const names[] = { GRADING_RESULT, "report.txt", "transcript.txt" };
	auto_file_rights as_caller = { 0 };
	const struct dirent *entry;

	if (file_rights_of(&w->ctx->caller, &as_caller, err) < 0)
		return -1;
	auto_dir d = opendir(w->g->out);
	if (!d)
		return err_set(err, ERR_ENV, errno, "cannot open '%s'", w->g->out);
	while ((entry = readdir(d))) {
		size_t len = strlen(entry->d_name);
		bool ours = len > 5 && strcmp(entry->d_name + len - 5, ".pcap") == 0;

		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			ours = ours || strcmp(entry->d_name, names[i]) == 0;
		if (ours && unlinkat(dirfd(d), entry->d_name, 0) < 0)
			return err_set(err, ERR_ENV, errno, "cannot remove '%s/%s'", w->g->out,
				       entry->d_name);
	}
	return 0;
}

static int look_at_submission(struct work *w, struct err *err)
{
	auto_file_rights as_caller = { 0 };
	char sum[DIGEST_TEXT];

	if (file_rights_of(&w->ctx->caller, &as_caller, err) < 0 ||
	    submission_check(w->g->dir, err) < 0 ||
	    submission_digest(w->g->dir, SANDBOX_COPY_MAX, sum, err) < 0)
		return -1;
	put(w, "sha256", json_string(sum));
	if (submission_command(w->g->dir, w->g->command, SANDBOX_DIR, &w->command, err) < 0)
		return -1;
	put(w, "program", grading_text(w->command));
	return 0;
}

static char *parent_of(const char *path)
{
	char real[PATH_MAX];
	char *slash = realpath(path, real) ? strrchr(real, '/') : NULL;

	if (!slash || slash == real)
		return NULL;
	*slash = '\0';
	return xstrdup(real);
}

/* The others' work, their results, this repository with its references, labctl's own. */
static void hidden_dirs(const struct work *w, struct strv *ret)
{
	const struct lab_ctx *ctx = w->ctx;
	auto_free char *submissions = parent_of(w->g->dir), *out = parent_of(w->g->out);

	if (submissions)
		strv_add(ret, submissions);
	if (out)
		strv_add(ret, out);
	strv_add(ret, ctx->state_dir);
	strv_add(ret, ctx->run_dir);
	strv_add(ret, ctx->stages_dir);
	if (ctx->in_tree)
		strv_add(ret, ctx->root);
}

static void put_counts(struct work *w, const struct results *r)
{
	put(w, "score", json_integer(r->score));
	put(w, "max_score", json_integer(r->max_score));
	put(w, "passed", json_integer(r->passed));
	put(w, "failed", json_integer(r->failed));
	put(w, "errors", json_integer(r->errors));
	put(w, "pending", json_integer(r->pending));
}

static int put_results(struct work *w, const struct lab *l, const struct results *r,
		       struct err *err)
{
	const struct report report = {
		.stage = l->stage, .lab = l->name, .results = r, .ladders = true
	};
	json_t *doc = report_json(&report);
	auto_str text = { 0 };

	put(w, "status", json_string(r->errors ? GRADING_ERROR : GRADING_GRADED));
	put_counts(w, r);
	put(w, "checks", json_incref(json_object_get(doc, "checks")));
	json_decref(doc);
	for (size_t i = 0; i < r->n; i++) {
		if (r->v[i].verdict == (r->errors ? VERDICT_ERROR : VERDICT_FAIL)) {
			put(w, "reason", json_sprintf("%s: %s", r->v[i].id, r->v[i].reason));
			break;
		}
	}
	report_head(&report, &text);
	report_checks(&report, &text);
	report_sum(&report, &text);
	return write_out(w, "report.txt", str_get(&text), err);
}

static void put_limits(struct work *w, const struct sandbox *s)
{
	unsigned long memory = 0, forks = 0;

	cgroup_hits(s->cgroup, &memory, &forks);
	put(w, "limits",
	    json_pack("{s:I, s:i, s:b, s:I, s:I}", "memory_mb",
		      (json_int_t)(s->limits.memory >> 20), "processes", (int)s->limits.pids,
		      "control_groups", s->has.memory && s->has.pids, "killed_for_memory",
		      (json_int_t)memory, "forks_refused", (json_int_t)forks));
}

static int grade_in_sandbox(struct work *w, struct lab *l, const struct sandbox *s, struct err *err)
{
	struct runner_spec program = { .command = w->command,
				       .become = sandbox_become,
				       .arg = (void *)(uintptr_t)s };
	const struct grader_options o = { .seed = w->g->seed,
					  .program = &program,
					  .pcap_dir = w->g->out,
					  .pcap_failures = true,
					  .pcap_as = &w->ctx->caller };
	auto_results results = { 0 };
	auto_arena arena = { 0 };

	if (arena_of_lab(w->ctx, l, &arena, err) < 0 || grade(&arena, &o, &results, err) < 0)
		return -1;
	return put_results(w, l, &results, err);
}

static int grade_in_lab(struct work *w, struct lab *l, struct err *err)
{
	auto_free char *lab_file = lab_path(l, "lab.json"), *lab_json = NULL;
	auto_free char *transcript = xasprintf("%s/transcript.txt", w->g->out);
	auto_free char *cgroup = xasprintf("labctl-%s", l->name);
	auto_strv hidden = { 0 };
	struct sandbox s = {
		.submission = w->g->dir,
		.transcript = transcript,
		.reader = &w->ctx->caller,
		.seat_ns = l->seat_ns,
		.hide = &hidden,
		.uid = UID_BASE + (uid_t)getpid(),
		.cgroup = cgroup,
		.limits = { MEMORY_MAX, PIDS_MAX, CPU_PERCENT },
		.cpu_s = w->g->timeout_s,
	};
	int r;

	if (fs_read(lab_file, LAB_JSON_MAX, &lab_json, NULL, err) < 0)
		return -1;
	s.lab_json = lab_json;
	hidden_dirs(w, &hidden);
	cgroup_create(cgroup, &s.limits, &s.has);
	r = grade_in_sandbox(w, l, &s, err);
	put_limits(w, &s);
	cgroup_remove(cgroup);
	return r;
}

/* The lab goes whatever happened in it; the first failure is the one that is told. */
static int with_lab(struct work *w, struct err *err)
{
	struct err e = { 0 }, stop = { 0 };
	auto_lab l = NULL;
	int r;

	if (session_prepare(w->ctx, w->g->stage, true, NULL, &l, err) < 0 ||
	    session_start(w->ctx, l, err) < 0)
		return -1;
	r = grade_in_lab(w, l, &e);
	if (session_stop(w->ctx, NULL, &stop) < 0 && r == 0)
		return err_pass(err, &stop);
	return r < 0 ? err_pass(err, &e) : 0;
}

int grading_run(struct lab_ctx *ctx, const struct grading *g, struct err *err)
{
	json_auto_t *doc = json_object();
	struct work w = { .ctx = ctx, .g = g, .doc = doc };
	struct timespec before, after;
	auto_free char *text = NULL, *command = NULL;
	struct err e = { 0 };
	int r;

	clock_gettime(CLOCK_MONOTONIC, &before);
	free(steal_ptr(&ctx->src_dir)); /* nobody's src/ is for a stranger's program */
	put(&w, "name", grading_text(strrchr(g->dir, '/') + 1));
	if (clear_out(&w, err) < 0)
		return -1;
	r = look_at_submission(&w, &e);
	command = w.command;
	if (r < 0 || with_lab(&w, &e) < 0) {
		if (err_is(&e, ERR_INTERRUPTED))
			return err_pass(err, &e);
		put_failure(&w, &e);
	}
	clock_gettime(CLOCK_MONOTONIC, &after);
	put(&w, "seconds",
	    json_real((double)(after.tv_sec - before.tv_sec) +
		      (double)((after.tv_nsec - before.tv_nsec) / 1000000) / 1000));
	text = printable_json(doc, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	return write_out(&w, GRADING_RESULT, text, err);
}

void grading_clean(const char *lab)
{
	auto_free char *cgroup = xasprintf("labctl-%s", lab);

	cgroup_remove(cgroup);
}
