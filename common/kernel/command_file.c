// SPDX-License-Identifier: GPL-2.0-only
/* A file that takes a number as a command. */
#include <linux/debugfs.h>
#include <linux/kernel.h>
#include <linux/module.h>

#include "kernel.h"
#include "kernel/files.h"

static int (*give_command)(unsigned int number);

static ssize_t write_command(struct file *file, const char __user *from, size_t size,
			     loff_t *offset)
{
	unsigned int number;
	int error = kstrtouint_from_user(from, size, 0, &number);

	if (!error)
		error = give_command(number);
	return error ? error : (ssize_t)size;
}

static const struct file_operations command_operations = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = write_command,
	.llseek = default_llseek,
};

void vtx_command_file_create(const char *name, int (*command)(unsigned int number))
{
	give_command = command;
	debugfs_create_file(name, 0200, vtx_files_folder(), NULL, &command_operations);
}
