// SPDX-License-Identifier: GPL-2.0-only
/*
 * lab-tool file
 *
 * Checks the contract of the files `guest` and `exits`, one line "ok NAME" or "not ok NAME: WHY"
 * for each clause.
 *
 * long-file: one short function for each group of clauses.
 */
#define _GNU_SOURCE
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* Programs that are the same in 16-bit and in 64-bit code. As boot images they are longer. */
static struct program hlt = { .bytes = (unsigned char[SECTOR]){ 0xf4 }, .size = 1 };
static struct program endless = { .bytes = (unsigned char[SECTOR]){ 0xeb, 0xfe }, .size = 2 };
static struct program cpuid_hlt = {
	.bytes = (unsigned char[SECTOR]){ 0x0f, 0xa2, 0x0f, 0xa2, 0x0f, 0xa2, 0xf4 }, .size = 7,
};
static struct program exit_1 = {	/* MOV EDI, 1; XOR EAX, EAX; VMCALL */
	.bytes = (unsigned char[SECTOR]){ 0xbf, 1, 0, 0, 0, 0x31, 0xc0, 0x0f, 0x01, 0xc1 },
	.size = 10,
};

static int guest;

/* Checks one write's result and errno. */
static void expect(const char *name, struct outcome outcome, ssize_t result, int error)
{
	check(outcome.result == result && outcome.error == error, name,
	      "write returned %zd with errno %d after %u ms; expected %zd with %d", outcome.result,
	      outcome.error, outcome.ms, result, error);
}

/* A child that writes a program to `guest` and exits with errno (0 if the write succeeded). */
static pid_t writer(const void *bytes, size_t size)
{
	pid_t child = fork();

	if (child == 0) {
		struct outcome outcome = run_program(open_guest(), bytes, size);

		_exit(outcome.error);
	}
	return child;
}

/* How a child ended: its exit status, or -signal; -1000 if it had not ended after `ms`. */
static int ended(pid_t child, unsigned int ms)
{
	uint64_t begin = milliseconds();
	int status;

	for (;;) {
		pid_t got = waitpid(child, &status, WNOHANG);

		if (got == child)
			return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
		if (milliseconds() - begin > ms)
			return -1000;
		usleep(2000);
	}
}

static void on_alarm(int number)
{
	(void)number;
}

