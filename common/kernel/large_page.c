// SPDX-License-Identifier: GPL-2.0-only
/* Pieces of 2 MiB for a guest's memory. */
#include <linux/gfp.h>
#include <linux/sizes.h>

#include "kernel.h"

void *vtx_large_page_allocate(void)
{
	/* Not finding one is no reason to search long, or to complain: 512 pages do as well. */
	const gfp_t flags = GFP_KERNEL | __GFP_ZERO | __GFP_NORETRY | __GFP_NOWARN;

	if (vtx_fails_here())
		return NULL;
	return (void *)__get_free_pages(flags, get_order(SZ_2M));
}

void vtx_large_page_free(void *page)
{
	free_pages((unsigned long)page, get_order(SZ_2M));
}
