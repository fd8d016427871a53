// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first process of a Linux that runs as a guest in the tests. It says on the console what it
 * finds, one line "@WORD …" each, and does what words behind "--" on the kernel's command line say,
 * one after the other:
 *
 *   kaslr                 where the kernel is
 *   filler                checks the file that lab-tool linux-initrd has made
 *   harm                  as root, all that could hurt whoever runs this machine
 *   listen                repeats each line that is typed, until one is "done"
 *   off, reboot, triple, bios, outside, ports, syscall   ends the machine, each in its way
 *
 * long-file: one short function for each word.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "linux-filler.h"

static char text[1 << 16];

/* The beginning of a file, as text. */
static const char *read_file(const char *path)
{
	size_t size = 0;
	ssize_t got = 0;
	int fd = open(path, O_RDONLY);

	while (fd >= 0 && (got = read(fd, text + size, sizeof text - 1 - size)) > 0)
		size += (size_t)got;
	text[size] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

/* The line of a text in which a word is, without what is in front of it but spaces. */
static void print_line(const char *what, const char *in, const char *word)
{
	const char *at = strstr(in, word);

	while (at && at > in && at[-1] != '\n')
		at--;
	while (at && isspace(*at))
		at++;
	printf("@%s %.*s\n", what, at ? (int)strcspn(at, "\n") : 1, at ? at : "-");
}

static void write_file(const char *path, const char *words)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, words, strlen(words)) < 0)
		printf("@error %d of %s\n", errno, path);
	close(fd);
}

static void say_hello(void)
{
	struct utsname about;
	double uptime = atof(read_file("/proc/uptime"));

	uname(&about);
	printf("@up %s %.2f\n", about.release, uptime);
	print_line("memory", read_file("/proc/meminfo"), "MemTotal");
	printf("@cmdline %s", read_file("/proc/cmdline"));
}

static void kaslr(void)
{
	print_line("code", read_file("/proc/iomem"), "Kernel code");
	print_line("text", read_file("/proc/kallsyms"), " T ");
}

static void filler(void)
{
	static uint64_t piece[FILLER_PIECE];
	uint64_t state = FILLER_SEED, size = 0;
	int fd = open("/filler", O_RDONLY), wrong = 0;
	ssize_t got;

	while ((got = read(fd, piece, sizeof piece)) == (ssize_t)sizeof piece) {
		for (size_t i = 0; i < FILLER_PIECE; i++)
			wrong |= piece[i] != next_of_filler(&state);
		size += sizeof piece;
	}
	printf("@filler %llu %s\n", (unsigned long long)size, got || wrong ? "differs" : "equal");
}

static void listen(void)
{
	char line[256];

	puts("@listening");
	while (fgets(line, sizeof line, stdin) && strcmp(line, "done\n"))
		printf("@heard %s", line);
}

/* ---- Harm ------------------------------------------------------------------------------------ */

static uint32_t next_random(void)
{
	static uint64_t state = 88172645463325252u;

	return (uint32_t)next_of_filler(&state);
}

/* True for ports at which this Linux has its own devices, or that restart the machine. */
static int is_needed(unsigned int port)
{
	return (port & 0xff7e) == 0x20 || (port & 0xfffc) == 0x40 || port == 0x64 ||
	       (port & 0xfff8) == 0x3f8;
}

/* Four bytes from the last port on, which this Linux itself should refuse. */
static void reach_over_the_last_port(void)
{
	int status = 0;

	if (!fork())
		_exit(inl(0xffff) != 0);
	wait(&status);
	printf("@edge %s\n", WIFSIGNALED(status) ? "refused" : "answers");
}

/* Accesses of all sizes. */
static void touch_ports(int needed_too)
{
	uint32_t sum = 0;

	if (iopl(3))
		printf("@error %d of iopl\n", errno);
	for (unsigned int port = 0; port < 0x10000; port++) {
		int wide = port <= 0xfffc && (port < 0x500 || port % 0x101 == 0 || port > 0xfff0);

		sum += inb(port);
		if (needed_too || !is_needed(port))
			outb(next_random(), port);
		if (!wide)
			continue;
		sum += inw(port) + inl(port);
		if (needed_too || !(is_needed(port) || is_needed(port + 3))) {
			outw(next_random(), port);
			outl(next_random(), port);
		}
	}
	/* String instructions, from and to this program's memory. */
	insb(0x3fe, text, 64);
	outsl(0x80, text, 64);
	reach_over_the_last_port();
	printf("@ports %s\n", sum ? "answer" : "are silent");
}

/* Loads Debian's module, and opens what it makes. */
static int open_msrs(void)
{
	int module = open("/msr.ko", O_RDONLY), fd;

	if (syscall(SYS_finit_module, module, "allow_writes=on", 0))
		printf("@error %d of the module msr\n", errno);
	fd = open("/dev/cpu/0/msr", O_RDWR);
	if (fd < 0)
		printf("@error %d of /dev/cpu/0/msr\n", errno);
	close(module);
	return fd;
}

