/* SPDX-License-Identifier: MIT */
/* report.c - results for people and for programs. */
#include "grade/report.h"

#include <string.h>

#include "base/mem.h"
#include "base/printable.h"

#include "base/banned.h"

#define WIDTH_ID      18
#define WIDTH_TITLE   58
#define WIDTH_TEXT    86
#define LESSON_INDENT 8
#define TAIL_LINES    12
#define FINAL_LINES   4

enum paint {
	PAINT_NONE,
	PAINT_GOOD,
	PAINT_BAD,
	PAINT_ODD,
	PAINT_DIM,
	PAINT_BOLD,
};

static void paint(const struct report *r, enum paint p, const char *text, struct str *out)
{
	static const char *const codes[] = { "", "32", "31", "33", "2", "1" };

	if (r->colour && p != PAINT_NONE)
		str_addf(out, "\033[%sm", codes[p]);
	printable_add(out, text);
	if (r->colour && p != PAINT_NONE)
		str_add(out, "\033[0m");
}

int report_exit_code(const struct results *r)
{
	if (r->errors)
		return 3;
	return r->failed || r->pending ? 1 : 0;
}

/* JSON */

static json_t *hint_json(const struct report *r, const struct result *c)
{
	if (c->verdict != VERDICT_FAIL)
		return json_null();
	return json_string(c->check->hints[memory_hints(r->memory, c->id) - 1]);
}

static json_t *or_null(json_t *v)
{
	return v ? json_incref(v) : json_null();
}

/* Bytes of a stranger. */
static json_t *output_json(const struct result *c)
{
	auto_free char *text =
		c->prints || c->output ? xstrdup(c->prints ? c->prints : c->output) : NULL;

	if (!text)
		return json_null();
	printable_text(text);
	return json_string(text);
}

static json_t *check_json(const struct report *r, const struct result *c)
{
	return json_pack("{s:s, s:s, s:s, s:i, s:i, s:s?, s:s?, s:o, s:s, s:s?, s:o, s:o, s:s?, "
			 "s:o, s:o, s:f}",
			 "id", c->id, "title", c->check->title, "status", verdict_name(c->verdict),
			 "points", (int)c->points, "max_points", (int)c->max_points, "reason",
			 c->reason, "fault_hint", c->fault_hint, "hint", hint_json(r, c), "rfc",
			 c->check->rfc, "sent", c->sent, "expected", or_null(c->expected), "seen",
			 or_null(c->seen), "story", c->story, "ladder", ladder_json(&c->ladder),
			 "output", output_json(c), "ms", (double)(long)(c->ms * 100) / 100);
}

json_t *report_json(const struct report *r)
{
	const struct results *s = r->results;
	json_t *checks = json_array();

	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].selected)
			json_array_append_new(checks, check_json(r, &s->v[i]));
	}
	return json_pack("{s:s, s:s, s:I, s:s?, s:i, s:i, s:i, s:i, s:i, s:i, s:o}", "stage",
			 r->stage->name, "lab", r->lab, "seed", (json_int_t)s->seed, "notice",
			 s->notice, "passed", (int)s->passed, "failed", (int)s->failed, "errors",
			 (int)s->errors, "pending", (int)s->pending, "score", (int)s->score,
			 "max_score", (int)s->max_score, "checks", checks);
}

/* JUnit */

static void xml_add(struct str *out, const char *unsafe)
{
	auto_free char *text = xstrdup(unsafe);

	printable_text(text);
	for (const char *c = text; *c; c++) {
		if (*c == '&')
			str_add(out, "&amp;");
		else if (*c == '<')
			str_add(out, "&lt;");
		else if (*c == '>')
			str_add(out, "&gt;");
		else if (*c == '"')
			str_add(out, "&quot;");
		else
			str_addc(out, *c);
	}
}

/* What was sent, "ipv4.ttl: expected 63, seen 62", and what the router did, a line each. */
static void lesson_lines(const struct report *r, const struct result *c, const char *indent,
			 struct str *out)
{
	const char *key;
	json_t *v;

	if (c->sent)
		printable_addf(out, "%ssent: %s\n", indent, c->sent);
	json_object_foreach (c->expected, key, v) {
		const char *seen = json_string_value(json_object_get(c->seen, key));

		printable_addf(out, "%s%s: expected %s, seen %s\n", indent, key,
			       json_string_value(v), seen ? seen : "nothing");
	}
	if (c->story)
		printable_addf(out, "%s%s\n", indent, c->story);
	if (c->fault_hint)
		printable_addf(out, "%shint: %s\n", indent, c->fault_hint);
	ladder_draw(&c->ladder, !r->ascii, indent, out);
}

