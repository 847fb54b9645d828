/* SPDX-License-Identifier: MIT */
/* portahead.c - ports probed by a thread, while the caller waits for something else. */
#include "net/portahead.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"

#include "base/banned.h"

struct portahead {
	struct portprobe probe;
	pthread_t thread;
	bool begun, impossible;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool busy, ends;
	/* The thread's while busy. */
	uint32_t ports[PORTAHEAD_MAX];
	bool is_free[PORTAHEAD_MAX];
	size_t n;
	int64_t probed_ms;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct portahead *portahead_new(const struct portprobe *probe)
{
	struct portahead *a = xcalloc(1, sizeof(*a));

	a->probe = *probe;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	return a;
}

static void probe_all(struct portahead *a)
{
	/* Before the first, so that no answer is older than it seems. */
	a->probed_ms = now_ms();
	for (size_t i = 0; i < a->n; i++) {
		if (portprobe(&a->probe, a->ports[i], &a->is_free[i], ERR_IGNORED) < 0)
			a->is_free[i] = false;
	}
}

static void *work(void *arg)
{
	struct portahead *a = arg;

	pthread_mutex_lock(&a->lock);
	for (;;) {
		while (!a->busy && !a->ends)
			pthread_cond_wait(&a->changed, &a->lock);
		if (a->ends)
			break;
		pthread_mutex_unlock(&a->lock);
		probe_all(a);
		pthread_mutex_lock(&a->lock);
		a->busy = false;
		pthread_cond_signal(&a->changed);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* Signals are for the thread that asks. */
static bool begin_thread(struct portahead *a)
{
	sigset_t all, before;
	int sys;

	if (a->begun || a->impossible)
		return a->begun;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	sys = pthread_create(&a->thread, NULL, work, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	a->begun = sys == 0;
	a->impossible = sys != 0;
	if (sys)
		log_debug("no thread to probe ports ahead: %s", strerror(sys));
	return a->begun;
}

void portahead_begin(struct portahead *a, const uint32_t *ports, size_t n)
{
	if (!n || !begin_thread(a))
		return;
	pthread_mutex_lock(&a->lock);
	if (!a->busy) {
		a->n = MIN(n, (size_t)PORTAHEAD_MAX);
		memcpy(a->ports, ports, a->n * sizeof(ports[0]));
		a->busy = true;
		pthread_cond_signal(&a->changed);
	}
	pthread_mutex_unlock(&a->lock);
}

static bool take_answer(struct portahead *a, uint32_t port)
{
	for (size_t i = 0; i < a->n; i++) {
		if (a->ports[i] != port)
			continue;
		a->ports[i] = 0;
		return a->is_free[i];
	}
	return false;
}

bool portahead_is_free(struct portahead *a, uint32_t port)
{
	bool is_free;

	if (!a->begun)
		return false;
	pthread_mutex_lock(&a->lock);
	while (a->busy)
		pthread_cond_wait(&a->changed, &a->lock);
	is_free = now_ms() - a->probed_ms <= PORTAHEAD_FRESH_MS && take_answer(a, port);
	pthread_mutex_unlock(&a->lock);
	return is_free;
}

void portahead_free(struct portahead *a)
{
	if (!a)
		return;
	if (a->begun) {
		pthread_mutex_lock(&a->lock);
		a->ends = true;
		pthread_cond_signal(&a->changed);
		pthread_mutex_unlock(&a->lock);
		pthread_join(a->thread, NULL);
	}
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}
