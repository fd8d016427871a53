// SPDX-License-Identifier: GPL-2.0-only
/* Is another module there? */
#include <linux/kernel.h>
#include <linux/namei.h>
#include <linux/path.h>

#include "kernel.h"

bool vtx_module_loaded(const char *name)
{
	char where[64];
	struct path path;

	/* No function for this is left for modules; sysfs shows the same to everybody. */
	snprintf(where, sizeof(where), "/sys/module/%s", name);
	if (kern_path(where, LOOKUP_FOLLOW, &path))
		return false;
	path_put(&path);
	return true;
}
