// SPDX-License-Identifier: GPL-2.0-only
/* A kernel thread that works until it is done or asked to stop. A module has at most one. */
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/sched/task.h>
#include <linux/wait.h>

#include "kernel.h"

static DEFINE_MUTEX(control);
static struct task_struct *thread;
static void (*thread_work)(void);
static bool stop_requested, woken;
static DECLARE_WAIT_QUEUE_HEAD(waiting);
static DECLARE_COMPLETION(begun);

static int run(void *unused)
{
	complete(&begun);
	thread_work();
	return 0;
}

static void stop(void)
{
	if (!thread)
		return;
	WRITE_ONCE(stop_requested, true);
	wake_up(&waiting);
	kthread_stop(thread);
	put_task_struct(thread);
	thread = NULL;
}

static int start(void)
{
	struct task_struct *task;

	if (vtx_fails_here())
		return -ENOMEM;
	task = kthread_create(run, NULL, "vtx-guest");
	if (IS_ERR(task))
		return PTR_ERR(task);
	/* It may be gone before it is stopped: then this keeps what kthread_stop() looks at. */
	thread = get_task_struct(task);
	reinit_completion(&begun);
	wake_up_process(task);
	/* kthread_stop() ends a thread that has not begun, and its work would never be done. */
	wait_for_completion(&begun);
	return 0;
}

int vtx_thread_start(void (*work)(void))
{
	int error;

	mutex_lock(&control);
	stop();
	WRITE_ONCE(stop_requested, false);
	thread_work = work;
	error = start();
	mutex_unlock(&control);
	return error;
}

void vtx_thread_stop(void)
{
	mutex_lock(&control);
	stop();
	mutex_unlock(&control);
}

bool vtx_stop_requested(void)
{
	return READ_ONCE(stop_requested);
}

void vtx_wait(uint64_t nanoseconds)
{
	wait_event_interruptible_hrtimeout(waiting, vtx_stop_requested() || READ_ONCE(woken),
					   ns_to_ktime(nanoseconds));
	WRITE_ONCE(woken, false);
}

void vtx_wake(void)
{
	WRITE_ONCE(woken, true);
	wake_up(&waiting);
}
