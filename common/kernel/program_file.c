// SPDX-License-Identifier: GPL-2.0-only
/* A file that runs what is written to it. */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "kernel.h"
#include "kernel/files.h"

static DEFINE_MUTEX(one_at_a_time);
static size_t program_limit;
static int (*run_program)(const void *bytes, size_t size);

static ssize_t write_program(struct file *file, const char __user *from, size_t size,
			     loff_t *offset)
{
	void *bytes;
	ssize_t result;

	if (size == 0 || *offset != 0)
		return -EINVAL;
	if (size > program_limit) {
		vtx_log_error("this guest is too large: it may have at most %zu bytes",
			      program_limit);
		return -EFBIG;
	}
	bytes = vmalloc(size);
	if (!bytes)
		return -ENOMEM;
	if (copy_from_user(bytes, from, size)) {
		result = -EFAULT;
	} else if (mutex_lock_killable(&one_at_a_time)) {
		result = -EINTR;
	} else {
		result = run_program(bytes, size);
		mutex_unlock(&one_at_a_time);
	}
	vfree(bytes);
	return result ? result : (ssize_t)size;
}

static const struct file_operations program_operations = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = write_program,
	.llseek = default_llseek,
};

void vtx_program_file_create(const char *name, size_t limit,
			     int (*run)(const void *bytes, size_t size))
{
	program_limit = limit;
	run_program = run;
	debugfs_create_file(name, 0200, vtx_files_folder(), NULL, &program_operations);
}
