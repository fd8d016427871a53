// SPDX-License-Identifier: GPL-2.0-only
/* The console of a guest as a file: read what it sends, write what somebody types. */
#include <linux/debugfs.h>
#include <linux/kfifo.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "kernel.h"
#include "kernel/files.h"

/* `lock` protects all of these. Nobody sleeps with it, so the guest's thread never waits long. */
static DEFINE_MUTEX(lock);
static DEFINE_KFIFO(sent, char, SZ_256K);
static DEFINE_KFIFO(typed, char, SZ_4K);
static unsigned long dropped; /* bytes that were sent and that nobody will read */
static unsigned long begun;   /* the number of the last guest; 0 if there was none yet */
static bool runs;             /* it has not ended */

static DECLARE_WAIT_QUEUE_HEAD(readers);
static DECLARE_WAIT_QUEUE_HEAD(writers);

/* What one read or write takes at most: it is copied from or to the program without the lock. */
#define PIECE 512

void vtx_console_begin(void)
{
	mutex_lock(&lock);
	kfifo_reset(&sent);
	kfifo_reset(&typed);
	dropped = 0;
	begun++;
	runs = true;
	mutex_unlock(&lock);
	wake_up_all(&readers); /* of the guest before */
}

void vtx_console_end(void)
{
	mutex_lock(&lock);
	runs = false;
	mutex_unlock(&lock);
	wake_up_all(&readers);
	wake_up_all(&writers);
}

void vtx_console_put(const void *bytes, size_t size)
{
	if (!size)
		return;
	mutex_lock(&lock);
	while (kfifo_avail(&sent) < size) {
		kfifo_skip(&sent);
		dropped++;
	}
	kfifo_in(&sent, (const char *)bytes, size);
	mutex_unlock(&lock);
	wake_up_all(&readers);
}

bool vtx_console_take(uint8_t *byte)
{
	char taken;
	bool any;

	if (kfifo_is_empty(&typed))
		return false;
	mutex_lock(&lock);
	any = kfifo_get(&typed, &taken);
	mutex_unlock(&lock);
	if (any) {
		*byte = taken;
		wake_up_all(&writers);
	}
	return any;
}

static bool has_ended(void)
{
	return READ_ONCE(begun) && !READ_ONCE(runs);
}

static bool has_sent(void)
{
	return !kfifo_is_empty(&sent) || has_ended();
}

/* In front of what is left. Whoever reads in smaller pieces is told when they are large enough. */
static unsigned int tell_dropped(char *bytes, size_t size)
{
	char text[64];
	size_t length;

	if (!dropped)
		return 0;
	length = scnprintf(text, sizeof(text), "\r\n[%lu bytes were not read in time]\r\n", dropped);
	if (length > size)
		return 0;
	dropped = 0;
	memcpy(bytes, text, length);
	return length;
}

/* A reader belongs to the guest that ran, or ran last, when it first read: `private_data` is its
 * number. So it comes to an end, even if the next guest begins meanwhile. */
static ssize_t read_console(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	char bytes[PIECE];
	unsigned long mine;
	unsigned int count;
	bool over;

	size = min_t(size_t, size, PIECE);
	if (!size)
		return 0;
	for (;;) {
		if (mutex_lock_interruptible(&lock))
			return -ERESTARTSYS;
		mine = (unsigned long)file->private_data;
		file->private_data = (void *)begun;
		over = mine && mine != begun;
		count = over ? 0 : tell_dropped(bytes, size);
		if (!over && !count)
			count = kfifo_out(&sent, bytes, size);
		over |= has_ended();
		mutex_unlock(&lock);
		if (count)
			return copy_to_user(to, bytes, count) ? -EFAULT : (ssize_t)count;
		if (over)
			return 0;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		mine = (unsigned long)file->private_data;
		if (wait_event_interruptible(readers, has_sent() || READ_ONCE(begun) != mine))
			return -ERESTARTSYS;
	}
}

static bool has_room(void)
{
	return !kfifo_is_full(&typed) || !READ_ONCE(runs);
}

static ssize_t write_console(struct file *file, const char __user *from, size_t size,
			     loff_t *offset)
{
	unsigned long first = READ_ONCE(begun);
	char bytes[PIECE];
	unsigned int count = 0;
	bool may;

	size = min_t(size_t, size, PIECE);
	if (copy_from_user(bytes, from, size))
		return -EFAULT;
	for (;;) {
		if (mutex_lock_interruptible(&lock))
			return -ERESTARTSYS;
		may = runs && begun == first;
		if (may)
			count = kfifo_in(&typed, bytes, size);
		mutex_unlock(&lock);
		if (count)
			vtx_wake();
		if (!may || count || !size)
			return may ? (ssize_t)count : -EIO;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(writers, has_room() || READ_ONCE(begun) != first))
			return -ERESTARTSYS;
	}
}

static __poll_t poll_console(struct file *file, poll_table *table)
{
	__poll_t ready = 0;

	poll_wait(file, &readers, table);
	poll_wait(file, &writers, table);
	if (has_sent())
		ready |= EPOLLIN | EPOLLRDNORM;
	if (has_room())
		ready |= EPOLLOUT | EPOLLWRNORM;
	if (has_ended())
		ready |= EPOLLHUP;
	return ready;
}

static const struct file_operations console_operations = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.read = read_console,
	.write = write_console,
	.poll = poll_console,
	.llseek = noop_llseek,
};

void vtx_console_file_create(const char *name)
{
	debugfs_create_file(name, 0600, vtx_files_folder(), NULL, &console_operations);
}
