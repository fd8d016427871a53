// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest Linux needs, and its run:
 *
 * lab-tool linux-kernel BZIMAGE        writes the kernel that is packed in it (an ELF file, by LZ4)
 * lab-tool linux-initrd BASE MEGABYTES writes BASE and a cpio archive with a file `filler`
 * lab-tool linux-run SECONDS [TYPED]   writes 1 to the file `run`, and prints the lines of the
 *                                      console that have an @, and the file `status`. After so many
 *                                      seconds stops the guest. Types the word TYPED when the guest
 *                                      says @listening; if it is "flood", 12 KiB. With the
 *                                      module "snapshot" loaded, compares the host and its free
 *                                      pages before and after.
 */
#define _GNU_SOURCE
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../linux-filler.h"

static void write_all(const void *bytes, size_t size)
{
	const char *at = bytes;
	ssize_t done;

	for (; size; at += done, size -= (size_t)done)
		if ((done = write(STDOUT_FILENO, at, size)) <= 0)
			exit(errno);
}

/* ---- The kernel in a bzImage ----------------------------------------------------------------- */

/* A length goes on in further bytes while they are 255. */
static size_t length_of(const unsigned char **at, unsigned int nibble)
{
	size_t length = nibble;
	unsigned char more = 255;

	if (nibble == 15)
		for (; more == 255; length += more)
			more = *(*at)++;
	return length;
}

/* One block of LZ4: literals and matches in turn. Returns the end of what it gave. */
static unsigned char *unpack_block(const unsigned char *at, const unsigned char *end,
				   unsigned char *to)
{
	while (at < end) {
		unsigned int token = *at++;
		size_t literals = length_of(&at, token >> 4), match;
		const unsigned char *from;

		memcpy(to, at, literals);
		to += literals, at += literals;
		if (at >= end)
			break;
		from = to - (at[0] | at[1] << 8);
		at += 2;
		for (match = length_of(&at, token & 15) + 4; match; match--)
			*to++ = *from++;
	}
	return to;
}

static uint32_t number_at(const unsigned char *bytes)
{
	uint32_t number;

	memcpy(&number, bytes, sizeof number);
	return number;
}

int command_linux_kernel(int argc, char **argv)
{
	struct program image;
	const unsigned char *at, *end;
	unsigned char *whole, *to;

	if (argc != 2)
		die("linux-kernel BZIMAGE");
	image = load_program(argv[1]);
	at = image.bytes + (image.bytes[0x1f1] + 1) * SECTOR + number_at(image.bytes + 0x248);
	end = at + number_at(image.bytes + 0x24c) - 4;	/* behind it is its size when unpacked */
	if (number_at(at) != 0x184c2102)
		die("the kernel in %s is not packed by LZ4", argv[1]);
	whole = to = malloc(number_at(end) + 64);
	for (at += 4; at < end; at += 4 + number_at(at))
		to = unpack_block(at + 4, at + 4 + number_at(at), to);
	write_all(whole, (size_t)(to - whole));
	return 0;
}

/* ---- An initrd of any size ------------------------------------------------------------------- */

/* The header of a file in a cpio archive, which ends at a multiple of 4. */
static void write_entry(const char *name, unsigned int mode, size_t size)
{
	char header[160] = "";
	int length = sprintf(header, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x%s",
			     7, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, strlen(name) + 1, 0, name);

	write_all(header, ((size_t)length + 4) & ~(size_t)3);
}

int command_linux_initrd(int argc, char **argv)
{
	static uint64_t piece[FILLER_PIECE];
	uint64_t state = FILLER_SEED;
	struct program base;
	size_t size;

	if (argc != 3)
		die("linux-initrd BASE MEGABYTES");
	base = load_program(argv[1]);
	size = strtoul(argv[2], NULL, 0) << 20;
	write_all(base.bytes, base.size);
	write_all("\0\0\0", -base.size & 3);
	write_entry("filler", 0100644, size);
	for (size_t done = 0; done < size; done += sizeof piece) {
		for (size_t i = 0; i < FILLER_PIECE; i++)
			piece[i] = next_of_filler(&state);
		write_all(piece, sizeof piece);
	}
	write_entry("TRAILER!!!", 0, 0);
	return 0;
}

/* ---- A run ----------------------------------------------------------------------------------- */

static char line[8192];
static size_t length;
static bool listens;

/* Prints what has an @, line by line, from the @ on; and why Linux gave up, if it did. */
static void take_output(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char *mark;

		if (bytes[i] != '\n') {
			if (length < sizeof line - 1)
				line[length++] = bytes[i];
			continue;
		}
		line[length] = '\0';
		line[strcspn(line, "\r")] = '\0';
		mark = strchr(line, '@') ?: strstr(line, "Kernel panic");
		if (mark)
			puts(mark);
		if (mark && !strcmp(mark, "@listening"))
			listens = true;
		length = 0;
	}
}

/* More than is kept for a guest, and than its terminal keeps for who reads there. */
#define FLOOD 12288

/* Types: with "flood" as soon as there is room, else once. Returns the number of bytes. */
static size_t type(int console, const char *typed)
{
	static char flood[512];
	static bool has_typed;
	static size_t flooded;
	ssize_t done = 0;

	if (!typed)
		return 0;
	if (!strcmp(typed, "flood") && flooded < FLOOD) {
		memset(flood, 'y', sizeof flood);
		done = write(console, flood, sizeof flood);
		flooded += done > 0 ? (size_t)done : 0;
	} else if (listens && !has_typed) {
		char words[128];
		int size = snprintf(words, sizeof words, "%s\ndone\n", typed);

		done = write(console, words, (size_t)size);
		has_typed = true;
	}
	return done > 0 ? (size_t)done : 0;
}

/* Reads the console until the run has ended. Returns the number of bytes that were typed. */
static size_t join_console(int console, uint64_t limit, const char *typed)
{
	static char bytes[65536];
	uint64_t begin = milliseconds();
	bool stopped = false;
	size_t sum = 0;
	ssize_t got;

	for (;;) {
		struct pollfd ready = { .fd = console, .events = POLLIN };

		poll(&ready, 1, 100);
		got = read(console, bytes, sizeof bytes);
		if (got == 0)
			return sum;
		if (got > 0)
			take_output(bytes, (size_t)got);
		if (!stopped)
			sum += type(console, typed);
		if (!stopped && milliseconds() - begin > limit) {
			puts("stopped");
			stopped = true;
			if (write_word(run_file, "0"))
				die("cannot stop the guest");
		}
	}
}

int command_linux_run(int argc, char **argv)
{
	bool watched = access(SNAPSHOT_FILE, R_OK) == 0;
	int error, console = open(console_file, O_RDWR | O_NONBLOCK);
	char *before = NULL, *text;
	long pages = 0;
	size_t typed;

	if (argc < 2 || console < 0)
		die("linux-run SECONDS [TYPED]");
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (watched) {
		settle(0);
		pages = free_pages();
		free(snapshot()); /* what it touches for the first time causes page faults: CR2 */
		before = snapshot();
	}
	error = write_word(run_file, "1");
	if (error) {
		printf("errno %d\n", error);
		return 1;
	}
	typed = join_console(console, strtoul(argv[1], NULL, 0) * 1000,
			     argc > 2 ? argv[2] : NULL);
	text = read_text(status_file);
	printf("typed %zu\nstatus linux %s", typed, text);
	free(text);
	if (watched) {
		check_host("snapshot", before);
		sleep(1); /* some of what was used is given back a moment later */
		pages -= free_pages();
		check(pages <= 64, "pages", "%ld fewer", pages);
	}
	return failed_checks != 0;
}
