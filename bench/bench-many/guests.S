/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest for each processor that measures VMCALL for ever. Where step 06's guests count, in RBX,
 * this one keeps the ticks of its quickest batch of 100, less those of the empty loop.
 */
#define ROUNDS 100
#define EMPTY_BATCHES 100

	.section .rodata
	.globl	counting_guest, counting_guest_end, dying_guest, dying_guest_end

/* The ticks of a batch to R14. Changes RAX, RDX, R12, R13. */
.macro batch instruction
	rdtsc
	shlq	$32, %rdx
	orq	%rax, %rdx
	movq	%rdx, %r12
	movl	$0x7fffffff, %eax	/* the number of no hypercall */
	movl	$ROUNDS, %r13d
1:	\instruction
	decl	%r13d
	jnz	1b
	rdtsc
	shlq	$32, %rdx
	leaq	(%rdx,%rax), %r14
	subq	%r12, %r14
.endm

counting_guest:
dying_guest:
	movl	$-1, %r15d		/* the quickest empty batch */
	movl	$EMPTY_BATCHES, %ecx
2:	batch
	cmpq	%r15, %r14
	cmovbq	%r14, %r15
	decl	%ecx
	jnz	2b

	movl	$-1, %ebx
3:	batch	vmcall
	subq	%r15, %r14
	cmpq	%rbx, %r14
	cmovbq	%r14, %rbx
	jmp	3b
counting_guest_end:
dying_guest_end:
