/* SPDX-License-Identifier: MIT */
/* server_stats.c - a line for each request, and numbers for Prometheus. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/printable.h"
#include "netport/server_internal.h"

#include "base/banned.h"

#define LOG_TARGET_MAX 256

/* Upper bounds in microseconds. */
static const uint32_t buckets[LATENCY_BUCKETS] = {
	50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 100000, 1000000, 10000000,
};

static const char *const families[API_FAMILY_MAX] = {
	[API_MODERN] = "labctl",
	[API_NETPORT] = "netport",
	[API_PORTMASTER] = "portmaster",
};

/* An offer's secret stands in its path. */
static size_t secret_at(const char *target, size_t *ret_len)
{
	const char *s = str_starts(target, "/v1/") ? strstr(target, "/offers/") : NULL;

	if (!s)
		return SIZE_MAX;
	s += strlen("/offers/");
	*ret_len = strcspn(s, "/?");
	return (size_t)(s - target);
}

static void add_target(struct str *out, const char *target)
{
	size_t len = 0, secret = secret_at(target, &len);

	for (size_t i = 0; target[i] && i < LOG_TARGET_MAX; i++) {
		unsigned char c = (unsigned char)target[i];

		if (i == secret && len)
			str_addc(out, '*');
		if (i >= secret && i - secret < len)
			continue;
		if (c <= ' ' || c >= 0x7f || c == '"')
			str_addf(out, "%%%02X", c);
		else
			str_addc(out, (char)c);
	}
}

static void log_request(struct exchange *x, unsigned status, size_t size, int64_t us)
{
	struct str *out = &x->server->stats.log;
	const struct connection *c = x->connection;
	const struct api_caller *who = &x->call.caller;
	struct timespec ts;
	struct tm tm;
	size_t at = out->len;
	char when[32];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(when, sizeof(when), "%FT%T", &tm);
	str_addf(out, "%s.%03dZ %s%s%s%s %s ", when, (int)(ts.tv_nsec / 1000000),
		 c && c->peer[0] ? c->peer : "-", who->owner[0] ? " (" : "", who->owner,
		 who->owner[0] ? ")" : "", x->method[0] ? x->method : "-");
	add_target(out, x->target);
	str_addf(out, " %u %zu %lldus\n", status, size, (long long)us);
	printable_text(out->s + at);
}

void stats_request(struct exchange *x, unsigned status, size_t size)
{
	struct stats *t = &x->server->stats;
	int64_t us = server_now_us() - x->began_us;
	size_t i = 0;

	while (i < LATENCY_BUCKETS && us > buckets[i])
		i++;
	t->latency[i]++;
	t->latency_count++;
	t->latency_sum_us += (uint64_t)us;
	t->requests[x->call.family][status / 100 < 6 ? status / 100 : 0]++;
	if (x->server->config->log_fd >= 0)
		log_request(x, status, size, us);
}

void stats_flush(struct server *s)
{
	struct str *out = &s->stats.log;

	/* A log that cannot be written must not stop the service. */
	if (out->len && write(s->config->log_fd, out->s, out->len) < 0)
		s->stats.log.len = 0;
	out->len = 0;
}

static void number(struct str *out, const char *name, const char *type, const char *help,
		   uint64_t value)
{
	str_addf(out, "# HELP labctl_netport_%s %s\n# TYPE labctl_netport_%s %s\n", name, help,
		 name, type);
	str_addf(out, "labctl_netport_%s %llu\n", name, (unsigned long long)value);
}

static void add_requests(struct str *out, const struct stats *t)
{
	str_add(out, "# HELP labctl_netport_requests_total Requests answered.\n"
		     "# TYPE labctl_netport_requests_total counter\n");
	for (int f = 0; f < API_FAMILY_MAX; f++) {
		for (int status = 1; status < 6; status++) {
			if (!t->requests[f][status])
				continue;
			str_addf(out,
				 "labctl_netport_requests_total{api=\"%s\",status=\"%dxx\"} %llu\n",
				 families[f], status, (unsigned long long)t->requests[f][status]);
		}
	}
}

static void add_latency(struct str *out, const struct stats *t)
{
	uint64_t sum = 0;

	str_add(out, "# HELP labctl_netport_request_seconds Time from request line to reply.\n"
		     "# TYPE labctl_netport_request_seconds histogram\n");
	for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
		sum += t->latency[i];
		str_addf(out, "labctl_netport_request_seconds_bucket{le=\"%g\"} %llu\n",
			 buckets[i] / 1e6, (unsigned long long)sum);
	}
	str_addf(out,
		 "labctl_netport_request_seconds_bucket{le=\"+Inf\"} %llu\n"
		 "labctl_netport_request_seconds_sum %.6f\n"
		 "labctl_netport_request_seconds_count %llu\n",
		 (unsigned long long)t->latency_count, (double)t->latency_sum_us / 1e6,
		 (unsigned long long)t->latency_count);
}

void stats_metrics(void *arg, struct str *out)
{
	const struct server *s = arg;
	const struct stats *t = &s->stats;

	add_requests(out, t);
	add_latency(out, t);
	number(out, "batches_total", "counter", "Transactions that requests shared.", t->batches);
	number(out, "batched_requests_total", "counter", "Requests in them.", t->batched);
	number(out, "failed_batches_total", "counter", "Transactions that failed.",
	       t->failed_batches);
	number(out, "commit_microseconds_total", "counter", "Time spent in commits.", t->commit_us);
	number(out, "connections", "gauge", "Open connections.", s->n_connections);
	number(out, "connections_accepted_total", "counter", "Connections accepted.", t->accepted);
	number(out, "connections_refused_total", "counter", "Connections refused: too many.",
	       t->refused_all + t->refused_peer);
	number(out, "connections_timed_out_total", "counter", "Connections closed: too slow.",
	       t->timeouts);
}
