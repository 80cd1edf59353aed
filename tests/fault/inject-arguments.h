/* SPDX-License-Identifier: Apache-2.0 */
/* inject: its arguments. */
#pragma once

#include <dlfcn.h>
#include <err.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CALLS_MAX 120
#define TASKS_MAX 4096
static const char usage_text[] =
	"usage: inject [--calls NAME,...] [--at N[+] --action ACTION] [--count] [--list] "
	"[--children]\n"
	"              [--loader] [--report FILE] [--] COMMAND [ARGUMENT...]\n"
	"\n"
	"Run COMMAND and do ACTION at the N-th system call (with N+, also at every later one), "
	"counted over\n"
	"all threads and forks from the program's entry point on. The exit code is COMMAND's, 128 "
	"+ N after\n"
	"signal N, 125 where inject itself fails.\n"
	"\n"
	"  --calls NAME,...  Count only these calls (names, or numbers without libseccomp); "
	"NAME:0xVALUE only\n"
	"                    those with VALUE as their second argument, such as a command of fcntl "
	"or ioctl\n"
	"  --at N[+]         Act at the N-th counted call\n"
	"  --action ACTION   errno:NAME        do not execute the call; it fails with this errno\n"
	"                    errno-after:NAME  execute the call, then report this errno\n"
	"                    result:N          do not execute the call; it returns N\n"
	"                    short:K           pass K as the length of a read, write or copy that "
	"is longer\n"
	"                    signal:NAME       send the signal to the process that makes the call\n"
	"                    kill              SIGKILL for every traced process, before the call\n"
	"                    pause:MS          hold the calling thread for MS milliseconds\n"
	"                    command:TEXT      hold the calling thread while sh runs TEXT\n"
	"  --count           Act nowhere, only count\n"
	"  --list            Add each counted call to the report\n"
	"  --children        Count programs that COMMAND executes, too\n"
	"  --loader          Count from the exec on, with the dynamic loader's calls\n"
	"  --report FILE     Write the report to FILE; default: standard error\n"
	"\n"
	"The report has the lines \"calls N\" and \"injected N NAME RESULT TARGET\" or \"not "
	"injected\".\n";

enum kind {
	NOTHING,
	FAIL,
	FAIL_AFTER,
	RESULT,
	SHORT,
	SIGNAL,
	KILL,
	PAUSE,
	COMMAND,
};

struct task {
	pid_t tid, tgid;
	bool foreign;	/* another program than COMMAND: not counted without --children */
	bool returning; /* stopped again at the end of the call, which then fails */
};

/* A call that is counted; second: only with this second argument, -1: with any. */
struct call {
	int number;
	int64_t second;
};

struct tracer {
	struct call calls[CALLS_MAX];
	size_t n_calls;
	unsigned long at, count, done;
	bool onward, list, children, loader;
	enum kind kind;
	long number;	  /* errno, length, signal, milliseconds */
	const char *text; /* the command */
	FILE *report;
	pid_t main;
	bool started;	     /* the program's entry point was reached */
	unsigned long entry; /* where the breakpoint is, 0: none */
	long under;	     /* the word below it */
	int status;
	struct task tasks[TASKS_MAX];
	size_t n_tasks;
};

/* libseccomp's names of calls. */
static int (*resolve_name)(const char *name);
static char *(*resolve_number)(uint32_t arch, int number);
static uint32_t (*native_arch)(void);

static void find_names(void)
{
	void *library = dlopen("libseccomp.so.2", RTLD_NOW | RTLD_LOCAL);

	if (library == NULL)
		return;
	*(void **)&resolve_name = dlsym(library, "seccomp_syscall_resolve_name");
	*(void **)&resolve_number = dlsym(library, "seccomp_syscall_resolve_num_arch");
	*(void **)&native_arch = dlsym(library, "seccomp_arch_native");
}

static void print_name(FILE *out, int number)
{
	char *name = resolve_number && native_arch ? resolve_number(native_arch(), number) : NULL;

	if (name != NULL)
		fputs(name, out);
	else
		fprintf(out, "%d", number);
	free(name);
}

