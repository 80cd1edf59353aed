/* SPDX-License-Identifier: Apache-2.0 */
/* The program: runs the command it is told, and turns its error into text and exit code. */
#include "shim/proxy/as-skopeo.h"
#include "shim/cmds/commands.h"
#include "shim/common/confine.h"
#include "shim/common/nearest.h"
#include "splitfdstream/base/error.h"
#include "splitfdstream/version.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void print_help(void)
{
	static const char *const titles[] = { "\nCommands:", "\nPlumbing:", "\nServers:" };

	printf("Usage: splitfd COMMAND [ARGUMENTS]\n\n"
	       "Moves container layers between stores on one machine without copying file data.\n");
	for (int class = SFD_PORCELAIN; class <= SFD_SERVER; class ++) {
		printf("%s\n", titles[class]);
		for (size_t i = 0; i < sfd_n_commands; i++) {
			if ((int)sfd_commands[i]->class == class)
				sfd_print_row(sfd_commands[i]->name, 26, sfd_commands[i]->summary);
		}
	}
	printf("\n'splitfd COMMAND --help' shows a command's options.\n");
}

static void print_version(void)
{
	printf("splitfd %s\nfeatures: %cipsec-mb %cseccomp\n", SPLITFD_VERSION,
		SFD_WITH_IPSEC_MB ? '+' : '-', SFD_WITH_SECCOMP ? '+' : '-');
}

static const struct sfd_command *find_command(const char *name)
{
	for (size_t i = 0; i < sfd_n_commands; i++) {
		if (strcmp(sfd_commands[i]->name, name) == 0)
			return sfd_commands[i];
	}
	return NULL;
}

/* Output that did not arrive is a failure, on pipes and sockets too. */
static int close_stdout(void)
{
	if (__fpending(stdout) == 0 && ferror(stdout) == 0)
		return 0;
	return fflush(stdout) != 0 || ferror(stdout) != 0 ? -1 : 0;
}

/* Where the parent has closed one of them, the next file that is opened, an object of a repository
 * perhaps, would take its number and get what is meant to be printed. Reading from the first and
 * writing to the second still fail. */
static int hold_standard_fds(void)
{
	static const int modes[] = { O_WRONLY, O_RDONLY, O_RDWR };

	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
			return -1;
	}
	return 0;
}

static int fail(const char *who, const char *command, const struct splitfd_error *err)
{
	fprintf(stderr, "%s%s: %s%s\n", who, command, err->text, sfd_confine_hint(err));
	return err->kind != SPLITFD_ERROR_NONE ? splitfd_error_exit_code(err->kind) : 1;
}

static int unknown_command(const char *name)
{
	struct sfd_nearest nearest = { .word = name };
	struct splitfd_error err = { 0 };

	for (size_t i = 0; i < sfd_n_commands; i++)
		if (sfd_commands[i]->class != SFD_INTERNAL)
			sfd_nearest_try(&nearest, sfd_commands[i]->name);
	if (nearest.found != NULL)
		(void)splitfd_error_set(&err, SPLITFD_ERROR_USAGE, EINVAL,
			"unknown command '%s' (did you mean '%s'?); see 'splitfd --help'", name,
			nearest.found);
	else
		(void)splitfd_error_set(&err, SPLITFD_ERROR_USAGE, EINVAL,
			"unknown command '%s'; see 'splitfd --help'", name);
	return fail("splitfd", "", &err);
}

/* The exit code, once all output is out. */
static int end(const char *command)
{
	if (close_stdout() == 0)
		return 0;
	fprintf(stderr, "splitfd%s%s: cannot write to standard output: %s\n",
		*command != '\0' ? " " : "", command, strerror(errno));
	return 1;
}

/* The C library reserves 64 MiB for each of several threads, which a limit of address space counts.
 */
static void fit_into_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		(void)mallopt(M_ARENA_MAX, 1);
}

int main(int argc, char **argv)
{
	const struct sfd_command *command;
	struct splitfd_error err = { 0 };

	if (argc > 0 && sfd_is_skopeo(argv[0]) && sfd_as_skopeo(argc, argv, &err) < 0)
		return fail("splitfd, called as skopeo", "", &err);
	if (hold_standard_fds() < 0) {
		fprintf(stderr, "splitfd: cannot open /dev/null: %s\n", strerror(errno));
		return 1;
	}
	fit_into_limits();
	signal(SIGPIPE, SIG_IGN);
	/* Where it was ignored, the exit status of a program that we start would be lost. */
	signal(SIGCHLD, SIG_DFL);
	if (argc < 2) {
		fprintf(stderr, "splitfd: a command is missing; see 'splitfd --help'\n");
		return 2;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_help();
		return end("");
	}
	if (strcmp(argv[1], "--version") == 0) {
		print_version();
		return end("");
	}
	command = find_command(argv[1]);
	if (command == NULL)
		return unknown_command(argv[1]);
	/* Descriptors are opened again by it; what fails without it would be called damaged. */
	if (access("/proc/self/fd", X_OK) < 0) {
		if (errno == ENOENT)
			fprintf(stderr, "splitfd: /proc is not mounted; splitfd needs it\n");
		else
			fprintf(stderr, "splitfd: cannot use /proc/self/fd: %s\n", strerror(errno));
		return 1;
	}
	if (command->run(argc - 1, argv + 1, &err) < 0) {
		(void)close_stdout();
		return fail("splitfd ", command->name, &err);
	}
	return end(command->name);
}
