// SPDX-License-Identifier: GPL-2.0-only
/*
 * lab-tool witness COUNT FILE...
 * lab-tool witness-without-breakpoints COUNT FILE...
 *
 * Looks for anything of the host that guests spoil, while the given guests run COUNT times in each
 * of several states that a program can be in: with values in all vector registers, with a GS base,
 * with segments of its own (in the GDT and in an LDT), with I/O permission, with hardware
 * breakpoints. Then the same with other programs beside it on the same CPU. What the module
 * "snapshot" shows must be equal before and after each of it.
 *
 * One line "ok NAME" or "not ok NAME: WHY" for each check.
 *
 * long-file: one short function for each state that a program can be in.
 */
#define _GNU_SOURCE
#include "tool.h"

#include <asm/hwcap2.h>
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_GUESTS 128
#define KNOWN 0x12345678
#define OTHER 0x23456789

static struct program guests[MAX_GUESTS];
static int guest_count, guest, rounds;
static bool has_avx;
static bool with_breakpoints;

/* Shared with the children. */
static volatile struct shared {
	int stop;
	uint64_t counts[8];
} *shared;

/* ---- System calls without the C library, which needs FS ---- */

static inline long raw(long number, long a, long b, long c)
{
	long result;

	asm volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c)
		     : "rcx", "r11", "memory");
	return result;
}

static inline unsigned short read_segment(char which)
{
	unsigned short value = 0;

	switch (which) {
	case 'd':
		asm volatile("mov %%ds, %0" : "=r"(value));
		break;
	case 'e':
		asm volatile("mov %%es, %0" : "=r"(value));
		break;
	case 'f':
		asm volatile("mov %%fs, %0" : "=r"(value));
		break;
	case 'g':
		asm volatile("mov %%gs, %0" : "=r"(value));
		break;
	}
	return value;
}

/* Runs the guest that is next in turn. */
static void run_next(void)
{
	static int turn;
	const struct program *program = &guests[turn++ % guest_count];

	raw(SYS_write, guest, (long)program->bytes, (long)program->size);
}

/* ---- Vector and floating-point registers ---- */

static struct vectors {
	unsigned char fx[512] __attribute__((aligned(64)));
	unsigned char wide[16][32];
} pattern, before_run, after_run;

/* A guest's run between two looks at all the registers. */
static bool vectors_survive(unsigned int seed)
{
	const struct program *program = &guests[seed % (unsigned int)guest_count];
	uint32_t mxcsr = 0x1f80 | (seed & 3) << 13;
	uint16_t control = (uint16_t)(0x37f ^ (seed & 1) << 9);
	long result;

	for (unsigned int i = 0; i < sizeof pattern.wide; i++)
		pattern.wide[i / 32][i % 32] = (unsigned char)(i * 7 + seed);

#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) \
	DO(12) DO(13) DO(14) DO(15)
#define LOAD_X(n) "movdqu 32*" #n "(%[pattern]), %%xmm" #n "\n"
#define LOAD_Y(n) "vmovdqu 32*" #n "(%[pattern]), %%ymm" #n "\n"
#define STORE_Y(n) "vmovdqu %%ymm" #n ", 32*" #n "(%[seen])\n"
	asm volatile("fninit; fldcw %[control]; ldmxcsr %[mxcsr]; fldpi; fldl2e; fld1\n"
		     EACH(LOAD_X)
		     "cmpb $0, %[avx]; je 1f\n"
		     EACH(LOAD_Y)
		     "1: fxsave64 (%[first])\n"
		     "syscall\n"
		     "fxsave64 (%[second])\n"
		     "cmpb $0, %[avx]; je 1f\n"
		     EACH(STORE_Y)
		     "vzeroupper\n"
		     "1: fninit; ldmxcsr %[plain]\n"
		     : "=a"(result)
		     : "a"(SYS_write), "D"((long)guest), "S"(program->bytes), "d"(program->size),
		       [pattern] "r"(pattern.wide), [seen] "r"(after_run.wide),
		       [first] "r"(before_run.fx), [second] "r"(after_run.fx),
		       [control] "m"(control), [mxcsr] "m"(mxcsr), [plain] "m"((uint32_t){ 0x1f80 }),
		       [avx] "m"(has_avx)
		     : "rcx", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
		       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
		       "xmm15");
	return !memcmp(before_run.fx, after_run.fx, 416) &&
	       (!has_avx || !memcmp(pattern.wide, after_run.wide, sizeof pattern.wide));
}

