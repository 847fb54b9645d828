/* SPDX-License-Identifier: MIT */
/* batch.c - all submissions of a directory. */
#include "grade/batch.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/printable.h"
#include "base/rights.h"
#include "grade/grading.h"
#include "grade/request.h"
#include "grade/submission.h"
#include "lab/lab.h"

#include "base/banned.h"

#define TERM_GRACE_MS 25000 /* a labctl takes its lab down in that time */
#define RECOVERY_MS   60000
#define SAID_MAX      4096

enum phase {
	PHASE_IDLE,
	PHASE_GRADING,
	PHASE_ENDING,	/* SIGTERM was sent */
	PHASE_KILLED,	/* SIGKILL, too */
	PHASE_RECOVERY, /* a labctl stage-stop takes down what a dead one left */
};

/* One of the processes that work at a time. */
struct slot {
	enum phase phase;
	size_t row;
	pid_t pid;
	int pidfd;
	int said; /* a memory file: its diagnostics */
	uint64_t begun_ms, deadline_ms;
	bool timed_out;
	char lab[LAB_NAME_MAX + 1];
	char *out; /* directory of its results */
};

struct run {
	struct lab_ctx *ctx;
	const struct batch_options *o;
	struct batch *b;
	char *submissions, *out; /* absolute */
	struct slot *slots;
	size_t next, done, end; /* of rows */
};

void batch_done(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->rows[i].name);
		json_decref(b->rows[i].doc);
	}
	free(b->rows);
	*b = (struct batch){ 0 };
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Processes */

/* Never returns. */
static void child(const struct run *r, char *const *argv, int input, int said, pid_t parent)
{
	/* A Ctrl-C comes to all of a terminal's group: who ends when is decided here alone. */
	const struct child child = { .env = CHILD_ENV_LABCTL, .detached = true };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct err err = { 0 };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (child_prepare(&child, &err) < 0 || null < 0 ||
	    (input >= 0 && dup2(input, STDIN_FILENO) < 0) || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(said, STDERR_FILENO) < 0)
		_exit(1);
	/* When this labctl is killed, it takes its lab down. */
	prctl(PR_SET_PDEATHSIG, (long)SIGTERM);
	if (getppid() != parent)
		_exit(1);
	execv(r->ctx->exe, argv);
	dprintf(STDERR_FILENO, "cannot run '%s': %m\n", r->ctx->exe);
	_exit(1);
}

/* input: its standard input; -1: none. */
static int spawn(const struct run *r, struct slot *s, char *const *argv, int input, struct err *err)
{
	pid_t parent = getpid();

	if (s->said < 0)
		s->said = memfd_create("labctl-grade", MFD_CLOEXEC);
	if (s->said < 0)
		return err_set(err, ERR_ENV, errno, "cannot make a memory file");
	fflush(NULL);
	s->pid = fork();
	if (s->pid < 0)
		return err_set(err, ERR_ENV, errno, "cannot start a process");
	if (s->pid == 0)
		child(r, argv, input, s->said, parent);
	/* glibc 2.35 (Ubuntu 22.04) has no wrapper yet. */
	s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	if (s->pidfd >= 0)
		return 0;
	err_set(err, ERR_ENV, errno, "cannot watch a process");
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	return -1;
}

/* The directory for the results, with the caller's rights. */
static int make_out(const struct run *r, const char *dir, struct err *err)
{
	auto_file_rights as_caller = { 0 };

	if (file_rights_of(&r->ctx->caller, &as_caller, err) < 0)
		return -1;
	return fs_mkdirs(dir, 0755, err);
}

/* An earlier grading's result must not be taken for this one's. */
static int clear_out(const struct run *r, const char *dir, struct err *err)
{
	auto_file_rights as_caller = { 0 };
	auto_free char *path = xasprintf("%s/" GRADING_RESULT, dir);

	if (file_rights_of(&r->ctx->caller, &as_caller, err) < 0)
		return -1;
	return fs_remove(path, err);
}