/* SIGALRM, which interrupts system calls, after some milliseconds. */
static void alarm_after(unsigned int ms)
{
	struct itimerval timer = { .it_value = { ms / 1000, ms % 1000 * 1000 } };
	struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void check_sizes(void)
{
	unsigned char *big = calloc(1, max_program + 4096);
	struct outcome outcome;

	memcpy(big, hlt.bytes, hlt.size);
	expect("full_length", run_program(guest, hlt.bytes, hlt.size), (ssize_t)hlt.size, 0);
	expect("full_length_again", run_program(guest, cpuid_hlt.bytes, cpuid_hlt.size),
	       (ssize_t)cpuid_hlt.size, 0);
	expect("largest", run_program(guest, big, max_program), (ssize_t)max_program, 0);
	expect("too_large", run_program(guest, big, max_program + 1), -1, EFBIG);
	expect("far_too_large", run_program(guest, big, max_program + 4096), -1, EFBIG);
	expect("empty", run_program(guest, big, 0), -1, EINVAL);
	expect("status_not_0", run_program(guest, exit_1.bytes, exit_1.size), -1, EIO);
	expect("bad_pointer", run_program(guest, (void *)16, 100), -1, EFAULT);
	outcome.result = pwrite(guest, hlt.bytes, hlt.size, 1);
	outcome.error = errno;
	expect("offset", outcome, -1, EINVAL);
	lseek(guest, 4096, SEEK_SET);
	expect("offset_by_seek", run_program(guest, hlt.bytes, hlt.size), -1, EINVAL);
	lseek(guest, 0, SEEK_SET);
	expect("offset_0_again", run_program(guest, hlt.bytes, hlt.size), (ssize_t)hlt.size, 0);
	free(big);
}

static void check_modes(void)
{
	struct stat about;
	pid_t child;
	int status;

	stat(guest_file, &about);
	check((about.st_mode & 07777) == 0200, "mode_of_guest", "%o", about.st_mode & 07777);
	stat(exits_file, &about);
	check((about.st_mode & 07777) == 0400, "mode_of_exits", "%o", about.st_mode & 07777);
	child = fork();
	if (child == 0) {
		if (setuid(65534))
			_exit(0);
		_exit(open(guest_file, O_WRONLY) < 0 ? errno : 0);
	}
	status = ended(child, 2000);
	check(status == EACCES, "not_for_others", "errno %d", status);
}

static void check_time_limit(void)
{
	struct outcome outcome;
	char *text;
	int error;

	set_parameter("limit_ms", "100");
	outcome = run_program(guest, endless.bytes, endless.size);
	expect("time_limit", outcome, -1, ETIME);
	check(outcome.ms >= 100 && outcome.ms <= 200, "time_limit_is_kept",
	      "limit_ms=100 ended after %u ms", outcome.ms);
	set_parameter("limit_ms", "1");
	outcome = run_program(guest, endless.bytes, endless.size);
	expect("time_limit_1", outcome, -1, ETIME);
	/* An interrupt may come before its first instruction, and its millisecond be over then. */
	for (int tries = 0; tries < 10; tries++) {
		outcome = run_program(guest, hlt.bytes, hlt.size);
		if (outcome.result >= 0)
			break;
	}
	expect("time_limit_1_hlt", outcome, (ssize_t)hlt.size, 0);
	error = write_word(parameter_file("limit_ms"), "0\n");
	check(error == EINVAL, "time_limit_0", "errno %d", error);
	error = write_word(parameter_file("limit_ms"), "-1\n");
	check(error == EINVAL, "time_limit_negative", "errno %d", error);
	error = write_word(parameter_file("limit_ms"), "4294967296\n");
	check(error == EINVAL, "time_limit_too_large", "errno %d", error);
	error = write_word(parameter_file("limit_ms"), "soon\n");
	check(error == EINVAL, "time_limit_word", "errno %d", error);
	text = read_text(parameter_file("limit_ms"));
	check(!strcmp(text, "1\n"), "time_limit_is_kept_after_refusal", "%s", text);
	free(text);
}

static void check_signals(void)
{
	struct outcome outcome;
	unsigned int ms;
	uint64_t begin;
	pid_t child;
	int status;

	set_parameter("limit_ms", "10000");
	alarm_after(60);
	outcome = run_program(guest, endless.bytes, endless.size);
	expect("signal", outcome, -1, EINTR);
	check(outcome.ms < 500, "signal_ends_at_once", "after %u ms", outcome.ms);

	begin = milliseconds();
	child = writer(endless.bytes, endless.size);
	usleep(60000);	/* the guest gives way, where there is one CPU */
	kill(child, SIGKILL);
	status = ended(child, 1000);
	ms = (unsigned int)(milliseconds() - begin);
	check(status == -SIGKILL && ms < 1000, "kill_of_the_writer", "status %d after %u ms",
	      status, ms);
	expect("after_kill", run_program(guest, hlt.bytes, hlt.size), (ssize_t)hlt.size, 0);
}

static void check_second_writer(void)
{
	uint64_t begin = milliseconds();
	pid_t first, second;
	int status;

	set_parameter("limit_ms", "500");
	first = writer(endless.bytes, endless.size);
	usleep(60000);
	expect("second_writer", run_program(guest, hlt.bytes, hlt.size), (ssize_t)hlt.size, 0);
	check(milliseconds() - begin >= 450, "second_writer_waits", "only %u ms",
	      (unsigned int)(milliseconds() - begin));
	status = ended(first, 1000);
	check(status == ETIME, "first_writer", "errno %d", status);

	set_parameter("limit_ms", "5000");
	first = writer(endless.bytes, endless.size);
	usleep(60000);
	second = writer(hlt.bytes, hlt.size);
	usleep(60000);
	check(ended(second, 100) == -1000, "second_writer_waits_on", "it did not wait");
	kill(second, SIGKILL);
	status = ended(second, 1000);
	check(status == -SIGKILL, "second_writer_is_killed", "status %d", status);
	check(ended(first, 20) == -1000, "first_writer_goes_on", "it ended");
	kill(first, SIGTERM);
	status = ended(first, 1000);
	check(status == -SIGTERM, "first_writer_is_ended", "status %d", status);
}

/* While a guest runs: the module stays, and `exits` shows the run that ended last. */
static void check_during_a_run(void)
{
	char *before, *during, *after;
	pid_t first;
	int status;

	run_program(guest, cpuid_hlt.bytes, cpuid_hlt.size);
	before = read_text(exits_file);
	set_parameter("limit_ms", "10000");
	first = writer(endless.bytes, endless.size);
	usleep(60000);
	during = read_text(exits_file);
	check(!strcmp(before, during), "exits_during_a_run", "they differ");
	status = syscall(SYS_delete_module, module, O_NONBLOCK) ? errno : 0;
	check(status == EBUSY || status == EAGAIN, "unload_during_a_run", "errno %d", status);
	check(ended(first, 20) == -1000, "unload_leaves_the_run_alone", "it ended");
	kill(first, SIGKILL);
	ended(first, 1000);
	after = read_text(exits_file);
	check(strcmp(before, after), "exits_after_the_run", "they are still those of the run before");
	free(before);
	free(during);
	free(after);
}

/* The text is the same in whatever pieces it is read. */
static void check_reading(void)
{
	char piece[7], *whole, *pieces;
	size_t size = 0;
	ssize_t got;
	int fd;

	run_program(guest, cpuid_hlt.bytes, cpuid_hlt.size);
	whole = read_text(exits_file);
	pieces = calloc(1, strlen(whole) + sizeof piece);
	fd = open(exits_file, O_RDONLY);
	while ((got = read(fd, piece, sizeof piece)) > 0 && size <= strlen(whole)) {
		memcpy(pieces + size, piece, (size_t)got);
		size += (size_t)got;
	}
	check(!strcmp(whole, pieces), "exits_in_pieces", "they differ");
	close(fd);
	fd = open(exits_file, O_WRONLY);
	check(fd < 0 || write(fd, "x", 1) < 0, "exits_is_read_only", "it can be written");
	check(read(guest, piece, 1) < 0, "guest_is_write_only", "it can be read");
	free(whole);
	free(pieces);
}

/* Two writers and a reader at once. */
static void check_storm(void)
{
	pid_t children[3];
	int status = 0;

	set_parameter("limit_ms", "2000");
	for (int i = 0; i < 3; i++) {
		children[i] = fork();
		if (children[i])
			continue;
		for (int n = 0; n < 40; n++) {
			struct outcome outcome;

			if (i == 2) {
				free(read_text(exits_file));
				continue;
			}
			outcome = run_program(guest, cpuid_hlt.bytes, cpuid_hlt.size);
			if (outcome.result != (ssize_t)cpuid_hlt.size)
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < 3; i++)
		status |= ended(children[i], 60000);
	check(status == 0, "two_writers_and_a_reader", "status %d", status);
}

int command_file(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (boots())
		for (size_t i = 0; i < 4; i++)
			make_bootable((struct program *[]){ &hlt, &endless, &cpuid_hlt, &exit_1 }[i]);
	guest = open_guest();
	check_sizes();
	check_modes();
	check_time_limit();
	check_signals();
	check_second_writer();
	check_during_a_run();
	check_reading();
	check_storm();
	set_parameter("limit_ms", "2000");
	return failed_checks != 0;
}
