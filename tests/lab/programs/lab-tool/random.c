// SPDX-License-Identifier: GPL-2.0-only
/*
 * lab-tool random SEED COUNT LIMIT_MS SURVIVOR FILE...
 *
 * Runs COUNT random guests, a function of SEED alone: random bytes, random instructions from a
 * list of interesting ones (also behind SURVIVOR, a program that goes on after every exception),
 * and the given programs with random changes. Follows the kernel's log meanwhile, and unloads
 * the module in the end. Prints
 *     progress GUESTS
 *     summary NAME NUMBER              several
 *     verdict COUNT WORDS              what the module said of guests, numbers replaced
 *     reason NUMBER COUNT              exits of all guests
 *     complaint LINE                   of the kernel
 *     not ok NAME: WHY                 what should not have happened
 *
 * long-file: a third of it is the list of instructions.
 */
#define _GNU_SOURCE
#include "tool.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_VERDICTS 200
#define WARM_UP 300

/* Instructions, and how many random bytes follow each as its operands. */
static const struct {
	unsigned char size, bytes[7], operands;
} instructions[] = {
	{ 2, { 0x0f, 0xa2 }, 0 },			/* CPUID */
	{ 3, { 0x0f, 0x01, 0xc1 }, 0 },			/* VMCALL */
	{ 1, { 0xf4 }, 0 },				/* HLT */
	{ 2, { 0x0f, 0x08 }, 0 },			/* INVD */
	{ 2, { 0x0f, 0x09 }, 0 },			/* WBINVD */
	{ 2, { 0x0f, 0x33 }, 0 },			/* RDPMC */
	{ 2, { 0x0f, 0x31 }, 0 },			/* RDTSC */
	{ 3, { 0x0f, 0x01, 0xf9 }, 0 },			/* RDTSCP */
	{ 2, { 0x0f, 0x32 }, 0 },			/* RDMSR */
	{ 2, { 0x0f, 0x30 }, 0 },			/* WRMSR */
	{ 5, { 0xb9, 0x00, 0x01, 0x00, 0xc0 }, 0 },	/* ECX = FS_BASE */
	{ 5, { 0xb9, 0x02, 0x01, 0x00, 0xc0 }, 0 },	/* ECX = KERNEL_GS_BASE */
	{ 5, { 0xb9, 0x80, 0x00, 0x00, 0xc0 }, 0 },	/* ECX = EFER */
	{ 1, { 0xb8 }, 4 },				/* EAX = … */
	{ 1, { 0xb9 }, 4 },				/* ECX = … */
	{ 5, { 0xb8, 0x01, 0x00, 0x00, 0x00 }, 0 },	/* EAX = 1 (print) */
	{ 1, { 0xbf }, 4 },				/* EDI = … */
	{ 2, { 0x48, 0xbf }, 8 },			/* RDI = … */
	{ 1, { 0xbe }, 2 },				/* ESI = … and what follows */
	{ 2, { 0x48, 0xbc }, 8 },			/* RSP = … */
	{ 2, { 0x66, 0xbc }, 2 },			/* SP = … */
	{ 2, { 0x0f, 0x20 }, 1 },			/* MOV from CR */
	{ 2, { 0x0f, 0x22 }, 1 },			/* MOV to CR */
	{ 3, { 0x44, 0x0f, 0x22 }, 1 },			/* MOV to CR8 … */
	{ 2, { 0x0f, 0x21 }, 1 },			/* MOV from DR */
	{ 2, { 0x0f, 0x23 }, 1 },			/* MOV to DR */
	{ 2, { 0x0f, 0x06 }, 0 },			/* CLTS */
	{ 2, { 0x0f, 0x01 }, 1 },			/* LGDT, LIDT, LMSW, INVLPG, SWAPGS, VMX, … */
	{ 2, { 0x0f, 0x01 }, 5 },
	{ 2, { 0x0f, 0x00 }, 1 },			/* SLDT, STR, LLDT, LTR, VERR, VERW */
	{ 2, { 0x0f, 0xc7 }, 1 },			/* VMPTRLD, VMPTRST, RDRAND, XSAVES, … */
	{ 3, { 0x66, 0x0f, 0xc7 }, 1 },			/* VMCLEAR */
	{ 3, { 0xf3, 0x0f, 0xc7 }, 1 },			/* VMXON, RDPID */
	{ 2, { 0x0f, 0x78 }, 1 },			/* VMREAD */
	{ 2, { 0x0f, 0x79 }, 1 },			/* VMWRITE */
	{ 4, { 0x66, 0x0f, 0x38, 0x80 }, 1 },		/* INVEPT */
	{ 4, { 0x66, 0x0f, 0x38, 0x81 }, 1 },		/* INVVPID */
	{ 4, { 0x66, 0x0f, 0x38, 0x82 }, 1 },		/* INVPCID */
	{ 3, { 0x0f, 0x01, 0xc2 }, 0 },			/* VMLAUNCH */
	{ 3, { 0x0f, 0x01, 0xc3 }, 0 },			/* VMRESUME */
	{ 3, { 0x0f, 0x01, 0xc4 }, 0 },			/* VMXOFF */
	{ 3, { 0x0f, 0x01, 0xc8 }, 0 },			/* MONITOR */
	{ 3, { 0x0f, 0x01, 0xc9 }, 0 },			/* MWAIT */
	{ 3, { 0x0f, 0x01, 0xd0 }, 0 },			/* XGETBV */
	{ 3, { 0x0f, 0x01, 0xd1 }, 0 },			/* XSETBV */
	{ 3, { 0x0f, 0x01, 0xd4 }, 0 },			/* VMFUNC */
	{ 3, { 0x0f, 0x01, 0xf8 }, 0 },			/* SWAPGS */
	{ 2, { 0x0f, 0x37 }, 0 },			/* GETSEC */
	{ 2, { 0x0f, 0xaa }, 0 },			/* RSM */
	{ 2, { 0x0f, 0x05 }, 0 },			/* SYSCALL */
	{ 2, { 0x0f, 0x07 }, 0 },			/* SYSRET */
	{ 2, { 0x0f, 0x34 }, 0 },			/* SYSENTER */
	{ 2, { 0x0f, 0x35 }, 0 },			/* SYSEXIT */
	{ 2, { 0xf3, 0x90 }, 0 },			/* PAUSE */
	{ 1, { 0xfa }, 0 },				/* CLI */
	{ 1, { 0xfb }, 0 },				/* STI */
	{ 2, { 0x8e, 0xd0 }, 0 },			/* MOV SS, AX */
	{ 1, { 0x8e }, 1 },				/* MOV segment */
	{ 2, { 0x0f, 0xb2 }, 1 },			/* LSS … */
	{ 1, { 0x9d }, 0 },				/* POPF */
	{ 2, { 0x6a, 0x00 }, 0 },			/* PUSH 0 */
	{ 1, { 0x68 }, 4 },				/* PUSH … */
	{ 2, { 0x48, 0xcf }, 0 },			/* IRETQ */
	{ 1, { 0xcf }, 0 },				/* IRET */
	{ 2, { 0x48, 0xcb }, 0 },			/* RETFQ */
	{ 1, { 0xcb }, 0 },				/* RETF */
	{ 1, { 0xc3 }, 0 },				/* RET */
	{ 2, { 0xff, 0x2c }, 1 },			/* JMP far … */
	{ 1, { 0xcc }, 0 },				/* INT3 */
	{ 1, { 0xcd }, 1 },				/* INT n */
	{ 1, { 0xf1 }, 0 },				/* INT1 */
	{ 1, { 0xe4 }, 1 },				/* IN */
	{ 1, { 0xe6 }, 1 },				/* OUT */
	{ 2, { 0xe6, 0xe9 }, 0 },			/* OUT 0xE9 */
	{ 1, { 0xed }, 0 },				/* IN EAX, DX */
	{ 1, { 0xef }, 0 },				/* OUT DX, EAX */
	{ 2, { 0xf3, 0x6e }, 0 },			/* REP OUTSB */
	{ 1, { 0xeb }, 1 },				/* JMP short */
	{ 1, { 0x75 }, 1 },				/* JNZ */
	{ 1, { 0xe2 }, 1 },				/* LOOP */
	{ 2, { 0x0f, 0x0b }, 0 },			/* UD2 */
	{ 2, { 0xdb, 0xe3 }, 0 },			/* FNINIT */
	{ 1, { 0x9b }, 0 },				/* FWAIT */
	{ 3, { 0x0f, 0x28, 0xc1 }, 0 },			/* MOVAPS */
	{ 2, { 0x0f, 0xae }, 1 },			/* FXSAVE, XSAVE, WRFSBASE, CLFLUSH, … */
	{ 3, { 0xf3, 0x0f, 0xae }, 1 },			/* RDFSBASE, UMONITOR, … */
	{ 2, { 0xf3, 0xab }, 0 },			/* REP STOSD */
	{ 2, { 0xf3, 0xa4 }, 0 },			/* REP MOVSB */
	{ 2, { 0x80, 0x04 }, 2 },			/* ADD to memory */
	{ 0, { 0 }, 4 },				/* anything */
};

