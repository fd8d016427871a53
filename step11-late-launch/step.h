/* SPDX-License-Identifier: GPL-2.0-only */
/* What the C side (module.c) and the C++ side (step.cpp) know of each other. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/** Does the step's work when the module is loaded. Returns 0, or a negative errno: then the
 *  module is not loaded and nothing is changed. Called once, in process context. */
int step_start(void);

/** Undoes what step_start() left behind, when the module is unloaded. Cannot fail. */
void step_stop(void);

#ifdef __cplusplus
}
#endif
