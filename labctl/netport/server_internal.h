/* SPDX-License-Identifier: MIT */
/*
 * server_internal.h - inside of the service: server.c has the loop and the batches, server_listen.c
 * the sockets, server_http.c libmicrohttpd, server_who.c the callers, server_stats.c log and
 * numbers. Others use server.h.
 */
#ifndef LABCTL_NETPORT_SERVER_INTERNAL_H
#define LABCTL_NETPORT_SERVER_INTERNAL_H

#include <sys/socket.h>

#include "base/rights.h"
#include "netport/api.h"
#include "netport/server.h"
#include "netport/token.h"

enum {
	LISTENERS_MAX = 8,
	CONNECTIONS_MAX = 512,
	CONNECTIONS_PER_PEER = 128,
	CHILDREN_MAX = 16,
	HEADER_MAX = 8 << 10, /* request line, headers and what they need */
	IDLE_S = 30,	      /* for a whole request, a whole reply, and between two */
	CHILD_S = 60,	      /* for a command that a reply waits for */
	SWEEP_S = 15,
	LATENCY_BUCKETS = 12,
};

struct MHD_Daemon;
struct MHD_Connection;

enum watch_kind {
	WATCH_HTTP,
	WATCH_LISTENER,
	WATCH_CHILD,
};

/* What the outer epoll set tells of. */
struct watch {
	enum watch_kind kind;
	int fd;
	void *of; /* struct MHD_Daemon, struct listener, struct exchange */
};

struct listener {
	struct watch watch;
	bool is_unix, tls, inherited;
};

/* One peer's connection; in a list, the one that has waited longest first. */
struct connection {
	struct connection *prev, *next;
	int fd;
	bool is_unix, tls, loopback;
	char local[64];	    /* the address that it came to; "": of a Unix socket */
	uint64_t idle_turn; /* when its last request was over; 0: one is under way, or it was seen
			     * to be open since */
	int64_t since_ms;   /* monotonic; when it last began or ended something */
	char peer[64];	    /* "uid 1000", "127.0.0.1": with caller.uid, who is counted */
	struct api_caller caller;
	char token[TOKEN_TEXT]; /* the last one that was right; "": none */
	unsigned token_load;	/* the tokens' file then */
	struct api_caller token_caller;
};

enum exchange_state {
	EXCHANGE_HEAD,
	EXCHANGE_BODY,
	EXCHANGE_WAITS, /* in the batch; or suspended, for a child */
	EXCHANGE_READY, /* the reply is there */
	EXCHANGE_SENT,
};

struct exchange {
	struct call call;
	struct request request;
	struct server *server;
	struct MHD_Connection *mhd;
	struct connection *connection; /* NULL: gone */
	enum exchange_state state;
	char method[16];
	char *target;
	struct str body;
	size_t body_seen;
	bool too_large, refused, suspended;
	int64_t began_us;
	struct watch child;
	int64_t child_until_ms;
};

struct stats {
	uint64_t requests[API_FAMILY_MAX][6]; /* by hundreds of the status */
	uint64_t latency[LATENCY_BUCKETS + 1];
	uint64_t latency_sum_us, latency_count;
	uint64_t batches, batched, commit_us, failed_batches;
	uint64_t accepted, refused_peer, refused_all, timeouts;
	struct str log;
};

struct sockowner;

struct server {
	const struct server_config *config;
	struct api api;
	struct tokens tokens;
	bool tokens_fresh; /* looked at in this turn */
	char host[256];	   /* this host's name */
	struct stats stats;
	int epoll;
	struct MHD_Daemon *plain, *secure;
	struct watch plain_watch, secure_watch;
	struct sockowner *owners;
	struct listener listener[LISTENERS_MAX];
	unsigned n_listeners;
	const struct connection *arriving; /* known already, when libmicrohttpd tells of it */
	struct connection *first, *last;
	unsigned n_connections;
	uint64_t turn;
	bool any_idle; /* some connection may have ended with its last request */
	struct exchange *batch[CONNECTIONS_MAX];
	unsigned n_batch, n_last[2]; /* of this turn, of the two before */
	struct exchange *children[CHILDREN_MAX];
	unsigned n_children;
	int64_t next_sweep_ms, next_check_ms, next_reap_ms;
	char *where; /* what it listens on */
};

int64_t server_now_ms(void); /* monotonic */
int64_t server_now_us(void);

/* server_listen.c */
int server_listen(struct server *s, struct err *err) MUST_CHECK;
void server_unlisten(struct server *s);
int server_watch(struct server *s, struct watch *w, struct err *err) MUST_CHECK;

/* server_http.c */
/* A bracket for the files that the configuration names. */
int server_files_begin(const struct server *s, struct file_rights *ret, struct err *err) MUST_CHECK;
int web_start(struct server *s, struct err *err) MUST_CHECK;
void web_stop(struct server *s);
/* Reads and writes what can be; calls server_take() for every complete request. */
void web_run(struct server *s);
/* True: web_run() has work although no descriptor is ready. */
bool web_is_due(const struct server *s);
/* Takes the socket over, and copies what is known of it. */
void web_adopt(struct server *s, const struct connection *c, const struct sockaddr *addr,
	       socklen_t len);
/* Lets a waiting exchange go on; its reply is there. */
void web_resume(struct exchange *x);

/* server.c */
/* A whole request has come. True: it waits (see web_resume()); false: the reply is there. */
bool server_take(struct exchange *x);
/* The client of a waiting exchange has gone. */
void server_gone(struct server *s, struct exchange *x);

/* server_who.c */
/* Who is at the other end: fills is_unix, loopback, local, peer and caller. On TCP the caller is
 * called by its address, and is the user who made the peer's socket when that is on this host.
 * Loopback's peer whose user the kernel does not tell is nobody. */
int who_connects(struct server *s, struct connection *c, struct err *err) MUST_CHECK;
/* Who calls: the token's name, else the peer. False: the reply is made (401, 403). */
bool who_calls(struct exchange *x, const char *authorization);
/* What a request says of where it comes from; NULL: nothing. */
struct origin {
	const char *host;    /* Host */
	const char *origin;  /* Origin */
	const char *referer; /* Referer */
	const char *site;    /* Sec-Fetch-Site */
	const char *agent;   /* User-Agent */
};

/* A page of some other site must not use the browser's way to this host. False: the reply is
 * made. */
bool origin_may(struct exchange *x, const struct origin *from);

/* server_stats.c */
void stats_request(struct exchange *x, unsigned status, size_t size);
void stats_flush(struct server *s);
void stats_metrics(void *server, struct str *out);

#endif
