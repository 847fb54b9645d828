/* SPDX-License-Identifier: MIT */
/* forward.c - the process that carries the clients' ports. */
#include "lab/forward.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/rights.h"
#include "docker/container.h"
#include "lab/relay.h"
#include "net/netns.h"

#include "base/banned.h"

#define READY_MS 10000
#define END_MS	 5000

static char *pid_file(const struct lab *l)
{
	return lab_path(l, "forward.pid");
}

/* A process's start time, in clock ticks since boot: with the pid it names one process. */
static bool start_time(pid_t pid, char ret[static 32])
{
	auto_free char *path = xasprintf("/proc/%d/stat", (int)pid);
	auto_free char *text = NULL;
	char *p;

	if (fs_read(path, 4096, &text, NULL, ERR_IGNORED) < 0 || !(p = strrchr(text, ')')))
		return false;
	/* A zombie that nobody buried is dead all the same. */
	if (str_starts(p, ") Z"))
		return false;
	/* starttime is field 22; field 3 follows the ')' */
	for (int field = 2; field < 22 && p; field++)
		p = strchr(p + 1, ' ');
	return p && sscanf(p, " %31[0-9]", ret) == 1;
}

/* The pid in the file, if that very process lives; 0 otherwise. */
static pid_t living(const struct lab *l)
{
	auto_file_rights as_root = file_rights_root("the forwarder's pid file");
	auto_free char *path = pid_file(l);
	auto_free char *text = NULL;
	char start[32], now[32];
	int pid;

	if (fs_read_plain(path, 128, &text, ERR_IGNORED) < 0 ||
	    sscanf(text, "%d %31[0-9]", &pid, start) != 2 || pid <= 1)
		return 0;
	return start_time(pid, now) && strcmp(start, now) == 0 ? pid : 0;
}

bool forward_is_alive(const struct lab *l)
{
	return living(l) != 0;
}

int forward_stop(const struct lab *l, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the forwarder's pid file");
	auto_free char *path = pid_file(l);
	pid_t pid = living(l);
	auto_fd fd = -1;

	if (pid) {
		struct pollfd p;

		fd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (fd >= 0 && living(l) == pid)
			syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
		p = (struct pollfd){ .fd = fd, .events = POLLIN };
		if (fd >= 0 && poll(&p, 1, END_MS) == 0)
			return err_set(err, ERR_ENV, 0, "process %d does not end", (int)pid);
	}
	return fs_remove(path, err);
}

static _Noreturn void become_server(const struct lab_ctx *ctx, const struct lab *l, int ready)
{
	auto_free char *fd = xasprintf("%d", ready);
	const char *const argv[] = { ctx->exe, "--lab", l->name, "forward", fd, NULL };
	const struct child child = { .env = CHILD_ENV_LABCTL, .keep_fd = ready, .detached = true };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct err err = { 0 };

	if (dup2(null, STDOUT_FILENO) == STDOUT_FILENO &&
	    dup2(null, STDERR_FILENO) == STDERR_FILENO && child_prepare(&child, &err) == 0 &&
	    chdir("/") == 0)
		execv(ctx->exe, (char *const *)(uintptr_t)argv);
	_exit(127);
}

int forward_start(struct lab_ctx *ctx, const struct lab *l, struct err *err)
{
	char answer[sizeof(err->msg)] = "";
	int p[2];
	pid_t pid;
	ssize_t n;

	if (!l->n_ports)
		return 0;
	if (forward_stop(l, err) < 0)
		return -1;
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_set(err, ERR_ENV, errno, "cannot make a pipe");
	auto_fd r = p[0];
	auto_fd w = p[1];
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return err_set(err, ERR_ENV, errno, "cannot start the forwarder");
	if (pid == 0)
		become_server(ctx, l, w);
	close(steal_fd(&w));
	struct pollfd wait = { .fd = r, .events = POLLIN };
	n = poll(&wait, 1, READY_MS) == 1 ? read(r, answer, sizeof(answer) - 1) : -1;
	if (n > 0 && answer[0] == '+')
		return 0;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return err_set(err, ERR_ENV, 0, "the clients' ports cannot be forwarded: %s",
		       n > 0 ? answer : "the forwarder does not answer");
}

static int open_clients(struct lab_ctx *ctx, const struct lab *l, struct relay_port *ports,
			struct err *err)
{
	struct engine *e;

	if (lab_ctx_engine(ctx, &e, err) < 0)
		return -1;
	for (size_t i = 0; i < l->n_ports; i++) {
		const struct stage_client *c = &l->stage->clients[l->ports[i].client];
		const struct stage_port *sp = &c->ports[l->ports[i].port];
		auto_free char *name = lab_container_name(l, c->name);
		auto_free char *path = xasprintf("/containers/%s/json", name);
		json_auto_t *reply = NULL;
		struct container_state st;

		ports[i] = (struct relay_port){ l->ports[i].host_port, sp->port, sp->udp, -1 };
		if (engine_call(e, "GET", path, NULL, &reply, err) < 0 ||
		    container_state_read(reply, &st, err) < 0 ||
		    netns_open_pid(st.pid, &ports[i].netns_fd, err) < 0)
			return err_wrap(err, "client '%s'", c->name);
	}
	return 0;
}

static int write_pid(const struct lab *l, struct err *err)
{
	auto_file_rights as_root = file_rights_root("the forwarder's pid file");
	auto_free char *path = pid_file(l);
	auto_free char *text = NULL;
	char start[32];

	if (!start_time(getpid(), start))
		return err_set(err, ERR_ENV, 0, "cannot read /proc/self/stat");
	text = xasprintf("%d %s\n", (int)getpid(), start);
	return fs_write(path, text, strlen(text), 0644, false, err);
}

/* As long as the record is there, and this process is the one it knows. */
static bool lab_goes_on(void *arg)
{
	auto_file_rights as_root = file_rights_root("the record of a lab");
	const struct lab *l = arg;

	return fs_access(l->record, F_OK) && living(l) == getpid();
}

int forward_serve(struct lab_ctx *ctx, int ready_fd, struct err *err)
{
	auto_lab l = NULL;
	auto_free struct relay_port *ports = NULL;
	auto_fd ready = ready_fd;
	struct relay *r = NULL;

	prctl(PR_SET_NAME, "labctl-forward");
	if (lab_load(ctx, ctx->lab, &l, err) == 0 && write_pid(l, err) == 0) {
		ports = xcalloc(l->n_ports, sizeof(*ports));
		if (open_clients(ctx, l, ports, err) == 0 &&
		    relay_open(ports, l->n_ports, &r, err) == 0) {
			if (write(ready, "+", 1) != 1)
				return err_set(err, ERR_ENV, errno, "nobody waits for it");
			close(steal_fd(&ready));
			relay_run(r, lab_goes_on, l);
			relay_free(r);
			return 0;
		}
	}
	if (write(ready, err->msg, strlen(err->msg)) < 0)
		log_debug("%s", err->msg);
	return -1;
}
