/* SPDX-License-Identifier: MIT */
/* pattern.c - regular expressions: a recursive parser, and the automaton's simulation. */
#include "netport/pattern.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#include "base/banned.h"

enum {
	REPEAT_MAX = 32767, /* as POSIX's RE_DUP_MAX */
	UNLIMITED = -1,
};

enum op {
	OP_SET,	  /* a byte of `set` */
	OP_SPLIT, /* go on at both */
	OP_JUMP,  /* go on at a */
	OP_BEGIN, /* only at the text's beginning */
	OP_END,	  /* only at its end */
	OP_MATCH,
};

/* a and b are relative, so that code can be copied. */
struct state {
	enum op op;
	int a, b;
	uint64_t set[4];
};

struct pattern {
	struct state code[PATTERN_SIZE_MAX + 1];
	int n;
	uint64_t work;
	unsigned mark[PATTERN_SIZE_MAX + 1], turn; /* which states are in the list of this turn */
	int now[PATTERN_SIZE_MAX + 1], next[PATTERN_SIZE_MAX + 1], stack[PATTERN_SIZE_MAX + 1];
};

struct parser {
	struct pattern *p;
	const char *s;
	const char *why; /* NULL: nothing wrong */
};

static void alternatives(struct parser *ps, bool in_group);

/* Makes room for n states at `at`. False: the pattern is too large. */
static bool insert(struct parser *ps, int at, int n)
{
	struct pattern *p = ps->p;

	if (ps->why)
		return false;
	if (n > PATTERN_SIZE_MAX - p->n) {
		ps->why = "its repeats multiply to too much";
		return false;
	}
	memmove(&p->code[at + n], &p->code[at], (size_t)(p->n - at) * sizeof(p->code[0]));
	memset(&p->code[at], 0, (size_t)n * sizeof(p->code[0]));
	p->n += n;
	return true;
}

static struct state *add(struct parser *ps, enum op op)
{
	struct state *state;

	if (!insert(ps, ps->p->n, 1))
		return NULL;
	state = &ps->p->code[ps->p->n - 1];
	state->op = op;
	return state;
}

/* ---- sets of bytes ---- */

static void set_add(uint64_t set[static 4], unsigned char c)
{
	set[c / 64] |= 1ull << c % 64;
}

static void set_invert(uint64_t set[static 4])
{
	for (size_t i = 0; i < 4; i++)
		set[i] = ~set[i];
	set[0] &= ~1ull; /* never the end of the text */
}

static bool set_has(const uint64_t set[static 4], unsigned char c)
{
	return set[c / 64] >> c % 64 & 1;
}

static void set_add_class(uint64_t set[static 4], int (*is)(int c))
{
	for (int c = 1; c <= UCHAR_MAX; c++) {
		if (is(c))
			set_add(set, (unsigned char)c);
	}
}

static int is_word(int c)
{
	return isalnum(c) || c == '_';
}

/* \d and the like; false: c names no class. */
static bool set_add_escape(uint64_t set[static 4], char c)
{
	uint64_t one[4] = { 0 };
	int lower = tolower((unsigned char)c);
	int (*is)(int) = lower == 'd' ? isdigit : lower == 'w' ? is_word : isspace;

	if (lower != 'd' && lower != 'w' && lower != 's')
		return false;
	set_add_class(one, is);
	if (isupper((unsigned char)c))
		set_invert(one);
	for (size_t i = 0; i < 4; i++)
		set[i] |= one[i];
	return true;
}

/* "[:alpha:]" within brackets. */
static bool set_add_named(struct parser *ps, uint64_t set[static 4])
{
	static const struct {
		const char *name;
		int (*is)(int c);
	} classes[] = {
		{ "[:alnum:]", isalnum }, { "[:alpha:]", isalpha }, { "[:blank:]", isblank },
		{ "[:cntrl:]", iscntrl }, { "[:digit:]", isdigit }, { "[:graph:]", isgraph },
		{ "[:lower:]", islower }, { "[:print:]", isprint }, { "[:punct:]", ispunct },
		{ "[:space:]", isspace }, { "[:upper:]", isupper }, { "[:xdigit:]", isxdigit },
	};

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		if (!str_starts(ps->s, classes[i].name))
			continue;
		set_add_class(set, classes[i].is);
		ps->s += strlen(classes[i].name);
		return true;
	}
	return false;
}

/* One member of a bracket, or a range of them. */
static void member(struct parser *ps, uint64_t set[static 4])
{
	unsigned char from, to;

	if (ps->s[0] == '\\' && ps->s[1]) {
		if (set_add_escape(set, ps->s[1])) {
			ps->s += 2;
			return;
		}
		ps->s++;
	}
	from = to = (unsigned char)*ps->s++;
	if (ps->s[0] == '-' && ps->s[1] && ps->s[1] != ']') {
		to = (unsigned char)ps->s[1];
		ps->s += 2;
	}
	if (to < from)
		ps->why = "Invalid range end";
	for (unsigned c = from; c <= to; c++)
		set_add(set, (unsigned char)c);
}

