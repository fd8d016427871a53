// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a system does all day, and how many ticks of the time-stamp counter it takes. Prints one
 * line, "@@ NAME" and for each piece of work WHAT=TICKS/COUNT: late-work NAME.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t must_fork(void)
{
	pid_t child = fork();

	if (child < 0)
		err(1, "fork");
	return child;
}

static void wait_for(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child || status)
		errx(1, "a child failed");
}

/* A program that asks the kernel for many files. None of them changes when a module is loaded. */
static void list(int count)
{
	pid_t child;

	for (int i = 0; i < count; i++) {
		child = must_fork();
		if (!child) {
			int nowhere = open("/dev/null", O_WRONLY);

			if (nowhere >= 0 && dup2(nowhere, 1) == 1)
				execlp("ls", "ls", "-lR", "/bin", "/sys/devices/system", NULL);
			_exit(1);
		}
		wait_for(child);
	}
}

/* Two processes that wake each other: a byte there, and a byte back. */
static void ping_pong(int count)
{
	int there[2], back[2];
	char byte = 0;
	pid_t child;

	if (pipe(there) || pipe(back))
		err(1, "pipe");
	child = must_fork();
	if (!child) {
		while (count-- && read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
			;
		_exit(0);
	}
	for (int i = 0; i < count; i++)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			err(1, "ping-pong");
	wait_for(child);
	for (int i = 0; i < 2; i++) {
		close(there[i]);
		close(back[i]);
	}
}

static void fork_and_exit(int count)
{
	for (int i = 0; i < count; i++) {
		pid_t child = must_fork();

		if (!child)
			_exit(0);
		wait_for(child);
	}
}

/* Each page of a new mapping is touched once: so many page faults, and no large pages. */
static void fault(int count)
{
	size_t size = (size_t)count * 4096;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		err(1, "mmap");
	(void)madvise(memory, size, MADV_NOHUGEPAGE); /* a kernel may have none */
	for (size_t at = 0; at < size; at += 4096)
		*(volatile char *)(memory + at) = 1;
	munmap(memory, size);
}

static void measure(const char *what, void (*work)(int), int count)
{
	unsigned long long start = __builtin_ia32_rdtsc();

	work(count);
	printf(" %s=%llu/%d", what, __builtin_ia32_rdtsc() - start, count);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: late-work NAME");
	setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
	printf("@@ %s", argv[1]);
	fflush(stdout);
	measure("ls", list, 1);
	measure("pipe", ping_pong, 500);
	measure("fork", fork_and_exit, 50);
	measure("fault", fault, 1024);
	printf("\n");
	return 0;
}
