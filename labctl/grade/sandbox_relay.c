/* SPDX-License-Identifier: MIT */
/* sandbox_relay.c - a sandboxed program's output on its way out. */
#include "grade/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/printable.h"

#include "base/banned.h"

#define TRANSCRIPT_MAX (1 << 20)
#define CHUNK	       4096
#define FLOOD_PAUSE_MS 10 /* between chunks, once the transcript is full */
#define LAST_WORDS_MS  200

struct relay {
	int from;	/* -1: at its end */
	int transcript; /* -1: none */
	int signals;
	pid_t init;
	size_t room; /* bytes that the transcript still takes */
	bool ended, stopping;
	char pending[CHUNK]; /* read, but not yet out */
	size_t at, len;
	char words[CHUNK + 4]; /* for the transcript */
	size_t n_words;	       /* the beginning of a character, kept for the next chunk */
};

/* The size counts, and not what we wrote: a program that is started again has it longer. */
static size_t transcript_room(int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size >= TRANSCRIPT_MAX)
		return 0;
	return (size_t)(TRANSCRIPT_MAX - st.st_size);
}

/* Teachers read transcripts on their terminals. */
static void to_transcript(struct relay *r, const char *data, size_t n)
{
	static const char cut[] = "\n[the transcript ends here: it is 1 MiB long]\n";
	size_t done;

	if (!r->room)
		return;
	memcpy(r->words + r->n_words, data, n);
	r->n_words += n;
	done = printable_chunk(r->words, r->n_words);
	n = done < r->room ? done : r->room;
	if (write(r->transcript, r->words, n) != (ssize_t)n)
		n = r->room; /* a full disk: no more of it */
	r->n_words -= done;
	memmove(r->words, r->words + done, r->n_words);
	r->room -= n;
	if (!r->room && write(r->transcript, cut, sizeof(cut) - 1) < 0)
		return;
}

static void take(struct relay *r)
{
	ssize_t n = read(r->from, r->pending, sizeof(r->pending));

	if (n > 0) {
		r->at = 0;
		r->len = (size_t)n;
		to_transcript(r, r->pending, r->len);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(r->from);
		r->from = -1;
	}
}

static void give(struct relay *r)
{
	ssize_t n = write(STDOUT_FILENO, r->pending + r->at, r->len - r->at);

	if (n > 0)
		r->at += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		r->at = r->len; /* nobody reads any more */
}

static void on_signal(struct relay *r)
{
	struct signalfd_siginfo s;

	if (read(r->signals, &s, sizeof(s)) != sizeof(s))
		return;
	if (s.ssi_signo == SIGCHLD) {
		siginfo_t info = { 0 };

		if (waitid(P_PID, (id_t)r->init, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		    info.si_pid == r->init)
			r->ended = true;
		return;
	}
	r->stopping = true;
	kill(r->init, SIGTERM);
}

/* One step; false when nothing happened for timeout_ms. */
static bool step(struct relay *r, int timeout_ms)
{
	bool full = r->at < r->len;
	struct pollfd fds[] = {
		{ .fd = r->signals, .events = POLLIN },
		{ .fd = full ? -1 : r->from, .events = POLLIN },
		{ .fd = full ? STDOUT_FILENO : -1, .events = POLLOUT },
	};

	if (poll(fds, ARRAY_SIZE(fds), timeout_ms) <= 0)
		return false;
	if (fds[0].revents)
		on_signal(r);
	if (fds[1].revents)
		take(r);
	if (fds[2].revents)
		give(r);
	return true;
}

void sandbox_relay(int from, int transcript, int signals, pid_t init)
{
	struct relay r = { .from = from,
			   .transcript = transcript,
			   .signals = signals,
			   .init = init,
			   .room = transcript_room(transcript) };

	fcntl(from, F_SETFL, O_NONBLOCK);
	fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
	while (!r.ended) {
		/* A flood is let through slowly, so that it takes no processor from the grading. */
		if (!r.room && r.at == r.len) {
			struct pollfd s = { .fd = signals, .events = POLLIN };

			poll(&s, 1, FLOOD_PAUSE_MS);
		}
		step(&r, -1);
	}
	/* All writers are gone: what they left in the pipe is soon read. */
	while ((r.from >= 0 || r.at < r.len) && step(&r, LAST_WORDS_MS))
		;
}