/* Behind '['. */
static void bracket(struct parser *ps)
{
	struct state *state = add(ps, OP_SET);
	bool inverted = *ps->s == '^', first = true;

	if (!state)
		return;
	ps->s += inverted;
	for (; !ps->why && *ps->s && (first || *ps->s != ']'); first = false) {
		if (!set_add_named(ps, state->set))
			member(ps, state->set);
	}
	if (!*ps->s && !ps->why)
		ps->why = "Unmatched [, [^, [:, [., or [=";
	if (ps->why)
		return;
	ps->s++;
	if (inverted)
		set_invert(state->set);
}

/* ---- pieces ---- */

static void byte(struct parser *ps, char c)
{
	struct state *state = add(ps, OP_SET);

	if (state)
		set_add(state->set, (unsigned char)c);
}

static void escape(struct parser *ps)
{
	char c = *ps->s;
	struct state *state;

	if (!c) {
		ps->why = "Trailing backslash";
		return;
	}
	if (c >= '1' && c <= '9') {
		ps->why = "back references are not supported";
		return;
	}
	ps->s++;
	state = add(ps, OP_SET);
	if (!state || set_add_escape(state->set, c))
		return;
	if (isalnum((unsigned char)c))
		ps->why = "of the letters with a backslash there are d, w, s, D, W, S";
	set_add(state->set, (unsigned char)c);
}

/* Behind '('. */
static void group(struct parser *ps)
{
	if (str_starts(ps->s, "?:"))
		ps->s += 2;
	else if (*ps->s == '?') {
		ps->why = "of the groups that begin with (? there is only (?:";
		return;
	}
	alternatives(ps, true);
	if (!ps->why && *ps->s != ')')
		ps->why = "Unmatched ( or \\(";
	if (!ps->why)
		ps->s++;
}

static void atom(struct parser *ps)
{
	struct state *state;
	char c = *ps->s++;

	switch (c) {
	case '(':
		group(ps);
		return;
	case '[':
		bracket(ps);
		return;
	case '\\':
		escape(ps);
		return;
	case '^':
		add(ps, OP_BEGIN);
		return;
	case '$':
		add(ps, OP_END);
		return;
	case '.':
		state = add(ps, OP_SET);
		if (state)
			set_invert(state->set);
		return;
	case ')':
		ps->why = "Unmatched ) or \\)";
		return;
	case '*':
	case '+':
	case '?':
	case '{':
		ps->why = "Invalid preceding regular expression";
		return;
	default:
		byte(ps, c);
	}
}

/* ---- repeats ---- */

static int number(struct parser *ps, int fallback)
{
	int n = 0;

	if (!isdigit((unsigned char)*ps->s))
		return fallback;
	for (; isdigit((unsigned char)*ps->s) && n <= REPEAT_MAX; ps->s++)
		n = n * 10 + (*ps->s - '0');
	return n;
}

/* "*", "+", "?", "{2}", "{2,}", "{,3}", "{2,3}". False: no repeat follows. */
static bool repeat(struct parser *ps, int *ret_min, int *ret_max)
{
	char c = *ps->s;

	if (ps->why || !c || !strchr("*+?{", c))
		return false;
	ps->s++;
	*ret_min = c == '+';
	*ret_max = c == '?' ? 1 : UNLIMITED;
	if (c == '{') {
		bool open = *ps->s == ',';

		*ret_min = number(ps, open ? 0 : -1);
		*ret_max = *ret_min;
		if (*ps->s == ',') {
			ps->s++;
			*ret_max = number(ps, UNLIMITED);
		}
		if (*ret_min < 0 || *ret_min > REPEAT_MAX || *ret_max > REPEAT_MAX ||
		    (*ret_max != UNLIMITED && *ret_max < *ret_min) || *ps->s != '}') {
			ps->why = "Invalid content of \\{\\}";
			return false;
		}
		ps->s++;
	}
	/* Lazy or not: the same texts match. */
	if (*ps->s == '?')
		ps->s++;
	return true;
}

/* Wraps the code from `at` on: skipped at will, and (loop) done again. */
static void make_optional(struct parser *ps, int at, bool loop)
{
	int len = ps->p->n - at;

	if (!insert(ps, at, 1))
		return;
	ps->p->code[at] = (struct state){ .op = OP_SPLIT, .a = 1, .b = len + 1 + loop };
	if (!loop)
		return;
	struct state *back = add(ps, OP_JUMP);
	if (back)
		back->a = -(len + 1);
}

static void copy(struct parser *ps, const struct state *from, int len)
{
	int at = ps->p->n;

	if (insert(ps, at, len))
		memcpy(&ps->p->code[at], from, (size_t)len * sizeof(*from));
}

