/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 09: INS and OUTS, which the step emulates: real mode, each kind of paging, page faults,
 * interrupts and single steps in between.
 *
 * long-file: some fifty programs of a few lines each, best found in one place.
 */
#include "irq.h"

#define UNUSED 0x80			/* a port without a device */

.macro text label, words:vararg
\label:
	.ascii	\words
.endm

/* ---- Real mode ---- */

boot outs_prints
	jmp	9f
	text 1, "serial\n"
	text 2, "\nnwod"
	text 3, "es"
	text 4, "fs\n"
9:	cld
	movw	$1b, %si
	movw	$7, %cx
	movw	$0x3f8, %dx
	rep	outsb
	EXPECT_W($1b + 7, %si)
	EXPECT_W($0, %cx)
	std
	movw	$2b + 4, %si
	movw	$5, %cx
	movw	$0xe9, %dx
	rep	outsb
	EXPECT_W($2b - 1, %si)
	cld
	/* Nothing at all with 0 in CX, whatever is above it. */
	movl	$0x12340000, %ecx
	movl	$0x56780000 + 3b, %esi
	rep	outsb
	EXPECT_L($0x12340000, %ecx)
	/* Segments. SI wraps around, and the upper halves stay. */
	movw	$0x7c0, %ax
	movw	%ax, %es
	movl	$0x56780000 + 3b - BOOT, %esi
	movw	$2, %cx
	rep	outsb %es:(%si), %dx
	EXPECT_L($0x56780000 + 3b - BOOT + 2, %esi)
	EXPECT_L($0x12340000, %ecx)
	movw	$0x700, %ax
	movw	%ax, %fs
	movw	$4b - 0x7000, %si
	movw	$1, %cx
	rep	outsb %fs:(%si), %dx
	movw	$4b, %si
	outsb
	outsb
	outsb
	/* Words and double words print nothing; they count by 2 and by 4. */
	movw	$4b, %si
	outsw
	EXPECT_W($4b + 2, %si)
	outsl
	EXPECT_W($4b + 6, %si)
	std
	outsl
	outsw
	EXPECT_W($4b, %si)
	PASS

boot outs_wraps
	cld
	movb	$'a', 0xfffe
	movb	$'b', 0xffff
	movb	$'\n', 0
	movw	$0xfffe, %si
	movl	$0x10003, %ecx
	movw	$0xe9, %dx
	rep	outsb
	EXPECT_W($1, %si)
	EXPECT_L($0x10000, %ecx)
	PASS

boot ins_reads
	cld
	out PIC1 + 1, 0xa5
	movw	$0x1000, %ax
	movw	%ax, %es
	movl	$0x7fff1000, %edi
	movw	$(PIC1 + 1), %dx
	insb
	insb
	EXPECT_L($0x7fff1002, %edi)
	EXPECT_W($0xa5a5, %es:0x1000)
	EXPECT_W($0, %es:0x1002)
	movw	$4, %cx
	rep	insb
	EXPECT_L($0xa5a5a5a5, %es:0x1002)
	EXPECT_W($0, %es:0x1006)
	EXPECT_W($0, %cx)
	movw	$UNUSED, %dx
	insw
	EXPECT_W($0xffff, %es:0x1006)
	insl
	EXPECT_L($0xffffffff, %es:0x1008)
	EXPECT_W($0, %es:0x100c)
	std
	movw	$0x2000, %di
	movw	$3, %cx
	rep	insw
	EXPECT_W($0x2000 - 6, %di)
	EXPECT_W($0xffff, %es:0x2000)
	EXPECT_W($0xffff, %es:0x1ffc)
	EXPECT_W($0, %es:0x1ffa)
	movw	$0x3000, %di
	xorl	%ecx, %ecx
	rep	insw
	EXPECT_W($0x3000, %di)
	EXPECT_W($0, %es:0x3000)
	PASS

/* Interrupts come between two elements, and find the instruction not done. */
boot_irq rep_outs_is_interrupted
	count 0, 2, 1000
	movw	$UNUSED, %dx
	movw	$20000, %cx
	sti
