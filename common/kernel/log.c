// SPDX-License-Identifier: GPL-2.0-only
/* The kernel log, for C++. */
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/printk.h>

#include "kernel.h"

static_assert(VTX_EINTR == EINTR && VTX_EIO == EIO && VTX_ENOEXEC == ENOEXEC);
static_assert(VTX_EACCES == EACCES && VTX_EFAULT == EFAULT && VTX_EBUSY == EBUSY);
static_assert(VTX_ENODEV == ENODEV && VTX_EINVAL == EINVAL && VTX_EFBIG == EFBIG);
static_assert(VTX_ENOSPC == ENOSPC && VTX_ENOSYS == ENOSYS && VTX_ETIME == ETIME);
static_assert(VTX_EOPNOTSUPP == EOPNOTSUPP && VTX_ENOMEM == ENOMEM);

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
