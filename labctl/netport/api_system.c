/* SPDX-License-Identifier: MIT */
/* api_system.c - netport's API: programs and the host. */
#include "netport/api.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fnmatch.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/ipaddr.h"
#include "base/mem.h"
#include "base/proc.h"

#include "base/banned.h"

#define LIBUUID_BUFFER 1024 /* of interfaces further down it does not know */

#define COMM_LEN  15 /* TASK_COMM_LEN without its NUL */
#define RULES_MAX (64 << 10)

/* ---- which programs may be started ---- */

struct rule {
	struct strv words; /* patterns of fnmatch(3); "..." at the end: any more words */
};

struct shell_rules {
	struct rule *v;
	size_t n;
};

static void split(const char *text, struct strv *ret)
{
	for (const char *s = text + strspn(text, " \t"); *s; s += strspn(s, " \t")) {
		size_t len = strcspn(s, " \t");
		auto_free char *word = xstrndup(s, len);

		strv_add(ret, word);
		s += len;
	}
}

void shell_rules_free(struct shell_rules *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		strv_done(&r->v[i].words);
	free(r->v);
	free(r);
}

int shell_rules_load(const char *path, struct shell_rules **ret, struct err *err)
{
	auto_free char *text = NULL;
	struct shell_rules *r;

	if (fs_read(path, RULES_MAX, &text, NULL, err) < 0)
		return err_wrap(err, "the list of allowed commands");
	r = xcalloc(1, sizeof(*r));
	for (char *line = text, *next; line; line = next) {
		auto_strv words = { 0 };

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		split(line, &words);
		if (!words.n || words.v[0][0] == '#')
			continue;
		array_push(r->v, r->n)->words = words;
		words = (struct strv){ 0 };
	}
	*ret = r;
	return 0;
}

static bool rule_fits(const struct rule *rule, char *const *argv)
{
	const struct strv *w = &rule->words;

	for (size_t i = 0; i < w->n; i++) {
		if (i + 1 == w->n && strcmp(w->v[i], "...") == 0)
			return true;
		if (!argv[i] || fnmatch(w->v[i], argv[i], 0) != 0)
			return false;
	}
	return !argv[w->n];
}

bool shell_rules_allow(const struct shell_rules *r, char *const *argv)
{
	for (size_t i = 0; r && argv && argv[0] && i < r->n; i++) {
		if (rule_fits(&r->v[i], argv))
			return true;
	}
	return false;
}

/* ---- starting them ---- */

/* Never through a shell. A session of its own is a process group, too, that can be killed. */
static int start(char *const *argv, pid_t *ret, struct err *err)
{
	const struct proc_spec spec = { .argv = (const char *const *)argv,
					.out = PROC_OUT_NULL,
					.child = { .detached = true } };

	if (proc_spawn(&spec, ret, NULL, err) < 0) {
		err->kind = ERR_FAILED;
		return -1;
	}
	return 0;
}

/* False: the reply is made. */
static bool may_start(struct call *c, char *const *argv)
{
	if (!c->api->shell)
		api_fail(c, 403, "this service starts no programs: it runs without --allow-shell");
	else if (!(c->caller.scopes & SCOPE_SHELL))
		api_fail(c, 403, "'%.64s' may not start programs: it takes the scope 'shell'",
			 c->caller.owner);
	else if (!shell_rules_allow(c->api->shell, argv))
		api_fail(c, 403, "the list of allowed commands does not have this one");
	else
		return true;
	return false;
}

static void executed(struct call *c, int code)
{
	reply_data_bool(c, code == 0);
}

static int execute_command(struct call *c, struct err *err)
{
	auto_strv argv = { 0 };
	struct err why = { 0 };

	(void)err;
	split(call_query(c, "command"), &argv);
	if (!may_start(c, argv.v))
		return 0;
	if (start(argv.v, &c->child, &why) < 0)
		reply_data_bool(c, false);
	else
		c->exited = executed;
	return 0;
}

