// SPDX-License-Identifier: GPL-2.0-only
/*
 * The C side of the module: what Linux calls when it loads and unloads it.
 *
 * Linux's headers are C and cannot be read by a C++ compiler, so this file and common/kernel/
 * include them, and step.cpp is called through two plain functions.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/utsname.h>

#include "kernel.h"
#include "step.h"

static int __init module_start(void)
{
	vtx_log("loaded into Linux %s", init_utsname()->release);
	vtx_log("C compiler: " CONFIG_CC_VERSION_TEXT);
	return step_start();
}

static void __exit module_stop(void)
{
	step_stop();
}

module_init(module_start);
module_exit(module_stop);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VtxTutorial step 00: the smallest kernel module in C++");
