/* SPDX-License-Identifier: MIT */
/* test_grade_catalogue.c - every check is complete and used by a stage; every stage's checks are
 * there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "expect.h"
#include "grade/check.h"
#include "stage/load.h"

#include "base/banned.h"

#define ID_MAX	    25 /* what --explain all leaves room for */
#define TITLE_MAX   58 /* and the table */
#define EXPLAIN_COL 104

static void test_rows(void **state)
{
	const struct check *c;
	size_t n = 0;

	(void)state;
	for (; (c = check_at(n)); n++) {
		if (check_find(c->id) != c)
			fail_msg("'%s' is there twice", c->id);
		if (strlen(c->id) > ID_MAX || strlen(c->title) > TITLE_MAX)
			fail_msg("'%s': id or title is too long for the table", c->id);
		if (!c->rfc || !c->points || !c->run || !c->explain)
			fail_msg("'%s' lacks something", c->id);
		for (size_t i = 0; i < HINTS; i++) {
			if (!c->hints[i] || !*c->hints[i])
				fail_msg("'%s' has %zu hints", c->id, i);
		}
		for (const char *p = c->explain; *p; p += strcspn(p, "\n"), p += *p == '\n') {
			if (strcspn(p, "\n") > EXPLAIN_COL)
				fail_msg("'%s': a line of its page is too long", c->id);
		}
	}
	assert_true(n >= 37);
}

static void test_needs_exist(void **state)
{
	const struct check *c;

	(void)state;
	for (size_t i = 0; (c = check_at(i)); i++) {
		auto_free char *needs = xstrdup(c->needs ? c->needs : "");
		char *rest = needs, *id;

		while ((id = strsep(&rest, " "))) {
			if (*id && (!check_find(id) || strcmp(id, c->id) == 0))
				fail_msg("'%s' needs '%s'", c->id, id);
		}
	}
}

static void test_stages(void **state)
{
	auto_strv names = { 0 };
	auto_free bool *used = xcalloc(1000, sizeof(*used));
	const struct check *c;

	(void)state;
	ok(stage_list("stages", &names, err));
	assert_true(names.n >= 6);
	for (size_t i = 0; i < names.n; i++) {
		auto_free char *dir = xasprintf("stages/%s", names.v[i]);
		auto_stage s = NULL;

		ok(stage_load(dir, &s, NULL, err));
		assert_true(s->n_checks > 0);
		for (size_t k = 0; k < s->n_checks; k++) {
			const struct check *of = NULL;

			ok(check_lookup(s->checks[k].use, &of, err));
			ok(check_args_valid(of, s->checks[k].args, err));
			for (size_t m = 0; (c = check_at(m)); m++)
				used[m] = used[m] || c == of;
		}
	}
	for (size_t m = 0; (c = check_at(m)); m++) {
		/* For stages of teachers who have the time: see test_grade_lasting.c. */
		if (!used[m] && strcmp(c->id, "robust.minute") != 0)
			fail_msg("no stage uses '%s'", c->id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_needs_exist),
		cmocka_unit_test(test_stages),
	};

	mem_adopt_jansson();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
