/* SPDX-License-Identifier: GPL-2.0-only */
/* What the two files that make debugfs files share. */
#pragma once

struct dentry;

/** This module's folder under /sys/kernel/debug/, made at the first call. */
struct dentry *vtx_files_folder(void);
