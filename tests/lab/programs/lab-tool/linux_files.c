// SPDX-License-Identifier: GPL-2.0-only
/*
 * lab-tool linux-files
 *
 * Checks the contract of the files of step 10, one line "ok NAME" or "not ok NAME: WHY" for each
 * clause. The kernels are ELF files of a few instructions in place of Linux. Unloads the module in
 * the end, while a guest runs.
 *
 * long-file: one short function for each file, or two.
 */
#define _GNU_SOURCE
#include "tool.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEPT (256 * 1024)	/* of the console's output, for a reader */
#define TYPED 4096		/* and of what was typed, for the guest */
#define LOST 5000

/* Guests. They begin in 64-bit code, with interrupts off, and without an IDT. */
#define HALT "\xf4"
#define SLEEP "\xfb\xf4\xeb\xfd"		/* STI; HLT; JMP to HLT */
#define RESET "\xb0\xfe\xe6\x64\xeb\xfe"	/* OUT FEh to 64h; JMP . */
#define TRIPLE "\x0f\x0b"			/* UD2 */
#define ENDLESS "\xeb\xfe"			/* JMP . */
#define OUTSIDE "\xa2\x00\x00\x00\x20\x00\x00\x00\x00"	/* MOV [512 MiB], AL */
/* Repeats each byte that is typed, until it is "q". */
#define ECHO "\x66\xba\xfd\x03\xec\xa8\x01\x74\xf7\x66\xba\xf8\x03\xec\xee\x3c\x71\x75\xed\xf4"
/* Sends KEPT + LOST bytes: the low bytes of ECX, which counts down. */
#define FLOOD "\xb9\x88\x13\x04\x00\x66\xba\xf8\x03\x88\xc8\xee\xff\xc9\x75\xf9\xf4"

static char kernel_file[80], initrd_file[80], cmdline_file[80];

/* A kernel, as a file has it: an ELF header, one for the part to load, and code. */
static struct {
	Elf64_Ehdr header;
	Elf64_Phdr part;
	char code[64];
} elf;

/* Makes a kernel with this code, that wants so many MiB of memory from the second one on. */
static void make(const char *code, size_t size, unsigned int megabytes)
{
	memset(&elf, 0, sizeof elf);
	memcpy(elf.header.e_ident, ELFMAG "\2\1\1", 7);
	elf.header.e_type = ET_EXEC;
	elf.header.e_machine = EM_X86_64;
	elf.header.e_entry = elf.part.p_paddr = 0x100000;
	elf.header.e_phoff = (size_t)((char *)&elf.part - (char *)&elf);
	elf.header.e_phentsize = sizeof elf.part;
	elf.header.e_phnum = 1;
	elf.part.p_type = PT_LOAD;
	elf.part.p_offset = (size_t)(elf.code - (char *)&elf);
	elf.part.p_filesz = size;
	elf.part.p_memsz = (uint64_t)megabytes << 20;
	memcpy(elf.code, code, size);
}

/* Opens, writes, closes. Returns 0 or errno. */
static int write_file(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY), error = 0;

	if (fd < 0)
		return errno;
	if (write(fd, bytes, size) != (ssize_t)size)
		error = errno;
	close(fd);
	return error;
}

#define WRITE_KERNEL(code, megabytes) \
	(make(code, sizeof code - 1, megabytes), write_file(kernel_file, &elf, sizeof elf))

static void expect_errno(const char *name, int got, int wanted)
{
	check(got == wanted, name, "errno %d, not %d", got, wanted);
}

static bool status_has(const char *words)
{
	char *text = read_text(status_file);
	bool found = strstr(text, words) != NULL;

	free(text);
	return found;
}

/* Waits two seconds at most until `status` has the words. */
static bool comes_to(const char *words)
{
	for (int tries = 0; tries < 400; tries++) {
		if (status_has(words))
			return true;
		usleep(5000);
	}
	return false;
}

