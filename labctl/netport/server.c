/* SPDX-License-Identifier: MIT */
/* server.c - the loop: connections in, requests in batches, replies out. */
#include "netport/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/sockowner.h"
#include "netport/server_internal.h"

#include "base/banned.h"

enum {
	EVENTS = 64,
	ACCEPTS_A_TURN = 64,
	TICK_MS = 1000,
	GATHER_US = 200,
	GATHER_STEP_NS = 50000,
};

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

int64_t server_now_ms(void)
{
	return now_ns() / 1000000;
}

int64_t server_now_us(void)
{
	return now_ns() / 1000;
}

/* ---- connections ---- */

static unsigned count_peer(const struct server *s, const struct connection *peer)
{
	unsigned n = 0;

	for (const struct connection *c = s->first; c; c = c->next)
		n += c->caller.uid == peer->caller.uid && strcmp(c->peer, peer->peer) == 0;
	return n;
}

/* Without a word of HTTP read: a flood must cost no more than this. */
static void refuse(int fd, const char *status)
{
	char text[160];
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 %s\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
			 "Connection: close\r\n\r\n",
			 status);

	if (send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("netport: a refused peer did not listen");
	shutdown(fd, SHUT_WR);
	close(fd);
}

static void admit(struct server *s, const struct listener *l, int fd,
		  const struct sockaddr_storage *from, socklen_t len)
{
	struct connection c = { .fd = fd, .tls = l->tls };
	struct err err = { 0 };
	int one = 1;

	if (s->n_connections >= CONNECTIONS_MAX - 1) {
		s->stats.refused_all++;
		refuse(fd, "503 Service Unavailable");
		return;
	}
	if (who_connects(s, &c, &err) == 0 && count_peer(s, &c) >= CONNECTIONS_PER_PEER) {
		s->stats.refused_peer++;
		refuse(fd, "429 Too Many Requests");
		return;
	}
	if (!l->is_unix)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->stats.accepted++;
	web_adopt(s, &c, (const struct sockaddr *)from, len);
}

static void accept_some(struct server *s, const struct listener *l)
{
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t len = sizeof(from);
		int fd = accept4(l->watch.fd, (struct sockaddr *)&from, &len,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		admit(s, l, fd, &from, len);
	}
}

/* Whoever has not brought a whole request in this time, or not taken a whole reply, goes. */
static void drop_slow(struct server *s)
{
	int64_t idle_ms = s->config->idle_ms ? s->config->idle_ms : IDLE_S * 1000;
	int64_t now = server_now_ms();
	struct connection *c = s->first;

	if (now < s->next_check_ms)
		return;
	s->next_check_ms = now + TICK_MS;
	for (; c && now - c->since_ms > idle_ms; c = c->next) {
		bool waits = false;

		for (unsigned i = 0; i < s->n_children; i++)
			waits |= s->children[i]->connection == c;
		if (waits)
			continue;
		s->stats.timeouts++;
		shutdown(c->fd, SHUT_RDWR);
	}
}

/* libmicrohttpd misses an end that came together with a request: the peer would wait for ours. He has
 * all of his replies when no request followed the last of them. */
static void let_ended_go(struct server *s)
{
	char byte;

	if (!s->any_idle)
		return;
	s->any_idle = false;
	for (struct connection *c = s->first; c; c = c->next) {
		ssize_t n;

		if (!c->idle_turn)
			continue;
		if (c->idle_turn + 1 >= s->turn) {
			s->any_idle = true;
			continue;
		}
		n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
		if (n == 0)
			shutdown(c->fd, SHUT_RDWR);
		if (n <= 0)
			c->idle_turn = 0;
		else
			s->any_idle = true;
	}
}

/* ---- children ---- */

static void forget_child(struct server *s, struct exchange *x)
{
	for (unsigned i = 0; i < s->n_children; i++) {
		if (s->children[i] == x)
			s->children[i] = s->children[--s->n_children];
	}
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, x->child.fd, NULL);
	close(x->child.fd);
	x->child.fd = -1;
}

/* The command ends, too; what was not begun is not begun. */
void server_gone(struct server *s, struct exchange *x)
{
	unsigned kept = 0;

	if (x->child.fd >= 0) {
		forget_child(s, x);
		kill(-x->call.child, SIGKILL);
		return;
	}
	for (unsigned i = 0; i < s->n_batch; i++) {
		if (s->batch[i] != x)
			s->batch[kept++] = s->batch[i];
	}
	s->n_batch = kept;
}

