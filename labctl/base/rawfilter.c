/* SPDX-License-Identifier: MIT */
/* rawfilter.c - a seccomp filter (seccomp(2)) on options of sockets. */
#include "base/rawfilter.h"

#include <errno.h>
#include <netinet/in.h>
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

#define LOAD(f)	     BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, f))
#define ANSWER(code) BPF_STMT(BPF_RET | BPF_K, code)
#define DENY	     ANSWER(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW	     ANSWER(SECCOMP_RET_ALLOW)
/* Goes on with the next instruction when equal, else skips n. */
#define UNLESS(v, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (v), 0, (n))
/* Of setsockopt() with this level, this option. Else goes on with the level in the accumulator. */
#define REFUSE_OPTION(level, option) UNLESS(level, 4), LOAD(args[2]), UNLESS(option, 1), DENY, ALLOW

static const struct sock_filter code[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0),
	DENY,
	LOAD(nr),
#ifdef __x86_64__
	/* x32 */
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1),
	DENY,
#endif
	UNLESS(SYS_io_uring_setup, 1),
	DENY,
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 1, 0),
	ALLOW,
	LOAD(args[1]),
	REFUSE_OPTION(SOL_IP, IP_TRANSPARENT),
	REFUSE_OPTION(SOL_IPV6, IPV6_TRANSPARENT),
	REFUSE_OPTION(SOL_SOCKET, SO_MARK),
	ALLOW,
};

int rawfilter_apply(struct err *err)
{
	struct sock_fprog prog = { ARRAY_SIZE(code), (struct sock_filter *)(uintptr_t)code };

	if (THIS_ARCH && prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, &prog) < 0 &&
	    errno != EINVAL)
		return err_set(err, ERR_ENV, errno, "cannot filter options of sockets");
	return 0;
}
