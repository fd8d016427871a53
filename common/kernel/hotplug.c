// SPDX-License-Identifier: GPL-2.0-only
/*
 * Something that every online processor takes part in, whichever comes and goes, until the machine
 * sleeps, restarts or dies.
 */
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/notifier.h>
#include <linux/panic_notifier.h>
#include <linux/reboot.h>
#include <linux/smp.h>
#include <linux/suspend.h>

#include "kernel.h"

static int (*join)(unsigned int cpu);
static void (*part)(unsigned int cpu);
static enum cpuhp_state state; /* 0: nobody takes part */

/* Linux calls these in a thread that stays on the processor. */
static int come(unsigned int cpu)
{
	return join(cpu);
}

static int go(unsigned int cpu)
{
	part(cpu);
	return 0;
}

static int all_come(void)
{
	/* If one returns an error, Linux calls `go` on those that came before, and returns it. */
	int error = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, KBUILD_MODNAME ":online", come, go);

	state = error < 0 ? 0 : error;
	return error < 0 ? error : 0;
}

static void all_go(void)
{
	if (state)
		cpuhp_remove_state(state);
	state = 0;
}

/* Firmware that wakes the machine up knows nothing of VMX operation. */
static int power_changes(struct notifier_block *block, unsigned long event, void *unused)
{
	switch (event) {
	case PM_HIBERNATION_PREPARE:
	case PM_SUSPEND_PREPARE:
	case PM_RESTORE_PREPARE:
		all_go();
		break;
	case PM_POST_HIBERNATION:
	case PM_POST_SUSPEND:
	case PM_POST_RESTORE:
		if (!state && all_come())
			vtx_log_error("after the machine slept, not all processors could join again: "
				      "load the module again");
		break;
	}
	return NOTIFY_DONE;
}

/* A processor in VMX operation ignores INIT, by which a restart, or the next kernel, starts it. */
static int machine_restarts(struct notifier_block *block, unsigned long event, void *unused)
{
	all_go();
	return NOTIFY_DONE;
}

/* Here only the processor that panics still runs code, and nothing may sleep. */
static int machine_dies(struct notifier_block *block, unsigned long event, void *unused)
{
	part(raw_smp_processor_id());
	return NOTIFY_DONE;
}

static struct notifier_block power = { .notifier_call = power_changes };
static struct notifier_block restart = { .notifier_call = machine_restarts };
static struct notifier_block death = { .notifier_call = machine_dies };

int vtx_cpus_join(int (*join_one)(unsigned int cpu), void (*part_one)(unsigned int cpu))
{
	unsigned int flags;
	int error;

	join = join_one;
	part = part_one;
	/* Who is about to sleep or to restart has called the notifiers already: wait for the end. */
	flags = lock_system_sleep();
	error = vtx_fails_here() ? -ENOMEM : all_come();
	if (!error) {
		register_pm_notifier(&power);
		register_reboot_notifier(&restart);
		atomic_notifier_chain_register(&panic_notifier_list, &death);
	}
	unlock_system_sleep(flags);
	return error;
}

void vtx_cpus_part(void)
{
	atomic_notifier_chain_unregister(&panic_notifier_list, &death);
	unregister_reboot_notifier(&restart);
	unregister_pm_notifier(&power);
	all_go();
}
