/* SPDX-License-Identifier: MIT */
/* problems.c - problems of a stage file, shown. */
#include "cmd/problems.h"

#include "base/mem.h"
#include "base/out.h"
#include "grade/entries.h"

#include "base/banned.h"

void problems_explain(const struct stage_problems *p, struct err *err)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct stage_problem *q = &p->v[i];

		out_printf(stderr, "%s:", p->file);
		if (q->line)
			out_printf(stderr, "%u:", q->line);
		out_printf(stderr, " %s%s%s\n", q->path, q->path[0] ? ": " : "", q->text);
		if (q->hint[0])
			out_printf(stderr, "    hint: %s\n", q->hint);
	}
	if (p->n) {
		err_set(err, ERR_STAGE, 0, "'%s' has %zu problem%s", p->file, p->n,
			p->n == 1 ? "" : "s");
		err_hint(err, "mend the file, then: labctl stage-validate STAGE");
	}
}

int problems_of_checks(const struct stage *s, struct stage_problems *ret, struct err *err)
{
	entries_validate(s, ret);
	if (!ret->n)
		return 0;
	if (!ret->file)
		ret->file = xasprintf("%s/stage.json", s->dir ? s->dir : s->name);
	return err_set(err, ERR_STAGE, 0, "'%s' has problems", ret->file);
}

json_t *problems_json(const struct stage_problems *p)
{
	json_t *all = json_array();

	for (size_t i = 0; i < p->n; i++)
		json_array_append_new(all, json_pack("{s:i, s:s, s:s, s:s}", "line",
						     (int)p->v[i].line, "path", p->v[i].path,
						     "text", p->v[i].text, "hint", p->v[i].hint));
	return all;
}