/* The same for a while in which others run. */
static bool vectors_last(uint64_t seed)
{
	uint32_t mxcsr = 0x1f80 | (seed & 3) << 13, mxcsr_after;
	uint16_t control = (uint16_t)(0x37f ^ (seed & 1) << 9), control_after;
	size_t width = has_avx ? 32 : 16;
	double top;

	for (unsigned int i = 0; i < sizeof pattern.wide; i++)
		pattern.wide[i / 32][i % 32] = (unsigned char)(i * 11 + seed);

#define STORE_X(n) "movdqu %%xmm" #n ", 32*" #n "(%[seen])\n"
	asm volatile("fninit; fldcw %[control]; ldmxcsr %[mxcsr]; fldpi; fldl2e; fld1\n"
		     EACH(LOAD_X)
		     "cmpb $0, %[avx]; je 1f\n"
		     EACH(LOAD_Y)
		     "1: movl $20000, %%ecx; 2: loop 2b\n"
		     EACH(STORE_X)
		     "cmpb $0, %[avx]; je 3f\n"
		     EACH(STORE_Y)
		     "vzeroupper\n"
		     "3: stmxcsr %[mxcsr_after]; fnstcw %[control_after]; fstpl %[top]\n"
		     "fninit; ldmxcsr %[plain]\n"
		     : [mxcsr_after] "=m"(mxcsr_after), [control_after] "=m"(control_after),
		       [top] "=m"(top)
		     : [pattern] "r"(pattern.wide), [seen] "r"(after_run.wide),
		       [control] "m"(control), [mxcsr] "m"(mxcsr), [plain] "m"((uint32_t){ 0x1f80 }),
		       [avx] "m"(has_avx)
		     : "rcx", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
		       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
		       "xmm15");
	for (int i = 0; i < 16; i++)
		if (memcmp(pattern.wide[i], after_run.wide[i], width))
			return false;
	return mxcsr == mxcsr_after && control == control_after && top == 1.0;
}

/* ---- Breakpoints ---- */

static __attribute__((noinline)) void watched_function(void)
{
	asm volatile("nop" ::: "memory");
}

static volatile long watched_word;

static int breakpoint(unsigned int type, const volatile void *address)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof attributes,
		.bp_type = type,
		.bp_addr = (uintptr_t)address,
		.bp_len = sizeof(long),
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);

	if (fd < 0)
		die("no hardware breakpoint");
	return fd;
}

static long hits(int fd)
{
	uint64_t count = 0;

	if (read(fd, &count, sizeof count) != sizeof count)
		die("cannot read a breakpoint's count");
	return (long)count;
}

/* ---- One state after the other ---- */

/* Compares two snapshots; what other tasks change meanwhile (CR2, and the number that Linux gives
 * an address space) is left out if there are others. */
static bool same(char *one, char *two, bool alone)
{
	bool equal = true;
	char *left = one, *right = two, *a, *b;

	while ((a = strsep(&left, "\n"), b = strsep(&right, "\n"), a || b)) {
		if (a && b && !strcmp(a, b))
			continue;
		if (!alone && a && b && !strncmp(a, "CR2 ", 4) && !strncmp(b, "CR2 ", 4))
			continue;
		if (!alone && a && b && !strncmp(a, "CR3 ", 4) && !strncmp(b, "CR3 ", 4) &&
		    strtoull(a + 4, NULL, 0) >> 12 == strtoull(b + 4, NULL, 0) >> 12)
			continue;
		printf("difference %s -> %s\n", a ? a : "-", b ? b : "-");
		equal = false;
	}
	return equal;
}

static char *snapshot_before;

static void begin_state(void)
{
	free(snapshot_before);
	free(snapshot());	/* memory is touched, so that this causes no page fault later */
	snapshot_before = snapshot();
}

/* Does once, unjudged, what is done around and in each state: what it touches for the first time
 * causes page faults, and they change CR2. */
static void warm_up(void)
{
	char *copy;

	begin_state();
	run_next();
	free(snapshot());
	copy = strdup(snapshot_before);
	check(same(snapshot_before, copy, true), "warm-up", "two copies differ");
	free(copy);
}

static void end_state(const char *name, bool good, bool alone)
{
	char *now = snapshot(), text[64];

	check(good, name, "it was spoilt");
	snprintf(text, sizeof text, "%s: snapshot", name);
	check(same(snapshot_before, now, alone), text, "the host has changed");
	free(now);
}

