// SPDX-License-Identifier: GPL-2.0-only
/* The C side of the module: what Linux calls when it loads and unloads it, and its parameters. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>

#include "kernel.h"
#include "step.h"

unsigned int memory_mb = 16;
bool trace = true;
bool check;
char keys[KEYS_SIZE];

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
MODULE_PARM_DESC(memory_mb, "RAM of a guest in MiB, 1 to 512 (default 16)");

module_param(trace, bool, 0600);
MODULE_PARM_DESC(trace, "record every VM exit in full, not only its count (default on)");

module_param(check, bool, 0400);
MODULE_PARM_DESC(check, "examine a guest's VMCS before its first entry, and refuse with the findings (default off)");

/* What somebody types. The guest takes a copy when it begins. */
static int set_keys(const char *value, const struct kernel_param *parameter)
{
	/* Written by echo, the value ends in a newline. */
	size_t length = strcspn(value, "\n");
	size_t i;

	if (length >= sizeof(keys) || value[length + (value[length] == '\n')]) {
		vtx_log_error("keys= is not possible: give one line of at most %zu characters",
			      sizeof(keys) - 1);
		return -EINVAL;
	}
	for (i = 0; i < length; i++)
		/* The echo of some shells, dash among them, makes a carriage return of \r. */
		if ((value[i] < ' ' || value[i] > '~') && value[i] != '\r') {
			vtx_log_error("keys= is not possible: give characters of ASCII, and \\r for the key Enter");
			return -EINVAL;
		}
	vtx_lock();
	memcpy(keys, value, length);
	keys[length] = '\0';
	vtx_unlock();
	return 0;
}

static int get_keys(char *buffer, const struct kernel_param *parameter)
{
	return sysfs_emit(buffer, "%s\n", keys);
}

static const struct kernel_param_ops keys_operations = {
	.set = set_keys,
	.get = get_keys,
};
module_param_cb(keys, &keys_operations, NULL, 0600);
MODULE_PARM_DESC(keys, "keys that wait to be read by INT 16h: ASCII, \\r is Enter");

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