static int number_of_call(const char *name)
{
	char *end;
	long number = strtol(name, &end, 10);

	if (*name != '\0' && *end == '\0')
		return (int)number;
	if (resolve_name == NULL)
		errx(125, "cannot resolve '%s' without libseccomp", name);
	number = resolve_name(name);
	if (number == -1)
		errx(125, "unknown system call '%s'", name);
	/* A call that this machine does not have is never made here. */
	return number < 0 ? 0xffffff : (int)number;
}

static void add_calls(struct tracer *t, char *list)
{
	char *rest = list;

	for (char *name; (name = strsep(&rest, ",")) != NULL;) {
		char *second = strchr(name, ':');

		if (t->n_calls == CALLS_MAX)
			errx(125, "more than %d system calls", CALLS_MAX);
		if (second != NULL)
			*second++ = '\0';
		t->calls[t->n_calls++] = (struct call){
			.number = number_of_call(name),
			.second = second == NULL ? -1 : (int64_t)strtoul(second, NULL, 0),
		};
	}
}

static long errno_of(const char *name)
{
	for (int e = 1; e < 200; e++) {
		const char *known = strerrorname_np(e);

		if (known != NULL && strcmp(known, name) == 0)
			return e;
	}
	errx(125, "unknown errno '%s'", name);
}

static long signal_of(const char *name)
{
	for (int s = 1; s < 32; s++) {
		const char *known = sigabbrev_np(s);

		if (known != NULL && strcmp(known, name) == 0)
			return s;
	}
	errx(125, "unknown signal '%s'", name);
}

static long number_of(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		errx(125, "'%s' is not a number", text);
	return n;
}

static void parse_action(struct tracer *t, const char *text)
{
	static const struct {
		const char *name;
		enum kind kind;
		long (*number)(const char *text);
	} rows[] = {
		{ "errno:", FAIL, errno_of },
		{ "errno-after:", FAIL_AFTER, errno_of },
		{ "result:", RESULT, number_of },
		{ "short:", SHORT, number_of },
		{ "signal:", SIGNAL, signal_of },
		{ "pause:", PAUSE, number_of },
		{ "command:", COMMAND, NULL },
		{ "kill", KILL, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = strlen(rows[i].name);

		if (strncmp(text, rows[i].name, n) != 0 ||
			(rows[i].kind == KILL && text[n] != '\0'))
			continue;
		t->kind = rows[i].kind;
		t->text = text + n;
		t->number = rows[i].number != NULL ? rows[i].number(text + n) : 0;
		return;
	}
	errx(125, "unknown action '%s'", text);
}

static void parse_at(struct tracer *t, const char *text)
{
	char *end;

	t->at = strtoul(text, &end, 10);
	t->onward = strcmp(end, "+") == 0;
	if (t->at == 0 || (*end != '\0' && !t->onward))
		errx(125, "--at takes N or N+, not '%s'", text);
}

static void parse(struct tracer *t, int argc, char **argv)
{
	static const struct option options[] = {
		{ "calls", required_argument, NULL, 'c' },
		{ "at", required_argument, NULL, 'n' },
		{ "action", required_argument, NULL, 'a' },
		{ "report", required_argument, NULL, 'r' },
		{ "count", no_argument, NULL, 'C' },
		{ "list", no_argument, NULL, 'l' },
		{ "children", no_argument, NULL, 'f' },
		{ "loader", no_argument, NULL, 'L' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool count = false;

	for (int c; (c = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
		switch (c) {
		case 'c':
			add_calls(t, optarg);
			break;
		case 'n':
			parse_at(t, optarg);
			break;
		case 'a':
			parse_action(t, optarg);
			break;
		case 'r':
			t->report = fopen(optarg, "we");
			if (t->report == NULL)
				err(125, "%s", optarg);
			break;
		case 'C':
			count = true;
			break;
		case 'l':
			t->list = true;
			break;
		case 'f':
			t->children = true;
			break;
		case 'L':
			t->loader = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(0);
		default:
			fputs(usage_text, stderr);
			exit(125);
		}
	}
	if (optind == argc || count == (t->kind != NOTHING) || (t->kind != NOTHING) != (t->at != 0))
		errx(125, "expected --count, or --at N --action ACTION, and a command; see --help");
}