static bool watch_child(struct exchange *x)
{
	struct server *s = x->server;
	int fd = s->n_children < CHILDREN_MAX ? pidfd_open(x->call.child, 0) : -1;
	struct err err = { 0 };

	x->child = (struct watch){ WATCH_CHILD, fd, x };
	if (fd < 0 || server_watch(s, &x->child, &err) < 0) {
		kill(-x->call.child, SIGKILL);
		if (fd >= 0)
			close(fd);
		x->child.fd = -1;
		x->call.reply.retry = true;
		api_fail(&x->call, 503, "too many commands run at once");
		return false;
	}
	x->child_until_ms = server_now_ms() + CHILD_S * 1000;
	s->children[s->n_children++] = x;
	return true;
}

static void end_child(struct exchange *x, int code)
{
	forget_child(x->server, x);
	x->call.exited(&x->call, code);
	web_resume(x);
}

static int exit_code(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void child_ended(struct exchange *x)
{
	int status = 0;

	if (waitpid(x->call.child, &status, WNOHANG) == x->call.child)
		end_child(x, exit_code(status));
}

static void reap(struct server *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct exchange *x = NULL;

		for (unsigned i = 0; i < s->n_children; i++) {
			if (s->children[i]->call.child == pid)
				x = s->children[i];
		}
		if (x)
			end_child(x, exit_code(status));
	}
}

