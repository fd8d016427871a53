// SPDX-License-Identifier: GPL-2.0-only
/* Runs a share of the differential test when it is loaded, and logs what came of it. */
#include <linux/init.h>
#include <linux/module.h>

#include "kernel.h"

int differential_run(unsigned int version, unsigned int model, unsigned int stride);

static unsigned int version;
module_param(version, uint, 0400);
MODULE_PARM_DESC(version, "of Bochs, as a bit of deviations.hpp");

static unsigned int model;
module_param(model, uint, 0400);
MODULE_PARM_DESC(model, "the CPU model, as a bit of deviations.hpp");

static unsigned int stride = 10;
module_param(stride, uint, 0400);
MODULE_PARM_DESC(stride, "of the mutations that are not essential, take every n-th");

static int __init module_start(void)
{
	return differential_run(version, model, stride ? stride : 1);
}

static void __exit module_stop(void)
{
}

module_init(module_start);
module_exit(module_stop);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VtxTutorial test: the rules of VM entry against this processor");
