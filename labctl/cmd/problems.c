/* SPDX-License-Identifier: MIT */
/* problems.c - problems of a stage file, shown. */
#include "cmd/problems.h"

#include "base/mem.h"
#include "base/out.h"
#include "grade/entries.h"

#include "base/banned.h"

void problems_print(FILE *to, const struct stage_problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct stage_problem *q = &p->v[i];

		out_printf(to, "%s:", p->file);
		if (q->line)
			out_printf(to, "%u:", q->line);
		out_printf(to, " %s%s%s\n", q->path, q->path[0] ? ": " : "", q->text);
		if (q->hint[0])
			out_printf(to, "    hint: %s\n", q->hint);
	}
}

int problems_sum(const struct stage_problems *p, struct err *err)
{
	if (!p->n)
		return -1;
	return err_set(err, ERR_STAGE, 0, "'%s' has %zu problem%s", p->file, p->n,
		       p->n == 1 ? "" : "s");
}

void problems_explain(const struct stage_problems *p, struct err *err)
{
	problems_print(stderr, p);
	if (p->n && problems_sum(p, err) < 0)
		err_hint(err, "mend the file, then: labctl stage-validate %s", p->file);
}

int problems_of_checks(const struct stage *s, struct stage_problems *ret, struct err *err)
{
	entries_validate(s, ret);
	if (!ret->n)
		return 0;
	if (!ret->file)
		ret->file = xasprintf("%s/stage.json", s->dir ? s->dir : s->name);
	return problems_sum(ret, err);
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
