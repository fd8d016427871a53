/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * int vm_enter(struct GuestRegisters *registers, bool launched)
 *
 * Enters the guest, and returns when a VM exit has brought the processor back.
 * A function like any other: RDI and RSI take the arguments, EAX the result,
 * and RBX, RBP and R12 to R15 come back as they were.
 *
 * registers  the guest's general registers: loaded before the entry, stored
 *            after the exit
 * launched   0: VMLAUNCH, the first entry since VMCLEAR; 1: VMRESUME, any other
 * returns    VM_ENTER_EXITED, and the exit reason says why, which may be that
 *            the entry failed;
 *            VM_ENTER_FAIL_INVALID: not entered, and there is no current VMCS
 *            to say why; or
 *            VM_ENTER_FAIL_VALID: not entered, and the VM-instruction error
 *            field says why
 *
 * Called in VMX root operation, with interrupts off, with a current VMCS whose
 * HOST_RIP is vm_exit.
 */
#include <linux/linkage.h>
#include <asm/ibt.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

#include "guest_registers.h"

	.text

SYM_FUNC_START(vm_enter)
	/* [exercise 04-6] */
	/* What a C function gives back as it was: after a VM exit these six
	 * hold the guest's values. */
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rdi			/* where the guest's registers go */

	/* A VM exit loads RSP from the VMCS. If this VMWRITE fails, there is no
	 * current VMCS, and the entry below fails for the same reason. */
	movl	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
	UNWIND_HINT_SAVE		/* vm_exit finds this stack again */

	testb	%sil, %sil		/* for JNZ below: no MOV changes flags */

	/* The guest's registers. RSP, RIP and RFLAGS are in the VMCS. */
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
	movq	GUEST_RDI(%rdi), %rdi	/* last: it was the address */

	jnz	.Lresume
	vmlaunch
	jmp	.Lnot_entered
.Lresume:
	vmresume

	/* The next instruction runs only if the guest was not entered. CF or ZF
	 * says how it failed; LEA and MOV change neither. */
.Lnot_entered:
	leaq	8(%rsp), %rsp		/* drops the address */
	movl	$VM_ENTER_FAIL_INVALID, %eax
	jc	.Lreturn
	movl	$VM_ENTER_FAIL_VALID, %eax
	jmp	.Lreturn

	/* HOST_RIP: every VM exit goes on here, with RSP as VMWRITE stored it,
	 * interrupts off, and the other registers as the guest left them. ENDBR
	 * is for objtool: the address of this place is taken, and kernels with
	 * indirect-branch tracking demand one. */
SYM_INNER_LABEL_ALIGN(vm_exit, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR

	pushq	%rdi			/* the guest's */
	movq	8(%rsp), %rdi		/* the address */
	movq	%rax, GUEST_RAX(%rdi)
	movq	%rcx, GUEST_RCX(%rdi)
	movq	%rdx, GUEST_RDX(%rdi)
	movq	%rbx, GUEST_RBX(%rdi)
	movq	%rbp, GUEST_RBP(%rdi)
	movq	%rsi, GUEST_RSI(%rdi)
	movq	%r8, GUEST_R8(%rdi)
	movq	%r9, GUEST_R9(%rdi)
	movq	%r10, GUEST_R10(%rdi)
	movq	%r11, GUEST_R11(%rdi)
	movq	%r12, GUEST_R12(%rdi)
	movq	%r13, GUEST_R13(%rdi)
	movq	%r14, GUEST_R14(%rdi)
	movq	%r15, GUEST_R15(%rdi)
	popq	GUEST_RDI(%rdi)
	addq	$8, %rsp
	movl	$VM_ENTER_EXITED, %eax

.Lreturn:
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	RET
	/* [exercise 04-6] */
SYM_FUNC_END(vm_enter)
