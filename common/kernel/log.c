// SPDX-License-Identifier: GPL-2.0-only
/* The kernel log, for C++. */
#include <linux/printk.h>

#include "kernel.h"

void vtx_log(const char *format, ...)
{
	va_list arguments;
	struct va_format line = { .fmt = format, .va = &arguments };

	va_start(arguments, format);
	printk(KERN_INFO KBUILD_MODNAME ": %pV\n", &line);
	va_end(arguments);
}

void vtx_log_error(const char *format, ...)
{
	va_list arguments;
	struct va_format line = { .fmt = format, .va = &arguments };

	va_start(arguments, format);
	printk(KERN_ERR KBUILD_MODNAME ": %pV\n", &line);
	va_end(arguments);
}
