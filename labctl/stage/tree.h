/* SPDX-License-Identifier: MIT */
/*
 * tree.h - a JSON text as a tree that knows its lines. jansson says what the text means, a small
 * scanner says where everything stands. Internal to the room stage/.
 */
#ifndef LABCTL_STAGE_TREE_H
#define LABCTL_STAGE_TREE_H

#include <stddef.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/str.h"

struct reader;

#define TREE_DEPTH_MAX 32

struct node {
	const struct node *parent;
	char *key;     /* NULL: an array's element, or the root */
	size_t index;  /* position among the parent's members */
	unsigned line; /* of the key, or of the value where there is no key */
	size_t offset;
	json_t *value;	      /* borrowed from the tree's document */
	struct node **kids;   /* members in file order, without repeated keys */
	struct node **by_key; /* an object's members, sorted */
	size_t n_kids;
};

/* A document and its places. */
struct tree {
	json_t *document;
	struct node *root;
};

/* Parses; every problem (one of syntax, or any number of duplicate keys) goes to the reader.
 * Returns -1 when there is no tree to look at. Of a repeated key the last value counts. */
int tree_parse(struct tree *t, const char *text, size_t len, struct reader *r);
void tree_done(struct tree *t);
static inline void auto_tree_(struct tree *t)
{
	tree_done(t);
}
#define auto_tree auto_cleanup(tree) struct tree

/* The member called key, or NULL. */
const struct node *node_get(const struct node *n, const char *key);

/* Appends "clients.client1.interfaces.eth0", "start[2]", "sysctls[\"net.core.x\"]". */
void node_path(const struct node *n, struct str *out);

#endif
