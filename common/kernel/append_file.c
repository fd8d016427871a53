// SPDX-License-Identifier: GPL-2.0-only
/* A file that takes any number of writes: opening it for writing empties it, each write appends. */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kernel.h"
#include "kernel/files.h"

static const struct vtx_append_file *append_file(const struct file *file)
{
	return file_inode(file)->i_private;
}

static int show_append_file(struct seq_file *seq, void *unused)
{
	const struct vtx_append_file *file = seq->private;

	file->show((struct vtx_table *)seq);
	return 0;
}

static int open_append_file(struct inode *inode, struct file *file)
{
	const struct vtx_append_file *own = inode->i_private;
	int error = 0;

	if (file->f_mode & FMODE_WRITE)
		error = own->empty();
	if (error)
		return error;
	return own->show ? single_open(file, show_append_file, inode->i_private) : 0;
}

static int release_append_file(struct inode *inode, struct file *file)
{
	const struct vtx_append_file *own = inode->i_private;

	return own->show ? single_release(inode, file) : 0;
}

static ssize_t read_append_file(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	return append_file(file)->show ? seq_read(file, to, size, offset) : -EINVAL;
}

static ssize_t write_append_file(struct file *file, const char __user *from, size_t size,
				 loff_t *offset)
{
	void *bytes;
	int error;

	size = min_t(size_t, size, SZ_64K);
	if (!size)
		return 0;
	bytes = kvmalloc(size, GFP_KERNEL);
	if (!bytes)
		return -ENOMEM;
	error = copy_from_user(bytes, from, size) ? -EFAULT : append_file(file)->append(bytes, size);
	kvfree(bytes);
	return error ? error : (ssize_t)size;
}

static const struct file_operations append_operations = {
	.owner = THIS_MODULE,
	.open = open_append_file,
	.read = read_append_file,
	.write = write_append_file,
	.release = release_append_file,
	.llseek = noop_llseek,
};

void vtx_append_file_create(const char *name, const struct vtx_append_file *file)
{
	debugfs_create_file(name, file->show ? 0600 : 0200, vtx_files_folder(), (void *)file,
			    &append_operations);
}
