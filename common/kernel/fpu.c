// SPDX-License-Identifier: GPL-2.0-only
/* The floating-point and vector registers, for a guest. */
#include <asm/fpu/api.h>

#include "kernel.h"

void vtx_fpu_begin(void)
{
	kernel_fpu_begin();
}

void vtx_fpu_end(void)
{
	kernel_fpu_end();
}
