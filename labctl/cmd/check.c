/* SPDX-License-Identifier: MIT */
/* check.c - the verb check: grade the student's program. */
#include "cmd/command.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/proc.h"
#include "grade/memory.h"
#include "grade/replay.h"
#include "grade/report.h"
#include "grade/results.h"
#include "grade/watch.h"
#include "lab/session.h"

#include "base/banned.h"

enum {
	OPT_RUN,
	OPT_ONLY,
	OPT_FAILED,
	OPT_WATCH,
	OPT_HINT,
	OPT_EXPLAIN,
	OPT_SEED,
	OPT_PCAP,
	OPT_JUNIT,
	OPT_TAP,
	OPT_KEEP_OUTPUT,
	OPT_REPLAY,
};

static const struct option options[] = {
	[OPT_RUN] = { 0, "run", "COMMAND", "start this program, grade it, stop it",
		      COMPLETE_COMMAND },
	[OPT_ONLY] = { 0, "only", "ID", "this check, or a family of them: arp, ipv4.ttl",
		       COMPLETE_NOTHING },
	[OPT_FAILED] = { 0, "failed", NULL, "what was not passed last time", COMPLETE_NOTHING },
	[OPT_WATCH] = { 0, "watch", NULL, "again whenever a file in src/ is saved",
			COMPLETE_NOTHING },
	[OPT_HINT] = { 0, "hint", NULL, "one more hint for each failure", COMPLETE_NOTHING },
	[OPT_EXPLAIN] = { 0, "explain", "ID", "what a check is about (all: list them)",
			  COMPLETE_NOTHING },
	[OPT_SEED] = { 0, "seed", "N", "the addresses and values of an earlier grading",
		       COMPLETE_NOTHING },
	[OPT_PCAP] = { 0, "pcap", "DIR", "write each check's frames there", COMPLETE_DIR },
	[OPT_JUNIT] = { 0, "junit", "FILE", "write a JUnit report", COMPLETE_NOTHING },
	[OPT_TAP] = { 0, "tap", NULL, "print TAP", COMPLETE_NOTHING },
	[OPT_KEEP_OUTPUT] = { 0, "keep-output", NULL,
			      "with --run: show what the program prints beside the checks",
			      COMPLETE_NOTHING },
	[OPT_REPLAY] = { 0, "replay", "ID", "send this check's frames again and again, slowly",
			 COMPLETE_NOTHING },
	{ 0 },
};

struct session {
	struct cmd *cmd;
	const struct args *args;
	struct lab *lab;
	bool verbose; /* of the student's program, not of labctl's own steps */
};

static bool has_colour(void)
{
	return isatty(STDOUT_FILENO) && str_empty(getenv("NO_COLOR"));
}

/* What the terminal shows, as locale(7) names it. */
static bool has_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *v = getenv(names[i]);

		if (!str_empty(v))
			return strcasestr(v, "utf-8") || strcasestr(v, "utf8");
	}
	return false;
}

static int explain(const char *id, struct err *err)
{
	const struct check *c;
	auto_str text = { 0 };

	if (strcmp(id, "all") == 0) {
		for (size_t i = 0; (c = check_at(i)); i++)
			out_printf(stdout, "%-25s %s (%s)\n", c->id, c->title, c->rfc);
		return 0;
	}
	if (check_lookup(id, &c, err) < 0)
		return -1;
	report_explain(c, has_colour(), &text);
	out_painted(stdout, str_get(&text));
	return 0;
}

static bool keeps_output(const struct session *s)
{
	return s->args->opt[OPT_KEEP_OUTPUT] || s->verbose;
}

/* In the child that becomes the student's program. */
static int become(void *arg, char **argv, struct err *err)
{
	struct session *s = arg;
	int code;

	/* Into a pipe Python prints when it ends; what is kept belongs to its check. */
	if (keeps_output(s))
		setenv("PYTHONUNBUFFERED", "1", 0);

	if (session_exec(s->cmd->ctx, s->lab, SESSION_GRADED, argv, &code, err) == 0)
		return 0; /* not reached */
	return code;
}

static void show_progress(void *arg, const struct result *r, size_t i, size_t n, bool after)
{
	struct session *s = arg;

	lab_ctx_progress(s->cmd->ctx, (unsigned)(i + after), (unsigned)n, "%s", r->id);
}

static int choose_seed(const struct args *args, uint64_t *ret, struct err *err)
{
	uint32_t seed;

	if (args->opt[OPT_SEED]) {
		if (parse_u32(args->opt[OPT_SEED], 0, UINT32_MAX, &seed, err) < 0)
			return err_wrap(err, "--seed");
	} else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
		return err_set(err, ERR_ENV, errno, "no random numbers");
	}
	*ret = seed;
	return 0;
}

static void print_table(const struct report *r)
{
	auto_str text = { 0 };

	report_head(r, &text);
	report_checks(r, &text);
	report_sum(r, &text);
	out_painted(stdout, str_get(&text));
}

static int write_junit(const struct report *r, const char *path, struct err *err)
{
	struct report utf8 = *r;
	auto_str text = { 0 };

	utf8.ascii = false; /* as its first line says */
	report_junit(&utf8, &text);
	return fs_write(path, str_get(&text), text.len, 0644, false, err);
}

static int print_results(struct session *s, const struct report *r, struct err *err)
{
	const char *junit = s->args->opt[OPT_JUNIT];
	auto_str text = { 0 };

	lab_ctx_progress_end(s->cmd->ctx);
	if (s->cmd->json) {
		print_json(report_json(r));
	} else if (s->args->opt[OPT_TAP]) {
		report_tap(r, &text);
		out_text(stdout, str_get(&text));
	} else {
		print_table(r);
	}
	/* Last: a file that cannot be written shall not cost the results. */
	return junit ? write_junit(r, junit, err) : 0;
}

/* One grading of the checks in ids (NULL: as the options say), with one more hint for each failure
 * or without. Returns the exit code. */
static int grade_once(struct session *s, const struct strv *ids, bool hint, struct err *err)
{
	struct lab_ctx *ctx = s->cmd->ctx;
	auto_free char *cwd = getcwd(NULL, 0);
	struct runner_spec program = { s->args->opt[OPT_RUN], become, s, cwd };
	struct grader_options o = { .only = s->args->opt[OPT_ONLY],
				    .ids = ids,
				    .program = program.command ? &program : NULL,
				    .pcap_dir = s->args->opt[OPT_PCAP],
				    .pcap_as = &ctx->caller,
				    .keep_output = keeps_output(s),
				    .progress = show_progress,
				    .progress_arg = s };
	struct report report = { .stage = s->lab->stage, .lab = s->lab->name };
	auto_lab_lock lock = { 0 };
	auto_results results = { 0 };
	auto_memory memory = { 0 };
	auto_arena arena = { 0 };
	auto_free char *next = lab_next_command(ctx, s->lab);
	struct err unsaved = { 0 };

	if (choose_seed(s->args, &o.seed, err) < 0 || lab_lock(ctx, "check", &lock, err) < 0 ||
	    arena_of_lab(ctx, s->lab, &arena, err) < 0 || grade(&arena, &o, &results, err) < 0)
		return -1;
	memory_load(&memory, ctx->state_dir, s->lab->name, s->lab->stage->name);
	memory_update(&memory, &results, hint);
	/* The verdict is worth more than what the next --hint remembers. */
	if (memory_save(&memory, &unsaved) < 0)
		log_warn("this grading is not remembered: %s", unsaved.msg);
	report.results = &results;
	report.memory = &memory;
	report.next = next;
	report.ladders = s->verbose;
	report.ascii = !has_utf8();
	report.more_hints = hint;
	report.colour = has_colour();
	if (print_results(s, &report, err) < 0)
		return -1;
	return report_exit_code(&results);
}

static void failed_ids(const struct session *s, struct strv *ret)
{
	auto_memory memory = { 0 };

	memory_load(&memory, s->cmd->ctx->state_dir, s->lab->name, s->lab->stage->name);
	memory_failed(&memory, ret);
}

/* The first check that failed comes first, and alone; then all of them. */
static int grade_after_save(struct session *s, struct err *err)
{
	auto_strv failed = { 0 };
	struct strv first;

	failed_ids(s, &failed);
	first = (struct strv){ failed.v, 1 };
	if (failed.n > 1 && !s->args->opt[OPT_ONLY] && grade_once(s, &first, false, err) < 0)
		return -1;
	return grade_once(s, NULL, s->args->opt[OPT_HINT] != NULL, err);
}

static int watch(struct session *s, struct err *err)
{
	/* What programs read has nothing but results in it. */
	FILE *talk = s->cmd->json || s->args->opt[OPT_TAP] ? stderr : stdout;
	const char *dir = s->lab->src_dir;
	struct err e = { 0 };
	auto_fd fd = -1;
	int code;

	if (!dir)
		return err_set(err, ERR_USAGE, 0, "lab '%s' has no src/ to watch", s->lab->name);
	if (watch_open(dir, &fd, err) < 0)
		return -1;
	code = grade_once(s, NULL, s->args->opt[OPT_HINT] != NULL, &e);
	while (code >= 0) {
		fflush(stdout);
		out_printf(talk, "\nwatching %s: save a file to grade again, Ctrl-C to end\n", dir);
		fflush(talk);
		if (watch_wait(fd, dir, &e) < 0)
			break;
		out_text(talk, "\n");
		code = grade_after_save(s, &e);
	}
	if (code >= 0 && err_is(&e, ERR_INTERRUPTED))
		return code;
	*err = e;
	return -1;
}