static int run(void)
{
	return write_word(run_file, "1\n");
}

/* Runs a kernel to its end, which must have this word. */
static void ends(const char *name, const char *word)
{
	char words[40];
	int error = run();
	char *text;

	snprintf(words, sizeof words, "state=ended end=%s ", word);
	comes_to("state=ended");
	text = read_text(status_file);
	check(!error && strstr(text, words), name, "errno %d, %s", error, text);
	free(text);
}

static void expect_mode(const char *name, const char *path, unsigned int wanted)
{
	struct stat about = { .st_mode = 0 };

	stat(path, &about);
	check((about.st_mode & 07777) == wanted, name, "%o", about.st_mode & 07777);
}

static void check_modes(void)
{
	expect_mode("mode_of_kernel", kernel_file, 0200);
	expect_mode("mode_of_initrd", initrd_file, 0200);
	expect_mode("mode_of_cmdline", cmdline_file, 0600);
	expect_mode("mode_of_run", run_file, 0200);
	expect_mode("mode_of_status", status_file, 0400);
	expect_mode("mode_of_console", console_file, 0600);
	expect_mode("mode_of_exits", exits_file, 0400);
}

static bool cmdline_is(const char *words)
{
	char *text = read_text(cmdline_file);
	bool same = !strcmp(text, words);

	free(text);
	return same;
}

static void check_before_a_run(void)
{
	int fd = open(console_file, O_RDWR | O_NONBLOCK);
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	char byte;

	check(status_has("state=idle end=none ms=0 scopes=0 exits=0 injected=0\n"), "idle",
	      "something has run");
	check(cmdline_is("console=ttyS0 cryptomgr.notests\n"), "default_cmdline", "it is another");
	expect_errno("run_without_a_kernel", run(), EINVAL);
	expect_errno("stop_without_a_run", write_word(run_file, "0\n"), 0);
	check(read(fd, &byte, 1) < 0 && errno == EAGAIN, "console_before", "errno %d", errno);
	check(poll(&ready, 1, 0) == 0, "poll_before", "events %x", ready.revents);
	check(write(fd, "x", 1) < 0 && errno == EIO, "type_before", "errno %d", errno);
	close(fd);
}

/* Opening empties, writes append; and what is no kernel. */
static void check_appending(void)
{
	const char *bytes = (const char *)&elf;
	int fd;

	make(HALT, 1, 1);
	fd = open(kernel_file, O_WRONLY);
	for (size_t at = 0; at < sizeof elf; at += 61) {
		size_t size = sizeof elf - at < 61 ? sizeof elf - at : 61;

		if (write(fd, bytes + at, size) != (ssize_t)size)
			die("cannot append");
	}
	check(read(fd, &fd, 1) < 0, "kernel_is_write_only", "it can be read");
	close(fd);
	expect_errno("run_2", write_word(run_file, "2\n"), EINVAL);
	expect_errno("run_word", write_word(run_file, "now\n"), EINVAL);
	expect_errno("run_negative", write_word(run_file, "-1\n"), EINVAL);
	ends("kernel_in_pieces", "power-off");
	close(open(kernel_file, O_WRONLY));
	expect_errno("opening_empties", run(), EINVAL);
	write_file(kernel_file, "no kernel", 9);
	expect_errno("no_kernel", run(), ENOEXEC);
	write_file(kernel_file, bytes, elf.part.p_offset);
	expect_errno("kernel_was_cut", run(), ENOEXEC);
	expect_errno("cmdline", write_file(cmdline_file, "a b", 3), 0);
	check(cmdline_is("a b\n"), "cmdline_is_read", "it is another");
	fd = open(cmdline_file, O_WRONLY);
	check(write(fd, "c ", 2) == 2 && write(fd, "d\n", 2) == 2, "cmdline_appends", "errno %d",
	      errno);
	close(fd);
	check(cmdline_is("c d\n"), "cmdline_was_emptied", "it is another");
}

