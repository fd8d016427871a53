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

uint32_t vtx_tsc_khz(void)
{
	return tsc_khz;
}

void vtx_give_way(void)
{
	cond_resched();
	/*
	 * Those who change traced code wait until every task has given its processor up of its
	 * own accord (RCU-tasks). To be preempted by cond_resched() is not that, and a guest may
	 * run for ever: so it is said here, where nothing traced is on the stack.
	 */
	rcu_tasks_classic_qs(current, false);
}

bool vtx_interrupted(void)
{
	return signal_pending(current);
}