static int request_of(const struct run *r, const struct slot *s, int *ret_fd, struct err *err)
{
	auto_free char *dir = xasprintf("%s/%s", r->submissions, r->b->rows[s->row].name);
	const struct grading g = { .stage = r->b->stage->dir,
				   .dir = dir,
				   .out = s->out,
				   .command = r->o->command,
				   .seed = r->o->seed,
				   .timeout_s = r->o->timeout_s };

	return request_write(&g, ret_fd, err);
}

static int begin(struct run *r, struct slot *s, struct err *err)
{
	const struct batch_options *o = r->o;
	auto_fd request = -1;
	auto_strv argv = { 0 };

	s->row = r->next++;
	s->out = xasprintf("%s/%s", r->out, r->b->rows[s->row].name);
	snprintf(s->lab, sizeof(s->lab), "grade-%d-%zu", (int)getpid(), s->row + 1);
	s->timed_out = false;
	s->begun_ms = now_ms();
	s->deadline_ms = s->begun_ms + (uint64_t)o->timeout_s * 1000;
	strv_add(&argv, r->ctx->exe);
	strv_add(&argv, "-q");
	strv_addf(&argv, "--lab=%s", s->lab);
	strv_add(&argv, "grade-one");
	if (make_out(r, s->out, err) < 0 || clear_out(r, s->out, err) < 0 ||
	    request_of(r, s, &request, err) < 0 || spawn(r, s, argv.v, request, err) < 0) {
		free(steal_ptr(&s->out));
		r->done++;
		return -1;
	}
	s->phase = PHASE_GRADING;
	return 0;
}

/* Results */

static void set(json_t *doc, const char *key, const char *value)
{
	json_object_set_new(doc, key, grading_text(value));
}

static json_t *read_result(const struct run *r, const struct slot *s)
{
	auto_file_rights as_caller = { 0 };
	auto_free char *path = xasprintf("%s/" GRADING_RESULT, s->out), *text = NULL;
	json_t *doc;

	if (file_rights_of(&r->ctx->caller, &as_caller, ERR_IGNORED) < 0 ||
	    fs_read(path, GRADING_RESULT_MAX, &text, NULL, ERR_IGNORED) < 0)
		return NULL;
	doc = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(doc) && json_string_value(json_object_get(doc, "status")))
		return doc;
	json_decref(doc);
	return NULL;
}

static void write_result(const struct run *r, const struct slot *s, json_t *doc)
{
	auto_file_rights as_caller = { 0 };
	auto_free char *path = xasprintf("%s/" GRADING_RESULT, s->out);
	auto_free char *text = printable_json(doc, JSON_INDENT(2));
	struct err e = { 0 };

	if (file_rights_of(&r->ctx->caller, &as_caller, &e) < 0 ||
	    fs_write(path, text, strlen(text), 0644, false, &e) < 0)
		log_warn("%s", e.msg);
}

/* The last line that it said, without "labctl: ". */
static void last_said(const struct slot *s, char *buf, size_t size)
{
	char text[SAID_MAX + 1], *line;
	off_t end = lseek(s->said, 0, SEEK_END);
	ssize_t n = pread(s->said, text, SAID_MAX, end > SAID_MAX ? end - SAID_MAX : 0);

	text[n > 0 ? n : 0] = '\0';
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	snprintf(buf, size, "%.290s", str_starts(line, "labctl: ") ? line + 8 : line);
}

static json_t *without_result(const struct run *r, const struct slot *s, const siginfo_t *end)
{
	json_t *doc = json_object();
	char said[300], reason[400];

	set(doc, "name", r->b->rows[s->row].name);
	set(doc, "status", s->timed_out ? GRADING_TIMEOUT : GRADING_ERROR);
	last_said(s, said, sizeof(said));
	if (s->timed_out)
		snprintf(reason, sizeof(reason), "not done after %u s", r->o->timeout_s);
	else if (end->si_code != CLD_EXITED)
		snprintf(reason, sizeof(reason), "the grading ended by signal %d", end->si_status);
	else
		snprintf(reason, sizeof(reason), "the grading failed: %s", said);
	set(doc, "reason", reason);
	json_object_set_new(doc, "seconds", json_real((double)(now_ms() - s->begun_ms) / 1000));
	return doc;
}

