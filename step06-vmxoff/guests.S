/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guests of this step: one that counts for ever, and one that dies.
 *
 * They run at address 0x1000, in 64-bit mode at privilege level 0. The count is in RBX, where the
 * host finds it after each VM exit.
 */
#define TIME 2

/* Work between two hypercalls, so that most of the time is spent in the guest, as in real ones. */
.macro work_a_while
	movl	$2000, %ecx
9:	decl	%ecx
	jnz	9b
.endm

	.section .rodata
	.globl	counting_guest, counting_guest_end, dying_guest, dying_guest_end

counting_guest:
1:	work_a_while
	incq	%rbx
	movl	$TIME, %eax
	vmcall
	jmp	1b
counting_guest_end:

dying_guest:
1:	work_a_while
	incq	%rbx
	movl	$TIME, %eax
	vmcall
	cmpq	$100, %rbx
	jb	1b
	ud2				/* #UD, and no IDT: the guest ends */
dying_guest_end:
