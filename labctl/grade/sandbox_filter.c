/* SPDX-License-Identifier: MIT */
/* sandbox_filter.c - a seccomp filter (seccomp(2)). */
#include "grade/sandbox_filter.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "base/mem.h"

#include "base/banned.h"

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#else
#define THIS_ARCH 0u /* not known here: nothing is filtered */
#endif

#define FIELD(f)     ((unsigned)offsetof(struct seccomp_data, f))
#define LOAD(f)	     BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(f))
#define ANSWER(code) BPF_STMT(BPF_RET | BPF_K, code)
#define DENY	     ANSWER(SECCOMP_RET_ERRNO | EPERM)
/* Goes on with the next instruction when equal, else with the one after it. */
#define IF_EQUAL(v) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (v), 0, 1)
#define REFUSE(nr)  IF_EQUAL(nr), DENY

#define ALLOW(v) IF_EQUAL(v), ANSWER(SECCOMP_RET_ALLOW)
#define FAMILIES 5 /* that are allowed below */
#define NAMESPACES                                                                                 \
	(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | \
	 CLONE_NEWCGROUP)

static const struct sock_filter code[] = {
	/* Another architecture's numbers mean something else: none of its calls. */
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0),
	DENY,
	LOAD(nr),
#ifdef __x86_64__
	/* x32 */
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1),
	DENY,
#endif
	REFUSE(SYS_bpf),
	REFUSE(SYS_perf_event_open),
	REFUSE(SYS_userfaultfd),
	REFUSE(SYS_io_uring_setup),
	REFUSE(SYS_io_uring_enter),
	REFUSE(SYS_io_uring_register),
	REFUSE(SYS_keyctl),
	REFUSE(SYS_add_key),
	REFUSE(SYS_request_key),
	REFUSE(SYS_setns),
	REFUSE(SYS_unshare),
	REFUSE(SYS_mount),
	REFUSE(SYS_umount2),
	REFUSE(SYS_pivot_root),
	REFUSE(SYS_open_tree),
	REFUSE(SYS_move_mount),
	REFUSE(SYS_mount_setattr),
	REFUSE(SYS_fsopen),
	REFUSE(SYS_fspick),
	REFUSE(SYS_fanotify_init),
	REFUSE(SYS_open_by_handle_at),
	REFUSE(SYS_kexec_load),
	REFUSE(SYS_init_module),
	REFUSE(SYS_finit_module),
	/* Its flags are behind a pointer; libc falls back to clone(). */
	IF_EQUAL(SYS_clone3),
	ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4),
	LOAD(args[0]),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 0, 1),
	DENY,
	ANSWER(SECCOMP_RET_ALLOW),
	/* Rare protocols are rarely looked at by others: those that a router has a use for. */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socketpair, 0, 1 + 2 * FAMILIES + 1),
	LOAD(args[0]),
	ALLOW(AF_PACKET),
	ALLOW(AF_INET),
	ALLOW(AF_INET6),
	ALLOW(AF_UNIX),
	ALLOW(AF_NETLINK),
	ANSWER(SECCOMP_RET_ERRNO | EAFNOSUPPORT),
	ANSWER(SECCOMP_RET_ALLOW),
};

int sandbox_filter(struct err *err)
{
	struct sock_fprog prog = { ARRAY_SIZE(code), (struct sock_filter *)(uintptr_t)code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0)
		return err_set(err, ERR_ENV, errno, "cannot do without new privileges");
	if (!THIS_ARCH)
		return 0;
	if (prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, &prog) < 0 && errno != EINVAL)
		return err_set(err, ERR_ENV, errno, "cannot filter system calls");
	return 0;
}
