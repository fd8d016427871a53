/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only door to Linux.
 *
 * Linux's headers cannot be included from C++, so what the steps need of the kernel is declared
 * here with plain C types, and defined in common/kernel/, one file a subject; a step's Kbuild
 * names the files that it needs, so that each module links to as few kernel symbols as can be.
 *
 * Nothing here may be called with interrupts off unless its comment says so.
 */
#pragma once

#ifdef __cplusplus
#include <cstddef>
#include <cstdint>
extern "C" {
#else
#include <linux/types.h>
#endif

/* ---- common/kernel/log.c ---------------------------------------------------------------- */

/** Writes one line to the kernel log, prefixed with the module's name. `format` is printk's. */
__attribute__((format(printf, 1, 2))) void vtx_log(const char *format, ...);

/** The same at error level: a refusal or a failure, in one sentence that says what to do. */
__attribute__((format(printf, 1, 2))) void vtx_log_error(const char *format, ...);

#ifdef __cplusplus
}
#endif
