/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way in, the way of each VM exit, and the way back.
 *
 * Everything from late_exit on runs in root operation on a stack of its own. It is no function that
 * somebody called: behind it is Linux, stopped between two instructions.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <linux/version.h>
#include <asm/ibt.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

#include "root_frame.h"

/* "There is no caller here", for Linux's unwinder. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define NO_CALLER UNWIND_HINT_END_OF_STACK
#else
#define NO_CALLER UNWIND_HINT_EMPTY
#endif

	.text

/*
 * int late_launch(void)
 *
 * VMLAUNCH with the guest's RSP and RIP such that the guest goes on in this very function, and
 * returns from it: to its caller nothing has happened. Called in root operation with interrupts
 * off, with a current VMCS that has all other fields.
 *
 * returns	LATE_LAUNCH_IS_GUEST: in the guest;
 *		LATE_LAUNCH_ENTRY_FAILED: not a guest, VMX operation has been left; or
 *		VM_ENTER_FAIL_INVALID, VM_ENTER_FAIL_VALID: not a guest, still in root operation
 */
SYM_FUNC_START(late_launch)
	pushfq				/* the guest begins with RFLAGS of 2 */
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15

	/* If these fail, VMLAUNCH fails for the same reason. */
	movl	$VMCS_GUEST_RSP, %eax
	vmwrite	%rsp, %rax
	leaq	.Lguest(%rip), %rdx
	movl	$VMCS_GUEST_RIP, %eax
	vmwrite	%rdx, %rax

	movl	$LATE_LAUNCH_IS_GUEST, %eax	/* the guest's RAX is ours */
	vmlaunch

	/* Not entered. CF or ZF says how; MOV changes neither. */
	movl	$VM_ENTER_FAIL_INVALID, %eax
	jc	.Lguest
	movl	$VM_ENTER_FAIL_VALID, %eax
.Lguest:
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	popfq
	RET
SYM_FUNC_END(late_launch)

/*
 * void late_return(void)
 *
 * In the guest: asks to leave VMX operation on this processor. The VMCALL is the only one that is
 * not answered by #UD, and it is known by its address.
 */
SYM_FUNC_START(late_return)
SYM_INNER_LABEL(late_return_vmcall, SYM_L_GLOBAL)
	ANNOTATE_NOENDBR		/* C++ compares its address, and never jumps there */
	vmcall
	RET				/* no longer in a guest */
SYM_FUNC_END(late_return)

/*
 * void watched_store(void *page, u8 byte)
 *
 * The one MOV that may write to the watched page.
 */
SYM_FUNC_START(watched_store)
SYM_INNER_LABEL(watched_store_mov, SYM_L_GLOBAL)
	ANNOTATE_NOENDBR		/* likewise */
	movb	%sil, (%rdi)
	RET
SYM_FUNC_END(watched_store)

/* The guest's general registers, from the frame. */
	.macro LOAD_REGISTERS
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

/*
 * HOST_RIP. RSP is the frame's address, interrupts are off, and the general registers are as the
 * guest left them.
 */
SYM_CODE_START(late_exit)
	NO_CALLER
	ENDBR
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

	movq	%rsp, %rdi
	call	late_handle		/* true: stay in VMX operation */
	testb	%al, %al
	jz	.Lleave

	/*
	 * From here to VMRESUME nothing changes memory or RSP. So an NMI that arrives on the way
	 * sends the processor back to this label, where it is seen: none is left behind.
	 */
.Lresume_begin:
	ANNOTATE_NOENDBR		/* a far return goes there, which needs none */
	cmpq	$0, FRAME_PENDING(%rsp)
	jne	.Linject
.Lrestore:
	LOAD_REGISTERS
	vmresume
.Lresume_end:
	ANNOTATE_NOENDBR		/* only compared */
	/* Here only if VMRESUME failed. CF or ZF says how: it goes along as it is. */
	pushfq
	popq	%rsi
	movq	%rsp, %rdi
	call	late_resume_failed
	jmp	.Lleave

.Linject:
	movq	%rsp, %rdi
	call	late_inject		/* one of what is pending */
	jmp	.Lrestore

	/*
	 * Out of VMX operation. late_leave() has put everything back but the base of GS and the
	 * general registers, and has filled what IRETQ takes. If a program was interrupted, GS's
	 * base is the program's, and no function of the kernel may run with that: compilers read
	 * the stack protector's secret through GS.
	 */
.Lleave:
	movq	%rsp, %rdi
	call	late_leave
	movl	$MSR_OF_GS_BASE, %ecx
	movl	FRAME_GS_BASE(%rsp), %eax
	movl	FRAME_GS_BASE+4(%rsp), %edx
	wrmsr
	LOAD_REGISTERS
	addq	$FRAME_IRET, %rsp
	iretq
SYM_CODE_END(late_exit)

/*
 * NMIs and machine checks in root operation: notes that there was one, and goes on where it came
 * from, or at .Lresume_begin. Not by IRETQ, which would unblock NMIs: it belongs to Linux's handler
 * to do that, after VM entry has injected this one. Until then the processor itself keeps the next
 * one, as always. A far return does the same as IRETQ except for that, RFLAGS and RSP.
 */
	.macro KEEP_EVENT bit
	NO_CALLER
	ENDBR
	orq	$\bit, %fs:FRAME_PENDING
	pushq	%rax
	pushq	%rcx
	movq	16(%rsp), %rax		/* RIP */
	leaq	.Lresume_begin(%rip), %rcx
	cmpq	%rcx, %rax
	jb	1f
	leaq	.Lresume_end(%rip), %rcx
	cmpq	%rcx, %rax
	jae	1f
	leaq	.Lresume_begin(%rip), %rax
1:	movq	40(%rsp), %rcx		/* RSP: the far return takes CS and RIP from below it */
	subq	$16, %rcx
	pushq	%rax
	movq	24+8(%rsp), %rax	/* CS */
	movq	%rax, 8(%rcx)
	popq	(%rcx)			/* RIP */
	movq	%rcx, 16(%rsp)		/* where RIP was: the new RSP */
	pushq	32(%rsp)		/* RFLAGS */
	popfq				/* nothing below changes flags */
	popq	%rcx
	popq	%rax
	movq	(%rsp), %rsp
	lretq
	.endm

SYM_CODE_START(root_nmi)
	KEEP_EVENT PENDING_NMI
SYM_CODE_END(root_nmi)

SYM_CODE_START(root_machine_check)
	KEEP_EVENT PENDING_MACHINE_CHECK
SYM_CODE_END(root_machine_check)

/*
 * Any other exception in root operation is a mistake of ours: 32 stubs, one a vector. The processor
 * leaves VMX operation.
 */
	.balign	16
SYM_CODE_START(root_exceptions)
	vector = 0
	.rept	32
	.balign	16
	NO_CALLER
	ENDBR
	pushq	$vector
	jmp	.Lroot_exception
	vector = vector + 1
	.endr
.Lroot_exception:
	NO_CALLER
	movq	(%rsp), %rsi
	movq	%fs:FRAME_SELF, %rdi
	movq	%rdi, %rsp
	call	late_root_exception
	jmp	.Lleave
SYM_CODE_END(root_exceptions)