1:	rep	outsb
	cli
	EXPECT_W($0, %cx)
	cmpw	$3, TICKS
	EXPECT(ae)
	EXPECT_W($1b, TICK_IP)
	/* One that waits does so for one element, behind STI. */
	movw	$0, TICKS
	count 0, 0, 100
	wait_for_request
	movw	$3000, %cx
	movw	$1f, BASE * 4
	movw	$UNUSED, %dx
	sti
	rep	outsb
	FAIL
1:	EXPECT_W($2999, %cx)
	PASS

/* A single step behind each element. */
boot rep_outs_in_single_steps
	cli
	movw	$2f, 4
	movw	$0, 6
	xorw	%bp, %bp
	movw	$UNUSED, %dx
	movw	$5, %cx
	pushfw
	popw	%ax
	orb	$1, %ah
	pushw	%ax
	popfw
1:	rep	outsb
	nop
	pushfw
	popw	%ax
	andb	$~1, %ah
	pushw	%ax
	popfw
	EXPECT_W($(5 + 6), %bp)
	EXPECT_W($4, SCRATCH)
	PASS
2:	incw	%bp
	movw	%sp, %bx
	cmpw	$1b, %ss:(%bx)
	jne	3f
	incw	SCRATCH
3:	iretw

/* ---- Paging: 80000h is mapped onto the pages of BUFFER, one here, one there ---- */

#define ELSEWHERE 0x80000
#define PAGE_1 0xd000
#define PAGE_2 0xf000

/* Code that is the same for each kind of paging, in 32-bit and in 64-bit code. The tables that map
 * ELSEWHERE are TABLE's entries of `size` bytes from `first` on. */
.macro string_tests size, first
	cld
	/* Bytes from one page, then another. */
	movl	$0x0a363534, PAGE_2
	movl	$0x33323130, PAGE_1 + 0xffc
	movl	$(ELSEWHERE + 0xffc), %esi
	movl	$8, %ecx
	movl	$0xe9, %edx
	rep	outsb
	EXPECT_L($(ELSEWHERE + 0x1004), %esi)
	/* One element that crosses both. */
	movl	$UNUSED, %edx
	movl	$(ELSEWHERE + 0xffe), %edi
	insl
	EXPECT_L($0xffff3130, PAGE_1 + 0xffc)
	EXPECT_L($0x0a36ffff, PAGE_2)
	/* The second page is not there: nothing is written before its handler ends. */
	movl	$0, PAGE_1 + 0xffc
	movl	$0, TABLE + (\first + 1) * \size
	reload_cr3
	movl	$2f, RESUME
	movl	$(ELSEWHERE + 0xffe), %edi
	movl	$-1, SEEN_VECTOR
1:	insl
	FAIL
2:	EXPECT_L($VECTOR_PF, SEEN_VECTOR)
	EXPECT_L($2, SEEN_ERROR)
	EXPECT_L($1b, SEEN_IP)
	EXPECT_L($(ELSEWHERE + 0xffe), %edi)
	EXPECT_L($0, PAGE_1 + 0xffc)
	get_cr2
	EXPECT_L($(ELSEWHERE + 0x1000), %eax)
	/* The third element of REP. */
	movl	$2f, RESUME
	movl	$(ELSEWHERE + 0xffe), %esi
	movl	$5, %ecx
1:	rep	outsb
	FAIL
2:	EXPECT_L($VECTOR_PF, SEEN_VECTOR)
	EXPECT_L($0, SEEN_ERROR)
	EXPECT_L($1b, SEEN_IP)
	EXPECT_L($(ELSEWHERE + 0x1000), %esi)
	EXPECT_L($3, %ecx)
	/* Only to be read: with CR0.WP that is a fault, without it is not. */
	movl	$(PAGE_2 + 1), TABLE + (\first + 1) * \size
	reload_cr3
	outsb
	write_protection 1
	movl	$2f, RESUME
	movl	$(ELSEWHERE + 0x1000), %edi
	insb
	FAIL
2:	EXPECT_L($3, SEEN_ERROR)
	EXPECT_L($0x0a36ffff, PAGE_2)
	write_protection 0
	movb	$0, PAGE_2
	insb
	EXPECT_L($0x0a36ffff, PAGE_2)
	EXPECT_L($(ELSEWHERE + 0x1001), %edi)
.endm

/* What differs in 64-bit code. */
.macro get_cr2
	movl	%cr2, %eax
