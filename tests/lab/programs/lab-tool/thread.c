// SPDX-License-Identifier: GPL-2.0-only
/*
 * lab-tool thread-file
 *
 * Checks the contract of the files `guest`, `run` and `status` of a step whose guests have a
 * thread, one line "ok NAME" or "not ok NAME: WHY" for each clause. Unloads the module in the end,
 * while a guest runs.
 */
#define _GNU_SOURCE
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned char image[2880 * SECTOR + 1];

/* A boot image with this code. */
static void make(const char *code, size_t size)
{
	struct program program = { .bytes = image, .size = size };

	memset(image, 0, SECTOR);
	memcpy(image, code, size);
	make_bootable(&program);
}

#define HALT "\xfa\xf4"				/* CLI; HLT */
#define SLEEP "\xfb\xf4\xeb\xfd"		/* STI; HLT; JMP to HLT */
#define ENDLESS "\xeb\xfe"
#define EXIT "\x31\xff\x66\x31\xc0\x0f\x01\xc1"	/* XOR DI, DI; XOR EAX, EAX; VMCALL */
#define TRIPLE "\x0f\x01\x1e\x00\x06\xcc"	/* LIDT of zeroes; INT3 */
#define UNHANDLED "\x0f\x0b"			/* UD2 in real mode */
#define FLOOD "\xb0\x78\xba\xf8\x03\xee\xb0\x0a\xee\xeb\xf5"	/* "x" and a newline to 3F8h */
#define MAKE(code) make(code, sizeof code - 1)

/* Writes `size` bytes of the image once: 0 or errno. */
static int write_image(size_t size)
{
	int fd = open_guest(), error = write(fd, image, size) < 0 ? errno : 0;

	close(fd);
	return error;
}

/* True if the line of `status` has these words now. */
static bool status_has(const char *words)
{
	char *text = read_text(status_file);
	bool found = strstr(text, words) != NULL;

	free(text);
	return found;
}

/* Waits a second at most until `status` has the words. */
static bool comes_to(const char *words)
{
	for (int tries = 0; tries < 200; tries++) {
		if (status_has(words))
			return true;
		usleep(5000);
	}
	return false;
}

static void expect_errno(const char *name, int got, int wanted)
{
	check(got == wanted, name, "errno %d, not %d", got, wanted);
}

/* Runs the image to its end, which must have this word. */
static void ends(const char *name, const char *word)
{
	char words[40];
	char *text;
	int error = write_image(SECTOR);

	snprintf(words, sizeof words, "state=ended end=%s ", word);
	comes_to("state=ended");
	text = read_text(status_file);
	check(!error && strstr(text, words), name, "errno %d, %s", error, text);
	free(text);
}

static unsigned int mode_of(const char *path)
{
	struct stat about;

	return stat(path, &about) ? 0 : about.st_mode & 07777;
}

static void check_images(void)
{
	unsigned char *whole = image;

	check(mode_of(guest_file) == 0200, "mode_of_guest", "%o", mode_of(guest_file));
	check(mode_of(run_file) == 0200, "mode_of_run", "%o", mode_of(run_file));
	check(mode_of(status_file) == 0400, "mode_of_status", "%o", mode_of(status_file));
	MAKE(HALT);
	expect_errno("empty", write_image(0), EINVAL);
	expect_errno("too_large", write_image(sizeof image), EFBIG);
	expect_errno("too_small", write_image(SECTOR - 1), ENOEXEC);
	whole[SECTOR - 1] = 0;
	expect_errno("no_signature", write_image(SECTOR), ENOEXEC);
	check(status_has("state=ended end=status "), "nothing_has_run", "the status has changed");
	whole[SECTOR - 1] = 0xaa;
	expect_errno("largest", write_image(sizeof image - 1), 0);
	check(comes_to("state=ended end=halt "), "largest_ends", "it does not");
}

static void check_endings(void)
{
	MAKE(HALT);
	ends("ends_halt", "halt");
	MAKE(EXIT);
	ends("ends_status", "status");
	MAKE(TRIPLE);
	ends("ends_triple_fault", "triple-fault");
	MAKE(UNHANDLED);
	ends("ends_failure", "failure");
	check(threads() == 0, "thread_is_gone", "there are %d", threads());
}