static uint64_t state;

static uint64_t next(void)
{
	/* splitmix64 */
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static size_t below(size_t limit)
{
	return (size_t)(next() % limit);
}

static void random_bytes(unsigned char *to, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = (unsigned char)next();
}

/* Puts random instructions of the list at `to`; returns how many bytes. */
static size_t random_instructions(unsigned char *to, size_t count)
{
	size_t size = 0;

	while (count--) {
		size_t which = below(sizeof instructions / sizeof *instructions);

		memcpy(to + size, instructions[which].bytes, instructions[which].size);
		size += instructions[which].size;
		random_bytes(to + size, instructions[which].operands);
		size += instructions[which].operands;
	}
	return size;
}

static struct program survivor, *known;
static size_t known_count;

static size_t make_any_guest(unsigned char *to)
{
	size_t size;

	switch (below(8)) {
	case 0:
		size = below(64) ? 1 + below(256) : max_program < MAX_PROGRAM ? max_program : MAX_PROGRAM;
		random_bytes(to, size);
		return size;
	case 1:
		return random_instructions(to, 1 + below(60));
	case 2:
	case 3:
	case 4:
		memcpy(to, survivor.bytes, survivor.size);
		size = survivor.size + random_instructions(to + survivor.size, 1 + below(80));
		memset(to + size, 0xf4, 16);	/* HLT: else it would go on through all zeroes */
		return size + 16;
	case 5:
		memcpy(to, survivor.bytes, survivor.size);
		size = survivor.size + 1 + below(300);
		random_bytes(to + survivor.size, size - survivor.size);
		memset(to + size, 0xf4, 16);
		return size + 16;
	default: {
		const struct program *one = &known[below(known_count)];

		memcpy(to, one->bytes, one->size);
		for (size_t changes = 1 + below(12); changes; changes--) {
			size_t place = below(one->size);

			switch (below(4)) {
			case 0:
				to[place] ^= (unsigned char)(1u << below(8));
				break;
			case 1:
				to[place] = (unsigned char)next();
				break;
			case 2:
				memmove(to + place, to + below(one->size), below(one->size - place) / 8);
				break;
			default:
				if (place + 16 < one->size)
					random_instructions(to + place, 1);
				break;
			}
		}
		return one->size;
	}
	}
}

/* MOVS or STOS after any prefixes. */
static bool is_string_move(const unsigned char *at)
{
	while (*at && (strchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", *at) ||
		       (*at & 0xf0) == 0x40))
		at++;
	return *at == 0xa4 || *at == 0xa5 || *at == 0xaa;
}

/* Makes the next guest; returns its size. */
static size_t make_guest(unsigned char *to)
{
	struct program program = { .bytes = to, .size = make_any_guest(to) };

	if (boots())
		make_bootable(&program);
	/* What ends the emulator itself by a failed assertion: in Bochs 2.7 some EVEX prefixes (0x62)
	 * in 32-bit code, in 3.0 REP MOVS and REP STOSB with a 32-bit address (0x67) in 64-bit code. */
	for (size_t i = 0; i < program.size; i++) {
		if (to[i] == 0x62)
			to[i] = 0x63;
		if (to[i] == 0x67 && is_string_move(to + i + 1))
			to[i] = 0x66;
	}
	return program.size;
}

/* ---- The kernel's log ---- */

static struct {
	char text[160];
	uint64_t count;
} verdicts[MAX_VERDICTS];
static uint64_t complaints, lost_records, told;

static void count_verdict(const char *line)
{
	char text[sizeof verdicts->text];
	size_t size = 0;

	for (; *line && size + 2 < sizeof text; line++) {
		if (line[0] == '0' && line[1] == 'x') {
			text[size++] = '#';
			line += 1;
			while (isxdigit((unsigned char)line[1]))
				line++;
		} else {
			text[size++] = *line;
		}
	}
	text[size] = '\0';
	for (size_t i = 0; i < MAX_VERDICTS; i++) {
		if (!verdicts[i].count)
			strcpy(verdicts[i].text, text);
		if (strcmp(verdicts[i].text, text))
			continue;
		verdicts[i].count++;
		return;
	}
	check(false, "verdicts", "more kinds than %d", MAX_VERDICTS);
}

/* Reads what is new. */
static void follow_log(int fd)
{
	static const char *const trouble[] = {
		"WARNING", "BUG", "Oops", "Call Trace", "general protection", "soft lockup",
		"rcu:", "unable to handle", "panic", "segfault", "trap ", "NMI",
	};
	char record[8192];
	ssize_t got;

	for (;;) {
		char *text, *end;

		got = read(fd, record, sizeof record - 1);
		if (got < 0 && errno == EPIPE) {
			lost_records++;
			continue;
		}
		if (got <= 0)
			return;
		record[got] = '\0';
		text = strchr(record, ';');
		if (!text)
			continue;
		text++;
		end = strchr(text, '\n');
		if (end)
			*end = '\0';
		if (!strncmp(text, module, strlen(module)) && text[strlen(module)] == ':') {
			text += strlen(module) + 2;
			if (strncmp(text, "guest: ", strlen("guest: ")))
				told++, count_verdict(text);
			continue;
		}
		for (size_t i = 0; i < sizeof trouble / sizeof *trouble; i++) {
			if (!strstr(text, trouble[i]))
				continue;
			if (complaints++ < 20)
				printf("complaint %s\n", text);
			break;
		}
	}
}

int command_random(int argc, char **argv)
{
	/* Static, and touched: the run itself shall cause no page fault, which would change CR2. */
	static unsigned char bytes[MAX_PROGRAM + 4096];
	static uint64_t counts[REASONS];
	uint64_t full = 0, failed = 0, late = 0, other = 0, exits = 0, before_it, begin;
	unsigned int longest = 0;
	long count, pages_before = 0, pages_after;
	char *before = NULL, text[1 << 15];
	int guest, log;

	if (argc < 6)
		die("random SEED COUNT LIMIT_MS SURVIVOR FILE...");
	state = strtoull(argv[1], NULL, 0);
	count = atol(argv[2]);
	survivor = load_program(argv[4]);
	if (boots())	/* its code alone, behind which there is room */
		for (survivor.size = SECTOR - 2; !survivor.bytes[survivor.size - 1];)
			survivor.size--;
	known_count = (size_t)argc - 5;
	known = calloc(known_count, sizeof *known);
	for (size_t i = 0; i < known_count; i++)
		known[i] = load_program(argv[i + 5]);

	settle(0);
	set_limit(argv[3]);
	set_parameter("trace", "N");
	guest = open_guest();
	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	lseek(log, 0, SEEK_END);
	begin = milliseconds();

	for (long i = -WARM_UP; i < count; i++) {
		size_t size = make_guest(bytes);
		struct outcome outcome;
		ssize_t got;
		int file;

		if (i == 0) {
			pages_before = free_pages();
			free(snapshot());
			before = snapshot();
		}
		/* Now and then the single exits, too. */
		if (i % 500 == 0 || i % 500 == 10)
			set_parameter("trace", i % 500 ? "N" : "Y");
		outcome = run_program(guest, bytes, size);
		before_it = told;
		follow_log(log);
		/* What a thread's write cannot say, the log does: that its status was not 0. */
		if (in_thread() && outcome.result == (ssize_t)size && told > before_it)
			outcome = (struct outcome){ .result = -1, .error = EIO, .ms = outcome.ms };
		if (outcome.result == (ssize_t)size)
			full++;
		else if (outcome.error == EIO)
			failed++;
		else if (outcome.error == ETIME)
			late++;
		else if (other++ < 20)
			check(false, "verdict", "guest %ld: write gave %zd, errno %d", i,
			      outcome.result, outcome.error);
		if (outcome.ms > longest)
			longest = outcome.ms;
		file = open(exits_file, O_RDONLY);
		if (i % 500 < 10) {
			while ((got = read(file, text, sizeof text - 1)) == sizeof text - 1)
				;
		} else {
			got = read(file, text, sizeof text - 1);
			text[got > 0 ? got : 0] = '\0';
			exits += add_totals(text, counts);
		}
		close(file);
		if ((i + 1) % 500 == 0) {
			printf("progress %ld\n", i + 1);
			fflush(stdout);
		}
	}
	printf("summary milliseconds %llu\n", (unsigned long long)(milliseconds() - begin));
	pages_after = free_pages();
	check_host("snapshot", before);

	printf("summary guests %llu\n", (unsigned long long)(full + failed + late + other));
	printf("summary full %llu\nsummary failed %llu\nsummary late %llu\nsummary other %llu\n",
	       (unsigned long long)full, (unsigned long long)failed, (unsigned long long)late,
	       (unsigned long long)other);
	printf("summary longest_ms %u\nsummary exits %llu\n", longest, (unsigned long long)exits);
	printf("summary pages_before %ld\nsummary pages_after %ld\n", pages_before, pages_after);
	printf("summary complaints %llu\nsummary lost_log_records %llu\n",
	       (unsigned long long)complaints, (unsigned long long)lost_records);
	for (size_t i = 0; i < MAX_VERDICTS && verdicts[i].count; i++)
		printf("verdict %llu %s\n", (unsigned long long)verdicts[i].count, verdicts[i].text);
	for (int reason = 0; reason < REASONS; reason++)
		if (counts[reason])
			printf("reason %d %llu\n", reason, (unsigned long long)counts[reason]);
	close(guest);
	check(!syscall(SYS_delete_module, module, O_NONBLOCK), "unload", "errno %d", errno);
	check_host("snapshot after unload", before);
	return failed_checks != 0;
}
