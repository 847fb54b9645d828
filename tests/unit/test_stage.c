/* SPDX-License-Identifier: MIT */
/*
 * test_stage.c - stage files: golden files good and bad, the model, finding stages on disk.
 *
 * tests/golden/invalid/X/expected lists every problem of X/stage.json as stage_problem_format()
 * tells it, hints below. With LABCTL_GOLDEN_WRITE=1 it is written instead of compared: read the
 * difference before you keep it. `test_stage --verdict FILE...` prints "ok", "bad" or "error",
 * the file and the problems, with tabs between, for tests that hold other things against the
 * parser.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stage/load.h"

#include "base/banned.h"

#define GOLDEN "tests/golden"

static int load_text(const char *text, struct stage **ret, struct stage_problems *problems,
		     struct err *err)
{
	return stage_parse(text, strlen(text), "stage.json", "stage1", ret, problems, err);
}

/* golden files */

static void test_golden_valid(void **state)
{
	auto_free char *path = xasprintf("%s/valid/%s", GOLDEN, (const char *)*state), *text = NULL;
	auto_stage_problems problems = { 0 };
	auto_stage s = NULL;
	struct err err = { 0 };
	size_t len;

	assert_int_equal(fs_read(path, SIZE_MAX, &text, &len, ERR_IGNORED), 0);
	if (stage_parse(text, len, path, "golden", &s, &problems, &err) < 0)
		fail_msg("%s\n  hint: %s", err.msg, err.hint);
	assert_int_equal(problems.n, 0);
	assert_int_equal(err.kind, ERR_NONE);
	assert_non_null(s);
	for (size_t i = 0; i < s->n_networks; i++)
		assert_true(stage_network_ends(s, i) > 0);
}

static void report(const struct stage_problems *problems, struct str *out)
{
	for (size_t i = 0; i < problems->n; i++) {
		stage_problem_format(problems->file, &problems->v[i], out);
		str_addc(out, '\n');
		if (*problems->v[i].hint)
			str_addf(out, "  hint: %s\n", problems->v[i].hint);
	}
}

static void test_golden_invalid(void **state)
{
	auto_free char *dir = xasprintf("%s/invalid/%s", GOLDEN, (const char *)*state);
	auto_free char *path = xasprintf("%s/stage.json", dir), *text = NULL, *expected = NULL;
	auto_free char *expected_path = xasprintf("%s/expected", dir);
	auto_stage_problems problems = { 0 };
	auto_stage s = NULL;
	auto_str got = { 0 };
	struct err err = { 0 };
	size_t len;

	assert_int_equal(fs_read(path, SIZE_MAX, &text, &len, ERR_IGNORED), 0);
	assert_int_equal(stage_parse(text, len, "stage.json", "golden", &s, &problems, &err), -1);
	assert_int_equal(err.kind, ERR_STAGE);
	assert_null(s);
	assert_true(problems.n > 0);
	assert_non_null(strstr(err.msg, problems.v[0].text));
	assert_string_equal(err.hint, problems.v[0].hint);
	report(&problems, &got);
	if (getenv("LABCTL_GOLDEN_WRITE"))
		assert_int_equal(fs_write(expected_path, str_get(&got), got.len, 0644, false,
					  ERR_IGNORED),
				 0);
	assert_int_equal(fs_read(expected_path, SIZE_MAX, &expected, NULL, ERR_IGNORED), 0);
	assert_string_equal(str_get(&got), expected);
}

/* the model */

static void assert_addr(const struct ipaddr *a, const char *expected)
{
	char buf[IPADDR_TEXT];

	assert_string_equal(ipaddr_format(a, buf), expected);
}

static void assert_net(const struct ipnet *n, const char *expected)
{
	char buf[IPNET_TEXT];

	assert_string_equal(ipnet_format(n, buf), expected);
}