static void check_command_line_length(void)
{
	static char words[4098];

	memset(words, 'x', sizeof words);
	expect_errno("cmdline_of_4098", write_file(cmdline_file, words, 4098), EFBIG);
	WRITE_KERNEL(HALT, 1);
	write_file(cmdline_file, words, 2048);
	expect_errno("cmdline_of_2048", run(), ENOEXEC);
	words[2047] = '\n';
	write_file(cmdline_file, words, 2048);
	ends("cmdline_of_2047_and_a_newline", "power-off");
}

/* The log must name 6, then 7 MiB: what is set next, and is enough. */
static void check_memory(void)
{
	static char bytes[3 << 20];

	set_parameter("memory_mb", "4");
	WRITE_KERNEL(HALT, 5);
	expect_errno("too_little_for_the_kernel", run(), ENOSPC);
	set_parameter("memory_mb", "6");
	ends("enough_for_the_kernel", "power-off");
	expect_errno("initrd", write_file(initrd_file, bytes, 1 << 16), 0);
	expect_errno("too_little_for_the_initrd", run(), ENOSPC);
	set_parameter("memory_mb", "7");
	ends("enough_for_the_initrd", "power-off");
	close(open(initrd_file, O_WRONLY));
	set_parameter("memory_mb", "6");
	ends("initrd_was_emptied", "power-off");
	set_parameter("memory_mb", "512");
	expect_errno("more_than_there_is", run(), ENOMEM);
	check(write_word(parameter_file("memory_mb"), "513") == EINVAL, "memory_mb_513", "it is taken");
	set_parameter("memory_mb", "2");
	WRITE_KERNEL(HALT, 1);
	ends("runs_again", "power-off");
}

/* More than the machine has: ENOMEM before Linux would kill somebody for memory. Most of it is set
 * aside in between, so that the rest is soon full. */
static void check_too_much(void)
{
	static char bytes[1 << 16];
	int fd = open(initrd_file, O_WRONLY);
	ssize_t got;

	write_word("/proc/sys/vm/nr_hugepages", "150");
	while ((got = write(fd, bytes, sizeof bytes)) > 0)
		;
	check(got < 0 && errno == ENOMEM, "more_initrd_than_there_is", "errno %d", errno);
	close(fd);
	close(open(initrd_file, O_WRONLY));
	write_word("/proc/sys/vm/nr_hugepages", "0");
	ends("runs_without_it", "power-off");
}

static void check_ends(void)
{
	WRITE_KERNEL(RESET, 1);
	ends("reset_by_the_keyboard_controller", "reboot");
	WRITE_KERNEL(TRIPLE, 1);
	ends("triple_fault", "reboot");
	WRITE_KERNEL(OUTSIDE, 1);
	ends("outside_its_memory", "failure");
}

/* A file that was opened before the guest began. */
static void expect_busy(const char *name, int fd)
{
	check(write(fd, "x", 1) < 0 && errno == EBUSY, name, "errno %d", errno);
	close(fd);
}

