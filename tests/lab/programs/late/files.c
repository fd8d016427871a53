// SPDX-License-Identifier: GPL-2.0-only
/* late: what the kernel's files show while the step is loaded, and after it. */
#define _GNU_SOURCE
#include "late.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* IA32_VMX_BASIC, IA32_FEATURE_CONTROL, numbers beyond the MSR bitmap, and IA32_EFER. */
int msrs(void)
{
	static const unsigned int numbers[] = { 0x480, 0x48d, 0x3a, 0x40000000, 0x12345678,
						0xc0000080 };
	int fd = open("/dev/cpu/0/msr", O_RDWR);
	unsigned long value;

	if (fd < 0)
		return fail("no /dev/cpu/0/msr: %s", strerror(errno));
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		if (pread(fd, &value, 8, numbers[i]) == 8)
			printf("read %#x %#lx\n", numbers[i], value);
		else
			printf("read %#x errno %d\n", numbers[i], errno);
	}
	value = 5;
	printf("write 0x3a %s\n", pwrite(fd, &value, 8, 0x3a) == 8 ? "done" : strerror(errno));
	return 0;
}

/* ---- Snapshots: tests/lab/modules/snapshot ---- */

#define SIZE 8192

static char before[8][SIZE], after[8][SIZE];	/* [CPU] */

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof set, &set);
}

/* Each CPU as this task sees it there. */
static void take(char (*texts)[SIZE], int cpus)
{
	for (int cpu = 0; cpu < cpus; cpu++) {
		char path[64];
		size_t got = 0;
		ssize_t more;
		int fd;

		snprintf(path, sizeof path, "/sys/kernel/debug/snapshot/cpu%d", cpu);
		stay_on(cpu);
		fd = open(path, O_RDONLY);
		while ((more = read(fd, texts[cpu] + got, SIZE - 1 - got)) > 0)
			got += (size_t)more;
		texts[cpu][got] = 0;
		close(fd);
	}
	stay_on(0);
}

/*
 * Equal to the byte, with two exceptions. CR2 is the address of the last page fault, of whichever
 * task. And in CR3 the lower 12 bits, PCID and all, are a number that Linux gives an address space
 * for a while: loading a module switches tasks, and then the number can be another one.
 */
static int compare(char *one, char *two, int cpu)
{
	char *a, *b;
	int lines = 0, differences = 0;

	while (a = strsep(&one, "\n"), b = strsep(&two, "\n"), a && b) {
		lines++;
		if (!strcmp(a, b) || (!strncmp(a, "CR2 ", 4) && !strncmp(b, "CR2 ", 4)))
			continue;
		if (!strncmp(a, "CR3 ", 4) && !strncmp(b, "CR3 ", 4) &&
		    strtoull(a + 4, NULL, 0) >> 12 == strtoull(b + 4, NULL, 0) >> 12)
			continue;
		printf("difference on cpu %d: %s -> %s\n", cpu, a, b);
		differences++;
	}
	if (a || b || lines < 40)
		return fail("cpu %d: %d lines, and one has more", cpu, lines);
	return differences;
}

int cycles(int count, int cpus, const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), differences = 0;

	if (fd < 0)
		return fail("no %s", file);
	mlockall(MCL_CURRENT);
	for (int i = 0; i < 2; i++)	/* the first time touches what the second one finds */
		take(before, cpus);
	for (int i = 0; i < count; i++) {
		if (syscall(SYS_finit_module, fd, "", 0))
			return fail("load %d: %s", i, strerror(errno));
		if (syscall(SYS_delete_module, "step11_late_launch", O_NONBLOCK))
			return fail("unload %d: %s", i, strerror(errno));
	}
	take(after, cpus);
	for (int cpu = 0; cpu < cpus; cpu++)
		differences += compare(before[cpu], after[cpu], cpu);
	printf("%d cycles, %d differences\n", count, differences);
	return differences != 0;
}
