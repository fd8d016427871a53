/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * int vm_enter(struct GuestRegisters *registers, bool launched)
 *
 * Enters the guest and returns when a VM exit has brought the processor back.
 *
 *   registers  (RDI)  the guest's general registers: loaded before, stored after
 *   launched   (ESI)  false: VMLAUNCH; true: VMRESUME. The launch state of the VMCS must fit.
 *
 * Returns (EAX):
 *   0  there was a VM exit: the exit reason says which (or that the entry failed: bit 31)
 *   1  VMfailValid: the guest was not entered; the VM-instruction error field says why
 *   2  VMfailInvalid: the guest was not entered; there is no current VMCS to say why
 *
 * Called in VMX root operation, with interrupts off, with a current VMCS whose HOST_RIP is
 * vm_exit below. To its C++ caller this is a function like any other: it returns where it was
 * called from, with the registers that a function must preserve preserved.
 */
#include <linux/linkage.h>
#include <asm/ibt.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

#include "guest_registers.h"

	.text

SYM_FUNC_START(vm_enter)
	/* What a C function must preserve, but RSP, which the VMCS carries over. */
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15

	/* The only place to keep the address of the guest's registers: no register is left. */
	pushq	%rdi

	/* The VM exit loads RSP with what it is now. A failed VMWRITE would mean that there is no
	 * current VMCS: the entry below then fails in the same way, and says so. */
	movl	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax

	/* VMLAUNCH or VMRESUME? The moves below leave the flag alone. */
	testb	%sil, %sil

	movq	GUEST_RAX(%rdi), %rax
	movq	GUEST_RCX(%rdi), %rcx
	movq	GUEST_RDX(%rdi), %rdx
	movq	GUEST_RBX(%rdi), %rbx
	movq	GUEST_RBP(%rdi), %rbp
	movq	GUEST_RSI(%rdi), %rsi
	movq	GUEST_R8(%rdi), %r8
	movq	GUEST_R9(%rdi), %r9
	movq	GUEST_R10(%rdi), %r10
	movq	GUEST_R11(%rdi), %r11
	movq	GUEST_R12(%rdi), %r12
	movq	GUEST_R13(%rdi), %r13
	movq	GUEST_R14(%rdi), %r14
	movq	GUEST_R15(%rdi), %r15
	movq	GUEST_RDI(%rdi), %rdi		/* last: it was the pointer */

	/* For the kernel's unwinder: at vm_exit the stack looks as it does here. */
	UNWIND_HINT_SAVE

	jnz	.Lresume
	vmlaunch
	jmp	.Lnot_entered
.Lresume:
	vmresume

.Lnot_entered:
	/* Still here: VMfail. MOV and POP leave the flags alone. */
	popq	%rdi
	movl	$2, %eax
	jc	.Lreturn			/* CF: VMfailInvalid */
	movl	$1, %eax			/* else ZF: VMfailValid */
	jmp	.Lreturn

	/* HOST_RIP: every VM exit continues here, with RSP as VMWRITE stored it, interrupts off,
	 * and the general registers as the guest left them. ENDBR is for objtool: the address of
	 * this place is taken, and kernels with indirect-branch tracking demand one. */
SYM_INNER_LABEL_ALIGN(vm_exit, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR

	pushq	%rdi				/* the guest's */
	movq	8(%rsp), %rdi			/* the pointer */
	movq	%rax, GUEST_RAX(%rdi)
	movq	%rcx, GUEST_RCX(%rdi)
	movq	%rdx, GUEST_RDX(%rdi)
	movq	%rbx, GUEST_RBX(%rdi)
	movq	%rbp, GUEST_RBP(%rdi)
	movq	%rsi, GUEST_RSI(%rdi)
	popq	GUEST_RDI(%rdi)
	movq	%r8, GUEST_R8(%rdi)
	movq	%r9, GUEST_R9(%rdi)
	movq	%r10, GUEST_R10(%rdi)
	movq	%r11, GUEST_R11(%rdi)
	movq	%r12, GUEST_R12(%rdi)
	movq	%r13, GUEST_R13(%rdi)
	movq	%r14, GUEST_R14(%rdi)
	movq	%r15, GUEST_R15(%rdi)
	popq	%rdi
	xorl	%eax, %eax

.Lreturn:
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	RET
SYM_FUNC_END(vm_enter)
