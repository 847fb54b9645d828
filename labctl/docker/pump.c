/* SPDX-License-Identifier: MIT */
/* pump.c - one loop for stdin, the connection, the outputs, signals and side requests. */
#include "docker/pump.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/signalfd.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "docker/demux.h"
#include "docker/engine_raw.h"
#include "docker/output.h"
#include "docker/tty.h"

#include "base/banned.h"

#define PIECE		16384
#define IDLE_MS		60000
#define RESIZE_TRIES	10 /* the engine refuses until the command runs */
#define RESIZE_AGAIN_MS 20
/* Docker 20.10 answers before it has set the size, and one set while the command begins can come
 * after a later one: the size is told again until it must have arrived last. */
#define RESIZE_REPEATS	 2
#define RESIZE_REPEAT_MS 300
#define ASK_MIN_MS	 1 /* between questions for the exit code */
#define ASK_MAX_MS	 100
#define HANGUP_MS	 2000 /* how long a signalled terminal session is waited for */

enum {
	FD_SIGNAL,
	FD_CONN,
	FD_IN,
	FD_OUT,
	FD_ERR,
	FD_MAX
};

/* A request beside the stream. */
struct aside {
	struct pump *p;
	bool busy;
};

struct pump {
	struct engine *e;
	const struct exec_spec *spec;
	const char *exec_id;
	struct http_conn *conn;
	struct demux demux;
	struct output out, err;
	int signal_fd;

	char in[PIECE]; /* what stdin gave and the connection has not taken */
	size_t in_done, in_len;
	bool in_open;	 /* stdin may give more */
	bool in_closing; /* its end is to be passed on */

	bool ended;	/* the stream has */
	bool finished;	/* the command has: code is known */
	bool given_up;	/* after a signal that could not be passed on */
	int end_signal; /* to be sent to the command once its process is known */
	int caught;	/* the last signal that asked us to end */
	unsigned n_caught;
	int64_t give_up_at; /* ms, 0: never */

	struct aside resize, ask;
	int64_t resize_at, ask_at; /* ms, 0: not wanted */
	unsigned resize_tries, resize_repeats;
	int ask_wait;

