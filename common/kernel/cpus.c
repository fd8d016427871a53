// SPDX-License-Identifier: GPL-2.0-only
/* Doing something on every logical processor. */
#include <linux/cpu.h>
#include <linux/smp.h>

#include "kernel.h"

unsigned int vtx_current_cpu(void)
{
	return raw_smp_processor_id();
}

unsigned int vtx_cpu_limit(void)
{
	return nr_cpu_ids;
}

bool vtx_cpu_online(unsigned int cpu)
{
	return cpu_online(cpu);
}

int vtx_visit_cpus(void (*work)(void *context), int (*then)(unsigned int cpu, void *context),
		   void *context)
{
	unsigned int cpu;
	int error = 0;

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		/* The function is called with interrupts off, on this processor as on others. */
		smp_call_function_single(cpu, work, context, true);
		error = then(cpu, context);
		if (error)
			break;
	}
	cpus_read_unlock();
	return error;
}
