/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 09: interrupts in protected mode and in long mode, with paging, at privilege level 3, and
 * in virtual-8086 mode.
 *
 * long-file: some fifty programs of a few lines each, best found in one place.
 */
#include "irq.h"

/* An image with handlers, in real mode: IRQ 0's handler is not yet in a table. */
.macro boot_modes name
	boot_with_handlers \name
	irq_setup \name
	jmp	1f
	long_idt \name
.endm

.macro in_protected name
1:	to_protected \name
	gate32 BASE, .Ltick_\name
	lidtl	.Lirq32_\name
.endm

.macro in_long name
	in_protected \name
	to_long \name
	gate64 BASE, .Ltick_\name
	lidt	.Lirq64_\name
.endm

/* Sleeps until IRQ 0 has come ten times. */
#define TEN_TICKS \
	sti; \
	86: hlt; \
	cmpl $10, TICKS; jb 86b; \
	cli

boot_modes irq_protected
	.code32
	tick32 irq_protected
	.code16
	in_protected irq_protected
	count 0, 2, 1000
	TEN_TICKS
	testl	$0x200, TICK_FLAGS
	EXPECT(nz)
	EXPECT_L($(BOOT - 16), TICK_SP)
	EXPECT_L($BOOT, %esp)
	PASS

/* With 32-bit paging. The handler's page is not there: the page fault comes at its first
 * instruction, and its handler maps it. */
#define MAPPED 0x400000

.macro page_fault32 name
.Lfault_\name:
	pushl	%eax
	incl	COUNT
	movl	%cr2, %eax
	movl	%eax, SCRATCH
	shrl	$12, %eax
	andl	$0x3ff, %eax
	orl	$1, TABLE(, %eax, 4)
	popl	%eax
	addl	$4, %esp
	iretl
.endm

.macro paging32
	movl	$0x83, PML4			/* 4 MiB one to one */
	movl	$(TABLE + 7), PML4 + 4		/* and the next ones: the same pages, */
	xorl	%ecx, %ecx
85:	movl	%ecx, %eax
	shll	$12, %eax
	orl	$6, %eax			/* not there */
	movl	%eax, TABLE(, %ecx, 4)
	incl	%ecx
	cmpl	$1024, %ecx
	jb	85b
	SET_CR4(CR4_PSE)
	LOAD_CR3(PML4)
	SET_CR0(CR0_PG)
.endm

boot_modes irq_handler_page_absent
	.code32
	tick32 irq_handler_page_absent
	page_fault32 irq_handler_page_absent
	.code16
	in_protected irq_handler_page_absent
	paging32
	gate32 VECTOR_PF, .Lfault_irq_handler_page_absent
	gate32 BASE, .Ltick_irq_handler_page_absent + MAPPED
	movw	$(MAPPED >> 16), IDT32 + BASE * 8 + 6
	count 0, 2, 1000
	TEN_TICKS
	EXPECT_L($1, COUNT)
	EXPECT_L($.Ltick_irq_handler_page_absent + MAPPED, SCRATCH)
	PASS

/* The table's page is not there: the fault comes while the interrupt is delivered. As on a real
 * machine it is gone then, and in service, until somebody ends it. */
boot_modes irq_table_absent
	.code32
	tick32 irq_table_absent
	.balign 8
2:	.word	0x30 * 8 - 1
	.long	MAPPED + IDT32
	page_fault32 irq_table_absent
	.code16
	in_protected irq_table_absent
	paging32
	/* The handler of the page fault must be found, so only vector 20h and those behind it lie in
	 * the second page. */
	movl	$0x100, %ecx
	movl	$IDT32, %esi
	movl	$(0xd000 - 0x100), %edi
	rep	movsb
	movl	IDT32 + BASE * 8, %eax
	movl	%eax, 0xd000
	movl	IDT32 + BASE * 8 + 4, %eax
	movl	%eax, 0xd004
	movw	$.Lfault_irq_table_absent, 0xd000 - 0x100 + VECTOR_PF * 8
	movl	$(MAPPED + 0xd000 - 0x100), 2b + 2
	orl	$1, TABLE + 0xc * 4
	lidtl	2b
	count 0, 2, 1000
	sti
	hlt
	EXPECT_L($1, COUNT)
	cmpl	$1, TICKS
	EXPECT(be)
	out PIC1, EOI
	TEN_TICKS
	EXPECT_L($1, COUNT)
	PASS

boot_modes irq_pae
	.code32
	tick32 irq_pae
	.code16
	in_protected irq_pae
	SET_CR4(CR4_PAE)
	LOAD_CR3(PAE_PDPT)
	SET_CR0(CR0_PG)
	count 0, 2, 1000
	TEN_TICKS
	EXPECT_L($BOOT, %esp)
	PASS