static void junit_check(const struct report *r, const struct result *c, struct str *out)
{
	static const char *const tags[VERDICT_MAX] = { NULL, "failure", "error", "skipped" };
	auto_str detail = { 0 };

	str_addf(out, "  <testcase classname=\"%s\" name=\"%s\" time=\"%.3f\"", r->stage->name,
		 c->id, c->ms / 1000);
	if (!tags[c->verdict]) {
		str_add(out, "/>\n");
		return;
	}
	str_addf(out, ">\n    <%s message=\"", tags[c->verdict]);
	xml_add(out, c->reason ? c->reason : "");
	str_add(out, "\">");
	lesson_lines(r, c, "", &detail);
	if (c->output || c->prints)
		str_addf(&detail, "output:\n%s", c->output ? c->output : c->prints);
	xml_add(out, str_get(&detail));
	str_addf(out, "</%s>\n  </testcase>\n", tags[c->verdict]);
}

void report_junit(const struct report *r, struct str *out)
{
	const struct results *s = r->results;

	str_addf(out,
		 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"%s\" tests=\"%u\" "
		 "failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%.3f\">\n",
		 r->stage->name, s->passed + s->failed + s->errors + s->pending, s->failed,
		 s->errors, s->pending, s->ms / 1000);
	str_addf(out,
		 "  <properties>\n    <property name=\"seed\" value=\"%llu\"/>\n"
		 "    <property name=\"score\" value=\"%u\"/>\n"
		 "    <property name=\"max_score\" value=\"%u\"/>\n  </properties>\n",
		 (unsigned long long)s->seed, s->score, s->max_score);
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].selected)
			junit_check(r, &s->v[i], out);
	}
	str_add(out, "</testsuite>\n");
}

/* TAP */

void report_tap(const struct report *r, struct str *out)
{
	const struct results *s = r->results;
	unsigned n = 0;

	printable_addf(out, "TAP version 13\n1..%u\n# seed %llu\n",
		       s->passed + s->failed + s->errors + s->pending, (unsigned long long)s->seed);
	if (s->notice)
		printable_addf(out, "# %s\n", s->notice);
	for (size_t i = 0; i < s->n; i++) {
		const struct result *c = &s->v[i];

		if (!c->selected)
			continue;
		printable_addf(out, "%s %u - %s: %s\n",
			       c->verdict == VERDICT_PASS ? "ok" : "not ok", ++n, c->id,
			       c->check->title);
		if (c->verdict == VERDICT_PASS)
			continue;
		printable_addf(out, "# %s: %s\n", verdict_name(c->verdict), c->reason);
		lesson_lines(r, c, "#   ", out);
	}
	printable_addf(out, "# score %u of %u\n", s->score, s->max_score);
}

/* The table */

/* Words wrapped, the first line begun with `first`, the others with indent. */
static void wrap_after(const char *first, const char *text, const char *indent, struct str *out)
{
	size_t at = 0, room = WIDTH_TEXT + LESSON_INDENT - strlen(first);

	while (*text) {
		size_t len = strcspn(text, " \n");

		if (at && at + 1 + len > room) {
			printable_add(out, "\n");
			at = 0;
		}
		printable_addf(out, "%s%.*s", at ? " " : first, (int)len, text);
		first = indent;
		at += (at ? 1 : 0) + len;
		text += len + strspn(text + len, " \n");
	}
	printable_add(out, "\n");
}

static void wrap(const char *text, const char *indent, struct str *out)
{
	wrap_after(indent, text, indent, out);
}

void report_head(const struct report *r, struct str *out)
{
	paint(r, PAINT_BOLD, r->stage->name, out);
	printable_addf(out, ": %s", r->stage->title);
	printable_addf(out, "  (lab %s, seed %llu)\n\n", r->lab,
		       (unsigned long long)r->results->seed);
	if (!r->results->notice)
		return;
	wrap(r->results->notice, "  ", out);
	printable_add(out, "\n");
}

/* One value of what was compared; a whole frame needs no name. */
static void compared_line(const struct report *r, const char *label, const char *key,
			  const char *value, enum paint p, struct str *out)
{
	bool named = strcmp(key, "frame") != 0;

	printable_addf(out, "          %-10s%s%s", label, named ? key : "", named ? " " : "");
	paint(r, p, value, out);
	printable_add(out, "\n");
}

