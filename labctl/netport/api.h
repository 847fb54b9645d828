/* SPDX-License-Identifier: MIT */
/*
 * api.h - the REST service's calls: what a request is, the tables of routes, how replies look.
 *
 * Nothing here knows of HTTP connections (server.h does): a call comes in as a value and leaves as
 * one. Three families share the tables: netport's API, portmaster's API and labctl's own; each has
 * its way to say that something is wrong. The tables also feed /openapi.json and /docs.
 */
#ifndef LABCTL_NETPORT_API_H
#define LABCTL_NETPORT_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/err.h"
#include "base/rights.h"
#include "base/str.h"
#include "netport/api_ports.h"
#include "netport/api_url.h"
#include "netport/lease.h"

#define API_ARGS_MAX   3
#define API_BODY_MAX   (64 << 10)
#define API_UID_NOBODY LEASE_UID_NOBODY
#define API_GID_NOBODY ((gid_t)65534)

enum api_family {
	API_MODERN,
	API_NETPORT,
	API_PORTMASTER,
	API_FAMILY_MAX,
};

enum api_scope {
	SCOPE_READ = 1 << 0,
	SCOPE_LEASE = 1 << 1, /* acquire; renew and release what is one's own */
	SCOPE_SHELL = 1 << 2, /* start programs, as far as the list allows them */
	SCOPE_ADMIN = 1 << 3, /* everybody's leases, pools */
};
#define SCOPE_ALL (SCOPE_READ | SCOPE_LEASE | SCOPE_SHELL | SCOPE_ADMIN)

enum api_who {
	WHO_NOBODY,
	WHO_USER,    /* the peer of the Unix socket */
	WHO_TOKEN,   /* a bearer token */
	WHO_ADDRESS, /* an address, and the user of this host behind it: the two old APIs */
};

/* Who calls. Its leases are held by owner and uid. */
struct api_caller {
	enum api_who who;
	char owner[LEASE_OWNER_MAX + 1]; /* "alice", "token:ci", "127.0.0.1" */
	uid_t uid;
	unsigned scopes;
	bool no_quota; /* root, the service's own user, an administrator */
};

enum param_type {
	PARAM_TEXT,
	PARAM_INTEGER,
	PARAM_PORT, /* 0..65535 */
	PARAM_BOOL,
};

struct param {
	const char *name;
	enum param_type type;
	bool required;
	const char *help;
};

struct call;

enum route_flags {
	ROUTE_WRITES = 1 << 0, /* may change the book: part of a batch */
	ROUTE_OPEN = 1 << 1,   /* needs no caller */
	ROUTE_STARTS = 1 << 2, /* starts a program */
};

/* A call as data. handle() fills call->reply, or fails: then the family's error is the reply. */
struct route {
	enum api_family family;
	const char *method;
	const char *path; /* "/v1/services/{name}" */
	const char *summary;
	const struct param *params; /* of the query; ends with a zero row; may be NULL */
	const char *body;	    /* name of the body's schema; NULL: none is read */
	const char *result;	    /* name of the reply's schema; NULL: none */
	unsigned flags;
	unsigned scope;	 /* what the caller needs */
	unsigned status; /* of success */
	int (*handle)(struct call *c, struct err *err);
};

struct request {
	const char *method;
	struct url url;
	const char *body;
	size_t body_len;
	const char *content_type;    /* NULL: none */
	const char *idempotency_key; /* likewise */
};

struct reply {
	unsigned status;
	struct str body;
	const char *type; /* static; NULL: "application/json" */
	char allow[64];	  /* methods, with 405 */
	bool retry;	  /* 503: try again soon */
};

struct api {
	struct store *store;
	struct ports *ports;
	const struct route *const *tables; /* ends with NULL; each ends with a zero row */
	int64_t offer_ms;		   /* life of portmaster's offers */
	unsigned quota;			   /* leases a user may hold; 0: LEASE_QUOTA */
	struct shell_rules *shell;	   /* NULL: nothing may be started */
	json_t *system_info;
	char *openapi; /* made at the first call */
	/* The server's own numbers as Prometheus text; NULL: none. */
	void (*metrics)(void *arg, struct str *out);
	void *metrics_arg;
};

