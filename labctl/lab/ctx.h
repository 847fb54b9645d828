/* SPDX-License-Identifier: MIT */
/*
 * ctx.h - what every verb works with: who calls, where things are, the engine.
 *
 * The room lab/ turns a stage into a running lab and back: stage -> struct lab (lab.h) -> plan
 * (plan.h) -> up.h, down.h, status.h. It may use every room to its left and knows nothing of
 * command lines.
 */
#ifndef LABCTL_LAB_CTX_H
#define LABCTL_LAB_CTX_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/proc.h"
#include "docker/engine.h"

#define LAB_NAME_MAX	  32
#define LAB_STATE_DIR	  "/var/lib/labctl"
#define LAB_IMAGE_DEFAULT "labctl/client:latest"

/* Progress for people; never called when nothing should be shown. done of total clients are
 * up; text is the event: "client2 running"; "" takes the line away. */
typedef void lab_progress_fn(void *arg, unsigned done, unsigned total, const char *text);

struct lab_ctx {
	struct caller caller;
	char lab[LAB_NAME_MAX + 1]; /* the lab that this command is about */
	bool default_lab;	    /* it is the caller's default one */
	/* How a command about it begins, for hints: "labctl", or "labctl --lab stu" when it is not
	 * the caller's default lab. */
	char labctl[LAB_NAME_MAX + sizeof("labctl --lab ")];
	char *exe;		   /* absolute path of this program */
	char *root;		   /* repository, or PREFIX/share/labctl */
	bool in_tree;		   /* root is a repository: .stage and src/ live there */
	char *stages_dir;	   /* LABCTL_STAGES, else root/stages */
	char *images_dir;	   /* root/images */
	char *src_dir;		   /* LABCTL_SRC, else root/src or ./src; NULL when there is none */
	char *state_dir;	   /* LABCTL_STATE, else /var/lib/labctl: survives a reboot */
	char *run_dir;		   /* LABCTL_RUN, else /run/labctl */
	char *image;		   /* LABCTL_IMAGE, else LAB_IMAGE_DEFAULT */
	struct engine *engine;	   /* see lab_ctx_engine() */
	lab_progress_fn *progress; /* NULL: none */
	void *progress_arg;
};

/* lab: NULL for the default one, which is called after the user. */
int lab_ctx_init(struct lab_ctx *ctx, const struct caller *caller, const char *lab,
		 struct err *err) MUST_CHECK;
/* Names of labs are names of files beside others: "bob.lock" would be the lock of lab "bob". */
bool lab_name_is_valid(const char *name);
void lab_ctx_done(struct lab_ctx *ctx);

/* The engine, opened at the first call; owned by ctx. */
int lab_ctx_engine(struct lab_ctx *ctx, struct engine **ret, struct err *err) MUST_CHECK;

void lab_ctx_progress(const struct lab_ctx *ctx, unsigned done, unsigned total, const char *fmt,
		      ...) PRINTF_LIKE(4, 5);
/* Before the result is printed. */
void lab_ctx_progress_end(const struct lab_ctx *ctx);

#endif
