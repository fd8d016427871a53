// SPDX-License-Identifier: GPL-2.0-only
/* One lock per module, for the data that a file shows. */
#include <linux/mutex.h>

#include "kernel.h"

static DEFINE_MUTEX(lock);

void vtx_lock(void)
{
	mutex_lock(&lock);
}

void vtx_unlock(void)
{
	mutex_unlock(&lock);
}