static void plain_state(bool alone)
{
	begin_state();
	for (int i = 0; i < rounds; i++)
		run_next();
	end_state(alone ? "nothing special" : "nothing special, not alone", true, alone);
}

static void vector_state(bool alone)
{
	bool good = true;

	begin_state();
	for (int i = 0; i < rounds; i++)
		good &= vectors_survive((unsigned int)i);
	end_state(alone ? "vector registers" : "vector registers, not alone", good, alone);
}

static void gs_base_state(bool alone)
{
	static uint64_t area[2] = { KNOWN, 0 };
	uint64_t value = 0, base = 0;
	bool good = true;

	syscall(SYS_arch_prctl, ARCH_SET_GS, area);
	begin_state();
	for (int i = 0; i < rounds; i++) {
		run_next();
		asm volatile("movq %%gs:0, %0" : "=r"(value));
		syscall(SYS_arch_prctl, ARCH_GET_GS, &base);
		good &= value == KNOWN && base == (uintptr_t)area;
	}
	end_state(alone ? "GS base" : "GS base, not alone", good, alone);
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0);
}

static uint32_t segment_area[2] = { KNOWN, 0 };

/* DS, ES, FS and GS hold selectors, FS and GS of a segment of the program's own. Where the program
 * may, it gives FS another base than the segment's. */
static void segments_state(unsigned short selector, const char *name, bool reload)
{
	static uint32_t other_area[2] = { OTHER, 0 };
	bool other = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE, good = true;
	uint32_t in_fs = other ? OTHER : KNOWN, value;
	uint64_t fs_base = 0;

	syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_base);
	begin_state();
	/* No C library from here: it needs FS. */
	for (int i = 0; i < rounds; i++) {
		asm volatile("mov %0, %%ds; mov %0, %%es" :: "r"(0x2b));
		asm volatile("mov %0, %%fs; mov %0, %%gs" :: "r"((int)selector));
		if (other)
			asm volatile("wrfsbase %0" :: "r"(other_area));
		run_next();
		good &= read_segment('d') == 0x2b && read_segment('e') == 0x2b;
		good &= read_segment('f') == selector && read_segment('g') == selector;
		asm volatile("movl %%fs:0, %0" : "=r"(value));
		good &= value == in_fs;
		asm volatile("movl %%gs:0, %0" : "=r"(value));
		good &= value == KNOWN;
		if (reload) {	/* faults if LDTR is lost */
			asm volatile("mov %0, %%gs" :: "r"((int)selector));
			asm volatile("movl %%gs:0, %0" : "=r"(value));
			good &= value == KNOWN;
		}
	}
	asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs; mov %0, %%gs" :: "r"(0));
	raw(SYS_arch_prctl, ARCH_SET_FS, (long)fs_base, 0);
	raw(SYS_arch_prctl, ARCH_SET_GS, 0, 0);
	end_state(name, good, true);
}

static void gdt_segment_state(void)
{
	static struct user_desc description;
	long result;

	description = (struct user_desc){
		.entry_number = (unsigned int)-1,
		.base_addr = (unsigned int)(uintptr_t)segment_area,
		.limit = 0xfffff,
		.seg_32bit = 1,
		.limit_in_pages = 1,
		.useable = 1,
	};
	asm volatile("int $0x80" : "=a"(result) : "a"(243), "b"(&description) : "memory");
	if (result)
		die("set_thread_area gave %ld", result);
	segments_state((unsigned short)(description.entry_number * 8 + 3), "segments in the GDT",
		       false);
}

static void ldt_segment_state(void)
{
	struct user_desc description = {
		.entry_number = 1,
		.base_addr = (unsigned int)(uintptr_t)segment_area,
		.limit = 0xfffff,
		.seg_32bit = 1,
		.limit_in_pages = 1,
		.useable = 1,
	};

	if (syscall(SYS_modify_ldt, 1, &description, sizeof description))
		die("no LDT");
	segments_state(1 * 8 + 7, "segments in an LDT", true);
}

static void port_state(bool alone)
{
	if (ioperm(0x80, 1, 1))
		die("no ioperm");
	begin_state();
	for (int i = 0; i < rounds; i++) {
		run_next();
		outb(0, 0x80);	/* SIGSEGV if TR's limit is lost */
	}
	end_state(alone ? "ioperm" : "ioperm, not alone", true, alone);
	ioperm(0x80, 1, 0);
}