static unsigned long accesses, refused;

static void touch_msr(int fd, uint32_t number, int write_it)
{
	static const uint64_t values[] = { 0, ~0ull, 0x5a5a5a5a5a5a5a5a };
	uint64_t value;

	refused += pread(fd, &value, 8, number) != 8;
	accesses++;
	for (size_t i = 0; write_it && i < 3; i++) {
		refused += pwrite(fd, &values[i], 8, number) != 8;
		accesses++;
	}
}

/* All ranges in which processors have some. Those by which this Linux lives are only read. */
static void touch_msrs(void)
{
	static const struct { uint32_t first, end; } ranges[] = {
		{ 0, 0x200 }, { 0x270, 0x280 }, { 0x2f0, 0x310 }, { 0x380, 0x400 }, { 0x480, 0x4c0 },
		{ 0x560, 0x5a0 }, { 0x6a0, 0x6b0 }, { 0x7f0, 0x850 }, { 0xc80, 0xd00 }, { 0xd90, 0xdb0 },
		{ 0x1ff0, 0x2010 }, { 0x3ffffff0, 0x40000010 }, { 0x400000f0, 0x40000110 },
		{ 0x4b564d00, 0x4b564d08 }, { 0xbffffff8, 0xc0000180 }, { 0xc0001ff8, 0xc0002010 },
		{ 0xc0010000, 0xc0010020 }, { 0xc0011020, 0xc0011030 }, { 0xfffffff0, 0xffffffff } };
	int fd = open_msrs();

	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		for (uint32_t number = ranges[i].first; number < ranges[i].end; number++)
			touch_msr(fd, number, (number < 0xc0000080 || number > 0xc0000102) &&
						number != 0x10);
	/* What the guest has of its own: the processor itself refuses what is no address. */
	for (uint32_t number = 0xc0000082; number <= 0xc0000083; number++) {
		uint64_t bad = 0x8000000000000000;

		refused += pwrite(fd, &bad, 8, number) != 8;
		accesses++;
	}
	touch_msr(fd, 0xc0000103, 1);
	printf("@msrs %lu of %lu refused\n", refused, accesses);
	close(fd);
}

/* The keys by which root asks the kernel for what it logs of itself. */
static void press_sysrq(void)
{
	write_file("/proc/sys/kernel/sysrq", "1");
	write_file("/proc/sys/kernel/printk", "1");
	for (const char *key = "lmptwqsu"; *key; key++)
		write_file("/proc/sysrq-trigger", (char[]){ *key, '\0' });
	puts("@sysrq pressed");
}

static void flood_console(void)
{
	memset(text, 'x', 4096);
	for (int i = 0; i < 8; i++)
		fwrite(text, 1, 4096, stdout);
	puts("\n@flooded");
}

static void harm(void)
{
	touch_ports(0);
	touch_msrs();
	press_sysrq();
	flood_console();
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static void restart_by(const char *type)
{
	write_file("/sys/kernel/reboot/force", "1");
	write_file("/sys/kernel/reboot/type", type);
	reboot(RB_AUTOBOOT);
}

/* A page that is no RAM, by /dev/mem: of an APIC that is not there. */
static void write_outside(void)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC);
	volatile uint32_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				       0xfee00000);

	if (page == MAP_FAILED)
		printf("@error %d of /dev/mem\n", errno);
	else
		page[8] = 1;
}

/* Where SYSCALL goes: nowhere. */
static void write_lstar(void)
{
	uint64_t nowhere = 0x1000;
	int fd = open_msrs();

	puts("@nowhere");
	pwrite(fd, &nowhere, 8, 0xc0000082);
	pause();
}

static void carry_out(const char *word)
{
	static const struct {
		const char *word;
		void (*call)(void);
	} words[] = { { "kaslr", kaslr }, { "filler", filler }, { "harm", harm },
		      { "listen", listen }, { "outside", write_outside },
		      { "syscall", write_lstar } };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strcmp(word, words[i].word))
			words[i].call();
	if (!strcmp(word, "ports"))
		touch_ports(1);
	if (!strcmp(word, "off"))
		reboot(RB_POWER_OFF);
	if (!strcmp(word, "reboot"))
		reboot(RB_AUTOBOOT);
	if (!strcmp(word, "triple") || !strcmp(word, "bios"))
		restart_by(word);
}

/* What is typed does not come back by itself, in the middle of what this program says. */
static void switch_echo_off(void)
{
	struct termios terminal;

	tcgetattr(STDIN_FILENO, &terminal);
	terminal.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
}

int main(int count, char **words)
{
	switch_echo_off();
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	setvbuf(stdout, NULL, _IOLBF, 4096);
	say_hello();
	for (int i = 1; i < count; i++)
		carry_out(words[i]);
	for (;;)
		pause();
}
