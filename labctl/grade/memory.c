/* SPDX-License-Identifier: MIT */
/* memory.c - the last grading of a lab, on disk. */
#include "grade/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rights.h"

#include "base/banned.h"

#define MEMORY_MAX (1 << 20)

void memory_load(struct memory *m, const char *state_dir, const char *lab, const char *stage)
{
	auto_file_rights as_root = file_rights_root("what the grader remembers of a lab");
	auto_free char *text = NULL;
	json_auto_t *doc = NULL;
	const char *of;

	*m = (struct memory){ .path = xasprintf("%s/grade/%s.json", state_dir, lab),
			      .stage = xstrdup(stage) };
	if (fs_read_plain(m->path, MEMORY_MAX, &text, ERR_IGNORED) == 0)
		doc = json_loads(text, 0, NULL);
	of = json_string_value(json_object_get(doc, "stage"));
	if (of && strcmp(of, stage) == 0 && json_is_object(json_object_get(doc, "checks")))
		m->checks = json_incref(json_object_get(doc, "checks"));
	else
		m->checks = json_object();
}

void memory_update(struct memory *m, const struct results *r, bool hint)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct result *c = &r->v[i];
		unsigned hints = memory_hints(m, c->id);
		bool seen = json_object_get(m->checks, c->id) != NULL;

		if (!c->selected && !c->needed)
			continue;
		/* The first --hint after the first failure shows the second one. */
		if (hint && c->verdict == VERDICT_FAIL && seen && hints < HINTS)
			hints++;
		json_object_set_new(m->checks, c->id,
				    json_pack("{s:s, s:i}", "status", verdict_name(c->verdict),
					      "hints", (int)hints));
	}
}

int memory_save(const struct memory *m, struct err *err)
{
	auto_file_rights as_root = file_rights_root("what the grader remembers of a lab");
	auto_free char *dir = xstrdup(m->path);
	json_auto_t *doc = json_pack("{s:s, s:O}", "stage", m->stage, "checks", m->checks);
	auto_free char *text = json_dumps(doc, JSON_INDENT(1));

	*strrchr(dir, '/') = '\0';
	if (fs_mkdirs(dir, 0755, err) < 0)
		return -1;
	return fs_write(m->path, text, strlen(text), 0644, false, err);
}

void memory_done(struct memory *m)
{
	free(m->path);
	free(m->stage);
	json_decref(m->checks);
	*m = (struct memory){ 0 };
}

void memory_failed(const struct memory *m, struct strv *ret)
{
	const char *id, *status;
	json_t *c;

	json_object_foreach (m->checks, id, c) {
		status = json_string_value(json_object_get(c, "status"));
		if (!status || strcmp(status, verdict_name(VERDICT_PASS)) != 0)
			strv_add(ret, id);
	}
}

unsigned memory_hints(const struct memory *m, const char *id)
{
	json_t *c = m ? json_object_get(m->checks, id) : NULL;
	json_int_t n = json_integer_value(json_object_get(c, "hints"));

	return n < 1 ? 1 : n > HINTS ? HINTS : (unsigned)n;
}