static void breakpoint_state(bool alone)
{
	int code = breakpoint(HW_BREAKPOINT_X, (void *)watched_function);
	int data = breakpoint(HW_BREAKPOINT_W, &watched_word);
	long code_hits, data_hits;

	watched_function();
	watched_word++;
	begin_state();
	for (int i = 0; i < rounds; i++) {
		run_next();
		watched_function();
		watched_word++;
	}
	code_hits = hits(code);
	data_hits = hits(data);
	end_state(alone ? "breakpoints" : "breakpoints, not alone",
		  code_hits == rounds + 1 && data_hits == rounds + 1, alone);
	printf("breakpoint hits: %ld and %ld of %d\n", code_hits, data_hits, rounds + 1);
	close(code);
	close(data);
}

static void int_80_state(void)
{
	bool good = true;
	long pid;

	begin_state();
	for (int i = 0; i < rounds; i++) {
		run_next();
		asm volatile("int $0x80" : "=a"(pid) : "a"(20));
		good &= pid == getpid();
	}
	end_state("int 0x80", good, true);
}

/* ---- Companions: programs that run beside the guests ---- */

static void vector_companion(volatile uint64_t *count)
{
	static uint64_t base = KNOWN, seen;

	syscall(SYS_arch_prctl, ARCH_SET_GS, &base);
	for (; !shared->stop; (*count)++) {
		bool good = vectors_last(*count);

		asm volatile("movq %%gs:0, %0" : "=r"(seen));
		if (!good || seen != KNOWN)
			_exit(1);
	}
}

static void port_companion(volatile uint64_t *count)
{
	if (ioperm(0x80, 1, 1))
		_exit(1);
	for (; !shared->stop; (*count)++)
		outb(0, 0x80);
}

static void breakpoint_companion(volatile uint64_t *count)
{
	int fd = breakpoint(HW_BREAKPOINT_X, (void *)watched_function);

	for (; !shared->stop; (*count)++) {
		watched_function();
		asm volatile("movl $2000, %%ecx; 1: loop 1b" ::: "rcx");
	}
	if (hits(fd) != (long)*count)
		_exit(1);
}

static pid_t companion(int number, void (*work)(volatile uint64_t *count))
{
	pid_t child = fork();

	if (child)
		return child;
	work(&shared->counts[number]);
	_exit(0);
}

static void check_companion(pid_t child, const char *name, uint64_t count)
{
	int status;

	waitpid(child, &status, 0);
	check(status == 0 && count > 0, name, "status %#x after %llu rounds",
	      status, (unsigned long long)count);
}

static void with_companions(void)
{
	pid_t vector, port, stop = 0;

	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	vector = companion(0, vector_companion);
	port = companion(1, port_companion);
	if (with_breakpoints)
		stop = companion(2, breakpoint_companion);
	plain_state(false);
	vector_state(false);
	gs_base_state(false);
	port_state(false);
	if (with_breakpoints)
		breakpoint_state(false);
	shared->stop = 1;
	check_companion(vector, "a program with vector registers and a GS base", shared->counts[0]);
	check_companion(port, "a program with ioperm", shared->counts[1]);
	if (with_breakpoints)
		check_companion(stop, "a program with breakpoints", shared->counts[2]);
}

int command_witness(int argc, char **argv)
{
	unsigned int eax, ebx, ecx = 0, edx;

	if (argc < 3)
		die("%s COUNT FILE...", argv[0]);
	with_breakpoints = !strcmp(argv[0], "witness");
	rounds = atoi(argv[1]);
	for (int i = 2; i < argc && guest_count < MAX_GUESTS; i++)
		guests[guest_count++] = load_program(argv[i]);
	__get_cpuid(1, &eax, &ebx, &ecx, &edx);
	has_avx = (ecx & 3u << 27) == 3u << 27;	/* OSXSAVE, AVX */
	printf("vector registers: %s\n", has_avx ? "ymm" : "xmm");
	fflush(stdout);
	settle(0);
	set_parameter("limit_ms", "20");
	guest = open_guest();
	warm_up();
	plain_state(true);
	vector_state(true);
	gs_base_state(true);
	gdt_segment_state();
	ldt_segment_state();
	port_state(true);
	if (with_breakpoints)
		breakpoint_state(true);
	int_80_state();
	with_companions();
	set_parameter("limit_ms", "2000");
	return failed_checks != 0;
}
