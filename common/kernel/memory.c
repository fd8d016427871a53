// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory, and making it fail on purpose.
 *
 * VMX structures are given to the processor by physical address, so they live in pages of the
 * kernel's direct map: never on the stack, in the module's own data or in vmalloc space, whose
 * physical addresses are not what simple arithmetic says.
 */
#include <asm/io.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/vmalloc.h>

#include "kernel.h"

static unsigned int fail_at;
module_param(fail_at, uint, 0400);
MODULE_PARM_DESC(fail_at, "the Nth allocation or thread creation fails, to test the way back (0: none)");

static unsigned int points_passed;

bool vtx_fails_here(void)
{
	return ++points_passed == fail_at;
}

void vtx_log_fault_points(void)
{
	if (fail_at > points_passed)
		vtx_log("fail_at=%u: nothing failed, this load has %u points that can",
			fail_at, points_passed);
	fail_at = 0;
}

void *vtx_page_allocate(void)
{
	/* Rather none than that Linux kills a program to find one: a guest may want thousands. */
	const gfp_t flags = GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;

	return vtx_fails_here() ? NULL : (void *)get_zeroed_page(flags);
}

void vtx_page_free(void *page)
{
	free_page((unsigned long)page);
}

void vtx_page_keep(const void *page)
{
	static atomic_t pages_kept;

	vtx_log_error("the page at %#llx stays taken, as the processor may still write to it (%d so far)"
		      ": restart the machine", vtx_page_physical(page), atomic_inc_return(&pages_kept));
}

uint64_t vtx_page_physical(const void *page)
{
	return virt_to_phys((void *)page);
}

void *vtx_memory_allocate(size_t size)
{
	/* As above: a refusal rather than the OOM killer. (Linux 6.19 has vmalloc refuse
	 * __GFP_RETRY_MAYFAIL.) */
	const gfp_t flags = GFP_KERNEL | __GFP_ZERO | __GFP_NORETRY | __GFP_NOWARN;

	return vtx_fails_here() ? NULL : __vmalloc(size, flags);
}

void vtx_memory_free(void *memory)
{
	vfree(memory);
}