struct call {
	struct api *api;
	const struct request *req;
	const struct route *route; /* NULL: none was found */
	enum api_family family;
	struct api_caller caller;
	const char *arg[API_ARGS_MAX]; /* what stood for {…} in the path */
	json_t *body;
	struct reply reply;
	/* A program that the reply waits for: exited() completes the reply. 0: none. */
	pid_t child;
	void (*exited)(struct call *c, int code);
	pid_t spawned; /* ends when the batch fails */
};

int api_init(struct api *api, struct store *store, struct err *err) MUST_CHECK;
void api_done(struct api *api);

/* Finds the route. Failing that, the reply (404, 405) is made and c->route is NULL. */
void api_route(struct call *c);
/* May this caller? If not the reply is made: 401, 403. */
bool api_allows(struct call *c);
/* Checks parameters and body, runs the handler; there is always a reply. *ret_failed (may be NULL):
 * the store failed, so that a batch cannot be committed. */
void api_run(struct call *c, bool *ret_failed);
/* The reply becomes this error, in the family's form. */
void api_error(struct call *c, unsigned status, const struct err *err);
void api_fail(struct call *c, unsigned status, const char *fmt, ...) PRINTF_LIKE(3, 4);
void call_done(struct call *c);

/* For handlers. */
const char *call_query(const struct call *c, const char *name); /* NULL: not given */
int64_t call_query_int(const struct call *c, const char *name, int64_t fallback);
void reply_json(struct call *c, unsigned status, json_t *doc); /* steals doc */
void reply_data(struct call *c, json_t *data);		       /* {"data": …}; steals */
void reply_data_bool(struct call *c, bool value);
void reply_empty(struct call *c, unsigned status);
bool caller_is_admin(const struct api_caller *who);
/* The caller's wish for something of this resource. */
struct lease_request call_request(const struct call *c, const char *resource);

/* api_files.c */
/* Until file_rights_restore(), this thread looks files and processes up with the rights of the caller,
 * or of nobody when that is no user of this host. ERR_FAILED, EPERM when the service is not root's and
 * the caller another user. */
int call_files_begin(const struct call *c, struct file_rights *ret, struct err *err) MUST_CHECK;
/* Does the caller find this path? */
int call_path_exists(const struct call *c, const char *path, bool *ret, struct err *err) MUST_CHECK;

/* What the service keeps for itself: not shown among the leases. */
bool lease_is_internal(const struct lease *l);

#define DETAIL_QUERY "query"
/* netport: one more entry of FastAPI's "detail", 422. where: "query", "body". */
void detail_add(struct call *c, json_t *list, const char *where, const char *name, const char *msg,
		const char *type);
void reply_unprocessable(struct call *c, const char *name, const char *msg, const char *type);

/* portmaster: one more entry of a Django REST framework error object, {"field": ["msg"]}. */
void field_error(json_t *errors, const char *field, const char *msg);
void reply_field_error(struct call *c, const char *field, const char *msg);

extern const struct route routes_netport[], routes_system[], routes_portmaster[], routes_modern[],
	routes_labs[], routes_about[];

/* The OpenAPI 3.1 document of these tables. */
json_t *openapi_document(const struct route *const *tables);
const struct route *const *api_tables(void);
extern const char docs_page[];
extern const uint32_t docs_page_len;

/* shell: which command lines may be started. */
struct shell_rules;
int shell_rules_load(const char *path, struct shell_rules **ret, struct err *err) MUST_CHECK;
void shell_rules_free(struct shell_rules *r);
bool shell_rules_allow(const struct shell_rules *r, char *const *argv);
json_t *system_info(void);

#endif
