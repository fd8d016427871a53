// SPDX-License-Identifier: GPL-2.0-only
/* A call from a place where nothing of Linux may be called. */
#include <linux/irq_work.h>

#include "kernel.h"

static void (*soon)(void);

static void call(struct irq_work *unused)
{
	soon();
}

static DEFINE_IRQ_WORK(work, call);

void vtx_call_soon(void (*function)(void))
{
	soon = function;
	irq_work_queue(&work);
}

void vtx_call_soon_wait(void)
{
	irq_work_sync(&work);
}
