// SPDX-License-Identifier: GPL-2.0-only
/* The C side of the module: what Linux calls when it loads and unloads it, and its parameter. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>

#include "kernel.h"
#include "step.h"

enum spoil_kind spoil = SPOIL_NONE;

static const char *const spoil_names[] = {
	[SPOIL_NONE] = "none",
	[SPOIL_CONTROL] = "control",
	[SPOIL_HOST] = "host",
	[SPOIL_GUEST] = "guest",
	[SPOIL_MSR] = "msr",
};

static int set_spoil(const char *value, const struct kernel_param *parameter)
{
	int kind = sysfs_match_string(spoil_names, value);

	if (kind < 0) {
		vtx_log_error("spoil=%s is unknown: give none, control, host, guest or msr", value);
		return -EINVAL;
	}
	spoil = kind;
	return 0;
}

static int get_spoil(char *buffer, const struct kernel_param *parameter)
{
	return sysfs_emit(buffer, "%s\n", spoil_names[spoil]);
}

static const struct kernel_param_ops spoil_operations = {
	.set = set_spoil,
	.get = get_spoil,
};
module_param_cb(spoil, &spoil_operations, NULL, 0400);
MODULE_PARM_DESC(spoil, "make this VM entry fail: none, control, host, guest or msr");

bool check;
module_param(check, bool, 0400);
MODULE_PARM_DESC(check, "examine the VMCS before VMLAUNCH, and refuse with the findings (default off)");

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