.endm
.macro reload_cr3
	movl	%cr3, %eax
	movl	%eax, %cr3
.endm
.macro write_protection on
	movl	%cr0, %eax
	andl	$~0x10000, %eax
	orl	$(\on << 16), %eax
	movl	%eax, %cr0
.endm

boot_with_handlers string_paging_32
	to_protected string_paging_32
	movl	$(TABLE + 7), PML4
	xorl	%ecx, %ecx
1:	movl	%ecx, %eax
	shll	$12, %eax
	orl	$7, %eax
	movl	%eax, TABLE(, %ecx, 4)
	incl	%ecx
	cmpl	$1024, %ecx
	jb	1b
	movl	$(PAGE_1 + 7), TABLE + 0x80 * 4
	movl	$(PAGE_2 + 7), TABLE + 0x81 * 4
	LOAD_CR3(PML4)
	SET_CR0(CR0_PG)
	string_tests 4, 0x80
	PASS

/* 512 entries of 8 bytes, for PAE and long mode. In 32-bit code. */
.macro tables_of_8_bytes
	movl	$(TABLE + 7), DIRECTORY
	xorl	%ecx, %ecx
84:	movl	%ecx, %eax
	shll	$12, %eax
	orl	$7, %eax
	movl	%eax, TABLE(, %ecx, 8)
	movl	$0, TABLE + 4(, %ecx, 8)
	incl	%ecx
	cmpl	$512, %ecx
	jb	84b
	movl	$(PAGE_1 + 7), TABLE + 0x80 * 8
	movl	$(PAGE_2 + 7), TABLE + 0x81 * 8
.endm

boot_with_handlers string_paging_pae
	to_protected string_paging_pae
	tables_of_8_bytes
	SET_CR4(CR4_PAE)
	LOAD_CR3(PAE_PDPT)
	SET_CR0(CR0_PG)
	string_tests 8, 0x80
	/* No PDPTE. */
	movl	$2f, RESUME
	movl	$0x40000000, %esi
	outsb
	FAIL
2:	EXPECT_L($0, SEEN_ERROR)
	PASS

/* Pages of 4 MiB, of which the second is mapped onto the first. */
boot_with_handlers string_paging_pse
	to_protected string_paging_pse
	movl	$0x83, PML4
	movl	$0x83, PML4 + 4
	SET_CR4(CR4_PSE)
	LOAD_CR3(PML4)
	SET_CR0(CR0_PG)
	movl	$0x0a657370, BUFFER
	movl	$(0x400000 + BUFFER), %esi
	movl	$4, %ecx
	movl	$0xe9, %edx
	rep	outsb
	movl	$(0x400000 + BUFFER + 1), %edi
	insl
	EXPECT_L($0xffffff70, BUFFER)
	movl	$2f, RESUME
	movl	$0x800000 - 2, %esi		/* beyond them */
	outsl
	FAIL
2:	EXPECT_L($0, SEEN_ERROR)
	get_cr2
	EXPECT_L($0x800000, %eax)
	PASS

.purgem get_cr2
.purgem reload_cr3
.purgem write_protection
.macro get_cr2
	movq	%cr2, %rax
.endm
.macro reload_cr3
	movq	%cr3, %rax
	movq	%rax, %cr3
.endm
.macro write_protection on
	movq	%cr0, %rax
	andl	$~0x10000, %eax
	orl	$(\on << 16), %eax
	movq	%rax, %cr0
.endm

boot_with_handlers string_paging_long
	to_protected string_paging_long
	tables_of_8_bytes
	movl	$(DIRECTORY + 7), PDPT
	movl	$(PDPT + 7), PML4
	to_long string_paging_long
	string_tests 8, 0x80
	/* With 32-bit addresses the upper halves of the registers become 0. */
	movabsq	$0x1111111100000002, %rcx
	movabsq	$0x2222222200000000 + ELSEWHERE, %rsi
	addr32 rep outsb
	cmpq	$0, %rcx
	EXPECT(e)
	cmpq	$(ELSEWHERE + 2), %rsi
	EXPECT(e)
	/* With 64-bit ones all of RCX counts. */
	movabsq	$0x100000000, %rcx
	movl	$0, TABLE + 0x81 * 8
	reload_cr3
	movl	$2f, RESUME
	movl	$(ELSEWHERE + 0xffe), %esi
	rep	outsb
	FAIL
