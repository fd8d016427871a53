// SPDX-License-Identifier: GPL-2.0-only
/* lab-tool COMMAND …: see the commands' files. This one has what they share.
 * long-file: the table of commands, and helpers that most of them use. */
#define _GNU_SOURCE
#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int failed_checks;
const char *module = "step05_exits";
char guest_file[80], exits_file[80], run_file[80], status_file[80], console_file[80];
size_t max_program = MAX_PROGRAM;

void die(const char *format, ...)
{
	va_list words;

	va_start(words, format);
	fputs("lab-tool: ", stdout);
	vprintf(format, words);
	printf(" (errno %d)\n", errno);
	va_end(words);
	exit(2);
}

bool check(bool good, const char *name, const char *format, ...)
{
	va_list words;

	va_start(words, format);
	if (good) {
		printf("ok %s\n", name);
	} else {
		printf("not ok %s: ", name);
		vprintf(format, words);
		putchar('\n');
		failed_checks++;
	}
	va_end(words);
	fflush(stdout);
	return good;
}

uint64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

char *read_text(const char *path)
{
	size_t size = 0, room = 1 << 16;
	char *text = malloc(room);
	int fd = open(path, O_RDONLY);
	ssize_t got;

	if (fd < 0)
		die("cannot open %s", path);
	while ((got = read(fd, text + size, room - size - 1)) > 0) {
		size += (size_t)got;
		if (room - size < 4096)
			text = realloc(text, room *= 2);
	}
	if (got < 0)
		die("cannot read %s", path);
	close(fd);
	text[size] = '\0';
	return text;
}

int write_word(const char *path, const char *word)
{
	int fd = open(path, O_WRONLY), error = 0;

	if (fd < 0)
		return errno;
	if (write(fd, word, strlen(word)) < 0)
		error = errno;
	close(fd);
	return error;
}

const char *parameter_file(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "/sys/module/%s/parameters/%s", module, name);
	return path;
}

void set_parameter(const char *name, const char *value)
{
	if (write_word(parameter_file(name), value))
		die("cannot set %s to %s", name, value);
}

int threads(void)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	int found = 0;

	while ((entry = readdir(folder)) != NULL) {
		char path[300], line[32] = "";
		FILE *file;

		snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(line, sizeof line, file) && !strcmp(line, "vtx-guest\n"))
			found++;
		fclose(file);
	}
	closedir(folder);
	return found;
}

void kernel_log(const char *format, ...)
{
	char line[256];
	va_list words;

	va_start(words, format);
	vsnprintf(line, sizeof line, format, words);
	va_end(words);
	if (write_word("/dev/kmsg", line))
		die("cannot write to the kernel log");
}

struct program load_program(const char *path)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	int fd = open(path, O_RDONLY);
	struct program program;
	struct stat about;
	ssize_t got;

	if (fd < 0 || fstat(fd, &about))
		die("cannot open %s", path);
	program.bytes = malloc((size_t)about.st_size);
	got = read(fd, program.bytes, (size_t)about.st_size);
	if (got < 0)
		die("cannot read %s", path);
	close(fd);
	program.size = (size_t)got;
	snprintf(program.name, sizeof program.name, "%s", name);
	if (strrchr(program.name, '.'))
		*strrchr(program.name, '.') = '\0';
	return program;
}

bool boots(void)
{
	return !strcmp(module, "step08_real_mode") || in_thread();
}

bool in_thread(void)
{
	return !strcmp(module, "step09_interrupts");
}

static unsigned int thread_limit = 2000;

void set_limit(const char *milliseconds)
{
	if (in_thread())
		thread_limit = (unsigned int)strtoul(milliseconds, NULL, 0);
	else
		set_parameter("limit_ms", milliseconds);
}

void make_bootable(struct program *program)
{
	if (program->size < SECTOR) {
		memset(program->bytes + program->size, 0xf4, SECTOR - program->size);	/* HLT */
		program->size = SECTOR;
	}
	program->bytes[SECTOR - 2] = 0x55;
	program->bytes[SECTOR - 1] = 0xaa;
}

int open_guest(void)
{
	int fd = open(guest_file, O_WRONLY);

	if (fd < 0)
		die("cannot open %s", guest_file);
	return fd;
}

/* Waits for the end of the guest that was started at `begin`: 0 or the errno that fits. Looks less
 * and less often, for where there is one CPU the guest leaves it to us each time. */
