// SPDX-License-Identifier: GPL-2.0-only
/* Files under /sys/kernel/debug/<module>/ that show what a step knows. */
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "kernel.h"
#include "kernel/files.h"

static struct dentry *folder;

struct dentry *vtx_files_folder(void)
{
	if (!folder) {
		folder = debugfs_create_dir(KBUILD_MODNAME, NULL);
		if (IS_ERR(folder))
			vtx_log("debugfs is switched off in this kernel: no files under /sys/kernel/debug/"
				KBUILD_MODNAME);
	}
	return folder;
}

void vtx_files_remove(void)
{
	debugfs_remove(folder);
	folder = NULL;
}

void vtx_print(struct vtx_table *table, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	seq_vprintf((struct seq_file *)table, format, arguments);
	va_end(arguments);
}

static int show_table(struct seq_file *file, void *unused)
{
	void (*show)(struct vtx_table *table) = file->private;

	show((struct vtx_table *)file);
	return 0;
}

static int open_table(struct inode *inode, struct file *file)
{
	return single_open(file, show_table, inode->i_private);
}

static const struct file_operations table_operations = {
	.owner = THIS_MODULE,
	.open = open_table,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

void vtx_file_create(const char *name, void (*show)(struct vtx_table *table))
{
	debugfs_create_file(name, 0400, vtx_files_folder(), show, &table_operations);
}
