/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The first guest: it puts a number where the host can see it, and calls.
 *
 * It lies among the module's read-only data, is copied into the guest's own pages, and runs there
 * at address 0x1000, in 64-bit mode at privilege level 0.
 */
	.section .rodata
	.globl	first_guest, first_guest_end

first_guest:
	movl	$0x600d600d, %ebx	/* the host looks for it in RBX */
	vmcall				/* VM exit, reason 18 */
1:	hlt				/* not reached in this step */
	jmp	1b
first_guest_end:
