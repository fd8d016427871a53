// SPDX-License-Identifier: GPL-2.0-only
/* The C side of the module: what Linux calls when it loads and unloads it, and its parameters. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>

#include "kernel.h"
#include "step.h"

unsigned int limit_ms = 2000;
bool trace = true;

static int set_limit(const char *value, const struct kernel_param *parameter)
{
	unsigned int milliseconds;

	if (kstrtouint(value, 0, &milliseconds) || milliseconds == 0) {
		/* Written by echo, the value ends in a newline. */
		vtx_log_error("limit_ms=%.*s is not possible: give the milliseconds that a guest may run, 1 or more",
			      (int)strcspn(value, "\n"), value);
		return -EINVAL;
	}
	limit_ms = milliseconds;
	return 0;
}

static int get_limit(char *buffer, const struct kernel_param *parameter)
{
	return sysfs_emit(buffer, "%u\n", limit_ms);
}

static const struct kernel_param_ops limit_operations = {
	.set = set_limit,
	.get = get_limit,
};
module_param_cb(limit_ms, &limit_operations, NULL, 0600);
MODULE_PARM_DESC(limit_ms, "milliseconds that a guest may run (default 2000)");

module_param(trace, bool, 0600);
MODULE_PARM_DESC(trace, "record every VM exit in full, not only its count (default on)");

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
