/* SPDX-License-Identifier: GPL-2.0-only */
/* What the C side (module.c) and the C++ side (step.cpp) know of each other. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/** The values of the parameter `spoil`: which mistake to make in the VMCS. */
enum spoil_kind {
	SPOIL_NONE,
	SPOIL_CONTROL,
	SPOIL_HOST,
	SPOIL_GUEST,
	SPOIL_MSR,
};

/** The parameter `spoil`, set by module.c before step_start(). */
extern enum spoil_kind spoil;

/** The parameter `check`: examine the VMCS before the entry, and do not enter if it is unsound. */
extern bool check;

/** Does the step's work when the module is loaded. Returns 0, or a negative errno: then the
 *  module is not loaded and nothing is changed. Called once, in process context. */
int step_start(void);

/** Undoes what step_start() left behind, when the module is unloaded. Cannot fail. */
void step_stop(void);

#ifdef __cplusplus
}
#endif
