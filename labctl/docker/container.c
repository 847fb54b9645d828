/* SPDX-License-Identifier: MIT */
/* container.c - containers: the create body, lists, states, log tails. */
#include "docker/container.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "docker/demux.h"
#include "docker/engine_raw.h"
#include "docker/text.h"

#include "base/banned.h"

#define LOG_TAIL_MAX 2048

/* The add_ functions add a key to what is already there; -1 when a text is no UTF-8. */
static int add_texts(json_t *to, const char *key, const char *const *texts)
{
	return texts ? json_object_set_new(to, key, text_array(texts)) : 0;
}

static int add_labels(json_t *to, const char *const *labels)
{
	json_t *object = json_object();
	int r = json_object_set_new(to, "Labels", object);

	for (; labels && labels[0] && labels[1]; labels += 2)
		r |= json_object_set_new(object, labels[0], json_string(labels[1]));
	return r;
}

/* Mounts, not Binds: a path may hold ':', and a source that is missing is an error instead of
 * a directory that root made. */
static int add_mounts(json_t *to, const struct container_bind *binds, size_t n)
{
	json_t *array = json_array();
	int r = json_object_set_new(to, "Mounts", array);

	for (size_t i = 0; i < n; i++)
		r |= json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:b}", "Type", "bind",
							    "Source", binds[i].source, "Target",
							    binds[i].target, "ReadOnly",
							    (int)binds[i].read_only));
	return r;
}

/* What a client's own limits leave open is the engine's log on the host's disk. */
static json_t *host_config(const struct container_spec *spec)
{
	json_t *host =
		json_pack("{s:{s:s}, s:[s], s:[s], s:{s:s, s:{s:s}}}", "RestartPolicy", "Name",
			  "no", "CapDrop", "ALL", "SecurityOpt", "no-new-privileges", "LogConfig",
			  "Type", "json-file", "Config", "max-size", CONTAINER_LOG_MAX);

	if (spec->profile) {
		auto_free char *option = xasprintf("seccomp=%s", spec->profile);

		json_array_append_new(json_object_get(host, "SecurityOpt"), json_string(option));
	}
	if (spec->memory) {
		json_object_set_new(host, "Memory", json_integer((json_int_t)spec->memory));
		json_object_set_new(host, "MemorySwap", json_integer((json_int_t)spec->memory));
	}
	if (spec->processes)
		json_object_set_new(host, "PidsLimit", json_integer(spec->processes));
	return host;
}

json_t *container_create_body(const struct container_spec *spec)
{
	json_t *host = host_config(spec);
	json_auto_t *body = json_pack("{s:s, s:s*, s:b, s:o}", "Image", spec->image, "Hostname",
				      spec->hostname, "NetworkDisabled", 1, "HostConfig", host);

	if (!body || add_labels(body, spec->labels) || add_texts(body, "Cmd", spec->command) ||
	    add_texts(body, "Env", spec->env) || add_mounts(host, spec->binds, spec->n_binds) ||
	    add_texts(host, "CapAdd", spec->caps))
		return NULL;
	return json_incref(body);
}

/* ---- lists ---- */

/* Foreign text into a fixed array; what does not fit is cut, for it is only shown. */
static void copy_cut(char *dst, size_t size, const json_t *text)
{
	const char *s = json_string_value(text);

	snprintf(dst, size, "%s", s ? s : "");
}

static int broken_reply(const char *call, struct err *err)
{
	return err_set(err, ERR_ENV, 0,
		       "the Docker Engine's reply to '%s' is not what the API says", call);
}

static int info_read(const json_t *c, struct container_info *ret, struct err *err)
{
	const char *id = json_string_value(json_object_get(c, "Id"));
	const char *name = json_string_value(json_array_get(json_object_get(c, "Names"), 0));
	json_t *labels = json_object_get(c, "Labels");

	if (!id || !str_copy(ret->id, sizeof(ret->id), id))
		return broken_reply("GET /containers/json", err);
	if (name && *name == '/')
		name++;
	/* a container half removed has no name */
	snprintf(ret->name, sizeof(ret->name), "%s", name ? name : "");
	copy_cut(ret->state, sizeof(ret->state), json_object_get(c, "State"));
	copy_cut(ret->status, sizeof(ret->status), json_object_get(c, "Status"));
	ret->labels = json_is_object(labels) ? json_incref(labels) : json_object();
	return 0;
}

int container_list_by_label(struct engine *e, const char *label, struct container_list *ret,
			    struct err *err)
{
	json_auto_t *filter = json_pack("{s:[s]}", "label", label);
	auto_free char *filter_text = filter ? json_dumps(filter, JSON_COMPACT) : NULL;
	auto_free char *escaped = engine_escape(e, filter_text ? filter_text : "");
	auto_free char *path = xasprintf("/containers/json?all=1&filters=%s", escaped);
	auto_container_list list = { 0 };
	json_auto_t *reply = NULL;
	json_t *c;
	size_t i;

