// SPDX-License-Identifier: GPL-2.0-only
/* Time, and behaving well towards the rest of the kernel while it passes. */
#include <linux/ktime.h>
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
}

bool vtx_interrupted(void)
{
	return signal_pending(current);
}
