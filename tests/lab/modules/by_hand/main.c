// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the instructions that chapters 02 and 03 show by hand (sequence.S), and says what they did.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/module.h>

u64 by_hand(void *vmxon_page, u64 *vmxon_address, void *vmcs_page, u64 *vmcs_address);

static unsigned long read_cr4(void)
{
	unsigned long cr4;

	asm volatile("movq %%cr4, %0" : "=r"(cr4));
	return cr4;
}

static int __init start(void)
{
	void *vmxon_page = (void *)get_zeroed_page(GFP_KERNEL);
	void *vmcs_page = (void *)get_zeroed_page(GFP_KERNEL);
	u64 vmxon_address, vmcs_address, rip;
	unsigned long before, after, flags;
	int error = -ENOMEM;

	if (!vmxon_page || !vmcs_page)
		goto out;
	vmxon_address = virt_to_phys(vmxon_page);
	vmcs_address = virt_to_phys(vmcs_page);
	local_irq_save(flags);
	before = read_cr4();
	rip = by_hand(vmxon_page, &vmxon_address, vmcs_page, &vmcs_address);
	after = read_cr4();
	local_irq_restore(flags);
	pr_info("by_hand: Guest RIP reads %#llx, CR4 is %s\n", rip,
		before == after ? "as before" : "changed");
	error = 0;
out:
	free_page((unsigned long)vmxon_page);
	free_page((unsigned long)vmcs_page);
	return error;
}

static void __exit stop(void)
{
}

module_init(start);
module_exit(stop);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VtxTutorial's tests: what the book shows by hand");
