/* SPDX-License-Identifier: MIT */
/* run.c - the verbs run and shell: the student's program, or a shell, in the seat. */
#include "cmd/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "lab/session.h"

#include "base/banned.h"

static int in_seat(struct cmd *cmd, char **argv, struct err *err)
{
	auto_lab l = NULL;
	int code;

	if (session_running(cmd->ctx, &l, err) < 0)
		return -1;
	fflush(NULL);
	if (session_exec(cmd->ctx, l, SESSION_AT_WORK, argv, &code, err) == 0)
		return 0; /* not reached: exec does not return */
	cmd->failure_code = code;
	return -1;
}

static int run(struct cmd *cmd, const struct args *args, struct err *err)
{
	return in_seat(cmd, args->v, err);
}

const struct command cmd_run = {
	.name = "run",
	.synopsis = "-- COMMAND [ARGUMENT]...",
	.summary = "run your program where net1, net2, ... are",
	.details =
		"It runs as you, with the capability NET_RAW: it can open packet sockets, and "
		"cannot change\n"
		"interfaces. It needs no promiscuous mode: a packet socket gets all "
		"frames.\n"
		"LAB_FILE names a JSON file that describes the lab. Signals and the exit code are "
		"its own.\n"
		"125: labctl itself failed; 126, 127: the command cannot be run, is not there.",
	.min_args = 1,
	.max_args = -1,
	.stop_at_first = true,
	.own_code = true,
	.needs = NEEDS_ROOT,
	.who = WHO_OWNER,
	.complete = COMPLETE_COMMAND,
	.run = run,
};

static int shell_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	const char *shell = getenv("SHELL");
	char *argv[] = { (char *)(uintptr_t)(str_empty(shell) ? "/bin/bash" : shell), NULL };

	(void)args;
	return in_seat(cmd, argv, err);
}

const struct command cmd_shell = {
	.name = "shell",
	.synopsis = "",
	.summary = "a shell where net1, net2, ... are (of use with a private seat)",
	.details = "It runs as you, with the capability NET_RAW: 'tcpdump -eni net1' shows what "
		   "passes. (Root's\n"
		   "has SETUID, SETGID, CHOWN and KILL besides: root's tcpdump becomes a user of "
		   "its own.)",
	.own_code = true,
	.needs = NEEDS_ROOT,
	.who = WHO_OWNER,
	.run = shell_run,
};