static void test_stage1(void **state)
{
	auto_stage s = NULL;
	struct err err = { 0 };
	const struct stage_client *c;

	(void)state;
	if (stage_load("stages/stage1", &s, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(s->kind, STAGE_JSON);
	assert_string_equal(s->name, "stage1");
	assert_string_equal(s->title, "Two neighbours");
	assert_int_equal(s->dir[0], '/');
	assert_int_equal(s->n_networks, 2);
	assert_string_equal(s->networks[0].name, "net1");
	assert_net(&s->networks[0].subnet, "1.1.1.0/24");
	assert_true(s->networks[1].has_router);
	assert_addr(&s->networks[1].router, "2.2.2.1");
	assert_int_equal(s->networks[0].mtu, STAGE_MTU_DEFAULT);
	assert_int_equal(s->networks[0].address_mode, STAGE_ADDRESS_PASSIVE);
	assert_int_equal(stage_network_ends(s, 0), 2);
	assert_int_equal(s->n_clients, 2);
	c = stage_find_client(s, "client2");
	assert_non_null(c);
	assert_string_equal(c->interfaces[0].name, "eth0");
	assert_int_equal(c->interfaces[0].network, 1);
	assert_net(&c->interfaces[0].address, "2.2.2.2/24");
	assert_addr(&c->gateway, "2.2.2.1");
	assert_null(c->image);
	assert_int_equal(c->command.n, 0);
	assert_null(stage_find_client(s, "client3"));
}

static const char *const everything =
	"{'title':'t','networks':{"
	"'a':{'subnet':'10.1.0.0/16','router':'10.1.0.1','mtu':9000.0,'mac':'02:00:00:00:00:0A',"
	"'ipv6':{'subnet':'fd00:1::/64','router':'fd00:1::1'},'address':'kernel',"
	"'impair':{'rate':'1.5mbit','delay':'20ms','jitter':'250us','loss':'0.25%'},"
	"'group_fwd_mask':65528},"
	"'b':{'subnet':'10.2.0.0/31','ipv6':'fd00:2::/64'}},"
	"'clients':{'h1':{'interfaces':{"
	"'eth0':{'network':'a','address':'10.1.255.254','ipv6':'fd00:1::2'},"
	"'eth1':{'network':'b','mac':'02:00:00:00:00:01'}},"
	"'gateway':'10.1.0.1','ipv6_gateway':'fd00:1::1',"
	"'routes':[{'to':'10.9.0.0/16','via':'10.1.0.9','dev':'eth0'},"
	"{'to':'fd00:9::/64','via':'fd00:1::9'},{'to':'224.0.0.0/4','dev':'eth1'}],"
	"'sysctls':{'net.ipv4.ip_forward':1,'net.ipv4.tcp_rmem':'4096 8192 16384'},"
	"'ports':{'web':80,'dns':{'port':53,'protocol':'udp'}},"
	"'image':'debian:12','command':['sleep','','9'],'env':{'A':'1=2','B':''},"
	"'start':['ip a','true']},"
	"'h2':{'interfaces':{'e':{'network':'b','address':'10.2.0.0'}},'command':'exec sleep 9',"
	"'routes':[{'to':'default','dev':'e'}]},"
	"'h3':{'interfaces':{'e':{'network':'a','ipv6':'fd00:1::3','mac':'02:00:00:00:00:03'}},"
	"'routes':[{'to':'default','via':'fd00:1::1'}]}},"
	"'routes':[{'to':'10.9.0.0/16','via':'10.1.255.254'},{'to':'default','via':'fd00:1::3'}],"
	"'checks':[{'use':'arp.reply'},{'use':'x','points':5,'from':'h1'}]}";

static char *double_quotes(const char *text)
{
	char *copy = xstrdup(text);

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	return copy;
}

static void test_network_values(void **state)
{
	auto_free char *text = double_quotes(everything);
	auto_stage s = NULL;
	struct err err = { 0 };
	const struct stage_network *n;
	char mac[MACADDR_TEXT];

	(void)state;
	if (load_text(text, &s, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	n = &s->networks[0];
	assert_int_equal(n->mtu, 9000);
	assert_true(n->has_mac);
	assert_string_equal(macaddr_format(&n->mac, mac), "02:00:00:00:00:0a");
	assert_true(n->has_ipv6);
	assert_net(&n->ipv6, "fd00:1::/64");
	assert_addr(&n->ipv6_router, "fd00:1::1");
	assert_int_equal(n->address_mode, STAGE_ADDRESS_KERNEL);
	assert_int_equal(n->impair.rate_bps, 1500000);
	assert_int_equal(n->impair.delay_us, 20000);
	assert_int_equal(n->impair.jitter_us, 250);
	assert_int_equal(n->impair.loss_ppm, 2500);
	assert_int_equal(n->group_fwd_mask, 0xfff8);
	assert_int_equal(stage_network_ends(s, 0), 3);
	n = &s->networks[1];
	assert_false(n->has_router);
	assert_false(n->has_mac);
	assert_true(n->has_ipv6);
	assert_int_equal(n->ipv6_router.family, 0);
	assert_int_equal(n->impair.rate_bps, 0);
	assert_int_equal(stage_network_ends(s, 1), 2);
}

static void test_client_values(void **state)
{
	auto_free char *text = double_quotes(everything);
	auto_stage s = NULL;
	struct err err = { 0 };
	const struct stage_client *c;

	(void)state;
	if (load_text(text, &s, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	c = &s->clients[0];
	assert_int_equal(c->n_interfaces, 2);
	assert_net(&c->interfaces[0].address, "10.1.255.254/16");
	assert_net(&c->interfaces[0].ipv6, "fd00:1::2/64");
	assert_false(c->interfaces[1].has_address);
	assert_true(c->interfaces[1].has_mac);
	assert_addr(&c->gateway, "10.1.0.1");
	assert_addr(&c->ipv6_gateway, "fd00:1::1");
	assert_string_equal(c->image, "debian:12");
	assert_int_equal(c->command.n, 3);
	assert_string_equal(c->command.v[1], "");
	assert_int_equal(c->env.n, 2);
	assert_string_equal(c->env.v[0], "A=1=2");
	assert_string_equal(c->env.v[1], "B=");
	assert_int_equal(c->start.n, 2);
	assert_string_equal(c->start.v[0], "ip a");
	assert_int_equal(c->n_sysctls, 2);
	assert_string_equal(c->sysctls[0].key, "net.ipv4.ip_forward");
	assert_string_equal(c->sysctls[0].value, "1");
	assert_string_equal(c->sysctls[1].value, "4096 8192 16384");
	assert_int_equal(c->n_ports, 2);
	assert_string_equal(c->ports[1].name, "dns");
	assert_int_equal(c->ports[1].port, 53);
	assert_true(c->ports[1].udp);
	assert_false(c->ports[0].udp);
	c = &s->clients[1];
	assert_int_equal(c->command.n, 3);
	assert_string_equal(c->command.v[0], "sh");
	assert_string_equal(c->command.v[1], "-c");
	assert_string_equal(c->command.v[2], "exec sleep 9");
}

static void test_routes(void **state)
{
	auto_free char *text = double_quotes(everything);
	auto_stage s = NULL;
	struct err err = { 0 };
	const struct stage_route *r;

	(void)state;
	if (load_text(text, &s, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	r = s->clients[0].routes;
	assert_int_equal(s->clients[0].n_routes, 3);
	assert_net(&r[0].to, "10.9.0.0/16");
	assert_addr(&r[0].via, "10.1.0.9");
	assert_string_equal(r[0].dev, "eth0");
	assert_net(&r[1].to, "fd00:9::/64");
	assert_string_equal(r[1].dev, "");
	assert_net(&r[2].to, "224.0.0.0/4");
	assert_int_equal(r[2].via.family, 0);
	assert_net(&s->clients[1].routes[0].to, "0.0.0.0/0");
	assert_net(&s->clients[2].routes[0].to, "::/0");
}

static void test_table(void **state)
{
	auto_free char *text = double_quotes(everything);
	auto_stage s = NULL;
	struct err err = { 0 };

	(void)state;
	if (load_text(text, &s, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(s->n_routes, 2);
	assert_net(&s->routes[0].to, "10.9.0.0/16");
	assert_addr(&s->routes[0].via, "10.1.255.254");
	assert_int_equal(s->routes[0].network, 0);
	assert_net(&s->routes[1].to, "::/0");
	assert_addr(&s->routes[1].via, "fd00:1::3");
}

static void test_checks(void **state)
{
	auto_free char *text = double_quotes(everything);
	auto_stage s = NULL;
	struct err err = { 0 };

	(void)state;
	if (load_text(text, &s, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(s->n_checks, 2);
	assert_string_equal(s->checks[0].use, "arp.reply");
	assert_int_equal(s->checks[0].points, 1);
	assert_int_equal(s->checks[1].points, 5);
	assert_string_equal(json_string_value(json_object_get(s->checks[1].args, "from")), "h1");
}

/* what a stranger may put into the file */

static void assert_problem(const char *text, size_t len, unsigned line, const char *expected)
{
	auto_stage_problems problems = { 0 };
	auto_stage s = NULL;
	struct err err = { 0 };

	assert_int_equal(stage_parse(text, len, "f", "x", &s, &problems, &err), -1);
	assert_int_equal(err.kind, ERR_STAGE);
	assert_string_equal(problems.v[0].text, expected);
	assert_int_equal(problems.v[0].line, line);
}

static void test_hostile_bytes(void **state)
{
	(void)state;
	assert_problem("{\0}", 3, 1, "expected a key in \"\", found ''");
	assert_problem("{\"title\":\"a\0b\"}", 15, 1, "a control character inside a string");
	assert_problem("{\"title\":\n\"a\\u0000b\"}", 21, 2, "a NUL character in a text");
	assert_problem("{\"a\\u0000b\":1}", 14, 1, "a NUL character in a text");
	assert_problem("{\"title\":\n\n\"\xff\"}", 15, 3, "the text is not valid UTF-8");
	assert_problem("{\"title\": 99999999999999999999}", 31, 1, "a number is too large");
	assert_problem("{\"title\": 1e999}", 16, 1, "a number is too large");
	assert_problem("", 0, 1, "the file is empty");
	assert_problem("{\"title\": \"a\\", 13, 1, "a string is not closed on its line");
}

static void test_deep_nesting(void **state)
{
	auto_str text = { 0 };

	(void)state;
	str_add(&text, "{\"checks\":\n");
	for (int i = 0; i < 100000; i++)
		str_addc(&text, i % 2 ? '[' : '{');
	assert_problem(str_get(&text), text.len, 2, "expected a key in \"\", found '['");
	str_done(&text);
	str_add(&text, "{\"checks\":\n");
	for (int i = 0; i < 100000; i++)
		str_addc(&text, '[');
	assert_problem(str_get(&text), text.len, 2, "nested deeper than 32 levels");
}

/* Terminal control sequences in a file must not reach the reader's terminal. */
static void test_messages_are_printable(void **state)
{
	const char *text = "{\"\\u001b[2Jx\": 1, \"\\u009b2J\": 2, \"title\": \"\\u001b[31m\"}";
	auto_stage_problems problems = { 0 };
	auto_stage s = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(load_text(text, &s, &problems, &err), -1);
	assert_string_equal(problems.v[0].text, "the key 'networks' is missing");
	assert_string_equal(problems.v[2].text, "unknown key '?[2Jx'");
	assert_string_equal(problems.v[3].text, "unknown key '??2J'");
	for (size_t i = 0; i < problems.n; i++) {
		for (const char *c = problems.v[i].text; *c; c++)
			assert_true((unsigned char)*c >= 0x20);
		for (const char *c = problems.v[i].path; *c; c++)
			assert_true((unsigned char)*c >= 0x20);
	}
}

/* Nor may a name from the file that a hint repeats. */
static void test_hints_are_printable(void **state)
{
	const char *text =
		"{\"title\":\"t\",\"networks\":{\"net\x7f\":{\"subnet\":\"1.1.1.0/24\"}},"
		"\"clients\":{\"c\":{\"interfaces\":{\"e\":{\"network\":\"net1\","
		"\"address\":\"1.1.1.2\"}}}}}";
	auto_stage_problems problems = { 0 };
	auto_stage s = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(load_text(text, &s, &problems, &err), -1);
	assert_int_equal(problems.n, 2);
	assert_string_equal(problems.v[0].text, "'net?' is no name for an interface");
	assert_string_equal(problems.v[1].text, "there is no network 'net1'");
	assert_string_equal(problems.v[1].hint, "did you mean 'net?'?");
}

static void test_many_problems(void **state)
{
	auto_stage_problems problems = { 0 };
	auto_stage s = NULL;
	auto_str text = { 0 };
	struct err err = { 0 };

	(void)state;
	str_add(&text, "{\"title\":\"t\"");
	for (int i = 0; i < 10000; i++)
		str_addf(&text, ",\n\"key%d\":%d", i, i);
	str_add(&text, "}");
	assert_int_equal(load_text(str_get(&text), &s, &problems, &err), -1);
	assert_int_equal(problems.n, 1001);
	assert_string_equal(problems.v[0].text, "unknown key 'key0'");
	assert_int_equal(problems.v[0].line, 2);
	assert_string_equal(problems.v[1000].text, "9002 more problems are not listed");
	assert_string_equal(err.msg,
			    "10002 problems, the first: stage.json:2: key0: unknown key 'key0'");
}

static void test_too_large(void **state)
{
	size_t len = 1024 * 1024 + 1;
	auto_free char *text = xmalloc(len);

	(void)state;
	memset(text, ' ', len);
	assert_problem(text, len, 0, "the file has 1048577 bytes, at most 1048576 are allowed");
}

static void test_too_many(void **state)
{
	auto_str text = { 0 };

	(void)state;
	str_add(&text, "{\"title\":\"t\",\"networks\":{\"n\":{\"subnet\":\"10.0.0.0/8\"}},"
		       "\"clients\":\n{\"c\":{\"interfaces\":{\"e\":{\"network\":\"n\",\"address\":"
		       "\"10.255.0.1\"}}}");
	for (int i = 0; i < 512; i++)
		str_addf(&text,
			 ",\"c%d\":{\"interfaces\":{\"e\":{\"network\":\"n\",\"address\":"
			 "\"10.0.%d.%d\"}}}",
			 i, i / 200, i % 200 + 1);
	str_add(&text, "}}");
	assert_problem(str_get(&text), text.len, 1, "513 entries, at most 512 are allowed");
}

/* on disk */

struct disk {
	char root[PATH_MAX];
};

static void disk_add(const struct disk *d, const char *path, const char *text, mode_t mode)
{
	auto_free char *full = xasprintf("%s/%s", d->root, path), *dir = xstrdup(full);

	*strrchr(dir, '/') = '\0';
	assert_int_equal(fs_mkdirs(dir, 0755, ERR_IGNORED), 0);
	if (text)
		assert_int_equal(fs_write(full, text, strlen(text), mode, false, ERR_IGNORED), 0);
	else
		assert_int_equal(fs_mkdirs(full, 0755, ERR_IGNORED), 0);
}

static int disk_setup(void **state)
{
	struct disk *d = xcalloc(1, sizeof(*d));

	assert_true(str_copy(d->root, sizeof(d->root), "/tmp/labctl-stage.XXXXXX"));
	assert_non_null(mkdtemp(d->root));
	*state = d;
	return 0;
}

static int disk_teardown(void **state)
{
	struct disk *d = *state;
	auto_free char *cmd = xasprintf("rm -rf '%s'", d->root);
	int r = system(cmd);

	free(d);
	return r;
}

static void test_list(void **state)
{
	struct disk *d = *state;
	auto_strv names = { 0 };
	struct err err = { 0 };

	disk_add(d, "stage10/stage.json", "{}", 0644);
	disk_add(d, "stage2/stage.json", "broken", 0644);
	disk_add(d, "old/up.sh", "#!/bin/sh\n", 0755);
	disk_add(d, "notes/README.md", "no stage", 0644);
	disk_add(d, ".hidden/stage.json", "{}", 0644);
	disk_add(d, "README.md", "x", 0644);
	assert_int_equal(stage_list(d->root, &names, &err), 0);
	assert_int_equal(names.n, 3);
	assert_string_equal(names.v[0], "old");
	assert_string_equal(names.v[1], "stage2");
	assert_string_equal(names.v[2], "stage10");
	assert_int_equal(stage_list("/nonexistent", &names, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_string_equal(err.msg, "cannot open the stages' directory '/nonexistent': No such "
				     "file or directory");
}

static void test_find(void **state)
{
	struct disk *d = *state;
	auto_free char *dir = NULL, *expected = xasprintf("%s/stage1", d->root), *path = NULL;
	struct err err = { 0 };

	disk_add(d, "stage1/stage.json", "{}", 0644);
	assert_int_equal(stage_find(d->root, "stage1", &dir, &err), 0);
	assert_string_equal(dir, expected);
	assert_int_equal(stage_find(d->root, "stag1", &path, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_string_equal(err.msg, "no stage 'stag1'");
	assert_string_equal(err.hint, "did you mean 'stage1'? 'labctl stage-list' shows all");
	assert_int_equal(stage_find(d->root, "xyzzy", &path, &err), -1);
	assert_string_equal(err.hint, "'labctl stage-list' shows all");
	assert_int_equal(stage_find(d->root, "...", &path, &err), -1);
	assert_string_equal(err.msg, "no stage '...'");
	assert_int_equal(stage_find(d->root, "stages", &path, &err), -1);
	assert_string_equal(err.hint, "for the directory of that name: ./stages");
	assert_null(path);
	free(dir);
	dir = NULL;
	assert_int_equal(stage_find("/nonexistent", ".", &dir, &err), 0);
	assert_string_equal(dir, ".");
	free(dir);
	dir = NULL;
	assert_int_equal(stage_find("/nonexistent", "stages/stage1/stage.json", &dir, &err), 0);
	assert_string_equal(dir, "stages/stage1");
	path = xasprintf("%s/", expected);
	free(dir);
	dir = NULL;
	assert_int_equal(stage_find("/nonexistent", path, &dir, &err), 0);
	assert_string_equal(dir, expected);
	free(dir);
	dir = NULL;
	assert_int_equal(stage_find(d->root, "./nowhere", &dir, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_string_equal(err.msg, "there is no stage directory './nowhere'");
}

static void assert_load_fails(const struct disk *d, const char *name, enum err_kind kind,
			      const char *msg, const char *hint)
{
	auto_free char *dir = xasprintf("%s/%s", d->root, name);
	auto_stage s = NULL;
	struct err err = { 0 };
	const char *at;

	assert_int_equal(stage_load(dir, &s, NULL, &err), -1);
	assert_null(s);
	assert_int_equal(err.kind, kind);
	at = strstr(err.msg, d->root);
	assert_non_null(at);
	assert_string_equal(at + strlen(d->root), msg);
	assert_string_equal(err.hint, hint);
}

static void test_load_errors(void **state)
{
	struct disk *d = *state;
	auto_free char *pipe = xasprintf("%s/pipe/stage.json", d->root);
	auto_stage s = NULL;
	struct err err = { 0 };
	auto_free char *bad = xasprintf("%s/Bad Name", d->root);

	disk_add(d, "empty", NULL, 0);
	disk_add(d, "pipe", NULL, 0);
	disk_add(d, "dir/stage.json", NULL, 0);
	disk_add(d, "broken/stage.json", "{\n\"title\": }", 0644);
	disk_add(d, "Bad Name/stage.json", "{}", 0644);
	assert_int_equal(mkfifo(pipe, 0644), 0);
	assert_load_fails(d, "none", ERR_NOT_FOUND, "/none'", "");
	assert_load_fails(d, "empty", ERR_STAGE, "/empty' holds no stage",
			  "a stage has a stage.json, or up.sh and down.sh");
	assert_load_fails(d, "pipe", ERR_STAGE, "/pipe/stage.json' is not a file", "");
	assert_load_fails(d, "dir", ERR_STAGE, "/dir/stage.json' is not a file", "");
	assert_load_fails(d, "broken", ERR_STAGE,
			  "/broken/stage.json:2: title: expected a value, found '}'", "");
	assert_int_equal(stage_load(bad, &s, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_STAGE);
	assert_string_equal(err.msg, "a stage cannot be called 'Bad Name'");
}

static void test_scripts(void **state)
{
	struct disk *d = *state;
	auto_free char *hint = xasprintf("chmod +x %s/old/up.sh", d->root);
	auto_free char *dir = xasprintf("%s/old/", d->root), *up = xasprintf("%sup.sh", dir);
	auto_free char *real = NULL;
	auto_stage s = NULL;
	struct err err = { 0 };

	disk_add(d, "old/up.sh", "#!/bin/sh\n", 0644);
	disk_add(d, "old/down.sh", "#!/bin/sh\n", 0755);
	disk_add(d, "half/up.sh", "#!/bin/sh\n", 0755);
	assert_load_fails(d, "old", ERR_STAGE, "/old/up.sh' is not executable", hint);
	assert_load_fails(d, "half", ERR_STAGE, "/half' has no down.sh",
			  "a stage has a stage.json, or up.sh and down.sh");
	assert_int_equal(chmod(up, 0755), 0);
	if (stage_load(dir, &s, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(s->kind, STAGE_SCRIPTS);
	assert_string_equal(s->name, "old");
	assert_string_equal(s->title, "old");
	real = realpath(dir, NULL);
	assert_string_equal(s->dir, real);
	assert_int_equal(s->n_networks, 0);
}

/* A stage is called as it is called here, wherever the link leads. */
static void test_symbolic_link(void **state)
{
	struct disk *d = *state;
	auto_free char *link = xasprintf("%s/mine", d->root), *cwd = realpath(".", NULL);
	auto_stage s = NULL;
	auto_stage dot = NULL;
	auto_free char *target = xasprintf("%s/stages/stage1", cwd);
	struct err err = { 0 };

	assert_int_equal(symlink(target, link), 0);
	if (stage_load(link, &s, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(s->name, "mine");
	assert_int_equal(chdir(target), 0);
	if (stage_load(".", &dot, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(chdir(cwd), 0);
	assert_string_equal(dot->name, "stage1");
	assert_string_equal(dot->dir, target);
}

/* running */

static void verdict(const char *path)
{
	auto_stage_problems problems = { 0 };
	auto_free char *text = NULL;
	auto_stage s = NULL;
	struct err err = { 0 };
	size_t len;

	if (fs_read(path, SIZE_MAX, &text, &len, &err) < 0)
		printf("error\t%s\t%s", path, err.msg);
	else if (stage_parse(text, len, "stage.json", "verdict", &s, &problems, &err) == 0)
		printf("ok\t%s", path);
	else
		printf("bad\t%s", path);
	for (size_t i = 0; i < problems.n; i++)
		printf("\t%s", problems.v[i].text);
	putchar('\n');
}

struct tests {
	struct CMUnitTest *v;
	size_t n;
	struct strv names;
};

static void add_golden(struct tests *t, const char *kind, CMUnitTestFunction run)
{
	auto_free char *path = xasprintf(GOLDEN "/%s", kind);
	auto_strv names = { 0 };
	auto_dir dir = opendir(path);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			strv_add(&names, entry->d_name);
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++) {
		struct CMUnitTest *test = array_push(t->v, t->n);

		strv_addf(&t->names, "golden %s %s", kind, names.v[i]);
		test->name = t->names.v[t->names.n - 1];
		test->test_func = run;
		test->initial_state = strrchr(t->names.v[t->names.n - 1], ' ') + 1;
	}
}

/* The tests read files of the tree: go to its top, three above build/FLAVOUR/unit. */
static void find_top(void)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (fs_is_dir(GOLDEN) || n < 0)
		return;
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	if (chdir(exe) < 0 || chdir("../../..") < 0 || !fs_is_dir(GOLDEN)) {
		fputs("Bail out! " GOLDEN " is not to be found\n", stderr);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest fixed[] = {
		cmocka_unit_test(test_stage1),
		cmocka_unit_test(test_network_values),
		cmocka_unit_test(test_client_values),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_hostile_bytes),
		cmocka_unit_test(test_deep_nesting),
		cmocka_unit_test(test_messages_are_printable),
		cmocka_unit_test(test_hints_are_printable),
		cmocka_unit_test(test_many_problems),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test_setup_teardown(test_list, disk_setup, disk_teardown),
		cmocka_unit_test_setup_teardown(test_find, disk_setup, disk_teardown),
		cmocka_unit_test_setup_teardown(test_load_errors, disk_setup, disk_teardown),
		cmocka_unit_test_setup_teardown(test_scripts, disk_setup, disk_teardown),
		cmocka_unit_test_setup_teardown(test_symbolic_link, disk_setup, disk_teardown),
	};
	struct tests t = { 0 };
	int failed;

	mem_adopt_jansson();
	if (argc > 1 && strcmp(argv[1], "--verdict") == 0) {
		for (int i = 2; i < argc; i++)
			verdict(argv[i]);
		return 0;
	}
	find_top();
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		*array_push(t.v, t.n) = fixed[i];
	add_golden(&t, "valid", test_golden_valid);
	add_golden(&t, "invalid", test_golden_invalid);
	failed = _cmocka_run_group_tests("stage", t.v, t.n, NULL, NULL);
	strv_done(&t.names);
	free(t.v);
	return failed;
}
