// SPDX-License-Identifier: GPL-2.0-only
/* The C side of the module: what Linux calls when it loads and unloads it, and its parameters. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>

#include "kernel.h"
#include "step.h"

unsigned int memory_mb = 128;
unsigned int entry_bits = 32;
bool trace = true;
bool check;

static int set_memory(const char *value, const struct kernel_param *parameter)
{
	unsigned int number;

	if (kstrtouint(value, 0, &number) || number < 1 || number > 512) {
		/* Written by echo, the value ends in a newline. */
		vtx_log_error("memory_mb=%.*s is not possible: give the guest's RAM in MiB, 1 to 512",
			      (int)strcspn(value, "\n"), value);
		return -EINVAL;
	}
	memory_mb = number;
	return 0;
}

static const struct kernel_param_ops memory_operations = {
	.set = set_memory,
	.get = param_get_uint,
};
module_param_cb(memory_mb, &memory_operations, &memory_mb, 0600);
MODULE_PARM_DESC(memory_mb, "RAM of a guest in MiB, 1 to 512 (default 128)");

static int set_entry(const char *value, const struct kernel_param *parameter)
{
	unsigned int number;

	if (kstrtouint(value, 0, &number) || (number != 32 && number != 64)) {
		vtx_log_error("entry=%.*s is not possible: give 32 or 64", (int)strcspn(value, "\n"),
			      value);
		return -EINVAL;
	}
	entry_bits = number;
	return 0;
}

static const struct kernel_param_ops entry_operations = {
	.set = set_entry,
	.get = param_get_uint,
};
module_param_cb(entry, &entry_operations, &entry_bits, 0600);
MODULE_PARM_DESC(entry, "begin in 32-bit or 64-bit code, where the kernel offers both (default 32)");

module_param(trace, bool, 0600);
MODULE_PARM_DESC(trace, "record every VM exit in full, not only its count (default on)");

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