boot_modes irq_long
	.code64
	tick64 irq_long
	.code16
	in_long irq_long
	count 0, 2, 1000
	subq	$4, %rsp			/* the processor aligns it */
	TEN_TICKS
	EXPECT_L($((BOOT - 4) / 16 * 16 - 48), TICK_SP)
	EXPECT_L($(BOOT - 4), %esp)
	testl	$0x200, TICK_FLAGS
	EXPECT(nz)
	PASS

/* With a stack from the interrupt stack table. */
#define IST1 0xe000

.macro with_tss64
	movq	$IST1, TSS + 0x24
	movq	$(IST1 + 0x800), TSS + 0x2c
	movw	$TSS64, %ax
	ltr	%ax
.endm

boot_modes irq_ist
	.code64
	tick64 irq_ist
	.code16
	in_long irq_ist
	with_tss64
	gate64 BASE, .Ltick_irq_ist, 1
	count 0, 2, 1000
	TEN_TICKS
	EXPECT_L($(IST1 - 48), TICK_SP)
	PASS

/* In long mode the stack's page is not there when the interrupt is delivered. */
boot_modes irq_stack_absent
	.code64
	tick64 irq_stack_absent
.Lfault_irq_stack_absent:
	pushq	%rax
	movq	%cr2, %rax
	movl	%eax, SCRATCH
	incl	COUNT
	movq	$0x83, DIRECTORY + 8		/* 2 MiB more, onto the same */
	popq	%rax
	addq	$8, %rsp
	iretq
	.code16
	in_long irq_stack_absent
	with_tss64
	movl	$(0x200000 + IST1), TSS + 0x24
	gate64 BASE, .Ltick_irq_stack_absent, 1
	gate64 VECTOR_PF, .Lfault_irq_stack_absent, 2
	count 0, 2, 1000
	sti
	hlt
	EXPECT_L($1, COUNT)
	EXPECT_L($(0x200000 + IST1 - 8), SCRATCH)
	out PIC1, EOI
	TEN_TICKS
	EXPECT_L($1, COUNT)
	EXPECT_L($(0x200000 + IST1 - 48), TICK_SP)
	PASS

/* 32-bit code of long mode: the interrupt switches to 64-bit code, and IRET back. */
boot_modes irq_compatibility
	.code64
	tick64 irq_compatibility
	.code16
	in_long irq_compatibility
	count 0, 2, 1000
	pushq	$CODE32
	pushq	$2f
	lretq
	.code32
2:	movl	$DATA32, %eax
	movw	%ax, %ss
	TEN_TICKS
	movw	%cs, %ax
	EXPECT_W($CODE32, %ax)
	EXPECT_L($BOOT, %esp)
	PASS

/* Privilege level 3 of protected mode: the stack comes from the TSS. VMCALL works there, too. */
#define STACK_0 0xf000
#define USER_STACK 0x6800

.macro to_user name, flags
	movl	$STACK_0, TSS + 4
	movl	$DATA32, TSS + 8
	movw	$0x68, TSS + 0x66
	movw	$TSS32, %ax
	ltr	%ax
	movw	$USER_DATA32, %ax
	movw	%ax, %ds
	movw	%ax, %es
	pushl	$USER_DATA32
	pushl	$USER_STACK
	pushl	$(0x202 | \flags)
	pushl	$USER_CODE32
	pushl	$87f
	iretl
87:
.endm

boot_modes irq_user
	.code32
	tick32 irq_user
	.code16
	in_protected irq_user
	count 0, 2, 1000
	to_user irq_user, 0
2:	cmpl	$10, TICKS
	jb	2b
	EXPECT_L($(STACK_0 - 24), TICK_SP)
	EXPECT_L($USER_STACK, %esp)
	PASS

/* The stack is not aligned, and that is an exception at level 3, where a conforming handler stays.
 * #AC leaves the guest while the interrupt is delivered: it comes again. */
boot_modes irq_alignment_check
	.code32
	tick32 irq_alignment_check
2:	pushl	%eax
	incl	COUNT
	andl	$~3, 20(%esp)			/* the stack that it had */
	movl	20(%esp), %eax
	popl	%eax
	addl	$4, %esp
	iretl
	.code16
	in_protected irq_alignment_check
	movl	$0x00cf9f00, .Lgdt_irq_alignment_check + CODE16 + 4	/* conforming */
	movw	$0xffff, .Lgdt_irq_alignment_check + CODE16
	gate32 BASE, .Ltick_irq_alignment_check, CODE16
	gate32 17, 2b
	SET_CR0(0x40000)			/* AM */
	count 0, 2, 20000
	to_user irq_alignment_check, 0x43000	/* AC, IOPL */
	subl	$2, %esp
3:	cmpl	$0, TICKS
	je	3b
	EXPECT_L($1, COUNT)
	EXPECT_L($(USER_STACK - 4), %esp)
	EXPECT_L($1, TICKS)
	PASS

