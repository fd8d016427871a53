/* SPDX-License-Identifier: GPL-2.0-only */
/* What the C side (module.c) and the C++ side (step.cpp) know of each other. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/** The parameter `memory_mb`: RAM of a guest in MiB, 1 to 512. */
extern unsigned int memory_mb;

/** The parameter `entry`: 32 or 64. Where a kernel offers both entries, this one is taken. */
extern unsigned int entry_bits;

/** The parameter `trace`: whether single exits are recorded, or only counted. */
extern bool trace;

/** The parameter `check`: examine a guest's VMCS before it is entered for the first time. */
extern bool check;

/** Does the step's work when the module is loaded. Returns 0, or a negative errno: then the
 *  module is not loaded and nothing is changed. Called once, in process context. */
int step_start(void);

/** Undoes what step_start() left behind, when the module is unloaded. Cannot fail. */
void step_stop(void);

#ifdef __cplusplus
}
#endif