static void take_result(struct run *r, struct slot *s, const siginfo_t *end)
{
	json_t *doc = s->timed_out ? NULL : read_result(r, s);

	if (!doc) {
		doc = without_result(r, s, end);
		write_result(r, s, doc);
	}
	json_decref(r->b->rows[s->row].doc);
	r->b->rows[s->row].doc = doc;
}

/* The loop */

static bool has_record(const struct run *r, const char *lab)
{
	auto_free char *path = xasprintf("%s/labs/%s.json", r->ctx->state_dir, lab);

	return fs_access(path, F_OK);
}

static void retire(struct run *r, struct slot *s)
{
	auto_free char *name = xstrdup(r->b->rows[s->row].name);

	printable_line(name);
	grading_clean(s->lab);
	close(s->said);
	s->said = -1;
	free(steal_ptr(&s->out));
	s->phase = PHASE_IDLE;
	r->done++;
	lab_ctx_progress(r->ctx, (unsigned)r->done, (unsigned)r->b->n, "%s", name);
}

static void recover(struct run *r, struct slot *s)
{
	auto_strv argv = { 0 };
	struct err e = { 0 };

	strv_add(&argv, r->ctx->exe);
	strv_addf(&argv, "--lab=%s", s->lab);
	strv_add(&argv, "stage-stop");
	s->phase = PHASE_RECOVERY;
	s->deadline_ms = now_ms() + RECOVERY_MS;
	if (spawn(r, s, argv.v, -1, &e) == 0)
		return;
	log_warn("lab '%s' is left behind: %s", s->lab, e.msg);
	retire(r, s);
}

static void on_end(struct run *r, struct slot *s)
{
	siginfo_t end = { 0 };

	if (waitid(P_PID, (id_t)s->pid, &end, WEXITED | WNOHANG) < 0 || end.si_pid != s->pid)
		return;
	close(s->pidfd);
	s->pidfd = -1;
	if (s->phase != PHASE_RECOVERY)
		take_result(r, s, &end);
	if (!has_record(r, s->lab))
		retire(r, s);
	else if (s->phase != PHASE_RECOVERY)
		recover(r, s);
	else {
		log_warn("lab '%s' is left behind: labctl --lab %s stage-stop", s->lab, s->lab);
		retire(r, s);
	}
}

static void on_deadline(struct run *r, struct slot *s)
{
	(void)r;
	if (s->phase == PHASE_GRADING) {
		s->timed_out = true;
		s->phase = PHASE_ENDING;
		s->deadline_ms = now_ms() + TERM_GRACE_MS;
		kill(s->pid, SIGTERM);
		return;
	}
	if (s->phase == PHASE_ENDING)
		s->phase = PHASE_KILLED;
	s->deadline_ms = now_ms() + RECOVERY_MS;
	kill(s->pid, SIGKILL);
}

static void end_all(struct run *r)
{
	r->end = r->next; /* the others are not begun */
	for (size_t i = 0; i < r->o->jobs; i++) {
		struct slot *s = &r->slots[i];

		if (s->phase != PHASE_GRADING)
			continue;
		s->phase = PHASE_ENDING;
		s->deadline_ms = now_ms() + TERM_GRACE_MS;
		kill(s->pid, SIGTERM);
	}
}

