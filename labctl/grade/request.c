/* SPDX-License-Identifier: MIT */
/* request.c - one grading's request: fields that end with NUL, because names need not be UTF-8. */
#include "grade/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"

#include "base/banned.h"

#define REQUEST_MAX 16384

enum field {
	STAGE,
	DIRECTORY,
	OUT,
	COMMAND,
	SEED,
	TIMEOUT,
	FIELDS
};

static void add(struct str *b, const char *text)
{
	str_addn(b, text, strlen(text) + 1);
}

int request_write(const struct grading *g, int *ret_fd, struct err *err)
{
	auto_free char *seed = xasprintf("%llu", (unsigned long long)g->seed);
	auto_free char *timeout = xasprintf("%u", g->timeout_s);
	auto_fd fd = memfd_create("labctl-grade", MFD_CLOEXEC);
	auto_str b = { 0 };

	add(&b, g->stage);
	add(&b, g->dir);
	add(&b, g->out);
	add(&b, g->command ? g->command : "");
	add(&b, seed);
	add(&b, timeout);
	if (b.len > REQUEST_MAX)
		return err_set(err, ERR_USAGE, 0, "names and command of '%.100s' are too long",
			       g->dir);
	if (fd < 0 || write(fd, b.s, b.len) != (ssize_t)b.len || lseek(fd, 0, SEEK_SET) < 0)
		return err_set(err, ERR_ENV, errno, "cannot write a memory file");
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* Splits at the NULs; false when there are more or fewer fields. */
static bool split(char *text, size_t len, char *ret[FIELDS])
{
	size_t n = 0;

	for (size_t at = 0; at < len; at += strlen(text + at) + 1) {
		if (n == FIELDS)
			return false;
		ret[n++] = text + at;
	}
	return n == FIELDS && text[len - 1] == '\0';
}

int request_read(struct grading *ret, char **ret_text, struct err *err)
{
	auto_free char *text = xcalloc(1, REQUEST_MAX + 1);
	auto_fd null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ssize_t len = read(STDIN_FILENO, text, REQUEST_MAX);
	uint32_t seed, timeout;
	char *field[FIELDS];

	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return err_set(err, ERR_ENV, errno, "cannot open '/dev/null'");
	if (len <= 0 || !split(text, (size_t)len, field)) {
		err_set(err, ERR_USAGE, 0, "standard input is no request for a grading");
		return err_hint(err, "to grade submissions: labctl grade STAGE --submissions DIR");
	}
	if (parse_u32(field[SEED], 0, UINT32_MAX, &seed, err) < 0 ||
	    parse_u32(field[TIMEOUT], 1, UINT32_MAX, &timeout, err) < 0)
		return -1;
	*ret = (struct grading){ .stage = field[STAGE],
				 .dir = field[DIRECTORY],
				 .out = field[OUT],
				 .command = *field[COMMAND] ? field[COMMAND] : NULL,
				 .seed = seed,
				 .timeout_s = timeout };
	*ret_text = steal_ptr(&text);
	return 0;
}
