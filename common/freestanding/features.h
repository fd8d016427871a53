/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stands in for the C library's <features.h>.
 *
 * libstdc++'s freestanding headers (<cstdint>, <optional>, ...) need no C library, but they all
 * include its configuration header, and that asks one question: which glibc is this? The answer
 * "none" is what this file says. There is nothing else of a C library in a kernel module.
 */
#pragma once

#define __GLIBC_PREREQ(major, minor) 0
