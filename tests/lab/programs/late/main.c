// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that run while step 11 keeps their Linux as a guest, and say whether that shows.
 *
 *   late cpuid                 what CPUID says of VMX and of a hypervisor
 *   late hostile               instructions of VMX and of the kernel, and the signal that each gives
 *   late step                  a debugger that steps over CPUID
 *   late work ROUNDS           forks, signals, page faults, vector registers, at the same time
 *   late perf                  perf's samples of a program that executes CPUID
 *   late flood                 CPUID for ever
 *   late msrs                  what /dev/cpu/0/msr gives
 *   late registers LEAF        all registers around CPUID with this leaf, and a port of ioperm()
 *   late cycles COUNT CPUS FILE   loads and unloads the step so often, between two snapshots of
 *                              as many CPUs
 *
 * Exit status 0 if all is as on a machine without a hypervisor.
 */
#define _GNU_SOURCE
#include "late.h"

#include <cpuid.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static int show_cpuid(void)
{
	unsigned int a, b, c, d, features;
	char name[13] = "-";

	__cpuid(1, a, b, features, d);
	if (features >> 31) {
		__cpuid(0x40000000, a, b, c, d);
		memcpy(name, &b, 4);
		memcpy(name + 4, &c, 4);
		memcpy(name + 8, &d, 4);
	}
	printf("hypervisor %u vmx %u osxsave %u name %s\n", features >> 31, features >> 5 & 1,
	       features >> 27 & 1, name);
	return 0;
}

/* ---- Instructions that a program may not execute ---- */

static const struct {
	const char *name;
	unsigned char code[6];
} forbidden[] = {
	{ "vmcall", { 0x0f, 0x01, 0xc1 } },
	{ "vmlaunch", { 0x0f, 0x01, 0xc2 } },
	{ "vmresume", { 0x0f, 0x01, 0xc3 } },
	{ "vmxoff", { 0x0f, 0x01, 0xc4 } },
	{ "vmfunc", { 0x0f, 0x01, 0xd4 } },
	{ "getsec", { 0x0f, 0x37 } },
	{ "vmptrld", { 0x0f, 0xc7, 0x30 } },		/* (%rax), here and below */
	{ "vmptrst", { 0x0f, 0xc7, 0x38 } },
	{ "vmclear", { 0x66, 0x0f, 0xc7, 0x30 } },
	{ "vmxon", { 0xf3, 0x0f, 0xc7, 0x30 } },
	{ "vmread", { 0x0f, 0x78, 0xc1 } },		/* %rax, %rcx */
	{ "vmwrite", { 0x0f, 0x79, 0xc1 } },
	{ "invept", { 0x66, 0x0f, 0x38, 0x80, 0x08 } },
	{ "invvpid", { 0x66, 0x0f, 0x38, 0x81, 0x08 } },
	{ "xsetbv", { 0x0f, 0x01, 0xd1 } },
	{ "invd", { 0x0f, 0x08 } },
	{ "rdmsr", { 0x0f, 0x32 } },
	{ "wrmsr", { 0x0f, 0x30 } },
	{ "mov-to-cr4", { 0x0f, 0x22, 0xe0 } },
};

static sigjmp_buf back;

static void caught(int number)
{
	siglongjmp(back, number);
}

static int hostile(void)
{
	unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static unsigned long memory[8];
	unsigned long rax;

	signal(SIGILL, caught);
	signal(SIGSEGV, caught);
	signal(SIGBUS, caught);
	for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
		int number;

		memset(page, 0xc3, 16);	/* RET behind it */
		memcpy(page, forbidden[i].code, sizeof forbidden[i].code);
		for (int j = 5; j > 0 && page[j] == 0; j--)
			page[j] = 0xc3;
		/* 7 is a value that XCR0 could take from the kernel */
		rax = strcmp(forbidden[i].name, "xsetbv") ? (unsigned long)memory : 7;
		number = sigsetjmp(back, 1);
		if (!number)	/* below what the compiler keeps under RSP */
			asm volatile("subq $128, %%rsp; call *%3; addq $128, %%rsp"
				     : : "a"(rax), "c"(0), "d"(0), "r"(page) : "memory");
		printf("%s %d\n", forbidden[i].name, number);
	}
	return 0;
}

/* ---- A debugger ---- */

extern const char stepped_cpuid[], stepped_end[];

