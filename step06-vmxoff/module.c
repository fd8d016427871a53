// SPDX-License-Identifier: GPL-2.0-only
/* The C side of the module: what Linux calls when it loads and unloads it, and its parameter. */
#include <linux/init.h>
#include <linux/module.h>

#include "kernel.h"
#include "step.h"

int dying_cpu = -1;
module_param(dying_cpu, int, 0400);
MODULE_PARM_DESC(dying_cpu, "the CPU whose guest dies after 100 hypercalls (default -1: none)");

bool check;
module_param(check, bool, 0400);
MODULE_PARM_DESC(check, "examine a guest's VMCS before its first entry, and refuse with the findings (default off)");

static int __init module_start(void)
{
	return step_start();
}

static void __exit module_stop(void)
{
	step_stop();
}

module_init(module_start);
module_exit(module_stop);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VtxTutorial " KBUILD_MODNAME);
