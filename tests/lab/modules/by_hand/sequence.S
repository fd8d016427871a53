/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMX operation and one field of a VMCS, by hand: the book shows the parts. The revision identifier
 * is that of the lab's haswell.
 *
 *   u64 by_hand(void *vmxon_page, u64 *its_address, void *vmcs_page, u64 *its_address)
 *
 * Interrupts are off. Gives what VMREAD read, or 0 if VMXON failed.
 */
#include <linux/linkage.h>

SYM_FUNC_START(by_hand)
	// [enter]
	movl	$0x2b, (%rdi)	// the revision identifier, into the page
	mov	%cr4, %rax
	or	$0x2000, %rax	// bit 13 of CR4: VMXE
	mov	%rax, %cr4
	vmxon	(%rsi)		// (%rsi): the page's physical address
	jbe	.Lfailed	// CF or ZF is 1
	// [enter]

	// [vmcs]
	movl	$0x2b, (%rdx)	// the revision identifier, into the page
	vmclear	(%rcx)		// (%rcx): the page's physical address
	vmptrld	(%rcx)
	mov	$0x681e, %r8	// a field: Guest RIP
	mov	$0x1000, %r9	// a value for it
	vmwrite	%r9, %r8	// what, where
	vmread	%r8, %r10	// from where, to where
	vmclear	(%rcx)
	// [vmcs]

	// [leave]
	vmxoff
	and	$~0x2000, %rax	// VMXE is 0 again
	mov	%rax, %cr4
	// [leave]
	mov	%r10, %rax
	RET

.Lfailed:
	and	$~0x2000, %rax
	mov	%rax, %cr4
	xor	%eax, %eax
	RET
SYM_FUNC_END(by_hand)
