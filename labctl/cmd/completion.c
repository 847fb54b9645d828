/* SPDX-License-Identifier: MIT */
/* completion.c - completion for bash, zsh and fish from the tables; names asked at run time. */
#include "cmd/command.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "lab/lab.h"
#include "netport/resource.h"
#include "stage/load.h"

#include "base/banned.h"

static const char *const kinds[] = {
	[COMPLETE_NOTHING] = "nothing",	   [COMPLETE_STAGE] = "stages",
	[COMPLETE_CLIENT] = "clients",	   [COMPLETE_LAB] = "labs",
	[COMPLETE_VERB] = "verbs",	   [COMPLETE_SHELL] = "shells",
	[COMPLETE_COMMAND] = "command",	   [COMPLETE_DIR] = "directories",
	[COMPLETE_RESOURCE] = "resources",
};

static void put_options(FILE *out, const struct option *o)
{
	for (; o && o->name; o++)
		out_printf(out, " --%s", o->name);
}

static void bash_case(FILE *out, const struct command *c)
{
	if (c->hidden)
		return;
	out_printf(out, "        '%s') opts='", c->name);
	put_options(out, c->options);
	out_printf(out, "'; kind=%s", kinds[c->complete]);
	if (c->verbs)
		out_text(out, "; words='");
	for (size_t i = 0; c->verbs && c->verbs[i]; i++)
		out_printf(out, "%s ", command_word(c->verbs[i]));
	out_text(out, c->verbs ? "' ;;\n" : " ;;\n");
	for (size_t i = 0; c->verbs && c->verbs[i]; i++)
		bash_case(out, c->verbs[i]);
}

/* One `case` arm a verb: its options, and what its first argument names. */
static void bash_cases(FILE *out)
{
	for (size_t i = 0; i < command_count; i++)
		bash_case(out, command_table[i]);
}

/* Arms that make the word after a group part of the verb. */
static void bash_groups(FILE *out)
{
	out_text(out, "           case $verb in\n           '') verb=${COMP_WORDS[i]} ;;\n");
	for (size_t i = 0; i < command_count; i++) {
		if (command_table[i]->verbs)
			out_printf(out, "           %s) verb=\"$verb ${COMP_WORDS[i]}\" ;;\n",
				   command_table[i]->name);
	}
	out_text(out, "           *) ((n++)) ;;\n           esac ;;\n");
}

void completion_bash(FILE *out)
{
	out_text(out,
		 "# bash completion for labctl; load it with: . <(labctl completion bash)\n"
		 "_labctl() {\n"
		 "    local cur=${COMP_WORDS[COMP_CWORD]} verb= opts= kind= i n=0 words= lab=()\n"
		 "    COMPREPLY=()\n"
		 "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
		 "        case ${COMP_WORDS[i]} in\n"
		 "        --lab)\n"
		 "            ((i++))\n"
		 "            [ \"${COMP_WORDS[i]}\" != = ] || ((i++)) # readline splits --lab=x\n"
		 "            lab=(--lab \"${COMP_WORDS[i]}\") ;;\n"
		 "        --lab=*) lab=(\"${COMP_WORDS[i]}\") ;;\n"
		 "        -*) ;;\n"
		 "        *)\n");
	bash_groups(out);
	out_text(out, "        esac\n"
		      "    done\n"
		      "    if [ \"${COMP_WORDS[COMP_CWORD-1]}\" = --lab ]; then\n"
		      "        words=$(command labctl complete labs 2>/dev/null)\n"
		      "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
		      "        return\n"
		      "    fi\n"
		      "    case $verb in\n"
		      "        '') kind=verbs ;;\n");
	bash_cases(out);
	out_text(out, "    esac\n"
		      "    if [[ $cur == -* ]]; then\n"
		      "        words=\"$opts");
	put_options(out, global_options);
	out_text(out,
		 "\"\n"
		 "    elif [ \"$kind\" = command ] || { [ \"$n\" -gt 0 ] && [ \"$verb\" = exec ]; "
		 "}; "
		 "then\n"
		 "        mapfile -t COMPREPLY < <(compgen -c -f -- \"$cur\")\n"
		 "        return\n"
		 "    elif [ -n \"$words\" ]; then\n"
		 "        :\n"
		 "    elif [ \"$n\" -eq 0 ]; then\n"
		 "        words=$(command labctl \"${lab[@]}\" complete \"$kind\" 2>/dev/null)\n"
		 "    fi\n"
		 "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
		 "}\n"
		 "complete -F _labctl labctl\n"
		 "complete -W \"$(command labctl complete stages 2>/dev/null)\" "
		 "pyroute-stage-start\n"
		 "_pyroute_connect() {\n"
		 "    mapfile -t COMPREPLY < <(compgen -W \"$(command labctl complete clients "
		 "2>/dev/null)\" "
		 "-- \"${COMP_WORDS[COMP_CWORD]}\")\n"
		 "}\n"
		 "complete -F _pyroute_connect pyroute-connect\n");
}