	int code;
	struct err failure; /* what pump_run() will return */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool is_over(const struct pump *p)
{
	return p->failure.kind || p->given_up ||
	       (p->finished && !output_is_pending(&p->out) && !output_is_pending(&p->err));
}

/* ---- requests beside the stream ---- */

static void on_resized(void *arg, json_t *reply, const struct err *err)
{
	struct pump *p = ((struct aside *)arg)->p;

	(void)reply;
	p->resize.busy = false;
	if (p->ended)
		return;
	if (err && ++p->resize_tries < RESIZE_TRIES) {
		p->resize_at = now_ms() + (int64_t)RESIZE_AGAIN_MS * p->resize_tries;
	} else if (!err && !p->resize_at && p->resize_repeats) {
		p->resize_repeats--;
		p->resize_at = now_ms() + RESIZE_REPEAT_MS;
	}
}

static void submit_resize(struct pump *p)
{
	struct tty_size size;
	auto_free char *path = NULL;

	p->resize_at = 0;
	if (!tty_size_get(p->spec->stdin_fd, &size))
		return;
	path = xasprintf("/exec/%s/resize?h=%u&w=%u", p->exec_id, size.rows, size.cols);
	p->resize.busy = true;
	engine_submit(p->e, "POST", path, NULL, on_resized, &p->resize);
}

static void want_resize(struct pump *p)
{
	if (!p->spec->tty)
		return;
	p->resize_tries = 0;
	p->resize_repeats = RESIZE_REPEATS;
	p->resize_at = now_ms();
}

static void want_answer(struct pump *p, int64_t at)
{
	if (!p->ask_at || at < p->ask_at)
		p->ask_at = at;
}

/* Passes the signal on; without a way to, there is nothing to wait for. */
static void pass_signal(struct pump *p, const struct exec_state *state)
{
	int sig = p->end_signal;

	if (!p->ended && (!state->running || !state->pid)) {
		/* it is just being started */
		want_answer(p, now_ms() + RESIZE_AGAIN_MS);
		return;
	}
	p->end_signal = 0;
	if (!state->running)
		return;
	if (http_is_local(engine_http(p->e)) && exec_kill(state, sig) == 0)
		return;
	p->given_up = true;
}

static void on_answer(void *arg, json_t *reply, const struct err *err)
{
	struct pump *p = ((struct aside *)arg)->p;
	struct exec_state state = { 0 };

	p->ask.busy = false;
	if (err) {
		p->failure = *err;
		return;
	}
	if (exec_state_read(reply, &state, &p->failure))
		return;
	if (p->end_signal)
		pass_signal(p, &state);
	if (!p->ended)
		return;
	if (!state.running) {
		p->finished = true;
		p->code = state.code;
		return;
	}
	p->ask_wait = p->ask_wait * 2 > ASK_MAX_MS ? ASK_MAX_MS : p->ask_wait * 2;
	want_answer(p, now_ms() + p->ask_wait);
}

static void submit_due(struct pump *p)
{
	int64_t now = now_ms();

	if (p->resize_at && p->resize_at <= now && !p->resize.busy)
		submit_resize(p);
	if (p->ask_at && p->ask_at <= now && !p->ask.busy) {
		auto_free char *path = xasprintf("/exec/%s/json", p->exec_id);

		p->ask_at = 0;
		p->ask.busy = true;
		engine_submit(p->e, "GET", path, NULL, on_answer, &p->ask);
	}
	if (p->give_up_at && p->give_up_at <= now)
		p->given_up = true;
}

static int timeout(const struct pump *p)
{
	const int64_t at[] = { p->resize.busy ? 0 : p->resize_at, p->ask.busy ? 0 : p->ask_at,
			       p->give_up_at };
	int64_t now = now_ms(), wait = IDLE_MS;

	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		if (at[i] && at[i] - now < wait)
			wait = at[i] > now ? at[i] - now : 0;
	return (int)wait;
}

/* ---- signals ---- */

static void end_command(struct pump *p, int sig)
{
	p->end_signal = sig;
	want_answer(p, now_ms());
}

static void on_end_signal(struct pump *p, int sig)
{
	p->caught = sig;
	p->n_caught++;
	if (p->n_caught > 2) {
		p->given_up = true;
	} else if (p->n_caught == 2) {
		end_command(p, SIGKILL);
	} else if (p->spec->tty) {
		/* what a terminal that goes away says to its session */
		end_command(p, SIGHUP);
		p->give_up_at = now_ms() + HANGUP_MS;
	} else {
		end_command(p, sig);
	}
}

static void read_signals(struct pump *p)
{
	struct signalfd_siginfo si;

	while (read(p->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		switch (si.ssi_signo) {
		case SIGCONT:
			tty_raw_again();
			want_resize(p);
			break;
		case SIGWINCH:
			want_resize(p);
			break;
		default:
			on_end_signal(p, (int)si.ssi_signo);
		}
	}
}

/* What we take over; a signal that is ignored (nohup) stays so. */
static void choose_signals(const struct exec_spec *spec, sigset_t *ret)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

	sigemptyset(ret);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++) {
		struct sigaction old;

		if (sigaction(ending[i], NULL, &old) || (old.sa_flags & SA_SIGINFO) ||
		    old.sa_handler != SIG_IGN)
			sigaddset(ret, ending[i]);
	}
	if (spec->tty) {
		sigaddset(ret, SIGWINCH);
		sigaddset(ret, SIGCONT);
	}
}

/* ---- bytes ---- */

static int on_frame(void *arg, enum demux_stream stream, const char *data, size_t n)
{
	struct pump *p = arg;

	output_add(stream == DEMUX_STDOUT ? &p->out : &p->err, data, n);
	return 0;
}

static void take_bytes(struct pump *p, const char *data, size_t n)
{
	if (p->spec->tty)
		output_add(&p->out, data, n);
	else if (demux_feed(&p->demux, data, n, on_frame, p, &p->failure))
		return;
}

static void flush_output(struct pump *p, struct output *o)
{
	struct err err = { 0 };

	if (output_flush(o, &err) == 0)
		return;
	/* As in a local pipeline: nobody reads, so the command learns it the hard way. */
	if (err.sys != EPIPE)
		p->failure = err;
	else if (!p->ended)
		end_command(p, SIGPIPE);
}

static void stream_ended(struct pump *p)
{
	p->ended = true;
	p->in_open = false;
	p->in_closing = false;
	p->in_len = p->in_done = 0;
	p->ask_wait = ASK_MIN_MS;
	p->resize_at = 0;
	want_answer(p, now_ms());
}

/* Nothing more is taken from the connection while an output is full: the engine then stops
 * reading from the command, which stops. */
static void receive(struct pump *p)
{
	char piece[PIECE];

	for (;;) {
		ssize_t n;

		flush_output(p, &p->out);
		flush_output(p, &p->err);
		if (p->ended || p->failure.kind || output_is_pending(&p->out) ||
		    output_is_pending(&p->err))
			return;
		n = http_conn_recv(p->conn, piece, sizeof(piece));
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			stream_ended(p);
			return;
		}
		take_bytes(p, piece, (size_t)n);
	}
}

static void read_input(struct pump *p)
{
	ssize_t n = read(p->spec->stdin_fd, p->in, sizeof(p->in));

	if (n > 0) {
		p->in_done = 0;
		p->in_len = (size_t)n;
		return;
	}
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	p->in_open = false;
	if (p->spec->tty)
		on_end_signal(p, SIGHUP); /* the terminal is gone */
	else
		p->in_closing = true;
}

