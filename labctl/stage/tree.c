/* SPDX-License-Identifier: MIT */
/* tree.c - JSON text to a tree with lines. */
#include "stage/tree.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stage/reader.h"

#include "base/banned.h"

struct scan {
	const char *text;
	size_t len;
	size_t pos;
	unsigned line;
	unsigned depth;
	struct reader *r;
};

static void node_free(struct node *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->n_kids; i++)
		node_free(n->kids[i]);
	free(n->kids);
	free(n->by_key);
	free(n->key);
	free(n);
}

void tree_done(struct tree *t)
{
	node_free(t->root);
	json_decref(t->document);
	*t = (struct tree){ 0 };
}

static int compare_keys(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
	int c = strcmp(x->key, y->key);

	return c ? c : (x->index > y->index) - (x->index < y->index);
}

static int compare_key(const void *key, const void *element)
{
	return strcmp(key, (*(struct node *const *)element)->key);
}

const struct node *node_get(const struct node *n, const char *key)
{
	struct node *const *found;

	if (!n || !n->by_key)
		return NULL;
	found = bsearch(key, n->by_key, n->n_kids, sizeof(struct node *), compare_key);
	return found ? *found : NULL;
}

static bool is_plain_key(const char *key)
{
	size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-$");

	return n > 0 && key[n] == '\0';
}

void node_path(const struct node *n, struct str *out)
{
	char quoted[QUOTE_TEXT];

	if (!n || !n->parent)
		return;
	node_path(n->parent, out);
	if (!n->key)
		str_addf(out, "[%zu]", n->index);
	else if (is_plain_key(n->key))
		str_addf(out, "%s%s", n->parent->parent ? "." : "", node_quote(n->key, quoted));
	else
		str_addf(out, "[\"%s\"]", node_quote(n->key, quoted));
}

/* The scanner. A text that jansson took passes without a word (but for depth and duplicate
 * keys); of any other it says what is wrong in the reader's terms. */

static int scan_value(struct scan *s, struct node *n);

static char peek(const struct scan *s)
{
	return s->pos < s->len ? s->text[s->pos] : '\0';
}

static bool at_end(const struct scan *s)
{
	return s->pos >= s->len;
}

static void skip_space(struct scan *s)
{
	for (; !at_end(s) && strchr(" \t\r\n", peek(s)) && peek(s); s->pos++)
		s->line += peek(s) == '\n';
}

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '+' || c == '-' || c == '.' || c == '_';
}

/* The token ahead, for messages. */
static const char *ahead(const struct scan *s, char buf[static QUOTE_TEXT])
{
	auto_free char *word = NULL;
	char quoted[QUOTE_TEXT];
	size_t n = 0;

	if (at_end(s)) {
		snprintf(buf, QUOTE_TEXT, "the end of the file");
		return buf;
	}
	while (s->pos + n < s->len && n < 24 && is_word(s->text[s->pos + n]))
		n++;
	word = xstrndup(s->text + s->pos, n ? n : 1);
	snprintf(buf, QUOTE_TEXT, "'%.80s'", node_quote(word, quoted));
	return buf;
}

static int unexpected(struct scan *s, const struct node *n, const char *expected)
{
	char buf[QUOTE_TEXT];
	char c = peek(s);

	if (c == '/' || c == '#') {
		reader_add_at(s->r, n, s->line, s->pos, "expected %s, found a comment", expected);
		reader_hint(s->r, "JSON has no comments: remove it, or move it to README.md");
	} else {
		reader_add_at(s->r, n, s->line, s->pos, "expected %s, found %s", expected,
			      c == '\'' ? "a single quote" : ahead(s, buf));
		if (c == '\'')
			reader_hint(s->r, "JSON quotes with \" only");
		else if (c == '"' && expected[0] == '\'' && expected[1] != '{')
			reader_hint(s->r, "a ',' or ':' is missing before it");
		else if (is_word(c) && expected[0] != '\'')
			reader_hint(s->r, "keys and texts stand in \"\"");
	}
	return -1;
}

/* Moves over a string; s->pos is at its opening quote. */
static int scan_string(struct scan *s, const struct node *n)
{
	size_t start = s->pos++;

	for (; !at_end(s) && peek(s) != '"'; s->pos++) {
		if ((unsigned char)peek(s) < 0x20)
			break;
		if (peek(s) != '\\')
			continue;
		s->pos++;
		if (peek(s) && strchr("\"\\/bfnrtu", peek(s)))
			continue;
		if (at_end(s) || peek(s) == '\n' || peek(s) == '\r')
			break;
		reader_add_at(s->r, n, s->line, s->pos, "a single backslash in a string");
		reader_hint(s->r, "write \\\\ for a backslash");
		return -1;
	}
	if (peek(s) != '"') {
		bool inside = !at_end(s) && peek(s) != '\n' && peek(s) != '\r';

		reader_add_at(s->r, n, s->line, start,
			      inside ? "a control character inside a string"
				     : "a string is not closed on its line");
		reader_hint(s->r, inside ? "write it as \\t, \\n or \\u00XX" : "a \" is missing");
		return -1;
	}
	s->pos++;
	return 0;
}

