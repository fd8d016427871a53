// SPDX-License-Identifier: GPL-2.0-only
/* Reading a model-specific register that may not be there. */
#include <asm/asm.h>
#include <linux/errno.h>

#include "kernel.h"

int vtx_read_msr_safe(uint32_t msr, uint64_t *value)
{
	uint32_t low = 0, high = 0;
	int fault = -EIO;

	/* If RDMSR faults, the exception table sends the processor to label 2: past the XOR. */
	asm volatile("1: rdmsr\n"
		     "   xorl %[fault], %[fault]\n"
		     "2:\n" _ASM_EXTABLE(1b, 2b)
		     : "+a"(low), "+d"(high), [fault] "+r"(fault)
		     : "c"(msr));
	*value = (uint64_t)high << 32 | low;
	return fault;
}
