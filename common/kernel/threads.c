// SPDX-License-Identifier: GPL-2.0-only
/*
 * One kernel thread per logical processor, made, parked and woken by Linux's own hotplug code
 * (the one that also keeps its ksoftirqd threads).
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/percpu.h>
#include <linux/smpboot.h>

#include "kernel.h"

static DEFINE_PER_CPU(struct task_struct *, thread);

static void (*thread_begin)(unsigned int cpu);
static bool (*thread_has_work)(unsigned int cpu);
static void (*thread_work)(unsigned int cpu);

static void setup(unsigned int cpu)
{
	thread_begin(cpu);
}

static int should_run(unsigned int cpu)
{
	return thread_has_work(cpu);
}

static void run(unsigned int cpu)
{
	thread_work(cpu);
}

static struct smp_hotplug_thread threads = {
	.store = &thread,
	.setup = setup,
	.thread_should_run = should_run,
	.thread_fn = run,
	.thread_comm = "vtx-guest/%u",
};

int vtx_threads_start(void (*begin)(unsigned int cpu), bool (*has_work)(unsigned int cpu),
		      void (*work)(unsigned int cpu))
{
	thread_begin = begin;
	thread_has_work = has_work;
	thread_work = work;
	return vtx_fails_here() ? -ENOMEM : smpboot_register_percpu_thread(&threads);
}

void vtx_threads_stop(void)
{
	smpboot_unregister_percpu_thread(&threads);
}

void vtx_sleep(unsigned int milliseconds)
{
	msleep(milliseconds);
}