static void send_input(struct pump *p)
{
	while (p->in_done < p->in_len) {
		ssize_t n = http_conn_send(p->conn, p->in + p->in_done, p->in_len - p->in_done);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			/* The command reads no more; what it says is still to come. */
			p->in_open = false;
			p->in_closing = false;
			p->in_done = p->in_len;
			return;
		}
		p->in_done += (size_t)n;
	}
	if (p->in_closing)
		http_conn_shutdown(p->conn);
	p->in_closing = false;
}

static void prepare_fds(const struct pump *p, struct pollfd fds[static FD_MAX])
{
	bool in_pending = p->in_done < p->in_len;
	bool out_pending = output_is_pending(&p->out), err_pending = output_is_pending(&p->err);
	short conn = 0;

	if (!out_pending && !err_pending)
		conn |= POLLIN;
	if (in_pending)
		conn |= POLLOUT;
	fds[FD_SIGNAL] = (struct pollfd){ .fd = p->signal_fd, .events = POLLIN };
	fds[FD_CONN] = (struct pollfd){ .fd = p->ended || !conn ? -1 : http_conn_fd(p->conn),
					.events = conn };
	fds[FD_IN] = (struct pollfd){ .fd = p->in_open && !in_pending ? p->spec->stdin_fd : -1,
				      .events = POLLIN };
	fds[FD_OUT] = (struct pollfd){ .fd = out_pending ? p->out.fd : -1, .events = POLLOUT };
	fds[FD_ERR] = (struct pollfd){ .fd = err_pending ? p->err.fd : -1, .events = POLLOUT };
}

static void turn(struct pump *p)
{
	struct pollfd fds[FD_MAX];

	submit_due(p);
	prepare_fds(p, fds);
	http_step(engine_http(p->e), fds, FD_MAX, timeout(p));
	if (fds[FD_SIGNAL].revents)
		read_signals(p);
	if (fds[FD_IN].revents)
		read_input(p);
	if (!p->ended)
		send_input(p);
	receive(p);
}

/* ---- the whole ---- */

static int result(struct pump *p, int *ret_code, struct err *err)
{
	if (p->given_up && !p->caught) {
		/* our reader has gone, and the command cannot be told */
		*ret_code = 128 + SIGPIPE;
		return 0;
	}
	if (p->given_up) {
		err_set(err, ERR_INTERRUPTED, 0, "interrupted by SIG%s", sigabbrev_np(p->caught));
		if (!p->spec->tty)
			err_hint(err, "the command may still run in '%s'", p->spec->container);
		return -1;
	}
	if (p->failure.kind) {
		*err = p->failure;
		return err_wrap(err, "running a command in '%s'", p->spec->container);
	}
	if (p->spec->tty && p->caught)
		return err_set(err, ERR_INTERRUPTED, 0, "interrupted by SIG%s",
			       sigabbrev_np(p->caught));
	*ret_code = p->code;
	return 0;
}

static int run_raw(struct pump *p, const struct str *first, struct err *err)
{
	if (p->spec->tty && tty_raw_enter(p->spec->stdin_fd, err))
		return -1;
	want_resize(p);
	take_bytes(p, str_get(first), first->len);
	receive(p);
	while (!is_over(p))
		turn(p);
	engine_cancel(p->e, &p->resize);
	engine_cancel(p->e, &p->ask);
	tty_raw_leave();
	return 0;
}

int pump_run(struct engine *e, const struct exec_spec *spec, const char *exec_id,
	     struct http_conn *conn, const struct str *first, int *ret_code, struct err *err)
{
	struct pump p = {
		.e = e,
		.spec = spec,
		.exec_id = exec_id,
		.conn = conn,
		.in_open = spec->tty || spec->stdin_open,
	};
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old_pipe;
	sigset_t signals, old_mask;
	auto_fd signal_fd = -1;
	int r;

	choose_signals(spec, &signals);
	signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot watch signals");
	p.signal_fd = signal_fd;
	p.resize.p = p.ask.p = &p;
	output_open(&p.out, spec->stdout_fd);
	output_open(&p.err, spec->stderr_fd);
	sigprocmask(SIG_BLOCK, &signals, &old_mask);
	sigaction(SIGPIPE, &ignore, &old_pipe);
	/* One that came while the command was begun, and was too late to stop that. */
	if (interrupt_pending())
		on_end_signal(&p, interrupt_signal());

	r = run_raw(&p, first, err);

	output_done(&p.out);
	output_done(&p.err);
	sigaction(SIGPIPE, &old_pipe, NULL);
	/* It is raised again where the command did not answer for it: whoever caught signals
	 * before us, the default action too, has its say. */
	if (p.caught && (spec->tty || p.given_up))
		raise(p.caught);
	sigprocmask(SIG_SETMASK, &old_mask, NULL);
	return r ? r : result(&p, ret_code, err);
}