2:	movabsq	$0xfffffffe, %rax
	cmpq	%rax, %rcx
	EXPECT(e)
	PASS

/* Pages of 2 MiB and of 1 GiB, each onto the first ones. */
boot_with_handlers string_paging_large
	to_protected string_paging_large
	movl	$0x83, DIRECTORY + 8
	movl	$0x83, PDPT + 8
	to_long string_paging_large
	movl	$0x80000001, %eax
	cpuid
	movl	%edx, %ebx
	movl	$0x0a67616c, BUFFER
	movl	$(0x200000 + BUFFER), %esi
	movl	$4, %ecx
	movl	$0xe9, %edx
	rep	outsb
	btl	$26, %ebx			/* pages of 1 GiB */
	jnc	3f
	movl	$(0x40000000 + BUFFER), %esi
	movl	$4, %ecx
	rep	outsb
3:	movl	$2f, RESUME
	movabsq	$0x8000000000, %rsi		/* no PML4 entry */
	outsb
	FAIL
2:	EXPECT_L($0, SEEN_ERROR)
	movq	%cr2, %rax
	cmpq	%rsi, %rax
	EXPECT(e)
	PASS

/* At privilege level 3 a page of the supervisor is not readable. */
boot_with_handlers string_user
	to_protected string_user
	movl	$(TABLE + 7), PML4
	xorl	%ecx, %ecx
1:	movl	%ecx, %eax
	shll	$12, %eax
	orl	$7, %eax
	movl	%eax, TABLE(, %ecx, 4)
	incl	%ecx
	cmpl	$1024, %ecx
	jb	1b
	movl	$(PAGE_1 + 3), TABLE + 0x80 * 4
	LOAD_CR3(PML4)
	SET_CR0(CR0_PG)
	movl	$0xe000, TSS + 4
	movl	$DATA32, TSS + 8
	movw	$0x68, TSS + 0x66
	movw	$TSS32, %ax
	ltr	%ax
	movw	$USER_DATA32, %ax
	movw	%ax, %ds
	movw	%ax, %es
	/* The handlers of boot.h return by a frame without a stack: so these are not used. */
	movl	$2f, %eax
	movw	%ax, IDT32 + VECTOR_PF * 8
	pushl	$USER_DATA32
	pushl	$0x6800
	pushl	$0x3002
	pushl	$USER_CODE32
	pushl	$3f
	iretl
2:	popl	SEEN_ERROR
	pushl	RESUME
	popl	(%esp)
	iretl
3:	movl	$ELSEWHERE, %esi
	movl	$0xe9, %edx
	movl	$4f, RESUME
	outsb
	FAIL
4:	EXPECT_L($5, SEEN_ERROR)
	movl	$ELSEWHERE, %edi
	movl	$4f, RESUME
	insb
	FAIL
4:	EXPECT_L($7, SEEN_ERROR)
	movl	$UNUSED, %edx
	movl	$BUFFER, %edi
	insb
	EXPECT_B($0xff, BUFFER)
	PASS

/* Without the right to the port it is #GP, and does not exit. */
boot_with_handlers string_without_right
	to_protected string_without_right
	movl	$0xe000, TSS + 4
	movl	$DATA32, TSS + 8
	movw	$0x68, TSS + 0x66
	movw	$TSS32, %ax
	ltr	%ax
	movl	$2f, %eax
	movw	%ax, IDT32 + VECTOR_GP * 8
	movw	$USER_DATA32, %ax
	movw	%ax, %ds
	pushl	$USER_DATA32
	pushl	$0x6800
	pushl	$0x0002
	pushl	$USER_CODE32
	pushl	$3f
	iretl
3:	movl	$0xe9, %edx
	outsb
	FAIL
2:	PASS

/* ---- Outside RAM ---- */

boot_with_handlers ends_outs_outside_ram
	to_protected ends_outs_outside_ram
	movl	$0x40000000, %esi
	movl	$UNUSED, %edx
	outsb
	FAIL

boot_with_handlers ends_ins_outside_ram
	to_protected ends_ins_outside_ram
	movl	$0xfee00020, %edi
	movl	$UNUSED, %edx
	insl
	FAIL
