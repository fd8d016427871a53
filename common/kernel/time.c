// SPDX-License-Identifier: GPL-2.0-only
/* Time, and behaving well towards the rest of the kernel while it passes. */
#include <linux/ktime.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include <asm/tsc.h>

#include "kernel.h"

uint64_t vtx_milliseconds(void)
{
	return ktime_to_ms(ktime_get());
}

uint64_t vtx_wall_seconds(void)
{
	return ktime_get_real_seconds();
}

uint32_t vtx_tsc_khz(void)
{
	return tsc_khz;
}

void vtx_give_way(void)
{
	cond_resched();
	/*
	 * Whoever changes traced code waits until every task has given up its processor by
	 * itself (RCU-tasks). Preemption by cond_resched() does not count, and a guest may run
	 * for ever. So we report it here, where nothing traced is on the stack.
	 */
	rcu_tasks_classic_qs(current, false);
}

bool vtx_interrupted(void)
{
	return signal_pending(current);
}
