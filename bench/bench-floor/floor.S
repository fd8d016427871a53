/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The floor: the least that a hypervisor can do between a VM exit and the next VM entry. It saves
 * and loads fifteen general registers, reads the exit reason, does what the guest of the benchmark
 * needs, and checks nothing.
 *
 * It stands in for step 05's vm_enter.S, with the same contract. The six exits that are measured
 * are answered here, in their order; all others are returned, and step 05 handles them.
 */
#include <linux/linkage.h>

#include "guest_registers.h"

#define EXIT_REASON 0x4402
#define EXIT_QUALIFICATION 0x6400
#define INSTRUCTION_LENGTH 0x440c
#define GUEST_RIP 0x681e
#define EVENT 0x4016			/* VM-entry interruption information */
#define ERROR_CODE 0x4018		/* VM-entry exception error code */

#define HARDWARE_EXCEPTION 0x80000300	/* valid, of type 3; the vector is added */
#define HAS_ERROR_CODE 0x800

/* GuestRegisters has a slot for RSP that is not used: here lies the host's. */
#define HOST_STACK 0x20

/* After a VM exit RSP points to the guest's registers, so no other register is needed. */
.macro load_guest_registers
	movq	GUEST_RAX(%rsp), %rax
	movq	GUEST_RCX(%rsp), %rcx
	movq	GUEST_RDX(%rsp), %rdx
	movq	GUEST_RBX(%rsp), %rbx
	movq	GUEST_RBP(%rsp), %rbp
	movq	GUEST_RSI(%rsp), %rsi
	movq	GUEST_RDI(%rsp), %rdi
	movq	GUEST_R8(%rsp), %r8
	movq	GUEST_R9(%rsp), %r9
	movq	GUEST_R10(%rsp), %r10
	movq	GUEST_R11(%rsp), %r11
	movq	GUEST_R12(%rsp), %r12
	movq	GUEST_R13(%rsp), %r13
	movq	GUEST_R14(%rsp), %r14
	movq	GUEST_R15(%rsp), %r15
.endm

.macro resume
	load_guest_registers
	vmresume
	jmp	failed
.endm

.macro skip_instruction_and_resume
	movl	$GUEST_RIP, %ecx
	vmread	%rcx, %rdx
	movl	$INSTRUCTION_LENGTH, %eax
	vmread	%rax, %rax
	addq	%rax, %rdx
	vmwrite	%rdx, %rcx
	resume
.endm

	.text

SYM_CODE_START(vm_enter)
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, HOST_STACK(%rdi)
	movl	$VMCS_HOST_RSP, %eax
	vmwrite	%rdi, %rax
	movq	%rdi, %rsp
	testb	%sil, %sil
	jnz	1f
	load_guest_registers
	vmlaunch
	jmp	failed
1:	resume

	/* A check that step 05 makes and the floor does not: whatever went wrong, it says "invalid". */
failed:	movl	$VM_ENTER_FAIL_INVALID, %eax
	jmp	return
SYM_CODE_END(vm_enter)

SYM_CODE_START(vm_exit)
	movq	%rax, GUEST_RAX(%rsp)
	movq	%rcx, GUEST_RCX(%rsp)
	movq	%rdx, GUEST_RDX(%rsp)
	movq	%rbx, GUEST_RBX(%rsp)
	movq	%rbp, GUEST_RBP(%rsp)
	movq	%rsi, GUEST_RSI(%rsp)
	movq	%rdi, GUEST_RDI(%rsp)
	movq	%r8, GUEST_R8(%rsp)
	movq	%r9, GUEST_R9(%rsp)
	movq	%r10, GUEST_R10(%rsp)
	movq	%r11, GUEST_R11(%rsp)
	movq	%r12, GUEST_R12(%rsp)
	movq	%r13, GUEST_R13(%rsp)
	movq	%r14, GUEST_R14(%rsp)
	movq	%r15, GUEST_R15(%rsp)

	movl	$EXIT_REASON, %ebx
	vmread	%rbx, %rbx
	cmpl	$18, %ebx
	jne	1f
	skip_instruction_and_resume		/* VMCALL */

1:	cmpl	$10, %ebx
	jne	1f
	movl	GUEST_RAX(%rsp), %eax
	movl	GUEST_RCX(%rsp), %ecx
	cpuid
	movq	%rax, GUEST_RAX(%rsp)
	movq	%rbx, GUEST_RBX(%rsp)
	movq	%rcx, GUEST_RCX(%rsp)
	movq	%rdx, GUEST_RDX(%rsp)
	skip_instruction_and_resume

1:	cmpl	$31, %ebx
	jne	1f
	cmpl	$0x1b, GUEST_RCX(%rsp)
	jne	left
	movq	$0xfee00900, %rax
	movq	%rax, GUEST_RAX(%rsp)		/* IA32_APIC_BASE */
	movq	$0, GUEST_RDX(%rsp)
	skip_instruction_and_resume

1:	cmpl	$30, %ebx
	jne	1f
	movl	$EXIT_QUALIFICATION, %eax
	vmread	%rax, %rax
	shrl	$16, %eax
	cmpl	$0xe9, %eax			/* the port that prints is step 05's work */
	je	left
	skip_instruction_and_resume

1:	cmpl	$28, %ebx
	jne	1f
	movl	$ERROR_CODE, %eax
	xorl	%ecx, %ecx
	vmwrite	%rcx, %rax
	movl	$EVENT, %eax
	movl	$(HARDWARE_EXCEPTION | HAS_ERROR_CODE | 13), %ecx
	vmwrite	%rcx, %rax			/* #GP */
	resume

1:	testl	%ebx, %ebx
	jne	left
	movl	$0x4404, %eax			/* VM-exit interruption information */
	vmread	%rax, %rcx
	cmpl	$(HARDWARE_EXCEPTION | 6), %ecx
	jne	left
	movl	$EVENT, %eax
	vmwrite	%rcx, %rax			/* #UD */
	resume

left:	movl	$VM_ENTER_EXITED, %eax
return:
	movq	HOST_STACK(%rsp), %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	int3
SYM_CODE_END(vm_exit)
