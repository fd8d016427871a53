// SPDX-License-Identifier: GPL-2.0-only
/*
 * lab-tool run LIMIT_MS FILE...
 *
 * Runs guest programs one after the other. For each a line "@@GUEST NAME" in the kernel log, and
 *     guest NAME RESULT ERRNO MILLISECONDS EXITS REASON:COUNT ...
 * on standard output; from a module whose guests have a thread, also "status NAME", and what the
 * file says. With the module "snapshot" loaded, the host and its free pages are compared
 * before and after all of them.
 */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int command_run(int argc, char **argv)
{
	bool watched = access(SNAPSHOT_FILE, R_OK) == 0;
	char *before = NULL;
	long pages = 0, few = 64 * sysconf(_SC_NPROCESSORS_ONLN), runs = argc - 2;

	if (argc < 3)
		die("run LIMIT_MS FILE...");
	set_limit(argv[1]);
	if (watched) {
		settle(0);
		pages = free_pages();
		free(snapshot()); /* what it touches for the first time causes page faults: CR2 */
		before = snapshot();
	}
	for (int i = 2; i < argc; i++) {
		struct program program = load_program(argv[i]);
		uint64_t counts[REASONS] = { 0 };
		struct outcome outcome;
		uint64_t exits;
		char *text;

		kernel_log("<3>@@GUEST %s\n", program.name);
		outcome = run_once(&program);
		text = read_text(exits_file);
		exits = add_totals(text, counts);
		printf("guest %s %zd %d %u %llu", program.name, outcome.result, outcome.error,
		       outcome.ms, (unsigned long long)exits);
		for (int reason = 0; reason < REASONS; reason++)
			if (counts[reason])
				printf(" %d:%llu", reason, (unsigned long long)counts[reason]);
		putchar('\n');
		fflush(stdout);
		free(text);
		if (in_thread()) {
			text = read_text(status_file);
			printf("status %s %s", program.name, text);
			free(text);
		}
		free(program.bytes);
	}
	kernel_log("<3>@@GUEST -\n");
	if (watched) {
		check_host("snapshot", before);
		sleep(1); /* some of what was used is given back a moment later */
		pages -= free_pages();
		/* Linux keeps some for its own use, but less than one for each of many guests. */
		check(pages <= few || pages < runs, "pages", "%ld fewer after %ld runs", pages, runs);
	}
	set_limit("2000");
	return failed_checks != 0;
}
