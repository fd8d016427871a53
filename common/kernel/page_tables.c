// SPDX-License-Identifier: GPL-2.0-only
/* Linux's page tables, for a hypervisor that has tables of its own. */
#include <asm/cpufeature.h>
#include <asm/io.h>
#include <asm/pgtable.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "kernel.h"

void vtx_copy_kernel_half(void *page)
{
	pgd_t *own = page;
	const pgd_t *current_top = __va(read_cr3_pa());

	memset(own, 0, PAGE_SIZE);
	memcpy(own + PTRS_PER_PGD / 2, current_top + PTRS_PER_PGD / 2, PAGE_SIZE / 2);
	/* This one leads to the LDT of the process at hand, and would outlive it. */
	memset(own + pgd_index(LDT_BASE_ADDR), 0, sizeof(pgd_t));
}

bool vtx_page_tables_isolated(void)
{
	return boot_cpu_has(X86_FEATURE_PTI);
}
