/* SPDX-License-Identifier: MIT */
/*
 * command.h - a verb as data: name, arguments, options, needs, all checked before it runs.
 *
 * The room cmd/ holds no policy: a verb parses, calls one library function, prints. Each verb is
 * one file that exports one `const struct command`; table.c lists them. Help, usage errors and
 * completion are generated from these tables.
 */
#ifndef LABCTL_CMD_COMMAND_H
#define LABCTL_CMD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#include "base/err.h"
#include "base/out.h"
#include "lab/ctx.h"

enum command_needs {
	NEEDS_NOTHING,
	NEEDS_ROOT,   /* makes or removes namespaces, links, mounts */
	NEEDS_ENGINE, /* only talks to the engine: root, or a member of its group */
	NEEDS_BOOK,   /* writes the lease book: root, unless the caller may write it himself */
};

/* Who may call a verb through sudo: anyone else is refused before it runs. All but the real root
 * have their own file rights (base/rights.h) whatever this says. */
enum command_who {
	WHO_EVERYONE,
	WHO_OWNER,	   /* of the lab that the command is about */
	WHO_ADMINISTRATOR, /* of the host: base/caller.h */
	WHO_MAX
};

/* What a word on the command line names; completion asks for it. */
enum complete {
	COMPLETE_NOTHING,
	COMPLETE_STAGE,
	COMPLETE_CLIENT,
	COMPLETE_LAB,
	COMPLETE_VERB,
	COMPLETE_SHELL,
	COMPLETE_COMMAND, /* a command line of its own */
	COMPLETE_DIR,
	COMPLETE_RESOURCE,
};

struct option {
	char letter;	  /* 0: only a long name */
	const char *name; /* without the dashes */
	const char *arg;  /* NULL: a switch; otherwise what to call its value */
	const char *help;
	enum complete complete;
};

#define OPTIONS_MAX 16

struct args {
	const char
		*opt[OPTIONS_MAX]; /* by index in the verb's table; NULL: not given; "" : switch */
	char **v;		   /* what is left, NULL-terminated */
	int n;
	char **many; /* every value of the verb's option that may be given more than once */
	int n_many;
};

struct cmd {
	struct lab_ctx *ctx;
	const struct command *command;
	bool json;
	int failure_code; /* exit code to use for a failure instead of its kind's; 0: the kind's */
};

struct command {
	const char *name;	      /* "stage-start"; of a verb of a group "netport list" */
	const char *synopsis;	      /* arguments only: "STAGE" */
	const char *summary;	      /* one line */
	const char *details;	      /* more lines for its own help, or NULL */
	const struct option *options; /* ends with an all-zero row; may be NULL */
	int min_args, max_args;	      /* max -1: any number */
	bool stop_at_first; /* what follows the first argument is somebody else's command line */
	bool hidden;
	bool own_code; /* passes on another program's exit code; labctl's own failure is 125 */
	enum command_needs needs;
	enum command_who who;
	unsigned waived_by;	/* bit i: with option i given, nothing is needed, of anyone */
	unsigned many;		/* bit i: option i may be given more than once; at most one bit */
	enum complete complete; /* of the first argument */
	/* A group: its verbs, NULL-terminated. It has no options and no run of its own. */
	const struct command *const *verbs;
	/* Returns an exit code >= 0, or -1 with err filled. */
	int (*run)(struct cmd *cmd, const struct args *args, struct err *err);
};

extern const struct command *const command_table[];
extern const size_t command_count;
extern const struct option global_options[];

enum {
	GLOBAL_LAB,
	GLOBAL_JSON,
	GLOBAL_VERBOSE,
	GLOBAL_QUIET,
	GLOBAL_HELP,
	GLOBAL_VERSION
};

/* ERR_NOT_FOUND is no good here: an unknown verb is ERR_USAGE and suggests the nearest. */
int command_find(const char *name, const struct command **ret, struct err *err) MUST_CHECK;

/* Parses argv (after the program's name): globals before the verb, then the verb's own options
 * and, mixed with them, the globals. Values are borrowed from argv. */
int command_parse(int argc, char **argv, const struct command **ret_command,
		  struct args *ret_global, struct args *ret_args, struct err *err) MUST_CHECK;

/* A verb of a group by its last word: "list". */
int command_find_verb(const struct command *group, const char *word, const struct command **ret,
		      struct err *err) MUST_CHECK;
/* The last word of a verb's name. */
const char *command_word(const struct command *c);

/* Does this command line need root (or at least the engine)? Never NEEDS_BOOK: that is decided
 * here. */
enum command_needs command_needs(const struct command *c, const struct args *args,
				 const struct lab_ctx *ctx);

/* Refuses a caller who may not call this verb: ERR_CONFLICT names the lab's owner, ERR_ENV the file
 * that lists the administrators. */
int command_check_who(const struct command *c, const struct args *args, const struct lab_ctx *ctx,
		      struct err *err) MUST_CHECK;
/* The same for a verb of which only a part is for administrators. */
int command_check_administrator(const struct command *c, const struct lab_ctx *ctx,
				struct err *err) MUST_CHECK;
/* "everyone", "owner", "administrator" */
const char *command_who_name(enum command_who who);

void help_overview(FILE *out);
void help_command(FILE *out, const struct command *c);
/* "usage: labctl stage-start [OPTION]... STAGE" */
void help_usage(FILE *out, const struct command *c);

void completion_bash(FILE *out);
void completion_zsh(FILE *out);
void completion_fish(FILE *out);

/* The drift that lab_status() found, with its remedies; nothing for none. */
void drift_print(const char *head, json_t *drift);

/* Prints one JSON document (stolen) on stdout. */
void print_json(json_t *doc);

extern const struct command cmd_stage_list, cmd_stage_start, cmd_stage_stop, cmd_stage_validate,
	cmd_status, cmd_connect, cmd_exec, cmd_run, cmd_shell, cmd_image_build, cmd_doctor,
	cmd_repair, cmd_gc, cmd_lab_list, cmd_version, cmd_help, cmd_completion, cmd_complete,
	cmd_needs_root, cmd_forward, cmd_netport, cmd_check, cmd_stage_new, cmd_grade,
	cmd_grade_one;

#endif