static void compared_table(const struct report *r, const struct result *c, struct str *out)
{
	const char *key;
	json_t *v;

	if (c->sent)
		wrap_after("          sent      ", c->sent, "                    ", out);
	json_object_foreach (c->expected, key, v) {
		const char *seen = json_string_value(json_object_get(c->seen, key));

		compared_line(r, "expected", key, json_string_value(v), PAINT_NONE, out);
		compared_line(r, "seen", key, seen ? seen : "nothing", PAINT_BAD, out);
	}
}

/* As a sentence of its own. */
static void sentence(const char *text, const char *end, struct str *out)
{
	auto_free char *s = xasprintf("%s%s", text, end);

	if (*s >= 'a' && *s <= 'z')
		*s = (char)(*s - 'a' + 'A');
	wrap(s, "        ", out);
}

/* The last lines of what the program said. */
static void last_words(const char *text, const char *title, struct str *out)
{
	auto_free char *copy = xstrdup(text);
	char *p = copy + strlen(copy), *save = NULL;
	int lines = 0;

	while (p > copy && (p[-1] != '\n' || !p[0] || lines++ < TAIL_LINES))
		p--;
	printable_text(p);
	printable_addf(out, "        %s:\n", title);
	for (char *line = strtok_r(p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		printable_add(out, "          | ");
		printable_add(out, line);
		printable_add(out, "\n");
	}
}

/* A traceback's end: where it happened, and what. */
static const char *final_lines(const char *text)
{
	const char *p = text + strlen(text);
	int lines = 0;

	while (p > text && p[-1] == '\n')
		p--;
	while (p > text && (p[-1] != '\n' || ++lines < FINAL_LINES))
		p--;
	return p;
}

/* The check before this one after which the program said the same last; NULL: none. */
static const struct result *same_words(const struct report *r, const struct result *c)
{
	for (size_t i = 0; i < r->results->n && &r->results->v[i] != c; i++) {
		const struct result *o = &r->results->v[i];

		if (o->selected && o->verdict != VERDICT_PENDING && o->output &&
		    strcmp(final_lines(o->output), final_lines(c->output)) == 0)
			return o;
	}
	return NULL;
}

static void after_end(const struct report *r, const struct result *c, struct str *out)
{
	const struct result *same = *c->output ? same_words(r, c) : NULL;

	if (same)
		printable_addf(out, "        Your program said last: as under %s\n", same->id);
	else if (*c->output)
		last_words(c->output, "Your program said last", out);
	else
		printable_add(out, "        Your program printed nothing.\n");
}

static void hints(const struct report *r, const struct result *c, struct str *out)
{
	unsigned open = memory_hints(r->memory, c->id);
	const char *more = "More: --hint; the";

	if (c->fault_hint)
		wrap_after("        Hint: ", c->fault_hint, "        ", out);
	/* The fault's own hint says more than the check's; the sockets come before both. */
	if (r->results->wrong_sockets)
		open = 0, more = "The";
	else if (c->fault_hint && !r->more_hints)
		open = 0;
	for (unsigned i = 0; i < open; i++) {
		auto_free char *line = xasprintf("Hint %u: %s", i + 1, c->check->hints[i]);

		wrap(line, "        ", out);
	}
	printable_addf(out, "        Read: %s.", c->check->rfc);
	if (open < HINTS) {
		auto_free char *text =
			xasprintf(" %s whole story: --explain %s", more, c->check->id);

		paint(r, PAINT_DIM, text, out);
	}
	printable_add(out, "\n");
}

static void lesson(const struct report *r, const struct result *c, struct str *out)
{
	sentence(c->reason, "", out);
	compared_table(r, c, out);
	if (c->story)
		sentence(c->story, ".", out);
	if (r->ladders)
		ladder_draw(&c->ladder, !r->ascii, "        ", out);
	/* After a crash its own words are the hint, and nothing else is. */
	if (c->output)
		after_end(r, c, out);
	else if (c->verdict == VERDICT_FAIL)
		hints(r, c, out);
}

/* Of the column of ids: the longest of this stage. */
static int id_width(const struct results *s)
{
	size_t width = WIDTH_ID;

	for (size_t i = 0; i < s->n; i++) {
		size_t len = s->v[i].selected ? strlen(s->v[i].id) : 0;

		width = len > width ? len : width;
	}
	return (int)width;
}

void report_check(const struct report *r, const struct result *c, struct str *out)
{
	static const char *const words[VERDICT_PENDING] = { "pass", "FAIL", "ERROR" };
	static const enum paint paints[VERDICT_PENDING] = { PAINT_GOOD, PAINT_BAD, PAINT_ODD };
	auto_free char *word = xasprintf("%-5s", words[c->verdict]);

	printable_add(out, "  ");
	paint(r, paints[c->verdict], word, out);
	printable_addf(out, " %-*s %-*s %u/%u\n", id_width(r->results), c->id, WIDTH_TITLE,
		       c->check->title, c->points, c->max_points);
	if (c->verdict != VERDICT_PASS)
		lesson(r, c, out);
	if (c->prints && *c->prints && !c->output)
		last_words(c->prints, "Your program said meanwhile", out);
}

static bool same_wait(const struct result *a, const struct result *b)
{
	const char *x = a->waits_for ? a->waits_for : a->reason;
	const char *y = b->waits_for ? b->waits_for : b->reason;

	return x == y || (x && y && strcmp(x, y) == 0);
}

/* Those that wait for the same thing are one line. */
static void waiting(const struct report *r, size_t first, struct str *out)
{
	const struct result *v = r->results->v, *c = &v[first];
	unsigned n = 0;

	for (size_t i = 0; i < r->results->n; i++) {
		if (!v[i].selected || v[i].verdict != VERDICT_PENDING || !same_wait(&v[i], c))
			continue;
		if (i < first)
			return; /* told already */
		n++;
	}
	printable_add(out, "  ");
	paint(r, PAINT_DIM, "wait ", out);
	if (n > 1)
		printable_addf(out, " %u more checks", n);
	else
		printable_addf(out, " %-*s", id_width(r->results), c->id);
	if (c->waits_for)
		printable_addf(out, " wait%s for %s\n", n > 1 ? "" : "s", c->waits_for);
	else
		printable_addf(out, " %s\n", c->reason ? c->reason : "not tried");
}

static bool same_error(const struct result *a, const struct result *b)
{
	return a->selected && b->selected && a->verdict == VERDICT_ERROR &&
	       b->verdict == VERDICT_ERROR && a->reason && b->reason &&
	       strcmp(a->reason, b->reason) == 0;
}

/* Of those with the same error the first tells it, and how many more there are. */
static void errors_alike(const struct report *r, size_t first, struct str *out)
{
	const struct result *v = r->results->v;
	unsigned n = 0;

	for (size_t i = first + 1; i < r->results->n; i++)
		n += same_error(&v[first], &v[i]);
	if (!n)
		return;
	printable_add(out, "  ");
	paint(r, PAINT_ODD, "ERROR", out);
	printable_addf(out, " %u more check%s: the same\n", n, n > 1 ? "s" : "");
}

static bool error_was_told(const struct results *s, size_t which)
{
	for (size_t i = 0; i < which; i++) {
		if (same_error(&s->v[i], &s->v[which]))
			return true;
	}
	return false;
}

void report_checks(const struct report *r, struct str *out)
{
	const struct results *s = r->results;

	for (size_t i = 0; i < s->n; i++) {
		if (!s->v[i].selected || s->v[i].verdict == VERDICT_PENDING || error_was_told(s, i))
			continue;
		report_check(r, &s->v[i], out);
		errors_alike(r, i, out);
	}
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].selected && s->v[i].verdict == VERDICT_PENDING)
			waiting(r, i, out);
	}
}

