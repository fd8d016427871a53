// SPDX-License-Identifier: GPL-2.0-only
/* Measures when it is loaded, and stays for nothing. */
#include <linux/init.h>
#include <linux/module.h>

int measure_parts(void);

static int __init module_start(void)
{
	return measure_parts();
}

static void __exit module_stop(void)
{
}

module_init(module_start);
module_exit(module_stop);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VtxTutorial " KBUILD_MODNAME);