static void be_stepped(void)
{
	unsigned int a = 0, b, c = 0, d;

	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	asm volatile(".global stepped_cpuid, stepped_end\n"
		     "stepped_cpuid: cpuid; cpuid; nop\nstepped_end: nop"
		     : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	_exit(0);
}

/* Each step executes one instruction, and the trap is behind it. */
static int step(void)
{
	static const unsigned int lengths[] = { 2, 2, 1 };
	struct user_regs_struct registers;
	pid_t child = fork();
	unsigned long at = (unsigned long)stepped_cpuid;
	int status;

	if (!child)
		be_stepped();
	waitpid(child, &status, 0);
	ptrace(PTRACE_GETREGS, child, 0, &registers);
	registers.rip = at;
	registers.rax = registers.rcx = 0;
	ptrace(PTRACE_SETREGS, child, 0, &registers);
	for (int i = 0; i < 3; i++) {
		ptrace(PTRACE_SINGLESTEP, child, 0, 0);
		waitpid(child, &status, 0);
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
			return fail("no trap after step %d: status %#x", i, status);
		ptrace(PTRACE_GETREGS, child, 0, &registers);
		at += lengths[i];
		if (registers.rip != at)
			return fail("step %d ends at %#llx, not at %#lx", i, registers.rip,
				    at);
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	puts("stepped");
	return 0;
}

/* ---- Registers ---- */

#define FLAGS 0xcd7ul	/* CF, PF, AF, ZF, SF, DF and OF, and the bit that is always 1 */

/* What CPUID must leave alone, in a program that is the only one to know the values; with a leaf
 * at which an altered step leaves VMX operation, all must have come back with it. */
static int registers(unsigned int leaf)
{
	unsigned long seen[16] = { 0 }, flags;
	static unsigned long wanted[2] = { 0x0123456789abcdef, 0xfedcba9876543210 }, got[2];

	if (ioperm(0x80, 1, 1))
		return fail("no ioperm()");
	outb(0, 0x80);
	asm volatile("movdqu %[wanted], %%xmm7\n"
		     "pushq %%rbp; pushq %%rbx; movq %%rsp, %%r15\n"
		     "movl $11, %%ebp; movl $12, %%esi; movl $13, %%r8d; movl $14, %%r9d\n"
		     "movl $15, %%r10d; movl $16, %%r11d; movl $17, %%r12d; movl $18, %%r13d\n"
		     "xorl %%ecx, %%ecx; pushq %[flags]; popfq; cpuid\n"
		     "pushfq; cld; popq %%rax\n"
		     "movq %%rax, (%%rdi); movq %%rbp, 8(%%rdi); movq %%rsi, 16(%%rdi)\n"
		     "movq %%r8, 24(%%rdi); movq %%r9, 32(%%rdi); movq %%r10, 40(%%rdi)\n"
		     "movq %%r11, 48(%%rdi); movq %%r12, 56(%%rdi); movq %%r13, 64(%%rdi)\n"
		     "subq %%rsp, %%r15; movq %%r15, 72(%%rdi)\n"
		     "popq %%rbx; popq %%rbp; movdqu %%xmm7, %[got]"
		     : [got] "=m"(got) : [wanted] "m"(wanted), "a"(leaf), "D"(seen), [flags] "i"(FLAGS)
		     : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r15", "xmm7",
		       "memory", "cc");
	flags = seen[0] & 0xcd7;
	for (unsigned long i = 1; i < 9; i++)
		if (seen[i] != 10 + i)
			return fail("register %lu is %#lx", i, seen[i]);
	if (flags != FLAGS || seen[9] || memcmp(wanted, got, sizeof got))
		return fail("flags %#lx, RSP %#lx off, XMM7 %#lx", flags, seen[9], got[0]);
	outb(0, 0x80);	/* the limit of TR, which nobody can read, reaches to the map of ports */
	puts("registers are the same");
	return 0;
}

int main(int count, char **words)
{
	const char *what = count > 1 ? words[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "cpuid"))
		return show_cpuid();
	if (!strcmp(what, "hostile"))
		return hostile();
	if (!strcmp(what, "step"))
		return step();
	if (!strcmp(what, "work") && count == 3)
		return work(atoi(words[2]));
	if (!strcmp(what, "perf"))
		return perf();
	if (!strcmp(what, "flood"))
		return flood();
	if (!strcmp(what, "msrs"))
		return msrs();
	if (!strcmp(what, "registers") && count == 3)
		return registers((unsigned int)strtoul(words[2], NULL, 0));
	if (!strcmp(what, "cycles") && count == 5)
		return cycles(atoi(words[2]), atoi(words[3]), words[4]);
	return fail("usage: see late.c");
}
