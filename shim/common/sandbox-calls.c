/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/sandbox-calls.h"

#if SFD_WITH_SECCOMP

#include "splitfdstream/base/dlopen-note.h"

#include <dlfcn.h>
#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

/* The name carries the ABI version. */
#define SONAME "libseccomp.so.2"

SFD_DLOPEN_NOTE("seccomp", "Gives up system calls before it reads what others wrote",
	SFD_DLOPEN_RECOMMENDED, SONAME);

struct library {
	scmp_filter_ctx (*init)(uint32_t action);
	void (*release)(scmp_filter_ctx ctx);
	int (*attr_set)(scmp_filter_ctx ctx, enum scmp_filter_attr attr, uint32_t value);
	int (*resolve)(const char *name);
	int (*rule_add)(scmp_filter_ctx ctx, uint32_t action, int number, unsigned int n,
		const struct scmp_arg_cmp *args);
	int (*load)(scmp_filter_ctx ctx);
};

/* Nothing that reads, hashes, clones and names files needs any of these. By name: what this
 * libseccomp or machine does not know is left out. */
static const char *const refused[] = {
	/* other processes */
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"kcmp",
	"pidfd_getfd",
	/* programs */
	"execve",
	"execveat",
	/* mounts and namespaces */
	"mount",
	"umount",
	"umount2",
	"pivot_root",
	"chroot",
	"move_mount",
	"open_tree",
	"fsopen",
	"fsconfig",
	"fsmount",
	"fspick",
	"mount_setattr",
	"setns",
	"unshare",
	"open_by_handle_at",
	/* identity */
	"setuid",
	"setgid",
	"setreuid",
	"setregid",
	"setresuid",
	"setresgid",
	"setfsuid",
	"setfsgid",
	"setgroups",
	"capset",
	/* the kernel */
	"bpf",
	"perf_event_open",
	"kexec_load",
	"kexec_file_load",
	"init_module",
	"finit_module",
	"delete_module",
	"add_key",
	"request_key",
	"keyctl",
	"userfaultfd",
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
	"reboot",
	"swapon",
	"swapoff",
	"acct",
	"syslog",
	"quotactl",
	"personality",
	"iopl",
	"ioperm",
	/* the machine's settings */
	"settimeofday",
	"clock_settime",
	"clock_adjtime",
	"adjtimex",
	"sethostname",
	"setdomainname",
};

static bool find(struct library *l)
{
	void *handle = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	const struct {
		const char *name;
		void *function; /* where its address goes */
	} functions[] = {
		{ "seccomp_init", &l->init },
		{ "seccomp_release", &l->release },
		{ "seccomp_attr_set", &l->attr_set },
		{ "seccomp_syscall_resolve_name", &l->resolve },
		{ "seccomp_rule_add_array", &l->rule_add },
		{ "seccomp_load", &l->load },
	};
	bool found = handle != NULL;

	for (size_t i = 0; found && i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *address = dlsym(handle, functions[i].name);

		found = address != NULL;
		memcpy(functions[i].function, &address, sizeof(address));
	}
	/* NODELETE: the functions stay. */
	if (handle != NULL)
		dlclose(handle);
	return found;
}

static void add(const struct library *l, scmp_filter_ctx ctx, const char *name, unsigned int n,
	const struct scmp_arg_cmp *args)
{
	int number = l->resolve(name);

	if (number != __NR_SCMP_ERROR)
		(void)l->rule_add(ctx, SCMP_ACT_ERRNO(EPERM), number, n, args);
}

bool sfd_sandbox_calls(void)
{
	/* What speaks to others here is a Unix socket that is open already; looking up a user's
	 * name may need another. */
	const struct scmp_arg_cmp no_unix = { .arg = 0, .op = SCMP_CMP_NE, .datum_a = AF_UNIX };
	struct library l;
	scmp_filter_ctx ctx;
	int r;

	if (!find(&l))
		return false;
	ctx = l.init(SCMP_ACT_ALLOW);
	if (ctx == NULL)
		return false;
	/* Kernels before 5.16 would slow everything down for what only runs code of others. */
	(void)l.attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
	(void)l.attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		add(&l, ctx, refused[i], 0, NULL);
	add(&l, ctx, "socket", 1, &no_unix);
	r = l.load(ctx);
	l.release(ctx);
	return r == 0;
}

#else

bool sfd_sandbox_calls(void)
{
	return false;
}

#endif