	if (!filter_text)
		return err_set(err, ERR_INTERNAL, 0, "the label '%s' is no UTF-8", label);
	if (engine_call(e, "GET", path, NULL, &reply, err))
		return -1;
	if (!json_is_array(reply))
		return broken_reply("GET /containers/json", err);
	json_array_foreach (reply, i, c) {
		if (info_read(c, array_push(list.v, list.n), err))
			return -1;
	}
	*ret = list;
	list = (struct container_list){ 0 };
	return 0;
}

void container_list_done(struct container_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		json_decref(l->v[i].labels);
	free(l->v);
	*l = (struct container_list){ 0 };
}

int container_state_read(json_t *inspect, struct container_state *ret, struct err *err)
{
	json_t *state = json_object_get(inspect, "State");
	json_t *running = json_object_get(state, "Running");
	json_t *pid = json_object_get(state, "Pid");

	if (!json_is_boolean(running) || !json_is_integer(pid))
		return broken_reply("GET /containers/{id}/json", err);
	ret->running = json_is_true(running);
	ret->pid = (pid_t)json_integer_value(pid);
	ret->exit_code = (int)json_integer_value(json_object_get(state, "ExitCode"));
	copy_cut(ret->error, sizeof(ret->error), json_object_get(state, "Error"));
	return 0;
}

/* ---- its end ---- */

static int text_sink(void *arg, const char *data, size_t n, struct err *err)
{
	(void)err;
	str_addn(arg, data, n);
	return 0;
}

int container_wait_end(struct engine *e, const char *id, long timeout_ms, int *ret_exit_code,
		       struct err *err)
{
	auto_free char *escaped = engine_escape(e, id);
	auto_free char *path = xasprintf("/containers/%s/wait", escaped);
	auto_str text = { 0 };
	struct http_request rq = {
		.method = "POST",
		.target = path,
		.sink = text_sink,
		.io_arg = &text,
		.timeout_ms = timeout_ms,
	};
	json_auto_t *reply = NULL;
	json_t *code;

	if (engine_stream(e, &rq, err) < 0)
		return -1;
	reply = json_loadb(str_get(&text), text.len, 0, NULL);
	code = json_object_get(reply, "StatusCode");
	if (!json_is_integer(code))
		return broken_reply("POST /containers/{id}/wait", err);
	*ret_exit_code = (int)json_integer_value(code);
	return 0;
}

/* ---- log ---- */

struct tail {
	struct demux demux;
	bool raw; /* the container has a terminal: no frames */
	bool some;
	struct str text;
};

static int tail_add(void *arg, enum demux_stream stream, const char *data, size_t n)
{
	struct tail *t = arg;

	(void)stream;
	str_addn(&t->text, data, n);
	if (t->text.len > 2L * LOG_TAIL_MAX) {
		size_t drop = t->text.len - LOG_TAIL_MAX;

		memmove(t->text.s, t->text.s + drop, LOG_TAIL_MAX + 1);
		t->text.len = LOG_TAIL_MAX;
	}
	return 0;
}

static int tail_sink(void *arg, const char *data, size_t n, struct err *err)
{
	struct tail *t = arg;

	/* Older engines do not tell the two kinds apart; the first frame's head does. */
	if (!t->some && n)
		t->raw = (unsigned char)data[0] >= DEMUX_STREAM_MAX;
	t->some = true;
	if (t->raw)
		return tail_add(t, DEMUX_STDOUT, data, n);
	return demux_feed(&t->demux, data, n, tail_add, t, err);
}

int container_log_tail(struct engine *e, const char *id, unsigned lines, char **ret_text,
		       struct err *err)
{
	auto_free char *escaped = engine_escape(e, id);
	auto_free char *path =
		xasprintf("/containers/%s/logs?stdout=1&stderr=1&tail=%u", escaped, lines);
	struct tail t = { 0 };
	struct http_request rq = {
		.method = "GET",
		.target = path,
		.sink = tail_sink,
		.io_arg = &t,
	};
	int r = engine_stream(e, &rq, err);
	const char *from = str_get(&t.text);
	size_t n = t.text.len;

	if (n > LOG_TAIL_MAX) {
		from += n - LOG_TAIL_MAX;
		n = LOG_TAIL_MAX;
	}
	if (r == 0)
		*ret_text = text_clean(from, n, LOG_TAIL_MAX);
	str_done(&t.text);
	return r;
}