/* The reservation lives as long as the process. */
static int run_process(struct call *c, struct err *err)
{
	const char *command = call_query(c, "command");
	struct lease_request req = call_request(c, "PROCESS");
	const struct lease_claim claim = { req.owner, req.uid };
	struct err why = { 0 };
	auto_strv argv = { 0 };

	split(command, &argv);
	if (!may_start(c, argv.v))
		return 0;
	if (lease_acquire(c->api->store, &req, command, NULL, NULL, NULL, NULL, &why) < 0) {
		if (!err_is(&why, ERR_CONFLICT)) {
			*err = why;
			return -1;
		}
		reply_data(c, json_integer(-1));
		return 0;
	}
	if (start(argv.v, &c->spawned, &why) < 0) {
		api_fail(c, 400, "%s", why.msg);
		return lease_release(c->api->store, "PROCESS", command, &claim, err);
	}
	req.again_ok = true;
	req.bound = LEASE_BOUND_PROCESS;
	req.pid = c->spawned;
	reply_data(c, json_integer(c->spawned));
	return lease_acquire(c->api->store, &req, command, NULL, NULL, NULL, NULL, err);
}

/* The kernel keeps 15 bytes of a name; the command line may know the rest. */
static char *process_name(const char *pid)
{
	auto_free char *comm_path = xasprintf("/proc/%s/comm", pid);
	auto_free char *cmd_path = xasprintf("/proc/%s/cmdline", pid);
	auto_free char *comm = NULL;
	auto_free char *cmd = NULL;
	const char *base;

	if (fs_read(comm_path, 256, &comm, NULL, ERR_IGNORED) < 0)
		return NULL;
	comm[strcspn(comm, "\n")] = '\0';
	if (strlen(comm) < COMM_LEN || fs_read(cmd_path, 1 << 20, &cmd, NULL, ERR_IGNORED) < 0)
		return steal_ptr(&comm);
	base = strrchr(cmd, '/');
	base = base ? base + 1 : cmd;
	return str_starts(base, comm) ? xstrdup(base) : steal_ptr(&comm);
}

static int is_process_running(struct call *c, struct err *err)
{
	const char *name = call_query(c, "name");
	auto_file_rights as_caller = { 0 };
	struct dirent *e;

	/* Otherwise the kernel shows what it shows to everyone. */
	if (geteuid() == 0 && call_files_begin(c, &as_caller, err) < 0)
		return -1;
	auto_dir dir = opendir("/proc");
	if (!dir)
		return err_set(err, ERR_ENV, errno, "cannot read /proc");
	while ((e = readdir(dir))) {
		auto_free char *found = NULL;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		found = process_name(e->d_name);
		if (found && utf8_is_valid(found) && strcasestr(found, name)) {
			reply_data(c, json_string(found));
			return 0;
		}
	}
	reply_data_bool(c, false);
	return 0;
}

/* ---- the host ---- */

/* The address that /etc/hosts gives the name; no name server is asked. */
static bool hosts_address(const char *name, char ret[static IPADDR_TEXT])
{
	auto_free char *text = NULL;
	struct ipaddr a;

	if (fs_read("/etc/hosts", 1 << 20, &text, NULL, ERR_IGNORED) < 0)
		return false;
	for (char *line = text, *next; line; line = next) {
		auto_strv words = { 0 };

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line[strcspn(line, "#")] = '\0';
		split(line, &words);
		if (!words.n || ipaddr_parse(words.v[0], &a, ERR_IGNORED) < 0 ||
		    a.family != AF_INET)
			continue;
		for (size_t i = 1; i < words.n; i++) {
			if (strcasecmp(words.v[i], name) == 0) {
				ipaddr_format(&a, ret);
				return true;
			}
		}
	}
	return false;
}

/* The first address that is none of loopback. */
static void first_address(char ip[static IPADDR_TEXT])
{
	struct ifaddrs *all, *a;

	if (getifaddrs(&all) < 0)
		return;
	for (a = all; a && !*ip; a = a->ifa_next) {
		const struct sockaddr_in *in = (const void *)a->ifa_addr;

		if (in && in->sin_family == AF_INET && !(a->ifa_flags & IFF_LOOPBACK))
			inet_ntop(AF_INET, &in->sin_addr, ip, IPADDR_TEXT);
	}
	freeifaddrs(all);
}

