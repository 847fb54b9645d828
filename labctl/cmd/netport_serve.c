/* SPDX-License-Identifier: MIT */
/* netport_serve.c - the verbs of netport that make it a service: serve, token, openapi. */
#include "cmd/netport.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/rights.h"
#include "base/str.h"
#include "netport/api.h"
#include "netport/server.h"
#include "netport/token.h"

#include "base/banned.h"

enum {
	SERVE_HOST,
	SERVE_PORT,
	SERVE_SOCKET,
	SERVE_GROUP,
	SERVE_STORE,
	SERVE_STATE,
	SERVE_ALLOW_SHELL,
	SERVE_TLS_CERT,
	SERVE_TLS_KEY,
	SERVE_ALLOW_REMOTE,
	SERVE_OFFER_TTL,
	SERVE_IDLE,
	SERVE_QUOTA,
};

static const struct option serve_options[] = {
	[SERVE_HOST] = { 'H', "host", "ADDRESS", "of the TCP socket (default: 127.0.0.1)",
			 COMPLETE_NOTHING },
	[SERVE_PORT] = { 'p', "port", "PORT", "of the TCP socket (default: 7780); 0: none",
			 COMPLETE_NOTHING },
	[SERVE_SOCKET] = { 0, "socket", "PATH",
			   "the Unix socket (default: netport.sock in the run directory)",
			   COMPLETE_NOTHING },
	[SERVE_GROUP] = { 0, "group", "NAME", "the group that may use the Unix socket",
			  COMPLETE_NOTHING },
	[SERVE_STORE] = { 0, "store", "URL", "the lease book: a path, or redis://HOST:PORT/DB",
			  COMPLETE_NOTHING },
	[SERVE_STATE] = { 0, "state", "DIR", "where book and tokens are kept", COMPLETE_DIR },
	[SERVE_ALLOW_SHELL] = { 0, "allow-shell", "FILE",
				"the commands that authorised callers may start, one a line",
				COMPLETE_NOTHING },
	[SERVE_TLS_CERT] = { 0, "tls-cert", "FILE", "certificate (PEM), for other hosts",
			     COMPLETE_NOTHING },
	[SERVE_TLS_KEY] = { 0, "tls-key", "FILE", "its key (PEM)", COMPLETE_NOTHING },
	[SERVE_ALLOW_REMOTE] = { 0, "allow-remote", NULL,
				 "let other hosts in without encryption, by their address",
				 COMPLETE_NOTHING },
	[SERVE_OFFER_TTL] = { 0, "offer-ttl", "TIME", "life of portmaster's offers (default: 30m)",
			      COMPLETE_NOTHING },
	[SERVE_IDLE] = { 0, "idle", "TIME", "patience with slow clients (default: 30s)",
			 COMPLETE_NOTHING },
	[SERVE_QUOTA] = { 0, "quota", "N", "leases that a user may hold (default: 1000)",
			  COMPLETE_NOTHING },
	{ 0 },
};

static void listening(void *arg, const char *where)
{
	(void)arg;
	if (log_get_level() != LOG_QUIET)
		out_printf(stderr, "labctl: netport listens on %s\n", where);
}

/* Root's own book is an administrator's; a service with places of its own runs wholly as the
 * caller. Files that only are read are opened with the caller's rights in both (files_of). */
static int choose_rights(const struct cmd *cmd, const char *const *opt, struct file_rights *ret,
			 struct err *err)
{
	static const int places[] = { SERVE_STATE, SERVE_STORE, SERVE_SOCKET };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (opt[places[i]])
			return caller_become(&cmd->ctx->caller, err);
	}
	*ret = file_rights_root("the lease book and its service");
	return 0;
}

static int serve_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	const char *const *opt = args->opt;
	const char *state = opt[SERVE_STATE] ? opt[SERVE_STATE] : cmd->ctx->state_dir;
	auto_free char *path = xasprintf("%s/netport.sock", cmd->ctx->run_dir);
	struct server_config config = {
		.address = opt[SERVE_HOST],
		.port = SERVER_PORT,
		.socket_path = opt[SERVE_SOCKET] ? opt[SERVE_SOCKET] : path,
		.group = opt[SERVE_GROUP],
		.state_dir = state,
		.allow_shell = opt[SERVE_ALLOW_SHELL],
		.tls_cert = opt[SERVE_TLS_CERT],
		.tls_key = opt[SERVE_TLS_KEY],
		.files_of = &cmd->ctx->caller,
		.allow_remote = opt[SERVE_ALLOW_REMOTE],
		.log_fd = log_get_level() == LOG_QUIET ? -1 : STDERR_FILENO,
		.ready = listening,
	};
	auto_file_rights as_root = { 0 };
	auto_store s = NULL;

	if (opt[SERVE_PORT] && parse_u32(opt[SERVE_PORT], 0, PORTS_LAST, &config.port, err) < 0)
		return err_wrap(err, "--port");
	if (opt[SERVE_QUOTA] && parse_u32(opt[SERVE_QUOTA], 1, UINT32_MAX, &config.quota, err) < 0)
		return err_wrap(err, "--quota");
	if (opt[SERVE_OFFER_TTL] &&
	    netport_parse_ttl(opt[SERVE_OFFER_TTL], &config.offer_ms, err) < 0)
		return err_wrap(err, "--offer-ttl");
	if (opt[SERVE_IDLE] && netport_parse_ttl(opt[SERVE_IDLE], &config.idle_ms, err) < 0)
		return err_wrap(err, "--idle");
	if (choose_rights(cmd, opt, &as_root, err) < 0)
		return -1;
	if (opt[SERVE_STORE] ? store_open(opt[SERVE_STORE], STORE_WRITE, &s, err) < 0
			     : store_open_default(state, STORE_WRITE, &s, err) < 0)
		return -1;
	return server_run(&config, s, err) < 0 ? -1 : 0;
}