static void wait_for_one(struct run *r)
{
	auto_free struct pollfd *fds = xcalloc(r->o->jobs, sizeof(*fds));
	uint64_t now = now_ms(), next = now + 1000;

	for (size_t i = 0; i < r->o->jobs; i++) {
		const struct slot *s = &r->slots[i];

		fds[i] = (struct pollfd){ .fd = s->phase ? s->pidfd : -1, .events = POLLIN };
		if (s->phase && s->deadline_ms < next)
			next = s->deadline_ms;
	}
	/* A signal ends the waiting, or it is seen a second later. */
	poll(fds, r->o->jobs, next > now ? (int)(next - now) : 0);
	now = now_ms();
	for (size_t i = 0; i < r->o->jobs; i++) {
		struct slot *s = &r->slots[i];

		if (s->phase && fds[i].revents)
			on_end(r, s);
		else if (s->phase && now >= s->deadline_ms)
			on_deadline(r, s);
	}
}

static int work(struct run *r, struct err *err)
{
	struct err e = { 0 };
	bool stop = false;

	r->end = r->b->n;
	while (r->done < r->end) {
		for (size_t i = 0; i < r->o->jobs && r->next < r->end; i++) {
			struct slot *s = &r->slots[i];

			if (s->phase == PHASE_IDLE && begin(r, s, &e) < 0)
				r->end = r->next;
		}
		if (!stop && (e.kind || interrupt_pending())) {
			stop = true;
			end_all(r);
		}
		wait_for_one(r);
	}
	if (e.kind)
		return err_pass(err, &e);
	return err_if_interrupted(err);
}

/* Setting out */

static int resolve(const struct run *r, const char *path, char **ret, struct err *err)
{
	auto_file_rights as_caller = { 0 };

	if (file_rights_of(&r->ctx->caller, &as_caller, err) < 0)
		return -1;
	*ret = realpath(path, NULL);
	if (!*ret)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_ENV, errno,
			       "cannot find '%s'", path);
	return 0;
}

static int list_rows(struct run *r, struct err *err)
{
	auto_file_rights as_caller = { 0 };
	auto_strv names = { 0 };

	if (file_rights_of(&r->ctx->caller, &as_caller, err) < 0 ||
	    submissions_list(r->submissions, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		array_push(r->b->rows, r->b->n)->name = xstrdup(names.v[i]);
	return 0;
}

/* Results among the submissions would be submissions the next time. */
static int check_apart(const struct run *r, struct err *err)
{
	size_t len = strlen(r->submissions);

	if (strncmp(r->out, r->submissions, len) != 0 || (r->out[len] && r->out[len] != '/'))
		return 0;
	err_set(err, ERR_USAGE, 0, "the results would be among the submissions, in '%s'", r->out);
	return err_hint(err, "name another directory with --out");
}

static int prepare(struct run *r, struct err *err)
{
	if (resolve(r, r->o->submissions, &r->submissions, err) < 0 || list_rows(r, err) < 0 ||
	    make_out(r, r->o->out, err) < 0 || resolve(r, r->o->out, &r->out, err) < 0)
		return -1;
	return check_apart(r, err);
}

int batch_run(struct lab_ctx *ctx, const struct stage *stage, const char *stage_text,
	      const struct batch_options *o, struct batch *ret, struct err *err)
{
	auto_batch b = { .stage = stage, .seed = o->seed };
	struct run r = { .ctx = ctx, .o = o, .b = &b };
	uint64_t start = now_ms();
	int result;

	digest_of(stage_text, strlen(stage_text), b.stage_sha256);
	r.slots = xcalloc(o->jobs, sizeof(*r.slots));
	for (size_t i = 0; i < o->jobs; i++)
		r.slots[i].said = r.slots[i].pidfd = -1;
	result = prepare(&r, err);
	if (result == 0)
		result = work(&r, err);
	for (size_t i = 0; i < o->jobs; i++)
		free(r.slots[i].out);
	free(r.slots);
	free(r.submissions);
	free(r.out);
	if (result < 0)
		return -1;
	for (size_t i = 0; i < b.n; i++) {
		const char *status = json_string_value(json_object_get(b.rows[i].doc, "status"));

		b.graded += status && strcmp(status, GRADING_GRADED) == 0;
	}
	b.seconds = (double)(now_ms() - start) / 1000;
	*ret = b;
	b = (struct batch){ 0 };
	return 0;
}