static int wait_for_end(uint64_t begin)
{
	useconds_t pause = 500;
	bool ended = false;
	char *text = NULL;
	int error;

	while (!ended) {
		usleep(pause < thread_limit * 1000 ? pause : thread_limit * 1000);
		pause += pause < 16000 ? pause : 0;
		if (milliseconds() - begin >= thread_limit && write_word(run_file, "0"))
			die("cannot stop the guest");
		free(text);
		text = read_text(status_file);
		ended = strstr(text, "state=ended") != NULL;
	}
	error = strstr(text, "end=status ") || strstr(text, "end=halt ") ? 0 :
		strstr(text, "end=stopped ") ? ETIME : strstr(text, "end=signal ") ? EINTR : EIO;
	free(text);
	return error;
}

struct outcome run_program(int fd, const void *bytes, size_t size)
{
	struct outcome outcome;
	uint64_t begin = milliseconds();

	outcome.result = write(fd, bytes, size);
	outcome.error = outcome.result < 0 ? errno : 0;
	if (in_thread() && outcome.result > 0) {
		outcome.error = wait_for_end(begin);
		outcome.result = outcome.error ? -1 : outcome.result;
	}
	outcome.ms = (unsigned int)(milliseconds() - begin);
	return outcome;
}

struct outcome run_once(const struct program *program)
{
	int fd = open_guest();
	struct outcome outcome = run_program(fd, program->bytes, program->size);

	close(fd);
	return outcome;
}

uint64_t add_totals(const char *exits, uint64_t counts[REASONS])
{
	uint64_t sum = 0;

	for (const char *line = exits; line; line = strchr(line, '\n')) {
		unsigned int reason;
		const char *count = line += *line == '\n';

		if (sscanf(line, "total %u", &reason) != 1 || reason >= REASONS)
			continue;
		while (*count && *count != '\n')
			count++;
		while (count > line && count[-1] != ' ')
			count--;
		counts[reason] += strtoull(count, NULL, 10);
		sum += strtoull(count, NULL, 10);
	}
	return sum;
}

long free_pages(void)
{
	long pages = 0;
	char *text;

	sync();
	write_word("/proc/sys/vm/drop_caches", "3");
	usleep(100000);
	/* Of each zone, and what each CPU has put aside of it. */
	text = read_text("/proc/zoneinfo");
	for (const char *line = text; line; line = strchr(line, '\n')) {
		long count;

		line += *line == '\n';
		if (sscanf(line, " pages free %ld", &count) == 1 ||
		    sscanf(line, " count: %ld", &count) == 1)
			pages += count;
	}
	free(text);
	return pages;
}

char *snapshot(void)
{
	return read_text(SNAPSHOT_FILE);
}

void check_host(const char *name, const char *before)
{
	char *now = snapshot(), *one = strdup(before), *two = strdup(now), *a, *b;

	if (!check(!strcmp(before, now), name, "the host has changed"))
		while (a = strsep(&one, "\n"), b = strsep(&two, "\n"), a && b)
			if (strcmp(a, b))
				printf("difference %s -> %s\n", a, b);
	free(now);
}

void settle(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set))
		die("cannot stay on CPU %d", cpu);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		die("cannot lock memory");
	milliseconds(); /* its page, Linux's own, is the one that mlockall() leaves out */
	sleep(3);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*call)(int argc, char **argv);
	} commands[] = {
		{ "run", command_run },
		{ "file", command_file },
		{ "random", command_random },
		{ "thread-file", command_thread_file },
		{ "linux-files", command_linux_files },
		{ "linux-kernel", command_linux_kernel },
		{ "linux-initrd", command_linux_initrd },
		{ "linux-run", command_linux_run },
		{ "witness", command_witness },
		{ "witness-without-breakpoints", command_witness },
	};

	mallopt(M_MMAP_THRESHOLD, 1 << 18);	/* what is larger goes back to Linux when it is freed */
	if (getenv("MODULE"))
		module = getenv("MODULE");
	snprintf(guest_file, sizeof guest_file, "/sys/kernel/debug/%s/guest", module);
	snprintf(exits_file, sizeof exits_file, "/sys/kernel/debug/%s/exits", module);
	snprintf(run_file, sizeof run_file, "/sys/kernel/debug/%s/run", module);
	snprintf(status_file, sizeof status_file, "/sys/kernel/debug/%s/status", module);
	snprintf(console_file, sizeof console_file, "/sys/kernel/debug/%s/console", module);
	if (!strcmp(module, "step05_exits"))
		max_program = 32 * 1024;
	if (boots())
		max_program = 2880 * SECTOR;
	for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].call(argc - 1, argv + 1);
	die("which command?");
}
