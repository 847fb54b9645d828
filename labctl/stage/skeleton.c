/* SPDX-License-Identifier: MIT */
/* skeleton.c - the beginning of a new stage. */
#include "stage/skeleton.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"
#include "stage/model.h"

#include "base/banned.h"

/* @NAME@ and @SCHEMA@ are filled in. */
static const char stage_json[] =
	"{\n"
	"  \"$schema\": \"@SCHEMA@\",\n"
	"  \"title\": \"@NAME@: say in one line what it is about\",\n"
	"  \"networks\": {\n"
	"    \"net1\": { \"subnet\": \"10.1.0.0/24\", \"router\": \"10.1.0.1\" },\n"
	"    \"net2\": { \"subnet\": \"10.2.0.0/24\", \"router\": \"10.2.0.1\" }\n"
	"  },\n"
	"  \"clients\": {\n"
	"    \"client1\": { \"interfaces\": { \"eth0\": { \"network\": \"net1\", \"address\": "
	"\"10.1.0.2\" } }, \"gateway\": \"10.1.0.1\" },\n"
	"    \"client2\": { \"interfaces\": { \"eth0\": { \"network\": \"net2\", \"address\": "
	"\"10.2.0.2\" } }, \"gateway\": \"10.2.0.1\" }\n"
	"  },\n"
	"  \"checks\": [\n"
	"    { \"use\": \"arp.reply\" },\n"
	"    { \"use\": \"icmp.echo\" },\n"
	"    { \"use\": \"ipv4.forward\", \"from\": \"client1\", \"to\": \"client2\", \"points\": "
	"3 },\n"
	"    { \"use\": \"ipv4.ttl\" },\n"
	"    { \"use\": \"ipv4.checksum\" }\n"
	"  ]\n"
	"}\n";

static const char readme[] =
	"# @NAME@: the title\n"
	"\n"
	"In two or three sentences: what the student meets here, and what will work at the end.\n"
	"\n"
	"```\n"
	"  client1                          your program                          client2\n"
	"  eth0 10.1.0.2/24 ──── net1 ──── 10.1.0.1   10.2.0.1 ──── net2 ──── eth0 10.2.0.2/24\n"
	"```\n"
	"\n"
	"## What it must do\n"
	"\n"
	"1. **ARP** (RFC 826): a task in a sentence or two, with the document that decides.\n"
	"2. **Forward IPv4** (RFC 1812): each task here is asked by at least one check.\n"
	"\n"
	"## The theory\n"
	"\n"
	"What must be known, on a page: the packets as they look, who sends what to whom, why.\n"
	"\n"
	"## What to read\n"
	"\n"
	"* RFC 1812, section 5.2: and what to look for in it.\n"
	"\n"
	"## Trying it by hand\n"
	"\n"
	"```\n"
	"labctl stage-start @NAME@\n"
	"labctl run -- python3 src/router.py           # in a terminal of its own\n"
	"labctl exec client1 -- ping -c3 10.2.0.2\n"
	"labctl check\n"
	"labctl stage-stop\n"
	"```\n"
	"\n"
	"## When it does not work\n"
	"\n"
	"* **What is seen.** What it means, and what to look at next.\n";

static char *filled(const char *text, const char *name, const char *schema)
{
	auto_str out = { 0 };

	for (const char *at; (at = strchr(text, '@')); text = strchr(at + 1, '@') + 1) {
		str_addn(&out, text, (size_t)(at - text));
		str_add(&out, str_starts(at, "@NAME@") ? name : schema);
	}
	str_add(&out, text);
	return str_steal(&out);
}

static int write_new(const char *dir, const char *file, const char *text, struct err *err)
{
	auto_free char *path = xasprintf("%s/%s", dir, file);
	auto_fd fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	size_t len = strlen(text);

	if (fd < 0)
		return err_set(err, ERR_ENV, errno, "cannot make '%s'", path);
	if (write(fd, text, len) != (ssize_t)len)
		return err_set(err, ERR_ENV, errno, "cannot write '%s'", path);
	return 0;
}

static void take_back(const char *dir)
{
	auto_free char *json = xasprintf("%s/stage.json", dir);

	unlink(json);
	rmdir(dir);
}

int skeleton_write(const char *dir, const char *schema, struct err *err)
{
	const char *slash = strrchr(dir, '/'), *name = slash ? slash + 1 : dir;
	auto_free char *json = NULL, *page = NULL;

	if (!name_is_valid(name, STAGE_NAME_MAX)) {
		err_set(err, ERR_USAGE, 0, "a stage cannot be called '%.64s'", name);
		return err_hint(err,
				"use lower-case letters, digits, '_', '.', '-', beginning with a "
				"letter or digit, at most %d",
				STAGE_NAME_MAX);
	}
	if (mkdir(dir, 0755) < 0) {
		if (errno == EEXIST)
			return err_set(err, ERR_CONFLICT, 0, "'%s' is there already", dir);
		return err_set(err, ERR_ENV, errno, "cannot make the directory '%s'", dir);
	}
	json = filled(stage_json, name, schema);
	page = filled(readme, name, schema);
	if (write_new(dir, "stage.json", json, err) == 0 &&
	    write_new(dir, "README.md", page, err) == 0)
		return 0;
	take_back(dir);
	return -1;
}