static bool word_is_number(const char *w)
{
	const char *p = w + (*w == '-');

	if (*p < '0' || *p > '9')
		return false;
	p += *p == '0' ? 1 : strspn(p, "0123456789");
	if (*p == '.') {
		if (p[1] < '0' || p[1] > '9')
			return false;
		p++;
		p += strspn(p, "0123456789");
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '+' || *p == '-';
		if (*p < '0' || *p > '9')
			return false;
		p += strspn(p, "0123456789");
	}
	return *p == '\0';
}

static int scan_word(struct scan *s, const struct node *n)
{
	auto_free char *word = NULL;
	size_t start = s->pos;
	char quoted[QUOTE_TEXT];

	while (!at_end(s) && is_word(peek(s)))
		s->pos++;
	word = xstrndup(s->text + start, s->pos - start);
	if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0 || strcmp(word, "null") == 0 ||
	    word_is_number(word))
		return 0;
	reader_add_at(s->r, n, s->line, start, "expected a value, found '%s'",
		      node_quote(word, quoted));
	if (strspn(word, "+-.0123456789xXabcdefABCDEF") == strlen(word))
		reader_hint(s->r, "numbers are decimal, as in 1500; addresses are strings in \"\"");
	else
		reader_hint(s->r, "texts stand in \"\"; the words are true, false and null");
	return -1;
}

/* Reads a member's key. jansson decodes the rare key with escapes, so that both agree. */
static int scan_key(struct scan *s, const struct node *parent, struct node *n)
{
	size_t start = s->pos;
	json_auto_t *decoded = NULL;

	if (scan_string(s, parent) < 0)
		return -1;
	if (memchr(s->text + start, '\\', s->pos - start))
		decoded = json_loadb(s->text + start, s->pos - start, JSON_DECODE_ANY, NULL);
	if (decoded)
		n->key = xstrdup(json_string_value(decoded));
	else
		n->key = xstrndup(s->text + start + 1, s->pos - start - 2);
	skip_space(s);
	if (peek(s) != ':')
		return unexpected(s, n, "':' after the key");
	s->pos++;
	return 0;
}

static void add_kid(struct node *n, struct node *kid)
{
	if ((n->n_kids & (n->n_kids - 1)) == 0)
		n->kids = xreallocarray(n->kids, n->n_kids ? n->n_kids * 2 : 1, sizeof(*n->kids));
	kid->parent = n;
	kid->index = n->n_kids;
	n->kids[n->n_kids++] = kid;
}

/* Reports repeated keys and keeps the last of each, as jansson does. */
static void settle_keys(struct scan *s, struct node *n)
{
	size_t kept = 0;

	if (n->n_kids == 0)
		return;
	n->by_key = xcalloc(n->n_kids, sizeof(*n->by_key));
	memcpy(n->by_key, n->kids, n->n_kids * sizeof(*n->by_key));
	qsort(n->by_key, n->n_kids, sizeof(*n->by_key), compare_keys);
	for (size_t i = 0; i + 1 < n->n_kids; i++) {
		struct node *a = n->by_key[i], *b = n->by_key[i + 1];
		char quoted[QUOTE_TEXT];

		if (strcmp(a->key, b->key) != 0) {
			n->by_key[kept++] = a;
			continue;
		}
		reader_add(s->r, b, "the key '%s' is repeated, it stands on line %u already",
			   node_quote(b->key, quoted), a->line);
		reader_hint(s->r, "remove or rename one of them");
		n->kids[a->index] = NULL;
		node_free(a);
	}
	n->by_key[kept] = n->by_key[n->n_kids - 1];
	kept = 0;
	for (size_t i = 0; i < n->n_kids; i++) {
		if (!n->kids[i])
			continue;
		n->kids[i]->index = kept;
		n->kids[kept++] = n->kids[i];
	}
	n->n_kids = kept;
}

static int scan_comma(struct scan *s, const struct node *n, char close)
{
	char expected[] = "',' or '}' after the value";
	unsigned line = s->line;
	size_t comma = s->pos;

	expected[strcspn(expected, "}")] = close;
	if (peek(s) != ',')
		return unexpected(s, n, expected);
	s->pos++;
	skip_space(s);
	if (peek(s) != close)
		return 0;
	reader_add_at(s->r, n, line, comma, "a ',' stands before the closing '%c'", close);
	reader_hint(s->r, "remove it: no comma after the last one");
	return -1;
}

