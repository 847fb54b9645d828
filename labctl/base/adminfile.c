/* SPDX-License-Identifier: MIT */
/* adminfile.c - the administrator's files in /etc/labctl. */
#include "base/adminfile.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/rights.h"

#include "base/banned.h"

/* Looks at what was opened, so that the file read is the file judged. */
int adminfile_open(const char *path, FILE **ret, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the administrator's files");
	auto_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_ENV, errno,
			       "cannot open '%s'", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != 0 ||
	    st.st_mode & (S_IWGRP | S_IWOTH)) {
		err_set(err, ERR_ENV, 0,
			"'%s' is ignored: it must be a file that belongs to root and that nobody "
			"else may write to",
			path);
		return err_hint(err, "run: sudo chown root:root %s; sudo chmod 644 %s", path, path);
	}
	*ret = fdopen(fd, "re");
	if (!*ret)
		return err_set(err, ERR_ENV, errno, "cannot read '%s'", path);
	steal_fd(&fd);
	return 0;
}

bool adminfile_line(FILE *f, char **line, size_t *size, char **ret_text)
{
	char *text;
	size_t n;

	if (getline(line, size, f) < 0)
		return false;
	text = *line + strspn(*line, " \t");
	text[strcspn(text, "#\r\n")] = '\0';
	for (n = strlen(text); n && strchr(" \t", text[n - 1]); n--)
		text[n - 1] = '\0';
	*ret_text = text;
	return true;
}