static void check_during_a_run(void)
{
	int open_kernel, open_initrd = open(initrd_file, O_WRONLY), fd;
	int open_cmdline = open(cmdline_file, O_WRONLY);
	uint64_t begin;

	WRITE_KERNEL(SLEEP, 1);
	open_kernel = open(kernel_file, O_WRONLY);
	if (write(open_kernel, &elf, sizeof elf) < 0)
		die("cannot write");
	expect_errno("starts", run(), 0);
	check(status_has("state=running end=none "), "runs", "it does not");
	expect_errno("run_while_running", run(), EBUSY);
	expect_errno("open_kernel_while_running", write_file(kernel_file, "x", 1), EBUSY);
	expect_errno("open_initrd_while_running", write_file(initrd_file, "x", 1), EBUSY);
	expect_errno("open_cmdline_while_running", write_file(cmdline_file, "x", 1), EBUSY);
	expect_busy("write_kernel_while_running", open_kernel);
	expect_busy("write_initrd_while_running", open_initrd);
	expect_busy("write_cmdline_while_running", open_cmdline);
	check(cmdline_is("\n"), "read_cmdline_while_running", "it is another");
	free(read_text(exits_file));
	fd = open(status_file, O_RDONLY);
	expect_errno("unload_with_an_open_file",
		     syscall(SYS_delete_module, module, O_NONBLOCK) ? errno : 0, EAGAIN);
	close(fd);
	check(status_has("state=running"), "unload_leaves_it_alone", "it has ended");
	begin = milliseconds();
	expect_errno("stop", write_word(run_file, "0\n"), 0);
	check(milliseconds() - begin < 500, "stop_is_quick", "%u ms",
	      (unsigned int)(milliseconds() - begin));
	check(status_has("state=ended end=stopped "), "stop_waits", "the guest has not ended");
	expect_errno("stop_again", write_word(run_file, "0\n"), 0);
	check(status_has("state=ended end=stopped "), "stop_again_changes_nothing", "it did");
}

/* ---- The console ----------------------------------------------------------------------------- */

/* A child that reads one byte, types another one back, and reads to the end. Its status is 0 if all
 * went as it must. */
static pid_t reader(void)
{
	pid_t child = fork();
	char bytes[16];
	int fd;

	if (child)
		return child;
	fd = open(console_file, O_RDWR);
	if (read(fd, bytes, sizeof bytes) != 1 || bytes[0] != 'a')
		_exit(1);
	if (write(fd, "q", 1) != 1)
		_exit(2);
	if (read(fd, bytes, sizeof bytes) != 1 || bytes[0] != 'q')
		_exit(3);
	if (read(fd, bytes, sizeof bytes) != 0 || read(fd, bytes, sizeof bytes) != 0)
		_exit(4);
	_exit(write(fd, "x", 1) < 0 && errno == EIO ? 0 : 5);
}

static void check_reading(void)
{
	int fd = open(console_file, O_RDWR | O_NONBLOCK), status = -1;
	struct pollfd ready = { .fd = fd, .events = POLLIN | POLLOUT };
	char *text, byte;
	pid_t child;

	WRITE_KERNEL(ECHO, 1);
	expect_errno("echo_starts", run(), 0);
	child = reader();
	usleep(100000);
	check(waitpid(child, &status, WNOHANG) == 0, "read_waits", "status %x", status);
	check(read(fd, &byte, 1) < 0 && errno == EAGAIN, "read_without_waiting", "errno %d", errno);
	check(poll(&ready, 1, 0) == 1 && ready.revents == POLLOUT, "poll_while_running", "events %x",
	      ready.revents);
	check(write(fd, "a", 1) == 1, "type", "errno %d", errno);
	waitpid(child, &status, 0);
	check(status == 0, "reader_of_the_console", "status %x", status);
	check(status_has("state=ended end=power-off "), "echo_ends", "it does not");
	check(poll(&ready, 1, 0) == 1 && ready.revents & POLLIN && ready.revents & POLLHUP,
	      "poll_after", "events %x", ready.revents);
	check(read(fd, &byte, 1) == 0, "console_after", "it is not at its end");
	text = read_text(exits_file);
	check(strstr(text, "\ntotal  30 ") && strstr(text, "\ntotal  12 HLT  1\n"), "totals", "%s",
	      strstr(text, "total") ? strstr(text, "total") : text);
	check(strstr(text, "\nports  uart ") && strstr(text, "  pic 0  pit 0  cmos 0  others 0\n"),
	      "ports", "%s", strstr(text, "ports") ? strstr(text, "ports") : text);
	free(text);
	close(fd);
}