/* What Python's uuid.getnode() gives: there libuuid goes through the interfaces that have an IPv4
 * address, as SIOCGIFCONF lists them, up to the first whose hardware address is not 0. */
static void node_address(char mac[static MACADDR_TEXT])
{
	struct ifreq all[LIBUUID_BUFFER / sizeof(struct ifreq)];
	struct ifconf list = { .ifc_len = sizeof(all), .ifc_req = all };
	auto_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	static const uint8_t zero[6];

	if (fd < 0 || ioctl(fd, SIOCGIFCONF, &list) < 0)
		return;
	for (size_t i = 0; i < (size_t)list.ifc_len / sizeof(all[0]); i++) {
		struct macaddr m;

		if (ioctl(fd, SIOCGIFHWADDR, &all[i]) < 0)
			continue;
		memcpy(m.b, all[i].ifr_hwaddr.sa_data, sizeof(m.b));
		if (memcmp(m.b, zero, sizeof(zero)) == 0)
			continue;
		macaddr_format(&m, mac);
		return;
	}
}

static char *ram_text(void)
{
	auto_free char *text = NULL;
	const char *at;
	double kib = 0;

	if (fs_read("/proc/meminfo", 1 << 16, &text, NULL, ERR_IGNORED) == 0) {
		at = strstr(text, "MemTotal:");
		kib = at ? (double)strtoull(at + strlen("MemTotal:"), NULL, 10) : 0;
	}
	return xasprintf("%.0f GB", kib / (1 << 20));
}

json_t *system_info(void)
{
	char ip[IPADDR_TEXT] = "", mac[MACADDR_TEXT] = "";
	auto_free char *ram = ram_text();
	struct utsname u;

	if (uname(&u) < 0)
		u = (struct utsname){ .sysname = "Linux" };
	if (!hosts_address(u.nodename, ip))
		ip[0] = '\0';
	if (!*ip)
		first_address(ip);
	node_address(mac);
	/* Python's platform.processor() is empty on Debian, too. */
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "platform", u.sysname,
			 "platform-release", u.release, "platform-version", u.version,
			 "architecture", u.machine, "hostname", u.nodename, "ip-address",
			 *ip ? ip : "127.0.0.1", "mac-address", *mac ? mac : "00:00:00:00:00:00",
			 "processor", "", "ram", ram);
}

static int get_system_info(struct call *c, struct err *err)
{
	(void)err;
	reply_data(c, json_incref(c->api->system_info));
	return 0;
}

static const struct param command_params[] = {
	{ "command", PARAM_TEXT, true, "a command line; its words are divided by spaces" },
	{ 0 },
};
static const struct param name_params[] = {
	{ "name", PARAM_TEXT, true, "part of a program's name, in upper or lower case" },
	{ 0 },
};

#define NETPORT .family = API_NETPORT, .method = "GET", .status = 200

const struct route routes_system[] = {
	{ NETPORT, .scope = SCOPE_LEASE, .flags = ROUTE_WRITES, .path = "/shell/run_process",
	  .summary = "Start a program that the service's list allows, and reserve its command line",
	  .params = command_params, .result = "DataInteger", .handle = run_process },
	{ NETPORT, .scope = SCOPE_READ, .flags = ROUTE_STARTS, .path = "/shell/execute_command",
	  .summary = "Run a command that the service's list allows; true: it ended with status 0",
	  .params = command_params, .result = "DataBool", .handle = execute_command },
	{ NETPORT, .scope = SCOPE_READ, .path = "/shell/is_process_running",
	  .summary = "The name of a running program that has this in its name, or false",
	  .params = name_params, .result = "DataTextOrFalse", .handle = is_process_running },
	{ NETPORT, .scope = SCOPE_READ, .path = "/system/get_system_info",
	  .summary = "What this host is", .result = "DataSystem", .handle = get_system_info },
	{ 0 },
};