const struct command cmd_netport_serve = {
	.name = "netport serve",
	.synopsis = "",
	.summary = "offer the lease book to other programs over HTTP",
	.details =
		"Speaks netport's API, portmaster's API (/v1) and its own (/api); GET /docs shows\n"
		"and tries all of them. On the Unix socket a caller is who he is; on TCP the two\n"
		"older APIs know callers by address, and /api takes a token (labctl netport "
		"token).",
	.options = serve_options,
	.needs = NEEDS_BOOK,
	.who = WHO_ADMINISTRATOR,
	.run = serve_run,
};

enum {
	TOKEN_NAME,
	TOKEN_SCOPE,
	TOKEN_STATE,
};

static const struct option token_options[] = {
	[TOKEN_NAME] = { 0, "name", "NAME", "the token's name", COMPLETE_NOTHING },
	[TOKEN_SCOPE] = { 0, "scope", "SCOPES", "read, lease, shell, admin (default: lease)",
			  COMPLETE_NOTHING },
	[TOKEN_STATE] = { 0, "state", "DIR", "where the service keeps its tokens", COMPLETE_DIR },
	{ 0 },
};

static int token_add(struct cmd *cmd, struct tokens *t, const struct args *args, struct err *err)
{
	const char *scope = args->opt[TOKEN_SCOPE] ? args->opt[TOKEN_SCOPE] : "lease";
	char text[TOKEN_TEXT];
	unsigned scopes;

	if (scopes_parse(scope, &scopes, err) < 0 ||
	    tokens_add(t, args->opt[TOKEN_NAME], scopes, text, err) < 0)
		return -1;
	if (cmd->json)
		print_json(json_pack("{s:s, s:s}", "name", args->opt[TOKEN_NAME], "token", text));
	else
		out_printf(stdout, "%s\n", text);
	return 0;
}

static int token_list(struct cmd *cmd, struct tokens *t, struct err *err)
{
	json_t *all = json_array();

	if (tokens_load(t, err) < 0) {
		json_decref(all);
		return -1;
	}
	for (size_t i = 0; i < t->n; i++) {
		auto_free char *scopes = scopes_text(t->v[i].scopes);

		json_array_append_new(all, json_pack("{s:s, s:s, s:I}", "name", t->v[i].name,
						     "scopes", scopes, "created",
						     (json_int_t)(t->v[i].created / 1000)));
		if (!cmd->json)
			out_printf(stdout, "%-24s %s\n", t->v[i].name, scopes);
	}
	if (cmd->json)
		print_json(all);
	else
		json_decref(all);
	return 0;
}

static int token_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	const char *state = args->opt[TOKEN_STATE] ? args->opt[TOKEN_STATE] : cmd->ctx->state_dir;
	auto_file_rights as_root = { 0 };
	const char *action = args->v[0];
	auto_tokens t = { 0 };

	/* A directory that was named is the caller's. */
	if (!args->opt[TOKEN_STATE])
		as_root = file_rights_root("the tokens of the service");
	tokens_init(&t, state);
	if (strcmp(action, "list") == 0)
		return token_list(cmd, &t, err);
	if (strcmp(action, "add") != 0 && strcmp(action, "remove") != 0) {
		err_set(err, ERR_USAGE, 0, "'%.64s' cannot be done with tokens", action);
		return err_hint(err, "add, list or remove");
	}
	if (!args->opt[TOKEN_NAME])
		return err_set(err, ERR_USAGE, 0, "'labctl netport token %s' needs --name", action);
	if (strcmp(action, "add") == 0)
		return token_add(cmd, &t, args, err);
	return tokens_remove(&t, args->opt[TOKEN_NAME], err);
}

const struct command cmd_netport_token = {
	.name = "netport token",
	.synopsis = "add|list|remove",
	.summary = "tokens of the callers that come over TCP",
	.details = "'add' prints the token: it is shown this once. Send it as\n"
		   "'Authorization: Bearer TOKEN'. A running service knows it at once.",
	.options = token_options,
	.min_args = 1,
	.max_args = 1,
	.needs = NEEDS_BOOK,
	.who = WHO_ADMINISTRATOR,
	.run = token_run,
};

enum {
	OPENAPI_PATH,
};

static const struct option openapi_options[] = {
	[OPENAPI_PATH] = { 0, "path", "FILE", "write it there (default: to standard output)",
			   COMPLETE_NOTHING },
	{ 0 },
};

static int openapi_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	json_t *doc = openapi_document(api_tables());
	auto_free char *text = NULL;

	(void)cmd;
	if (!args->opt[OPENAPI_PATH]) {
		print_json(doc);
		return 0;
	}
	text = json_dumps(doc, JSON_INDENT(2));
	json_decref(doc);
	return fs_write(args->opt[OPENAPI_PATH], text, strlen(text), 0644, false, err);
}

const struct command cmd_netport_openapi = {
	.name = "netport openapi",
	.synopsis = "",
	.summary = "describe the service's calls as OpenAPI 3.1",
	.options = openapi_options,
	.run = openapi_run,
};