/* Replay */

static void show_frame(void *arg, const char *line)
{
	(void)arg;
	out_printf(stdout, "%s\n", line);
	fflush(stdout);
}

static void show_round(void *arg, unsigned n, const struct result *r)
{
	const struct session *s = arg;
	const struct results all = { 0 };
	struct report report = {
		.stage = s->lab->stage, .lab = s->lab->name, .results = &all, .colour = has_colour()
	};
	auto_str text = { 0 };

	report_check(&report, r, &text);
	out_painted(stdout, str_get(&text));
	out_printf(stdout, "round %u is over; Ctrl-C ends\n\n", n);
	fflush(stdout);
}

/* Before anything is shown: does the stage have this check? */
static int replay_exists(const struct session *s, const struct grader_options *o, struct err *err)
{
	auto_results chosen = { 0 };
	const struct check *c;
	struct err e = { 0 };

	if (results_make(s->lab->stage, o, &chosen, &e) == 0)
		return 0;
	if (err_is(&e, ERR_NOT_FOUND) && check_lookup(o->only, &c, err) < 0)
		return -1;
	return err_pass(err, &e);
}

static int replay(struct session *s, struct err *err)
{
	struct lab_ctx *ctx = s->cmd->ctx;
	const struct replay rounds = { show_frame, show_round, s, REPLAY_PAUSE_MS, 0 };
	struct grader_options o = { .only = s->args->opt[OPT_REPLAY], .replay = &rounds };
	auto_lab_lock lock = { 0 };
	auto_results results = { 0 };
	auto_arena arena = { 0 };
	struct err e = { 0 };

	if (replay_exists(s, &o, err) < 0 || choose_seed(s->args, &o.seed, err) < 0 ||
	    lab_lock(ctx, "check", &lock, err) < 0 || arena_of_lab(ctx, s->lab, &arena, err) < 0)
		return -1;
	out_printf(stdout, "%s, seed %u: a stimulus each second, Ctrl-C ends\n", o.only,
		   (unsigned)o.seed);
	fflush(stdout);
	if (grade(&arena, &o, &results, &e) < 0)
		return err_is(&e, ERR_INTERRUPTED) ? 0 : err_pass(err, &e);
	return report_exit_code(&results);
}

static int refuse_both(const struct args *args, int a, int b, struct err *err)
{
	if (!args->opt[a] || !args->opt[b])
		return 0;
	return err_set(err, ERR_USAGE, 0, "--%s or --%s, not both", options[a].name,
		       options[b].name);
}

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	struct session s = { .cmd = cmd, .args = args };
	auto_strv failed = { 0 };
	auto_lab l = NULL;

	s.verbose = log_get_level() == LOG_DEBUG;
	if (s.verbose)
		log_set_level(LOG_NORMAL);
	if (args->opt[OPT_EXPLAIN])
		return explain(args->opt[OPT_EXPLAIN], err);
	if (refuse_both(args, OPT_ONLY, OPT_FAILED, err) < 0 ||
	    refuse_both(args, OPT_WATCH, OPT_FAILED, err) < 0)
		return -1;
	if (refuse_both(args, OPT_REPLAY, OPT_RUN, err) < 0)
		return err_hint(err, "start the program in another terminal: %s run -- COMMAND",
				cmd->ctx->labctl);
	if (cmd->json && args->opt[OPT_TAP])
		return err_set(err, ERR_USAGE, 0, "--json or --tap, not both");
	if (session_running(cmd->ctx, &l, err) < 0)
		return -1;
	s.lab = l;
	if (args->opt[OPT_REPLAY])
		return replay(&s, err);
	if (args->opt[OPT_WATCH])
		return watch(&s, err);
	if (args->opt[OPT_FAILED])
		failed_ids(&s, &failed);
	/* Nothing failed last time, or there was none: everything. */
	return grade_once(&s, failed.n ? &failed : NULL, args->opt[OPT_HINT] != NULL, err);
}

const struct command cmd_check = {
	.name = "check",
	.synopsis = "",
	.summary = "grade your program: frames in, frames out, a lesson for each fault",
	.details = "Grades the program that runs (labctl run -- ...), or the one that --run starts "
		   "and stops.\n"
		   "What a check needs is tried before it, with --only and --failed, too.\n"
		   "Exit code 0: all passed; 1: some failed; 3: it could not be graded.\n"
		   "-v draws the frames of each fault, and implies --keep-output.\n"
		   "  labctl check --run 'python3 src/router.py'\n"
		   "  labctl check --only ipv4 --hint",
	.options = options,
	.needs = NEEDS_ROOT,
	.who = WHO_OWNER,
	.waived_by = 1u << OPT_EXPLAIN,
	.run = run,
};
