/* SPDX-License-Identifier: MIT */
/* summary.c - a batch of gradings as a table, as CSV, as JSON. */
#include "grade/batch.h"

#include <string.h>

#include "base/mem.h"
#include "base/printable.h"
#include "grade/check.h"
#include "grade/grading.h"

#include "base/banned.h"

#define REASON_WIDTH 100

static const char *text_of(const struct batch_row *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row->doc, key));

	return text ? text : "";
}

static int number_of(const struct batch_row *row, const char *key)
{
	return (int)json_integer_value(json_object_get(row->doc, key));
}

/* Was anything judged, so that there are numbers? */
static bool has_score(const struct batch_row *row)
{
	return json_is_integer(json_object_get(row->doc, "score"));
}

/* The points that a stage gives at most; those of its checks that say nothing are the checks'. */
static unsigned max_points(const struct batch *b)
{
	unsigned sum = 0;

	for (size_t i = 0; i < b->stage->n_checks; i++) {
		const struct stage_check *c = &b->stage->checks[i];
		const struct check *known = check_find(c->use);

		sum += json_object_get(c->args, "points") || !known ? c->points : known->points;
	}
	return sum;
}

/* A stranger's text, cut at width characters when that is not 0. */
static void add_plain(struct str *out, const char *text, size_t width)
{
	auto_free char *plain = xstrdup(text);
	size_t n = 0;

	printable_line(plain);
	for (const char *c = plain; *c; c++) {
		if ((*c & 0xc0) != 0x80 && width && n++ == width) {
			str_add(out, "…");
			return;
		}
		str_addc(out, *c);
	}
}

static size_t characters(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

static void table_row(const struct batch_row *row, size_t width, struct str *out)
{
	auto_free char *name = xstrdup(row->name);
	size_t n;

	printable_line(name);
	n = characters(name);
	str_addf(out, "%s%*s", name, (int)(width - n), "");
	if (has_score(row))
		str_addf(out, "  %4d/%-4d %6d %6d %6d %7d", number_of(row, "score"),
			 number_of(row, "max_score"), number_of(row, "passed"),
			 number_of(row, "failed"), number_of(row, "errors"),
			 number_of(row, "pending"));
	else
		str_addf(out, "  %9s %6s %6s %6s %7s", "-", "-", "-", "-", "-");
	str_addf(out, " %7.1f  ", json_number_value(json_object_get(row->doc, "seconds")));
	if (strcmp(text_of(row, "status"), GRADING_GRADED) != 0)
		str_addf(out, "%s: ", text_of(row, "status"));
	add_plain(out, text_of(row, "reason"), REASON_WIDTH);
	while (out->len && out->s[out->len - 1] == ' ')
		out->s[--out->len] = '\0';
	str_addc(out, '\n');
}

void batch_table(const struct batch *b, struct str *out)
{
	size_t width = 10;

	for (size_t i = 0; i < b->n; i++) {
		auto_free char *name = xstrdup(b->rows[i].name);
		size_t n;

		printable_line(name);
		n = characters(name);
		width = n > width ? n : width;
	}
	str_addf(out, "%-*s  %9s %6s %6s %6s %7s %7s  %s\n", (int)width, "submission", "score",
		 "passed", "failed", "errors", "pending", "seconds", "first failure");
	for (size_t i = 0; i < b->n; i++)
		table_row(&b->rows[i], width, out);
	str_addf(out, "\n%zu of %zu graded (%s, seed %llu, %.1f s)\n", b->graded, b->n,
		 b->stage->name, (unsigned long long)b->seed, b->seconds);
}

/* RFC 4180; and a spreadsheet takes what begins so for a formula, unless an apostrophe is before. */
static void csv_text(struct str *out, const char *text)
{
	const char *mark = *text && strchr("=+-@\t\r", *text) ? "'" : "";
	auto_free char *plain = xstrdup(text);

	printable_text(plain);
	text = plain;
	if (!strpbrk(text, ",\"\r\n")) {
		str_addf(out, "%s%s", mark, text);
		return;
	}
	str_addf(out, "\"%s", mark);
	for (; *text; text++) {
		if (*text == '"')
			str_addc(out, '"');
		str_addc(out, *text);
	}
	str_addc(out, '"');
}

/* Ids as in the reports: with #n where the stage uses a check more than once. */
static char *column(const struct stage *s, size_t i)
{
	unsigned before = 0, all = 0;

	for (size_t k = 0; k < s->n_checks; k++) {
		bool same = strcmp(s->checks[k].use, s->checks[i].use) == 0;

		all += same;
		before += same && k <= i;
	}
	return all > 1 ? xasprintf("%s#%u", s->checks[i].use, before) : xstrdup(s->checks[i].use);
}

/* Points; nothing where it could not be judged. */
static void csv_check(const struct batch_row *row, size_t i, struct str *out)
{
	json_t *c = json_array_get(json_object_get(row->doc, "checks"), i);
	const char *status = json_string_value(json_object_get(c, "status"));

	str_addc(out, ',');
	if (status && strcmp(status, verdict_name(VERDICT_ERROR)) != 0)
		str_addf(out, "%d", (int)json_integer_value(json_object_get(c, "points")));
}

void batch_csv(const struct batch *b, struct str *out)
{
	unsigned max = max_points(b);

	str_add(out, "name,status,score,max");
	for (size_t i = 0; i < b->stage->n_checks; i++) {
		auto_free char *id = column(b->stage, i);

		str_addc(out, ',');
		csv_text(out, id);
	}
	str_add(out, "\r\n");
	for (size_t i = 0; i < b->n; i++) {
		const struct batch_row *row = &b->rows[i];

		csv_text(out, row->name);
		str_addf(out, ",%s,", text_of(row, "status"));
		if (has_score(row))
			str_addf(out, "%d", number_of(row, "score"));
		str_addf(out, ",%u", max);
		for (size_t k = 0; k < b->stage->n_checks; k++)
			csv_check(row, k, out);
		str_add(out, "\r\n");
	}
}

/* Without what is the same for all: each check's title, hint and source. */
static json_t *short_checks(const json_t *checks)
{
	static const char *const keys[] = { "id", "status", "points", "max_points", "reason" };
	json_t *all = json_array();
	json_t *c;
	size_t i;

	json_array_foreach (checks, i, c) {
		json_t *s = json_object();

		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			json_object_set(s, keys[k], json_object_get(c, keys[k]));
		json_array_append_new(all, s);
	}
	return all;
}

json_t *batch_json(const struct batch *b, const char *version)
{
	json_t *all = json_array();

	for (size_t i = 0; i < b->n; i++) {
		json_t *row = json_copy(b->rows[i].doc);
		json_t *checks = json_object_get(row, "checks");

		if (checks)
			json_object_set_new(row, "checks", short_checks(checks));
		json_array_append_new(all, row);
	}
	return json_pack("{s:s, s:s, s:s, s:I, s:i, s:i, s:i, s:o}", "labctl", version, "stage",
			 b->stage->name, "stage_sha256", b->stage_sha256, "seed",
			 (json_int_t)b->seed, "max_score", (int)max_points(b), "graded",
			 (int)b->graded, "not_graded", (int)(b->n - b->graded), "submissions", all);
}
