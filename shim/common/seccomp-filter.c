/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of the build: prints the sandbox's seccomp filter as C, for the machine that is named.
 * libseccomp is needed here only. In the program it would have to work when memory is short, and
 * 2.5.4 loops or frees twice where an allocation fails in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* O_TMPFILE is made of this and O_DIRECTORY. */
#define TMPFILE (O_TMPFILE & ~O_DIRECTORY)

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
	"open_tree_attr",
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
	/* files that run as somebody else, or stand for a device */
	"chmod",
	"fchmodat",
	"fchmodat2",
	"chown",
	"chown32",
	"lchown",
	"lchown32",
	"fchown",
	"fchown32",
	"fchownat",
	"setxattr",
	"lsetxattr",
	"fsetxattr",
	"setxattrat",
	"removexattr",
	"lremovexattr",
	"fremovexattr",
	"removexattrat",
	"file_setattr",
	"mknod",
	"mknodat",
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

/* Calls that are refused with some arguments. openat2(2) has its own in memory, where no filter can
 * look: it can still make a file with set-user-ID. */
static const struct {
	const char *name;
	unsigned int n;
	struct scmp_arg_cmp args[2];
} refused_with[] = {
#define HAS(at, bits)                                                                              \
	{                                                                                          \
		(at), SCMP_CMP_MASKED_EQ, (bits), (bits)                                           \
	}
	{ "fchmod", 1, { HAS(1, S_ISUID) } },
	{ "fchmod", 1, { HAS(1, S_ISGID) } },
	{ "fchmod", 1, { HAS(1, S_IWGRP) } },
	{ "fchmod", 1, { HAS(1, S_IWOTH) } },
	{ "creat", 1, { HAS(1, S_ISUID) } },
	{ "creat", 1, { HAS(1, S_ISGID) } },
	{ "open", 2, { HAS(1, O_CREAT), HAS(2, S_ISUID) } },
	{ "open", 2, { HAS(1, O_CREAT), HAS(2, S_ISGID) } },
	{ "open", 2, { HAS(1, TMPFILE), HAS(2, S_ISUID) } },
	{ "open", 2, { HAS(1, TMPFILE), HAS(2, S_ISGID) } },
	{ "openat", 2, { HAS(2, O_CREAT), HAS(3, S_ISUID) } },
	{ "openat", 2, { HAS(2, O_CREAT), HAS(3, S_ISGID) } },
	{ "openat", 2, { HAS(2, TMPFILE), HAS(3, S_ISUID) } },
	{ "openat", 2, { HAS(2, TMPFILE), HAS(3, S_ISGID) } },
	/* code that was written by the process itself */
	{ "mmap", 1, { HAS(2, PROT_WRITE | PROT_EXEC) } },
	{ "mmap2", 1, { HAS(2, PROT_WRITE | PROT_EXEC) } },
	{ "mprotect", 1, { HAS(2, PROT_EXEC) } },
	{ "pkey_mprotect", 1, { HAS(2, PROT_EXEC) } },
	{ "shmat", 1, { HAS(2, SHM_EXEC) } },
	/* What speaks to others here is a Unix socket that is open already; looking up a user's
	 * name may need another. */
	{ "socket", 1, { { 0, SCMP_CMP_NE, AF_UNIX, 0 } } },
#undef HAS
};

/* Numbers that are the same on all machines but MIPS, of calls that are younger than libseccomp
 * 2.5.4. */
static const struct {
	const char *name;
	int number;
} young[] = {
	{ "fchmodat2", 452 },
	{ "setxattrat", 463 },
	{ "removexattrat", 466 },
	{ "open_tree_attr", 467 },
	{ "file_setattr", 469 },
};

/* A negative number where this libseccomp or machine does not know the call. */
static int number_of(uint32_t arch, const char *name)
{
	int number = seccomp_syscall_resolve_name(name);

	/* libseccomp translates numbers for another machine by their names. */
	if (number != __NR_SCMP_ERROR || arch != seccomp_arch_native() || SYS_openat2 != 437)
		return number;
	for (size_t i = 0; i < sizeof(young) / sizeof(young[0]); i++) {
		if (strcmp(young[i].name, name) == 0)
			return young[i].number;
	}
	return number;
}

/* Where mmap(2) gets a pointer to its arguments, what a filter sees is by chance. */
static bool has_mmap_arguments(uint32_t arch)
{
	return arch != SCMP_ARCH_X86 && arch != SCMP_ARCH_S390 && arch != SCMP_ARCH_S390X;
}

static int add(scmp_filter_ctx ctx, uint32_t arch, const char *name, unsigned int n,
	const struct scmp_arg_cmp *args)
{
	int number = number_of(arch, name);

	if (number == __NR_SCMP_ERROR)
		return 0;
	return seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), number, n, args);
}

static int set_arch(scmp_filter_ctx ctx, const char *name)
{
	uint32_t arch = seccomp_arch_resolve_name(name);
	int r = arch != 0 ? 0 : -ENOENT;

	if (r < 0 || arch == seccomp_arch_native())
		return r;
	/* First, as a filter is of one byte order. */
	r = seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE);
	return r < 0 ? r : seccomp_arch_add(ctx, arch);
}

static int fill(scmp_filter_ctx ctx, const char *name)
{
	uint32_t arch = seccomp_arch_resolve_name(name);
	int r = set_arch(ctx, name);

	for (size_t i = 0; r == 0 && i < sizeof(refused) / sizeof(refused[0]); i++)
		r = add(ctx, arch, refused[i], 0, NULL);
	for (size_t i = 0; r == 0 && i < sizeof(refused_with) / sizeof(refused_with[0]); i++) {
		if (strcmp(refused_with[i].name, "mmap") != 0 || has_mmap_arguments(arch))
			r = add(ctx, arch, refused_with[i].name, refused_with[i].n,
				refused_with[i].args);
	}
	return r;
}

/* As bytes: the filter is in the byte order of the machine it is for. */
static int print(int fd)
{
	unsigned char bytes[64 * 1024];
	ssize_t n = pread(fd, bytes, sizeof(bytes), 0);

	if (n <= 0 || n % 8 != 0 || (size_t)n == sizeof(bytes))
		return -EIO;
	printf("/* Made by seccomp-filter.c: struct sock_filter, one in a line. */\n"
	       "#include <stddef.h>\n\n"
	       "extern const unsigned char sfd_seccomp_filter[];\n"
	       "extern const size_t sfd_seccomp_filter_size;\n\n"
	       "const size_t sfd_seccomp_filter_size = %zd;\n"
	       "_Alignas(8) const unsigned char sfd_seccomp_filter[] = {\n",
		n);
	for (ssize_t i = 0; i < n; i++)
		printf("%s0x%02x,%s", i % 8 == 0 ? "\t" : " ", bytes[i], i % 8 == 7 ? "\n" : "");
	printf("};\n");
	return fflush(stdout) != 0 || ferror(stdout) != 0 ? -EIO : 0;
}

int main(int argc, char **argv)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int fd = memfd_create("filter", MFD_CLOEXEC);
	int r = argc == 2 && ctx != NULL && fd >= 0 ? fill(ctx, argv[1]) : -EINVAL;

	if (r == 0)
		r = seccomp_export_bpf(ctx, fd);
	if (r == 0)
		r = print(fd);
	if (r < 0)
		fprintf(stderr, "seccomp-filter %s: %s\n", argc > 1 ? argv[1] : "MACHINE",
			strerror(-r));
	seccomp_release(ctx);
	return r < 0;
}
