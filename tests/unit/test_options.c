/* SPDX-License-Identifier: MIT */
/* test_options.c - every verb's table of options fits into struct args. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/command.h"
#include "expect.h"

/* main.c's; no verb runs here. */
void print_json(json_t *doc)
{
	json_decref(doc);
}

/* As `labctl netport list --help`: the table is looked at before any option. */
static void check(const struct command *c)
{
	auto_free char *text = xstrdup(c->name);
	char help[] = "--help", *space = strchr(text, ' ');
	char *argv[] = { text, space ? space + 1 : help, help };
	struct args global = { 0 }, args = { 0 };
	const struct command *got;

	if (space)
		*space = '\0';
	ok(command_parse(space ? 3 : 2, argv, &got, &global, &args, err));
	assert_ptr_equal(got, c);
	free(args.v);
}

static void test_tables_fit(void **state)
{
	(void)state;
	for (size_t i = 0; i < command_count; i++) {
		const struct command *const *verbs = command_table[i]->verbs;

		check(command_table[i]);
		for (size_t k = 0; verbs && verbs[k]; k++)
			check(verbs[k]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_fit),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
