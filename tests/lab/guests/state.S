/* SPDX-License-Identifier: GPL-2.0-only */
/* What a guest finds when it begins. */
#include "guest.h"

guest entry_general_registers
	/* The first instruction compares: no register has been touched. */
	cmpq	$0x10000, %rsp
	jne	fail_rsp
	testq	%rax, %rax
	jnz	fail_registers
	orq	%rbx, %rax
	orq	%rcx, %rax
	orq	%rdx, %rax
	orq	%rsi, %rax
	orq	%rdi, %rax
	orq	%rbp, %rax
	orq	%r8, %rax
	orq	%r9, %rax
	orq	%r10, %rax
	orq	%r11, %rax
	orq	%r12, %rax
	orq	%r13, %rax
	orq	%r14, %rax
	orq	%r15, %rax
	jnz	fail_registers
	leaq	entry_general_registers(%rip), %rax
	EXPECT_EQ($0x1000, %rax)
	call	1f
1:	popq	%rax
	EXPECT_EQ($1b, %rax)
	PASS
fail_rsp:
	FAIL
fail_registers:
	FAIL

guest entry_flags
	pushfq
	popq	%rax
	andq	$~0x200, %rax			/* IF may read as 1 */
	EXPECT_EQ($2, %rax)
	PASS

guest entry_selectors
	movq	%cs, %rax
	EXPECT_EQ($8, %rax)
	xorl	%eax, %eax
	movq	%ss, %rax
	EXPECT_EQ($0, %rax)
	movq	%ds, %rax
	EXPECT_EQ($0, %rax)
	movq	%es, %rax
	EXPECT_EQ($0, %rax)
	movq	%fs, %rax
	EXPECT_EQ($0, %rax)
	movq	%gs, %rax
	EXPECT_EQ($0, %rax)
	sldt	%rax
	EXPECT_EQ($0, %rax)
	str	%rax
	EXPECT_EQ($0, %rax)
	PASS

guest entry_tables
	sgdt	SCRATCH
	EXPECT_EQ($0, SCRATCH + 2)
	cmpw	$0, SCRATCH
	EXPECT(e)
	sidt	SCRATCH
	EXPECT_EQ($0, SCRATCH + 2)
	cmpw	$0, SCRATCH
	EXPECT(e)
	PASS

guest entry_control_registers
	movq	%cr0, %rax
	movq	%rax, %rbx
	andl	$0x80010029, %eax		/* PG, WP, NE, TS, PE */
	movl	$0x80010029, %ecx
	EXPECT_EQ(%rcx, %rax)
	testl	$0x60000004, %ebx		/* no CD, NW, EM */
	EXPECT(z)
	movq	%cr4, %rax
	testl	$0x20, %eax			/* PAE */
	EXPECT(nz)
	testl	$0x2000, %eax			/* VMXE is the host's affair */
	EXPECT(z)
	movq	%cr8, %rax
	EXPECT_EQ($0, %rax)
	PASS

/* All of RAM can be read and written, up to its last byte. */
guest entry_memory
	movl	$0x2000, %edi
1:	cmpq	$0, (%rdi)			/* begins as zeroes (the stack is empty) */
	EXPECT(e)
	movq	%rdi, (%rdi)
	addl	$8, %edi
	cmpl	$0x10000, %edi
	jb	1b
2:	subl	$8, %edi
	EXPECT_EQ(%rdi, (%rdi))
	cmpl	$0x2000, %edi
	ja	2b
	movb	$1, 0xffff
	PASS

/* Page 0 and what lies behind the RAM are not mapped. */
guest_with_handlers entry_unmapped
	FAULTS(VECTOR_PF, 0, movb 0, %al)
	EXPECT_EQ($0, SEEN_CR2)
	FAULTS(VECTOR_PF, 0, movb 0xfff, %al)
	EXPECT_EQ($0xfff, SEEN_CR2)
	FAULTS(VECTOR_PF, 2, movb %al, 0xffe)
	EXPECT_EQ($0xffe, SEEN_CR2)
	movl	$0x10000, %ebx
	FAULTS(VECTOR_PF, 0, movb (%rbx), %al)
	EXPECT_EQ($0x10000, SEEN_CR2)
	movl	$0xfffd, %ebx
	FAULTS(VECTOR_PF, 2, movl %eax, (%rbx))
	EXPECT_EQ($0x10000, SEEN_CR2)
	movl	$0xfee00000, %ebx		/* the APIC's registers */
	FAULTS(VECTOR_PF, 0, movl (%rbx), %eax)
	movabsq	$0xffff888000000000, %rbx	/* Linux's direct map */
	FAULTS(VECTOR_PF, 0, movl (%rbx), %eax)
	EXPECT_EQ(%rbx, SEEN_CR2)
	movabsq	$0xffffffff81000000, %rbx	/* Linux's code */
	FAULTS(VECTOR_PF, 0, movl (%rbx), %eax)
	movabsq	$0x800000000000, %rbx
	FAULTS(VECTOR_GP, 0, movl (%rbx), %eax)	/* not canonical */
	PASS

guest exit_with_0
	PASS

guest exit_with_1
	EXIT(1)

guest exit_with_a_large_status
	movabsq	$0x8000000000000000, %rdi
	xorl	%eax, %eax
	vmcall

guest exit_by_hlt
	movl	$77, %edi			/* of no importance to HLT */
	hlt

guest exit_by_hlt_with_interrupts_on
	sti
	hlt

guest exit_by_hlt_with_interrupts_off
	cli
	hlt

guest runs_to_the_last_byte_of_ram
	movw	$0x9090, 0xfffb
	movb	$0x90, 0xfffd
	movw	$0xf490, 0xfffe			/* NOP, HLT */
	movl	$0xfffb, %eax
	jmp	*%rax

guest runs_off_the_end_of_ram
	movb	$0x90, 0xffff			/* NOP */
	movl	$0xffff, %eax
	jmp	*%rax
