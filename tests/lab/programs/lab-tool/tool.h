/* SPDX-License-Identifier: GPL-2.0-only */
/* lab-tool: what the tests of guests do inside the emulated machine, with exact system calls. */
#ifndef TOOL_H
#define TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SNAPSHOT_FILE "/sys/kernel/debug/snapshot/cpu0"
#define MAX_PROGRAM (64 * 1024)
#define REASONS 128
#define SECTOR 512

/* The step whose guests are run: step05_exits, or what the environment variable MODULE says. */
extern const char *module;
extern char guest_file[80], exits_file[80];	/* its files */
extern char run_file[80], status_file[80];	/* and those of one whose guests have a thread, */
extern char console_file[80];			/* or a console */
extern size_t max_program;			/* the largest program it takes: at most MAX_PROGRAM */

/* A guest program in memory. */
struct program {
	char name[64];
	unsigned char *bytes;
	size_t size;
};

/* What one write to the file `guest` gave. */
struct outcome {
	ssize_t result;		/* of write(2) */
	int error;		/* errno, 0 if result is not -1 */
	unsigned int ms;	/* how long it took */
};

/* The commands (tool.c calls them). argv[0] is the command's name. */
int command_run(int argc, char **argv);
int command_file(int argc, char **argv);
int command_random(int argc, char **argv);
int command_witness(int argc, char **argv);
int command_thread_file(int argc, char **argv);
int command_linux_files(int argc, char **argv);
int command_linux_kernel(int argc, char **argv);
int command_linux_initrd(int argc, char **argv);
int command_linux_run(int argc, char **argv);

/* Says why and ends the program with status 2. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Prints "ok NAME" or "not ok NAME: WORDS". Returns `good`. */
bool check(bool good, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The number of checks that failed so far. */
extern int failed_checks;

uint64_t milliseconds(void);

/* Reads a file, whole; ends in a zero byte. The caller frees it. */
char *read_text(const char *path);

/* Writes a word to a file. Returns 0 or errno. */
int write_word(const char *path, const char *word);

/* Where Linux shows a parameter of the module. Valid until the next call. */
const char *parameter_file(const char *name);

void set_parameter(const char *name, const char *value);

/* The number of tasks with the name of a guest's thread. */
int threads(void);

/* Writes a line to the kernel log. */
void kernel_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct program load_program(const char *path);

/* True if the module takes boot images. */
bool boots(void);

/* True if the module runs a guest in a thread: a write to `guest` only starts it. */
bool in_thread(void);

/* How long guests may run, in milliseconds: by the parameter limit_ms, or stopped by the caller. */
void set_limit(const char *milliseconds);

/* Makes the first sector of a program whole, with 55h AAh at its end. There must be room for it. */
void make_bootable(struct program *program);

/* Opens the file `guest`. */
int open_guest(void);

/* One write of a program to an open `guest`. If the guest runs in a thread, waits until it ends, and
 * gives the outcome that the write would have otherwise. (But 0 is every status: the log says it.) */
struct outcome run_program(int fd, const void *bytes, size_t size);

/* Opens, runs, closes. */
struct outcome run_once(const struct program *program);

/* Adds the totals of the file `exits` to counts[]; returns the number of exits in all. */
uint64_t add_totals(const char *exits, uint64_t counts[REASONS]);

/* The number of free pages of the machine, after caches were dropped. */
long free_pages(void);

/* What the module "snapshot" shows of CPU 0, on which the caller runs. The caller frees it. */
char *snapshot(void);

/* Checks that the snapshot of CPU 0 is still the same, and prints the lines that differ. */
void check_host(const char *name, const char *before);

/* Ties the caller to one CPU, and has all its memory present. Waits until the programs that started
 * it have settled, too: busybox's `timeout` wakes once a second, and its first time is a page
 * fault, which changes CR2. */
void settle(int cpu);

#endif
