/* SPDX-License-Identifier: MIT */
/* profile.c - which system calls a container may make. */
#include "docker/profile.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/socket.h>

#include <jansson.h>

#include "base/mem.h"

#include "base/banned.h"

/* All but those of io_uring need a capability that a client does not have, or reach into the
 * kernel at places where nobody in a client has anything to do. io_uring makes sockets, too. */
static const char *const refused[] = {
	"_sysctl",
	"acct",
	"add_key",
	"bpf",
	"clock_adjtime",
	"clock_adjtime64",
	"clock_settime",
	"clock_settime64",
	"create_module",
	"delete_module",
	"fanotify_init",
	"finit_module",
	"fsconfig",
	"fsmount",
	"fsopen",
	"fspick",
	"get_kernel_syms",
	"init_module",
	"io_uring_enter",
	"io_uring_register",
	"io_uring_setup",
	"ioperm",
	"iopl",
	"kcmp",
	"kexec_file_load",
	"kexec_load",
	"keyctl",
	"lookup_dcookie",
	"mount",
	"mount_setattr",
	"move_mount",
	"move_pages",
	"nfsservctl",
	"open_by_handle_at",
	"open_tree",
	"perf_event_open",
	"pidfd_getfd",
	"pivot_root",
	"process_madvise",
	"process_vm_readv",
	"process_vm_writev",
	"query_module",
	"quotactl",
	"quotactl_fd",
	"reboot",
	"request_key",
	"setdomainname",
	"sethostname",
	"setns",
	"settimeofday",
	"socketcall",
	"stime",
	"swapoff",
	"swapon",
	"sysfs",
	"syslog",
	"umount",
	"umount2",
	"unshare",
	"uselib",
	"userfaultfd",
	"ustat",
	"vhangup",
	"vm86",
	"vm86old",
};

static const unsigned families[] = { AF_UNIX, AF_ALG, AF_VSOCK };

static const unsigned namespaces[] = { CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWNS,    CLONE_NEWPID,
				       CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP };

static void refuse(json_t *rules, json_t *names, json_t *arg, int error)
{
	json_t *rule = json_pack("{s:o, s:s, s:i}", "names", names, "action", "SCMP_ACT_ERRNO",
				 "errnoRet", error);

	if (arg)
		json_object_set_new(rule, "args", json_pack("[o]", arg));
	json_array_append_new(rules, rule);
}

char *container_profile(void)
{
	json_t *names = json_array();
	json_t *rules = json_array();
	json_auto_t *profile =
		json_pack("{s:s, s:o}", "defaultAction", "SCMP_ACT_ALLOW", "syscalls", rules);

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		json_array_append_new(names, json_string(refused[i]));
	refuse(rules, names, NULL, EPERM);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		refuse(rules, json_pack("[s]", "socket"),
		       json_pack("{s:i, s:i, s:s}", "index", 0, "value", (int)families[i], "op",
				 "SCMP_CMP_EQ"),
		       EAFNOSUPPORT);
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		refuse(rules, json_pack("[s]", "clone"),
		       json_pack("{s:i, s:I, s:I, s:s}", "index", 0, "value",
				 (json_int_t)namespaces[i], "valueTwo", (json_int_t)namespaces[i],
				 "op", "SCMP_CMP_MASKED_EQ"),
		       EPERM);
	/* Its flags are behind a pointer; libc falls back to clone(). */
	refuse(rules, json_pack("[s]", "clone3"), NULL, ENOSYS);
	return json_dumps(profile, JSON_COMPACT);
}