/* Quotes for a zsh _describe entry or a fish string. */
static void put_quoted(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			out_text(out, "'\\''");
		else
			out_printf(out, "%c", *text);
	}
}

static void zsh_options(FILE *out, const struct option *o)
{
	for (; o && o->name; o++) {
		out_printf(out, " '--%s%s[", o->name, o->arg ? "=" : "");
		put_quoted(out, o->help);
		out_text(out, "]");
		if (o->arg)
			out_printf(out, ":%s:%s", o->arg,
				   o->complete == COMPLETE_LAB ? "($(command labctl complete labs))"
				   : o->complete == COMPLETE_DIR ? "_files -/"
								 : "");
		out_text(out, "'");
	}
}

static void zsh_case(FILE *out, const struct command *c)
{
	if (c->hidden)
		return;
	out_printf(out, "        %s)", command_word(c));
	if (c->verbs) {
		out_text(out, " _arguments -C '1:verb:(");
		for (size_t i = 0; c->verbs[i]; i++)
			out_printf(out, "%s%s", i ? " " : "", command_word(c->verbs[i]));
		out_text(out, ")' '*::argument:->of'\n        case $state in of)\n"
			      "        case $words[1] in\n");
		for (size_t i = 0; c->verbs[i]; i++)
			zsh_case(out, c->verbs[i]);
		out_text(out, "        esac ;; esac ;;\n");
		return;
	}
	out_text(out, " _arguments");
	zsh_options(out, c->options);
	if (c->complete == COMPLETE_COMMAND)
		out_text(out, " '*::command:_normal'");
	else if (c->complete != COMPLETE_NOTHING)
		out_printf(out, " \"1:%s:($(command labctl complete %s 2>/dev/null))\"%s",
			   kinds[c->complete], kinds[c->complete],
			   c->stop_at_first ? " '*::command:_normal'" : "");
	out_text(out, " ;;\n");
}

void completion_zsh(FILE *out)
{
	out_text(out, "#compdef labctl\n"
		      "# zsh completion for labctl; load it with: . <(labctl completion zsh)\n"
		      "_labctl() {\n"
		      "    local curcontext=$curcontext state line\n"
		      "    local -a verbs\n"
		      "    verbs=(\n");
	for (size_t i = 0; i < command_count; i++) {
		if (command_table[i]->hidden)
			continue;
		out_printf(out, "        '%s:", command_table[i]->name);
		put_quoted(out, command_table[i]->summary);
		out_text(out, "'\n");
	}
	out_text(out, "    )\n    _arguments -C");
	zsh_options(out, global_options);
	out_text(out, " '1:verb:->verb' '*::argument:->argument'\n"
		      "    case $state in\n"
		      "    verb) _describe -t verbs verb verbs ;;\n"
		      "    argument)\n"
		      "        case $words[1] in\n");
	for (size_t i = 0; i < command_count; i++)
		zsh_case(out, command_table[i]);
	out_text(out, "        esac ;;\n"
		      "    esac\n"
		      "}\n"
		      "compdef _labctl labctl\n");
}

static void fish_options(FILE *out, const char *condition, const struct option *o)
{
	for (; o && o->name; o++) {
		out_printf(out, "complete -c labctl %s -l %s", condition, o->name);
		if (o->letter)
			out_printf(out, " -s %c", o->letter);
		if (o->arg)
			out_text(out, " -r");
		if (o->complete == COMPLETE_LAB)
			out_text(out, " -f -a '(command labctl complete labs 2>/dev/null)'");
		out_text(out, " -d '");
		put_quoted(out, o->help);
		out_text(out, "'\n");
	}
}