/* The code from `at` on becomes min copies and then, as optional ones, those up to max. */
static void multiply(struct parser *ps, int at, int min, int max)
{
	int len = ps->p->n - at, copies = max == UNLIMITED ? min + 1 : max;
	auto_free struct state *one = NULL;

	/* As a product before anything is copied. */
	if ((int64_t)copies * (len + 2) > PATTERN_SIZE_MAX * 3) {
		ps->why = "its repeats multiply to too much";
		return;
	}
	one = xcalloc((size_t)len + 1, sizeof(*one));
	memcpy(one, &ps->p->code[at], (size_t)len * sizeof(*one));
	ps->p->n = at;
	for (int i = 0; i < min && !ps->why; i++)
		copy(ps, one, len);
	for (int i = min; i < copies && !ps->why; i++) {
		int begin = ps->p->n;

		copy(ps, one, len);
		make_optional(ps, begin, max == UNLIMITED);
	}
}

static void piece(struct parser *ps)
{
	int at = ps->p->n, min, max;

	atom(ps);
	while (repeat(ps, &min, &max))
		multiply(ps, at, min, max);
}

static void sequence(struct parser *ps, bool in_group)
{
	while (!ps->why && *ps->s && *ps->s != '|' && !(in_group && *ps->s == ')'))
		piece(ps);
}

static void alternatives(struct parser *ps, bool in_group)
{
	int at = ps->p->n;

	sequence(ps, in_group);
	while (!ps->why && *ps->s == '|') {
		int len = ps->p->n - at, jump;

		ps->s++;
		if (!insert(ps, at, 1) || !add(ps, OP_JUMP))
			return;
		ps->p->code[at] = (struct state){ .op = OP_SPLIT, .a = 1, .b = len + 2 };
		jump = ps->p->n - 1;
		/* The rest is one alternative: a chain, each with its jump to the end. */
		alternatives(ps, in_group);
		if (!ps->why)
			ps->p->code[jump].a = ps->p->n - jump;
	}
}

int pattern_compile(const char *text, struct pattern **ret, struct err *err)
{
	auto_pattern p = NULL;
	struct parser ps = { .s = text };

	if (strlen(text) > PATTERN_TEXT_MAX)
		return err_set(err, ERR_USAGE, 0, "it has more than %d bytes", PATTERN_TEXT_MAX);
	p = ps.p = xcalloc(1, sizeof(*p));
	alternatives(&ps, false);
	if (ps.why)
		return err_set(err, ERR_USAGE, 0, "%s", ps.why);
	p->code[p->n++].op = OP_MATCH;
	*ret = steal_ptr(&p);
	return 0;
}

void pattern_free(struct pattern *p)
{
	free(p);
}

/* ---- matching ---- */

/* Adds a state and all that follow without a byte to the list of n. True: one of them matches. */
static bool follow(struct pattern *p, int at, bool begin, bool end, int *list, int *n)
{
	int depth = 0;

	p->stack[depth++] = at;
	while (depth) {
		const struct state *state;

		at = p->stack[--depth];
		if (p->mark[at] == p->turn)
			continue;
		p->mark[at] = p->turn;
		p->work++;
		state = &p->code[at];
		switch (state->op) {
		case OP_MATCH:
			return true;
		case OP_SET:
			list[(*n)++] = at;
			break;
		case OP_SPLIT:
			p->stack[depth++] = at + state->b;
			p->stack[depth++] = at + state->a;
			break;
		case OP_JUMP:
			p->stack[depth++] = at + state->a;
			break;
		case OP_BEGIN:
		case OP_END:
			if (state->op == OP_BEGIN ? begin : end)
				p->stack[depth++] = at + 1;
			break;
		}
	}
	return false;
}

static bool run(struct pattern *p, const char *text, enum pattern_where where)
{
	int *now = p->now, *next = p->next, n_now = 0;

	p->turn++;
	for (const char *s = text;; s++) {
		int n_next = 0, *swap;

		if ((s == text || where == PATTERN_ANYWHERE) &&
		    follow(p, 0, s == text, !*s, now, &n_now))
			return true;
		if (!*s || p->work > PATTERN_WORK_MAX || (!n_now && where == PATTERN_AT_START))
			return false;
		p->turn++;
		p->work += (uint64_t)n_now + 1;
		for (int i = 0; i < n_now; i++) {
			if (set_has(p->code[now[i]].set, (unsigned char)*s) &&
			    follow(p, now[i] + 1, false, !s[1], next, &n_next))
				return true;
		}
		swap = now;
		now = next;
		next = swap;
		n_now = n_next;
	}
}

int pattern_matches(struct pattern *p, const char *text, enum pattern_where where, bool *ret,
		    struct err *err)
{
	/* Marks of before must not come round again. */
	if (p->turn > UINT_MAX / 2) {
		memset(p->mark, 0, sizeof(p->mark));
		p->turn = 0;
	}
	*ret = run(p, text, where);
	if (p->work > PATTERN_WORK_MAX)
		return err_set(
			err, ERR_USAGE, 0,
			"this regular expression takes too long for what it is matched with");
	return 0;
}
