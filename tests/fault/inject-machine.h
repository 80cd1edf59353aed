/* SPDX-License-Identifier: Apache-2.0 */
/* inject: its machine, i.e. where a call's arguments and result are. */
#pragma once

#include <elf.h>
#include <err.h>
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>

#if defined(__x86_64__)
#define BREAK_SIZE 1
static const unsigned char breakpoint[] = { 0xcc };
typedef struct user_regs_struct registers;
static void set_result(registers *r, long value)
{
	r->rax = (unsigned long)value;
}
static unsigned long instruction(const registers *r)
{
	return r->rip;
}
static void set_instruction(registers *r, unsigned long ip)
{
	r->rip = ip;
}
static void set_argument(registers *r, int i, unsigned long value)
{
	unsigned long long *at[] = { &r->rdi, &r->rsi, &r->rdx, &r->r10, &r->r8, &r->r9 };

	*at[i] = value;
}
static void skip_call(pid_t tid, registers *r)
{
	(void)tid;
	r->orig_rax = (unsigned long)-1;
}
#elif defined(__aarch64__)
#define BREAK_SIZE 0 /* the program counter stays at the breakpoint */
static const unsigned char breakpoint[] = { 0x00, 0x00, 0x20, 0xd4 };
typedef struct user_regs_struct registers;
static void set_result(registers *r, long value)
{
	r->regs[0] = (unsigned long)value;
}
static unsigned long instruction(const registers *r)
{
	return r->pc;
}
static void set_instruction(registers *r, unsigned long ip)
{
	r->pc = ip;
}
static void set_argument(registers *r, int i, unsigned long value)
{
	r->regs[i] = value;
}
static void skip_call(pid_t tid, registers *r)
{
	int none = -1;
	struct iovec v = { &none, sizeof(none) };

	(void)r;
	if (ptrace(PTRACE_SETREGSET, tid, (void *)NT_ARM_SYSTEM_CALL, &v) < 0)
		err(125, "PTRACE_SETREGSET");
}
#else
#error "add this machine's registers to tests/fault/inject.c"
#endif

static void get_registers(pid_t tid, registers *r)
{
	struct iovec v = { r, sizeof(*r) };

	/* A thread that SIGKILL has reached has none. */
	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &v) < 0 && errno != ESRCH)
		err(125, "PTRACE_GETREGSET");
}

static void set_registers(pid_t tid, registers *r)
{
	struct iovec v = { r, sizeof(*r) };

	if (ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &v) < 0 && errno != ESRCH)
		err(125, "PTRACE_SETREGSET");
}
