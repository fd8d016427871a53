/* SPDX-License-Identifier: GPL-2.0-only */
/* What the C side (module.c) and the C++ side (step.cpp) know of each other. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/** The parameter `dying_cpu`: the logical processor whose guest dies soon; -1 for none. */
extern int dying_cpu;

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