/* One verb of a group. */
static void fish_verb(FILE *out, const struct command *group, const struct command *c)
{
	auto_free char *seen = xasprintf("-n '__fish_seen_subcommand_from %s; "
					 "and __fish_seen_subcommand_from %s'",
					 group->name, command_word(c));

	out_printf(out,
		   "complete -c labctl -n '__fish_seen_subcommand_from %s; and not "
		   "__fish_seen_subcommand_from",
		   group->name);
	for (size_t i = 0; group->verbs[i]; i++)
		out_printf(out, " %s", command_word(group->verbs[i]));
	out_printf(out, "' -a %s -d '", command_word(c));
	put_quoted(out, c->summary);
	out_text(out, "'\n");
	fish_options(out, seen, c->options);
	if (c->complete == COMPLETE_COMMAND)
		out_printf(out, "complete -c labctl %s -F\n", seen);
	else if (c->complete != COMPLETE_NOTHING)
		out_printf(out,
			   "complete -c labctl %s -a '(command labctl complete %s 2>/dev/null)'\n",
			   seen, kinds[c->complete]);
}

void completion_fish(FILE *out)
{
	out_text(out,
		 "# fish completion for labctl; load it with: labctl completion fish | source\n"
		 "complete -c labctl -f\n");
	fish_options(out, "", global_options);
	for (size_t i = 0; i < command_count; i++) {
		const struct command *c = command_table[i];
		auto_free char *seen = xasprintf("-n '__fish_seen_subcommand_from %s'", c->name);

		if (c->hidden)
			continue;
		out_printf(out, "complete -c labctl -n __fish_use_subcommand -a %s -d '", c->name);
		put_quoted(out, c->summary);
		out_text(out, "'\n");
		for (size_t k = 0; c->verbs && c->verbs[k]; k++)
			fish_verb(out, c, c->verbs[k]);
		fish_options(out, seen, c->options);
		if (c->complete == COMPLETE_COMMAND)
			out_printf(out, "complete -c labctl %s -F\n", seen);
		else if (c->complete != COMPLETE_NOTHING)
			out_printf(out,
				   "complete -c labctl %s -a '(command labctl complete %s "
				   "2>/dev/null)'\n",
				   seen, kinds[c->complete]);
	}
}

static const struct {
	const char *name;
	void (*print)(FILE *out);
} shells[] = {
	{ "bash", completion_bash },
	{ "zsh", completion_zsh },
	{ "fish", completion_fish },
};

static int completion_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	(void)cmd;
	for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
		if (strcmp(shells[i].name, args->v[0]) == 0) {
			shells[i].print(stdout);
			return 0;
		}
	}
	return err_set(err, ERR_USAGE, 0, "no completion for '%.64s': bash, zsh or fish",
		       args->v[0]);
}

const struct command cmd_completion = {
	.name = "completion",
	.synopsis = "SHELL",
	.summary = "print the completion script for bash, zsh or fish",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_SHELL,
	.run = completion_run,
};

static int list_names(struct cmd *cmd, enum complete kind, struct strv *ret, struct err *err)
{
	auto_lab l = NULL;

	switch (kind) {
	case COMPLETE_STAGE:
		return stage_list(cmd->ctx->stages_dir, ret, err);
	case COMPLETE_LAB:
		return lab_names(cmd->ctx, ret, err);
	case COMPLETE_CLIENT:
		if (lab_load(cmd->ctx, cmd->ctx->lab, &l, err) < 0)
			return -1;
		for (size_t i = 0; i < l->stage->n_clients; i++)
			strv_add(ret, l->stage->clients[i].name);
		return 0;
	case COMPLETE_VERB:
		for (size_t i = 0; i < command_count; i++) {
			if (!command_table[i]->hidden)
				strv_add(ret, command_table[i]->name);
		}
		return 0;
	case COMPLETE_SHELL:
		for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
			strv_add(ret, shells[i].name);
		return 0;
	case COMPLETE_RESOURCE:
		for (int r = 0; r < RESOURCE_OTHER; r++)
			strv_add(ret, resource_name((enum resource)r));
		return 0;
	case COMPLETE_NOTHING:
	case COMPLETE_COMMAND:
	case COMPLETE_DIR:
		break;
	}
	return 0;
}

static int complete_run(struct cmd *cmd, const struct args *args, struct err *err)
{
	auto_strv names = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i], args->v[0]) == 0 &&
		    list_names(cmd, (enum complete)i, &names, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < names.n; i++)
		out_printf(stdout, "%s\n", names.v[i]);
	return 0;
}

const struct command cmd_complete = {
	.name = "complete",
	.synopsis = "KIND",
	.summary = "names for completion",
	.min_args = 1,
	.max_args = 1,
	.hidden = true,
	.run = complete_run,
};