/* `run`, and what goes while a guest runs. */
static void check_run(const char *name, bool sleeps)
{
	unsigned long long first = 0, second = 0;
	uint64_t begin;
	char *text;
	int fd;

	printf("# %s\n", name);
	expect_errno("starts", write_image(SECTOR), 0);
	check(comes_to("state=running end=none "), "runs", "it does not");
	check(threads() == 1, "thread_is_called_vtx-guest", "there are %d", threads());
	expect_errno("busy", write_image(SECTOR), EBUSY);
	expect_errno("run_1", write_word(run_file, "1\n"), EINVAL);
	expect_errno("run_word", write_word(run_file, "now\n"), EINVAL);
	expect_errno("run_negative", write_word(run_file, "-1\n"), EINVAL);
	text = read_text(status_file);
	sscanf(text, "state=running end=none ms=%llu", &first);
	free(text);
	usleep(100000);
	text = read_text(status_file);
	sscanf(text, "state=running end=none ms=%llu", &second);
	check(second >= first + 90 && second < first + 1000, "ms_counts", "%llu, then %llu", first,
	      second);
	free(text);
	free(read_text(exits_file));
	begin = milliseconds();
	expect_errno("stop", write_word(run_file, "0\n"), 0);
	check(milliseconds() - begin < 500, "stop_is_quick", "%u ms",
	      (unsigned int)(milliseconds() - begin));
	check(status_has("state=ended end=stopped "), "stop_waits", "the guest has not ended");
	check(threads() == 0, "thread_goes_before_stop_returns", "there are %d", threads());
	expect_errno("stop_again", write_word(run_file, "0\n"), 0);
	check(status_has("state=ended end=stopped "), "stop_again_changes_nothing", "it did");
	expect_errno("starts_again", write_image(SECTOR), 0);
	check(comes_to("state=running"), "runs_again", "it does not");
	if (sleeps) /* whoever sleeps looks only now and then */
		usleep(150000);
	fd = open(status_file, O_RDONLY);
	expect_errno("unload_with_an_open_file",
		     syscall(SYS_delete_module, module, O_NONBLOCK) ? errno : 0, EAGAIN);
	close(fd);
	check(status_has("state=running"), "unload_leaves_it_alone", "it has ended");
	expect_errno("stop_at_last", write_word(run_file, "0\n"), 0);
}

/* Two that stop, one that starts, and one that reads, at once. */
static void check_storm(void)
{
	int status = 0, all = 0;
	pid_t children[4];

	for (int i = 0; i < 4; i++) {
		children[i] = fork();
		if (children[i])
			continue;
		for (int n = 0; n < 30; n++) {
			int error = 0;

			if (i == 0)
				error = write_image(SECTOR);
			else if (i == 1)
				free(read_text(n & 1 ? status_file : exits_file));
			else
				error = write_word(run_file, "0");
			if (error && error != EBUSY)
				_exit(1);
			usleep((useconds_t)(500 * (i + 1)));
		}
		_exit(0);
	}
	for (int i = 0; i < 4; i++) {
		waitpid(children[i], &status, 0);
		all |= status;
	}
	check(!all, "storm", "status %d", all);
	expect_errno("stop_after_the_storm", write_word(run_file, "0"), 0);
	check(threads() == 0, "no_thread_after_the_storm", "there are %d", threads());
}

int command_thread_file(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	check_images();
	check_endings();
	MAKE(ENDLESS);
	check_run("endless", false);
	MAKE(SLEEP);
	check_run("sleeping", true);
	MAKE(FLOOD);
	write_word("/proc/sys/kernel/printk", "1");
	check_run("flooding", false);
	MAKE(ENDLESS);
	check_storm();
	write_word("/proc/sys/kernel/printk", "8");
	MAKE(SLEEP);
	expect_errno("starts_at_last", write_image(SECTOR), 0);
	check(comes_to("state=running"), "runs_at_last", "it does not");
	expect_errno("unload_under_a_guest",
		     syscall(SYS_delete_module, module, O_NONBLOCK) ? errno : 0, 0);
	check(threads() == 0, "no_thread_after_unload", "there are %d", threads());
	check(access(status_file, F_OK) < 0, "no_files_after_unload", "there are some");
	return failed_checks != 0;
}
