/* SPDX-License-Identifier: GPL-2.0-only */
/* late: what runs while step 11 keeps its Linux as a guest. main.c says what each part does. */
#ifndef LATE_H
#define LATE_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* The parts that are not in main.c. Each returns an exit status. */
int work(int rounds);
int perf(void);
int flood(void);
int msrs(void);
int cycles(int count, int cpus, const char *file);

/* Says why, on standard output; the status of a failure. */
#define fail(...) (printf("not ok: "), printf(__VA_ARGS__), puts(""), 1)

#endif
