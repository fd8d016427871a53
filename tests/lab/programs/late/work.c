// SPDX-License-Identifier: GPL-2.0-only
/* late: programs at work beside each other, and what a tracer sees of them. */
#define _GNU_SOURCE
#include "late.h"

#include <cpuid.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES 8

static unsigned int ask(unsigned int leaf)
{
	unsigned int a, b, c, d;

	__cpuid_count(leaf, 0, a, b, c, d);
	return b;
}

/* Each child sees its parent's memory and then its own; the parent keeps what it had. */
static int forks(int rounds)
{
	char *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < rounds; i++) {
		pid_t child;
		int status;

		memset(memory, i, PAGES * PAGE);
		child = fork();
		if (!child) {
			for (int at = 0; at < PAGES * PAGE; at += PAGE)
				if (memory[at]++ != (char)i)
					_exit(1);
			_exit(memory[0] == (char)(i + 1) ? 7 : 2);
		}
		waitpid(child, &status, 0);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 7 || memory[0] != (char)i)
			return fail("fork %d: status %#x, memory %d", i, status, memory[0]);
	}
	return 0;
}

static volatile int handled;
static char *denied;

static void count_signal(int number)
{
	if (number == SIGSEGV)	/* the page is made writable, and the write happens again */
		mprotect(denied, PAGE, PROT_READ | PROT_WRITE);
	ask(0);
	handled++;
}

/* Signals and faults, each with CPUID on the way: all arrive, and the values stay. */
static int signals(int rounds)
{
	double sum = 1;

	denied = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	signal(SIGUSR1, count_signal);
	signal(SIGSEGV, count_signal);
	for (int i = 0; i < rounds; i++) {
		sum *= 2;
		kill(getpid(), SIGUSR1);
		mprotect(denied, PAGE, PROT_READ);
		*(volatile char *)denied = (char)i;
		sum /= 2;
		if (handled != 2 * (i + 1) || *denied != (char)i || sum != 1)
			return fail("signals %d of %d, page %d, sum %f", handled, 2 * (i + 1), *denied,
				    sum);
	}
	return 0;
}

/* Values of this process alone stand in the vector registers, exits and switches of tasks pass. */
static int vectors(int rounds)
{
	static unsigned char wanted[2][32], seen[2][32];
	unsigned int leaf = 0;

	for (size_t i = 0; i < sizeof wanted; i++)
		wanted[i / 32][i % 32] = (unsigned char)(i * 3 + (unsigned int)getpid());
	for (int i = 0; i < rounds; i++) {
		asm volatile("vmovdqu (%[wanted]), %%ymm0; vmovdqu 32(%[wanted]), %%ymm15\n"
			     "movl $50, %%r8d\n"
			     "1: xorl %%eax, %%eax; xorl %%ecx, %%ecx; cpuid\n"
			     "pause; decl %%r8d; jnz 1b\n"
			     "vmovdqu %%ymm0, (%[seen]); vmovdqu %%ymm15, 32(%[seen]); vzeroupper"
			     : "+a"(leaf) : [wanted] "r"(wanted), [seen] "r"(seen)
			     : "rbx", "rcx", "rdx", "r8", "xmm0", "xmm15", "memory");
		if (memcmp(wanted, seen, sizeof wanted))
			return fail("vector registers changed in round %d", i);
		sched_yield();
	}
	return 0;
}

int work(int rounds)
{
	static int (*const parts[])(int) = { forks, signals, vectors, vectors, vectors };
	int failed = 0, status;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (!fork())
			exit(parts[i](rounds));
	while (wait(&status) > 0)
		failed |= status;
	if (failed)
		return fail("somebody's status is %#x", failed);
	puts("work is done");
	return 0;
}

/* The kernel's clock interrupts this program each millisecond and writes down where it was. */
int perf(void)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof attributes,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 1000000,
		.sample_type = PERF_SAMPLE_IP,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
	volatile struct perf_event_mmap_page *page;
	const struct { struct perf_event_header header; unsigned long ip; } *first;

	page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || page == MAP_FAILED)
		return fail("no perf event");
	for (int i = 0; page->data_head < 10 * sizeof *first; i++) {
		if (i > 1000000)
			return fail("no ten samples: %llu bytes", page->data_head);
		ask(1);
	}
	first = (const void *)((const volatile char *)page + PAGE);
	if (first->header.type != PERF_RECORD_SAMPLE || !first->ip)
		return fail("a record of type %u at %#lx", first->header.type, first->ip);
	puts("perf has its samples");
	return 0;
}

int flood(void)
{
	const unsigned int first = ask(0);

	while (ask(0) == first)
		;
	return fail("CPUID has changed");
}