/* More output than is kept: a line says how much is lost, and the rest is the last of it. */
static void check_flood_of_output(void)
{
	static unsigned char bytes[KEPT + 1];
	static const char told[] = "\r\n[5000 bytes were not read in time]\r\n";
	int fd = open(console_file, O_RDONLY);
	size_t size = 0, right = 0;
	ssize_t got;

	WRITE_KERNEL(FLOOD, 1);
	set_parameter("trace", "N");
	ends("flood", "power-off");
	set_parameter("trace", "Y");
	got = read(fd, bytes, 4);
	check(got == 4 && bytes[0] == (KEPT & 0xff), "small_reads_lose_nothing", "%zd", got);
	got = read(fd, bytes, 1000);
	check(got == sizeof told - 1 && !memcmp(bytes, told, sizeof told - 1), "lost_output_is_told",
	      "%zd: %.40s", got, bytes);
	while ((got = read(fd, bytes + size, sizeof bytes - size)) > 0)
		size += (size_t)got;
	for (size_t i = 0; i < size; i++)
		right += bytes[i] == (unsigned char)(size - i);
	check(size == KEPT - 4 && right == size, "kept_output", "%zu bytes, %zu right", size, right);
	close(fd);
}

/* More input than a guest takes. A writer who waits is told when it ends. */
static void check_flood_of_input(void)
{
	int fd = open(console_file, O_RDWR | O_NONBLOCK), status = -1;
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	char bytes[1000] = "";
	size_t size = 0;
	pid_t child;
	ssize_t got;

	WRITE_KERNEL(SLEEP, 1);
	run();
	for (int i = 0; i < 40; i++) {
		while ((got = write(fd, bytes, sizeof bytes)) > 0)
			size += (size_t)got;
		usleep(10000);
	}
	check(errno == EAGAIN && size >= TYPED && size <= TYPED + 16, "flood_of_input",
	      "%zu bytes, errno %d", size, errno);
	check(poll(&ready, 1, 0) == 0, "poll_when_full", "events %x", ready.revents);
	close(fd);
	child = fork();
	if (!child) {
		fd = open(console_file, O_WRONLY);
		got = write(fd, bytes, sizeof bytes);
		_exit(got < 0 ? errno : 0);
	}
	usleep(50000);
	check(waitpid(child, &status, WNOHANG) == 0, "write_waits", "status %x", status);
	write_word(run_file, "0");
	waitpid(child, &status, 0);
	check(WIFEXITED(status) && WEXITSTATUS(status) == EIO, "writer_is_told_of_the_end",
	      "status %x", status);
}

/* A reader who waits can be killed. */
static void check_signals(void)
{
	int status = -1;
	pid_t child;

	WRITE_KERNEL(SLEEP, 1);
	run();
	child = reader();
	usleep(20000);
	kill(child, SIGTERM);
	waitpid(child, &status, 0);
	check(WIFSIGNALED(status), "reader_is_killed", "status %x", status);
	write_word(run_file, "0");
}

int command_linux_files(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	snprintf(kernel_file, sizeof kernel_file, "/sys/kernel/debug/%s/kernel", module);
	snprintf(initrd_file, sizeof initrd_file, "/sys/kernel/debug/%s/initrd", module);
	snprintf(cmdline_file, sizeof cmdline_file, "/sys/kernel/debug/%s/cmdline", module);
	check_modes();
	check_before_a_run();
	check_appending();
	check_command_line_length();
	check_memory();
	check_too_much();
	check_ends();
	check_during_a_run();
	check_reading();
	check_flood_of_output();
	check_flood_of_input();
	check_signals();
	check(threads() == 0, "no_thread", "there is one");
	WRITE_KERNEL(ENDLESS, 1);
	expect_errno("starts_at_last", run(), 0);
	check(threads() == 1, "thread_is_called_vtx-guest", "there is none");
	expect_errno("unload_under_a_guest",
		     syscall(SYS_delete_module, module, O_NONBLOCK) ? errno : 0, 0);
	check(threads() == 0, "no_thread_after_unload", "there is one");
	check(access(status_file, F_OK) < 0, "no_files_after_unload", "there are some");
	return failed_checks != 0;
}