void report_sum(const struct report *r, struct str *out)
{
	const struct results *s = r->results;
	unsigned n = s->passed + s->failed + s->errors + s->pending;
	auto_free char *text =
		xasprintf("%u of %u passed, %u of %u points", s->passed, n, s->score, s->max_score);

	printable_add(out, "\n");
	paint(r, s->passed == n ? PAINT_GOOD : s->errors ? PAINT_ODD : PAINT_BAD, text, out);
	if (s->errors)
		printable_addf(out, ", %u could not be graded", s->errors);
	if (s->pending)
		printable_addf(out, ", %u not tried", s->pending);
	printable_addf(out, " (%.1f s)\n", s->ms / 1000);
	/* All of the stage, and not only what was asked for. */
	if (r->next && s->passed == s->n)
		printable_addf(out, "next: %s\n", r->next);
}

void report_explain(const struct check *c, bool colour, struct str *out)
{
	const struct report r = { .colour = colour };

	paint(&r, PAINT_BOLD, c->id, out);
	printable_addf(out, ": the router %s (%s)\n\n", c->title, c->rfc);
	wrap(c->explain, "", out);
	printable_add(out, "\n");
	for (unsigned i = 0; i < HINTS; i++) {
		auto_free char *line = xasprintf("%u. %s", i + 1, c->hints[i]);

		wrap(line, "  ", out);
	}
	if (c->needs)
		printable_addf(out,
			       "\nWaits for %s: not tried while a fault there may hide what this "
			       "is about\n",
			       c->needs);
}
