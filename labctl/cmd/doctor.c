/* SPDX-License-Identifier: MIT */
/* doctor.c - the verb doctor. */
#include "cmd/command.h"

#include "lab/doctor.h"

#include "base/banned.h"

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	unsigned failed = 0;
	json_t *findings = doctor_run(cmd->ctx, &failed), *f;
	size_t i;

	(void)args;
	(void)err;
	if (cmd->json) {
		print_json(findings);
	} else {
		json_array_foreach (findings, i, f) {
			json_t *mend = json_object_get(f, "mend");

			out_printf(stdout, "%-7s  %-15s  %s\n",
				   json_string_value(json_object_get(f, "status")),
				   json_string_value(json_object_get(f, "check")),
				   json_string_value(json_object_get(f, "text")));
			if (mend)
				out_printf(stdout, "%26s to mend it: %s\n", "",
					   json_string_value(mend));
		}
		json_decref(findings);
	}
	return failed ? err_exit_code(ERR_ENV) : 0;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.synopsis = "",
	.summary = "check this computer; for each thing missing, the command that mends it",
	.details = "Exit code 3: something is missing without which no stage starts.",
	.run = run,
};
