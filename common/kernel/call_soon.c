// SPDX-License-Identifier: GPL-2.0-only
/* A call from a place where nothing of Linux may be called. */
#include <linux/irq_work.h>
#include <linux/percpu.h>

#include "kernel.h"

static void (*soon)(void);

static void call(struct irq_work *unused)
{
	soon();
}

/*
 * One each, so that each processor which asks is interrupted itself. HARD: in the interrupt, also
 * in a real-time Linux, where interrupts run in threads.
 */
static DEFINE_PER_CPU(struct irq_work, work) = IRQ_WORK_INIT_HARD(NULL);

void vtx_call_soon(void (*function)(void))
{
	struct irq_work *own = this_cpu_ptr(&work);

	soon = function;
	own->func = call; /* not above: Linux relocates no addresses in a module's per-CPU data */
	irq_work_queue(own);
}

void vtx_call_soon_wait(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		irq_work_sync(per_cpu_ptr(&work, cpu));
}