/* libmicrohttpd does not look at what is suspended. One who only sends no more still waits. */
static bool client_has_gone(const struct exchange *x)
{
	struct pollfd p = { .fd = x->connection ? x->connection->fd : -1 };

	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

/* Reaps also what nobody waits for, and ends what runs too long or for nobody. */
static void look_after_children(struct server *s)
{
	int64_t now = server_now_ms();

	if (now < s->next_reap_ms)
		return;
	s->next_reap_ms = now + TICK_MS;
	reap(s);
	for (unsigned i = s->n_children; i-- > 0;) {
		struct exchange *x = s->children[i];

		if (now < x->child_until_ms && !client_has_gone(x))
			continue;
		kill(-x->call.child, SIGKILL);
		end_child(x, 128 + SIGKILL);
	}
}

/* ---- requests ---- */

bool server_take(struct exchange *x)
{
	struct server *s = x->server;

	if (x->call.route->flags & ROUTE_WRITES) {
		if (s->n_batch == CONNECTIONS_MAX) {
			x->call.reply.retry = true;
			api_fail(&x->call, 503, "too many requests at once");
			return false;
		}
		s->batch[s->n_batch++] = x;
		return true;
	}
	if (s->api.store->ops->view)
		s->api.store->ops->view(s->api.store, true);
	api_run(&x->call, NULL);
	return x->call.child && watch_child(x);
}

/* As it was before the handler ran. */
static void unrun(struct call *c)
{
	if (c->spawned)
		kill(-c->spawned, SIGKILL);
	c->spawned = 0;
	json_decref(c->body);
	c->body = NULL;
	str_done(&c->reply.body);
	c->reply = (struct reply){ 0 };
}

/* -1: the store failed; nothing of it has happened. *ret_worth: it might go better one by one. */
static int run_together(struct server *s, struct exchange **x, unsigned n, bool *ret_worth,
			struct err *err)
{
	struct store *store = s->api.store;
	bool failed = false;
	int64_t began;

	*ret_worth = false;
	if (store_begin(store, err) < 0)
		return -1;
	for (unsigned i = 0; i < n && !failed; i++)
		api_run(&x[i]->call, &failed);
	if (failed) {
		*ret_worth = n > 1;
		store_rollback(store);
		return err_set(err, ERR_ENV, 0, "the lease book failed");
	}
	ports_look_ahead(s->api.ports);
	began = server_now_us();
	if (store_commit(store, err) < 0)
		return -1;
	s->stats.commit_us += (uint64_t)(server_now_us() - began);
	s->stats.batches++;
	s->stats.batched += n;
	return 0;
}

static void run_group(struct server *s, struct exchange **x, unsigned n)
{
	struct err err = { 0 };
	bool worth, alone = n == 1;

	if (run_together(s, x, n, &worth, &err) == 0)
		return;
	s->stats.failed_batches++;
	ports_forget(s->api.ports);
	/* A handler that failed alone has said more than we know here. */
	if (alone && x[0]->call.reply.status >= 500 && x[0]->call.reply.body.len) {
		if (x[0]->call.spawned)
			kill(-x[0]->call.spawned, SIGKILL);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		unrun(&x[i]->call);
	for (unsigned i = 0; i < n; i++) {
		if (worth)
			run_group(s, &x[i], 1);
		else
			api_error(&x[i]->call, 503, &err);
	}
	if (!worth)
		log_warn("netport: %s", err.msg);
}

/* What is read in one go is read of one state of the book. */
static void serve_some(struct server *s)
{
	web_run(s);
	if (s->api.store->ops->view)
		s->api.store->ops->view(s->api.store, false);
}

static void run_batch(struct server *s)
{
	unsigned n = s->n_batch;

	if (!n)
		return;
	run_group(s, s->batch, n);
	s->n_last[1] = s->n_last[0];
	s->n_last[0] = n;
	s->n_batch = 0;
	for (unsigned i = 0; i < n; i++)
		web_resume(s->batch[i]);
	serve_some(s);
}

/* Requests that come within a moment of the first share its wait for the disk. As many are waited
 * for as came in the last two batches: with clients that each wait for their reply, those are all
 * there are. */
static void gather(struct server *s)
{
	struct timespec moment = { .tv_nsec = GATHER_STEP_NS };
	int64_t until = server_now_us() + GATHER_US;
	unsigned wanted = s->n_last[0] + s->n_last[1];
	struct epoll_event ev[EVENTS];

	if (wanted > s->n_connections)
		wanted = s->n_connections;
	while (s->n_batch && s->n_batch < wanted && server_now_us() < until) {
		if (epoll_pwait2(s->epoll, ev, EVENTS, &moment, NULL) > 0)
			serve_some(s);
	}
}

static void sweep(struct server *s)
{
	int64_t now = server_now_ms();
	struct err err = { 0 };
	size_t n = 0;

	if (now < s->next_sweep_ms)
		return;
	s->next_sweep_ms = now + SWEEP_S * 1000;
	if (lease_sweep(s->api.store, &n, &err) < 0)
		log_warn("netport: %s", err.msg);
	if (n)
		ports_forget(s->api.ports);
}

/* ---- the loop ---- */

static void turn(struct server *s)
{
	struct epoll_event ev[EVENTS];
	int timeout = s->n_batch || s->any_idle || web_is_due(s) ? 0 : TICK_MS;
	int n = epoll_wait(s->epoll, ev, EVENTS, timeout);

	s->turn++;

	for (int i = 0; i < n; i++) {
		struct watch *w = ev[i].data.ptr;

		if (w->kind == WATCH_LISTENER)
			accept_some(s, w->of);
		else if (w->kind == WATCH_CHILD)
			child_ended(w->of);
	}
	ports_turn(s->api.ports);
	s->tokens_fresh = false;
	serve_some(s);
	gather(s);
	run_batch(s);
	let_ended_go(s);
	drop_slow(s);
	look_after_children(s);
	sweep(s);
	stats_flush(s);
}

static int load_shell_rules(struct server *s, struct err *err)
{
	auto_file_rights of_caller = { 0 };

	if (!s->config->allow_shell)
		return 0;
	if (server_files_begin(s, &of_caller, err) < 0)
		return -1;
	return shell_rules_load(s->config->allow_shell, &s->api.shell, err);
}

static int set_up(struct server *s, struct err *err)
{
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0)
		return err_set(err, ERR_ENV, errno, "no epoll");
	if (load_shell_rules(s, err) < 0)
		return -1;
	if (gethostname(s->host, sizeof(s->host) - 1) < 0)
		s->host[0] = '\0';
	if (!s->config->tls_cert != !s->config->tls_key)
		return err_set(err, ERR_USAGE, 0, "--tls-cert and --tls-key go together");
	if (sockowner_open(&s->owners, err) < 0)
		return -1;
	if (s->api.store->ops->serve && s->api.store->ops->serve(s->api.store, err) < 0)
		return -1;
	if (tokens_load(&s->tokens, err) < 0 || web_start(s, err) < 0)
		return -1;
	return server_listen(s, err);
}

static void tear_down(struct server *s)
{
	/* libmicrohttpd must not be stopped with connections that wait. */
	while (s->n_children) {
		kill(-s->children[0]->call.child, SIGKILL);
		end_child(s->children[0], 128 + SIGKILL);
	}
	run_batch(s);
	serve_some(s);
	server_unlisten(s);
	web_stop(s);
	stats_flush(s);
	str_done(&s->stats.log);
	tokens_done(&s->tokens);
	sockowner_close(s->owners);
	api_done(&s->api);
	if (s->epoll >= 0)
		close(s->epoll);
}

int server_run(const struct server_config *config, struct store *store, struct err *err)
{
	auto_free struct server *s = xcalloc(1, sizeof(*s));
	int rc;

	s->config = config;
	s->epoll = -1;
	tokens_init(&s->tokens, config->state_dir);
	if (api_init(&s->api, store, err) < 0)
		return -1;
	s->api.metrics = stats_metrics;
	s->api.metrics_arg = s;
	s->api.quota = config->quota;
	if (config->offer_ms)
		s->api.offer_ms = config->offer_ms;
	rc = set_up(s, err);
	if (rc == 0) {
		if (config->ready)
			config->ready(config->ready_arg, s->where);
		while (!interrupt_seen())
			turn(s);
	}
	tear_down(s);
	return rc;
}
