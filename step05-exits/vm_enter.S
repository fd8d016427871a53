/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vm_launch: enters the guest with VMLAUNCH, and returns when a VM exit has brought the processor
 * back. vm_resume: the same with VMRESUME. The launch state of the VMCS must fit.
 *
 * In:   R12  where the guest's general registers are: loaded before, stored after
 * Out:  EBX  the exit reason, if there was a VM exit (or the entry failed on the way: bit 31), or
 *            VM_ENTER_FAIL_INVALID: not entered, and there is no current VMCS to say why, or
 *            VM_ENTER_FAIL_VALID: not entered, and the VM-instruction error field says why
 *       R12, RBP and RSP are as they were; all other general registers are lost
 *
 * Called in VMX root operation, with interrupts off, with a current VMCS whose HOST_RIP is
 * vm_exit below.
 *
 * These are no C functions, which would have to save six registers that their caller hardly
 * needs. vm_enter() in vm_entry.hpp calls them, and tells the compiler what is lost.
 */
#include <linux/linkage.h>
#include <asm/ibt.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

#include "guest_registers.h"

/* No register is left for the host in the guest. RBP may be the caller's frame pointer. The VM exit
 * loads RSP with what it is after this. A failed VMWRITE would mean that there is no current VMCS:
 * the VM entry then fails in the same way, and says so. */
.macro push_host_registers
	pushq	%rbp
	pushq	%r12
	movl	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
.endm

/* All but RSP, which the VMCS holds. */
.macro load_guest_registers
	movq	GUEST_RAX(%r12), %rax
	movq	GUEST_RCX(%r12), %rcx
	movq	GUEST_RDX(%r12), %rdx
	movq	GUEST_RBX(%r12), %rbx
	movq	GUEST_RBP(%r12), %rbp
	movq	GUEST_RSI(%r12), %rsi
	movq	GUEST_RDI(%r12), %rdi
	movq	GUEST_R8(%r12), %r8
	movq	GUEST_R9(%r12), %r9
	movq	GUEST_R10(%r12), %r10
	movq	GUEST_R11(%r12), %r11
	movq	GUEST_R13(%r12), %r13
	movq	GUEST_R14(%r12), %r14
	movq	GUEST_R15(%r12), %r15
	movq	GUEST_R12(%r12), %r12		/* last: it was the address */
.endm

/* The processor did not enter the guest: VMfail, and the flags say of which kind. MOV and POP
 * leave the flags alone. */
.macro return_fail
	movl	$VM_ENTER_FAIL_INVALID, %ebx
	popq	%r12
	popq	%rbp
	jc	.Lreturn_fail\@			/* CF: VMfailInvalid */
	movl	$VM_ENTER_FAIL_VALID, %ebx	/* else ZF: VMfailValid */
.Lreturn_fail\@:
	RET
.endm

	.text

SYM_FUNC_START(vm_launch)
	push_host_registers
	load_guest_registers
	vmlaunch
	return_fail
SYM_FUNC_END(vm_launch)

SYM_FUNC_START(vm_resume)
	push_host_registers
	UNWIND_HINT_SAVE	/* for the kernel's unwinder: at vm_exit the stack looks as it does here */
	load_guest_registers
	vmresume
	return_fail

	/* HOST_RIP: every VM exit continues here, with RSP as VMWRITE stored it, interrupts off,
	 * and the general registers as the guest left them. ENDBR is for objtool: the address of
	 * this place is taken, and kernels with indirect-branch tracking demand one. */
SYM_INNER_LABEL_ALIGN(vm_exit, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR

	pushq	%r12				/* the guest's */
	movq	8(%rsp), %r12			/* the address */
	movq	%rax, GUEST_RAX(%r12)
	movq	%rcx, GUEST_RCX(%r12)
	movq	%rdx, GUEST_RDX(%r12)
	movq	%rbx, GUEST_RBX(%r12)
	movq	%rbp, GUEST_RBP(%r12)
	movq	%rsi, GUEST_RSI(%r12)
	movq	%rdi, GUEST_RDI(%r12)
	movq	%r8, GUEST_R8(%r12)
	movq	%r9, GUEST_R9(%r12)
	movq	%r10, GUEST_R10(%r12)
	movq	%r11, GUEST_R11(%r12)
	movq	%r13, GUEST_R13(%r12)
	movq	%r14, GUEST_R14(%r12)
	movq	%r15, GUEST_R15(%r12)
	popq	GUEST_R12(%r12)

	/* That this VMREAD should fail is unthinkable, so any failure will do for an answer. */
	movl	$VMCS_EXIT_REASON, %ebx
	vmread	%rbx, %rbx
	jbe	.Lread_failed

	popq	%r12
	popq	%rbp
	RET

.Lread_failed:
	return_fail
SYM_FUNC_END(vm_resume)