static int scan_members(struct scan *s, struct node *n, char close)
{
	unsigned line = s->line;

	s->pos++;
	skip_space(s);
	while (peek(s) != close || at_end(s)) {
		struct node *kid;

		if (at_end(s)) {
			reader_add_at(s->r, n, s->line, s->pos,
				      "the file ends before the '%c' of line %u is closed",
				      close == '}' ? '{' : '[', line);
			reader_hint(s->r, "a '%c' is missing", close);
			return -1;
		}
		if (close == '}' && peek(s) != '"')
			return unexpected(s, n, "a key in \"\"");
		kid = xcalloc(1, sizeof(*kid));
		add_kid(n, kid);
		kid->line = s->line;
		kid->offset = s->pos;
		if (close == '}') {
			if (scan_key(s, n, kid) < 0)
				return -1;
			skip_space(s);
		}
		if (scan_value(s, kid) < 0)
			return -1;
		skip_space(s);
		if (peek(s) == close || at_end(s))
			continue;
		if (scan_comma(s, n, close) < 0)
			return -1;
	}
	s->pos++;
	if (close == '}')
		settle_keys(s, n);
	return 0;
}

static int scan_value(struct scan *s, struct node *n)
{
	char c = peek(s);
	int result;

	if (c == '"')
		return scan_string(s, n);
	if (c != '{' && c != '[')
		return is_word(c) ? scan_word(s, n) : unexpected(s, n, "a value");
	if (s->depth >= TREE_DEPTH_MAX) {
		reader_add_at(s->r, n, s->line, s->pos, "nested deeper than %d levels",
			      TREE_DEPTH_MAX);
		return -1;
	}
	s->depth++;
	result = scan_members(s, n, c == '{' ? '}' : ']');
	s->depth--;
	return result;
}

static int scan_text(struct scan *s, struct node *root)
{
	if (s->len >= 3 && memcmp(s->text, "\xef\xbb\xbf", 3) == 0) {
		reader_add_at(s->r, NULL, 1, 0, "the file begins with a byte order mark");
		reader_hint(s->r, "save it as UTF-8 without BOM");
		return -1;
	}
	skip_space(s);
	root->line = s->line;
	root->offset = s->pos;
	if (at_end(s)) {
		reader_add_at(s->r, NULL, 1, 0, "the file is empty");
		reader_hint(s->r, "stages/README.md tells how to write a stage");
		return -1;
	}
	if (peek(s) != '{')
		return unexpected(s, NULL, "'{'");
	if (scan_value(s, root) < 0)
		return -1;
	skip_space(s);
	return at_end(s) ? 0 : unexpected(s, NULL, "the end of the file");
}

/* What only jansson sees: the inside of strings and numbers. */
static void add_jansson_error(struct reader *r, const json_error_t *e)
{
	unsigned line = e->line > 0 ? (unsigned)e->line : 0;
	size_t offset = e->position > 0 ? (size_t)e->position : 0;
	char quoted[QUOTE_TEXT];

	switch (json_error_code(e)) {
	case json_error_invalid_utf8:
		reader_add_at(r, NULL, line, offset, "the text is not valid UTF-8");
		reader_hint(r, "save the file as UTF-8");
		break;
	case json_error_null_byte_in_key:
	case json_error_null_character:
		reader_add_at(r, NULL, line, offset, "a NUL character in a text");
		reader_hint(r, "remove it");
		break;
	case json_error_numeric_overflow:
		reader_add_at(r, NULL, line, offset, "a number is too large");
		break;
	default:
		reader_add_at(r, NULL, line, offset, "not valid JSON: %s",
			      node_quote(e->text, quoted));
		break;
	}
}

static void attach(struct node *n, json_t *value)
{
	n->value = value;
	for (size_t i = 0; i < n->n_kids; i++)
		attach(n->kids[i], n->kids[i]->key ? json_object_get(value, n->kids[i]->key)
						   : json_array_get(value, i));
}

int tree_parse(struct tree *t, const char *text, size_t len, struct reader *r)
{
	struct scan s = { .text = text, .len = len, .line = 1, .r = r };
	json_error_t e = { .line = 0 };
	auto_tree made = { .document = json_loadb(text, len, 0, &e) };

	made.root = xcalloc(1, sizeof(*made.root));
	if (scan_text(&s, made.root) < 0)
		return -1;
	if (!made.document) {
		add_jansson_error(r, &e);
		return -1;
	}
	attach(made.root, made.document);
	*t = made;
	made = (struct tree){ 0 };
	return 0;
}