/* Virtual-8086 mode: the interrupt leaves it, IRET comes back. */
boot_modes irq_virtual_8086
	.code32
.Ltick_irq_virtual_8086:
	pushl	%eax
	pushl	$DATA32
	popl	%ds				/* the processor has zeroed it */
	incl	TICKS
	movl	12(%esp), %eax
	movl	%eax, TICK_FLAGS
	out PIC1, EOI
	popl	%eax
	iretl
	.code16
	in_protected irq_virtual_8086
	count 0, 2, 1000
	movl	$STACK_0, TSS + 4
	movl	$DATA32, TSS + 8
	movw	$0x68, TSS + 0x66
	movw	$TSS32, %ax
	ltr	%ax
	pushl	$0				/* GS, FS, DS, ES */
	pushl	$0
	pushl	$0
	pushl	$0
	pushl	$0
	pushl	$USER_STACK
	pushl	$0x23202			/* VM, IOPL 3, IF */
	pushl	$0
	pushl	$2f
	iretl
	.code16
2:	cmpl	$10, TICKS
	jb	2b
	testb	$2, TICK_FLAGS + 2
	EXPECT(nz)
	PASS

/* ---- IRET games ---- */

/* To what is no code segment: #GP in the handler, after which it returns as it should. */
boot_modes iret_to_bad_cs
	.code32
	tick32 iret_to_bad_cs
3:	pushl	TICK_FLAGS
	pushl	$DATA32
	pushl	$0
2:	iretl					/* #GP with the selector; RESUME goes on */
4:	EXPECT_L($VECTOR_GP, SEEN_VECTOR)
	EXPECT_L($DATA32, SEEN_ERROR)
	EXPECT_L($2b, SEEN_IP)
	addl	$12, %esp
	incl	TICKS
	out PIC1, EOI
	iretl
	.code16
	in_protected iret_to_bad_cs
	gate32 BASE, 3b
	movl	$4b, RESUME
	count 0, 2, 1000
	TEN_TICKS
	EXPECT_L($10, COUNT)
	EXPECT_L($BOOT, %esp)
	PASS

/* The handler lets itself be interrupted, eight deep, and unwinds. */
boot_modes irq_nested
	.code32
	tick32 irq_nested
3:	pushl	%eax
	out PIC1, EOI
	incl	TICKS
	cmpl	$8, TICKS
	jae	5f
	sti
4:	cmpl	$8, TICKS
	jb	4b
	cli
5:	incl	COUNT
	popl	%eax
	iretl
	.code16
	in_protected irq_nested
	gate32 BASE, 3b
	count 0, 2, 1000
	sti
6:	cmpl	$8, COUNT
	jb	6b
	cli
	EXPECT_L($BOOT, %esp)
	PASS

/* IRET with NT would switch tasks: that ends the guest. */
boot_modes ends_iret_with_nt
	.code32
	tick32 ends_iret_with_nt
3:	pushfl
	orl	$0x4000, (%esp)
	popfl
	movw	$OTHER_TSS32, TSS
	movb	$0x8b, .Lgdt_ends_iret_with_nt + OTHER_TSS32 + 5	/* busy */
	iretl
	.code16
	in_protected ends_iret_with_nt
	gate32 BASE, 3b
	movw	$TSS32, %ax
	ltr	%ax
	count 0, 0, 1000
	sti
	hlt
	FAIL

/* ---- Ends ---- */

boot_modes triple_fault_in_protected_mode
	.code32
	tick32 triple_fault_in_protected_mode
3:	.word	0
	.long	0
	.code16
	in_protected triple_fault_in_protected_mode
	count 0, 0, 1000
	lidtl	3b
	sti
	hlt
	FAIL

boot_modes triple_fault_in_long_mode
	.code64
	tick64 triple_fault_in_long_mode
3:	xorl	%esp, %esp
	movabsq	$0x8000000000000000, %rsp
	ud2
	.code16
	in_long triple_fault_in_long_mode
	gate64 BASE, 3b
	count 0, 0, 1000
	sti
	hlt
	FAIL

boot_modes triple_fault_without_a_gate
	.code64
	tick64 triple_fault_without_a_gate
	.code16
	in_long triple_fault_without_a_gate
	movb	$0x0e, IDT64 + BASE * 16 + 5	/* not present: #NP, */
	movb	$0x0e, IDT64 + VECTOR_NP * 16 + 5	/* then #DF, */
	movb	$0x0e, IDT64 + 8 * 16 + 5	/* and that is all */
	count 0, 0, 1000
	sti
	hlt
	FAIL

/* The stack lies outside RAM: EPT ends it while it is delivered. */
boot_modes ends_stack_outside_ram
	.code32
	tick32 ends_stack_outside_ram
	.code16
	in_protected ends_stack_outside_ram
	count 0, 0, 1000
	movl	$0x40000000, %esp
	sti
	hlt
	FAIL
