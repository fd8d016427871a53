// SPDX-License-Identifier: GPL-2.0-only
/* The C side of the module: what Linux calls when it loads and unloads it, and its parameters. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>

#include "kernel.h"
#include "step.h"

unsigned int memory_mb = 16;
unsigned int limit_ms = 2000;
bool trace = true;
bool check;
enum spoil_kind spoil = SPOIL_NONE;

/* Reads a number between two bounds. `wanted` says in the log what is possible. */
static int set_number(const char *value, const struct kernel_param *parameter,
		      unsigned int least, unsigned int most, const char *wanted)
{
	unsigned int number;

	if (kstrtouint(value, 0, &number) || number < least || number > most) {
		/* Written by echo, the value ends in a newline. */
		vtx_log_error("%s=%.*s is not possible: give %s", parameter->name,
			      (int)strcspn(value, "\n"), value, wanted);
		return -EINVAL;
	}
	*(unsigned int *)parameter->arg = number;
	return 0;
}

static int set_memory(const char *value, const struct kernel_param *parameter)
{
	return set_number(value, parameter, 1, 512, "the guest's RAM in MiB, 1 to 512");
}

static int set_limit(const char *value, const struct kernel_param *parameter)
{
	return set_number(value, parameter, 1, UINT_MAX,
			  "the milliseconds that a guest may run, 1 or more");
}

static const struct kernel_param_ops memory_operations = {
	.set = set_memory,
	.get = param_get_uint,
};
module_param_cb(memory_mb, &memory_operations, &memory_mb, 0600);
MODULE_PARM_DESC(memory_mb, "RAM of a guest in MiB, 1 to 512 (default 16)");

static const struct kernel_param_ops limit_operations = {
	.set = set_limit,
	.get = param_get_uint,
};
module_param_cb(limit_ms, &limit_operations, &limit_ms, 0600);
MODULE_PARM_DESC(limit_ms, "milliseconds that a guest may run (default 2000)");

module_param(trace, bool, 0600);
MODULE_PARM_DESC(trace, "record every VM exit in full, not only its count (default on)");

module_param(check, bool, 0400);
MODULE_PARM_DESC(check, "examine a guest's VMCS before its first entry, and refuse with the findings (default off)");

static const char *const spoil_names[] = {
	[SPOIL_NONE] = "none",
	[SPOIL_MISCONFIG] = "misconfig",
	[SPOIL_EPTP] = "eptp",
};

static int set_spoil(const char *value, const struct kernel_param *parameter)
{
	int kind = sysfs_match_string(spoil_names, value);

	if (kind < 0) {
		vtx_log_error("spoil=%s is unknown: give none, misconfig or eptp", value);
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
MODULE_PARM_DESC(spoil, "make this mistake: none, misconfig or eptp");

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
