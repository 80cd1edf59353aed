/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of the build: prints the sandbox's seccomp filter as C, for the machine that is named.
 * libseccomp is needed here only. In the program it would have to work when memory is short, and
 * 2.5.4 loops or frees twice where an allocation fails in it.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

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

static int add(
	scmp_filter_ctx ctx, const char *name, unsigned int n, const struct scmp_arg_cmp *args)
{
	int number = seccomp_syscall_resolve_name(name);

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

static int fill(scmp_filter_ctx ctx, const char *arch)
{
	/* What speaks to others here is a Unix socket that is open already; looking up a user's
	 * name may need another. */
	const struct scmp_arg_cmp no_unix = { .arg = 0, .op = SCMP_CMP_NE, .datum_a = AF_UNIX };
	int r = set_arch(ctx, arch);

	for (size_t i = 0; r == 0 && i < sizeof(refused) / sizeof(refused[0]); i++)
		r = add(ctx, refused[i], 0, NULL);
	return r == 0 ? add(ctx, "socket", 1, &no_unix) : r;
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
