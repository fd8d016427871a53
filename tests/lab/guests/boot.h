/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the boot images of the tests share. Read by the assembler after the C preprocessor.
 *
 * Each image lies in a section of its own, `.guest.NAME`, which is linked at 0x7c00. One that is
 * shorter than a sector gets its 55h AAh from host_builds.py. An image checks itself: a check that
 * fails ends it with the number of its line as status, which the module logs. VMCALL, MOVL and
 * absolute addresses below 64 KiB are written alike in all modes, so most macros fit each.
 *
 * long-file: handlers for three modes, and the ways between them, which belong together.
 */

#define BOOT 0x7c00

/* Where the guests keep their tables and notes, in RAM that begins as zeroes. */
#define PML4 0x1000
#define PDPT 0x2000
#define DIRECTORY 0x3000
#define TABLE 0x4000
#define NOTES 0x5000
#define RESUME (NOTES + 0x00)		/* where a handler goes on */
#define SEEN_VECTOR (NOTES + 0x08)	/* what the last exception was */
#define SEEN_ERROR (NOTES + 0x10)
#define SEEN_IP (NOTES + 0x18)
#define SEEN_CS (NOTES + 0x20)
#define SEEN_FLAGS (NOTES + 0x28)
#define RETURN_FLAGS (NOTES + 0x30)
#define COUNT (NOTES + 0x38)		/* exceptions so far */
#define SAVED_DS (NOTES + 0x40)
#define SCRATCH (NOTES + 0x100)
#define PAE_PDPT 0x6800
#define IDT32 0xa000
#define IDT64 0xa800
#define TSS 0xb000
#define BUFFER 0xc000
#define IMAGE_SECTORS 15		/* of an image with handlers */

#define CODE32 0x08
#define DATA32 0x10
#define CODE64 0x18
#define CODE16 0x20
#define DATA16 0x28
#define USER_CODE32 0x33
#define USER_DATA32 0x3b
#define TSS32 0x40
#define TSS16 0x48
#define OTHER_TSS32 0x50
#define TASK_GATE 0x58
#define TSS64 0x60			/* two entries */

#define CR0_PE (1 << 0)
#define CR0_NE (1 << 5)
#define CR0_NW (1 << 29)
#define CR0_CD (1 << 30)
#define CR0_PG (1 << 31)
#define CR4_PSE (1 << 4)
#define CR4_PAE (1 << 5)
#define CR4_PGE (1 << 7)
#define IA32_EFER 0xc0000080
#define EFER_LME (1 << 8)
#define EFER_LMA (1 << 10)

#define VECTOR_DE 0
#define VECTOR_DB 1
#define VECTOR_BP 3
#define VECTOR_OF 4
#define VECTOR_BR 5
#define VECTOR_UD 6
#define VECTOR_TS 10
#define VECTOR_NP 11
#define VECTOR_SS 12
#define VECTOR_GP 13
#define VECTOR_PF 14

/* Ends the guest. */
#define EXIT(status)	movl $(status), %edi; xorl %eax, %eax; vmcall
#define PASS		EXIT(0)
#define FAIL		EXIT(__LINE__)

/* Checks that a condition of Jcc holds, or that two operands of CMPW, CMPL, … are equal. */
#define EXPECT(condition)	j##condition 97f; FAIL; 97:
#define EXPECT_B(a, b)		cmpb a, b; EXPECT(e)
#define EXPECT_W(a, b)		cmpw a, b; EXPECT(e)
#define EXPECT_L(a, b)		cmpl a, b; EXPECT(e)
#define EXPECT_Q(a, b)		cmpq a, b; EXPECT(e)

/* Checks that instructions raise an exception with this vector (and error code) at their first
 * byte, and goes on behind them: in real mode, which pushes no error code, and in the others. */
#define BEFORE_FAULT \
	movl $96f, RESUME; movl $-1, SEEN_VECTOR
#define FAULTS16(vector, ...) \
	BEFORE_FAULT; 95: __VA_ARGS__; FAIL; \
	96: EXPECT_W($(vector), SEEN_VECTOR); EXPECT_W($95b, SEEN_IP)
#define FAULTS(vector, error, ...) \
	BEFORE_FAULT; 95: __VA_ARGS__; FAIL; \
	96: EXPECT_L($(vector), SEEN_VECTOR); EXPECT_L($(error), SEEN_ERROR); \
	EXPECT_L($95b, SEEN_IP)

/* A CPUID, which exits: all of the guest's state goes through the VMCS and back. */
#define THROUGH_EXIT	pushw %ax; xorl %eax, %eax; cpuid; popw %ax

/* A boot sector with nothing of its own. */
.macro boot name
	.section .guest.\name, "awx", @progbits
	.globl	\name
	.code16
\name:
.endm

/* An image of several sectors, with a GDT and handlers for exceptions in real, protected and long
 * mode. They note what came, and go on at RESUME. It begins in real mode, with all segments 0. */
.macro boot_with_handlers name
	boot \name
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$BOOT, %sp
	movw	$.Lpacket_\name, %si
	movb	$0x42, %ah
	int	$0x13
	jc	1f
	jmp	.Lhandlers_\name
1:	FAIL
	.balign 4
.Lpacket_\name:
	.byte	16, 0
	.word	IMAGE_SECTORS - 1, BOOT + 512, 0
	.quad	1
	.balign 8
.Lgdt_\name:
	.quad	0
	.quad	0x00cf9b000000ffff		/* CODE32: base 0, 4 GiB, D = 1 */
	.quad	0x00cf93000000ffff		/* DATA32 */
	.quad	0x00af9b000000ffff		/* CODE64: L = 1 */
	.quad	0x00009b000000ffff		/* CODE16: base 0, 64 KiB */
	.quad	0x000093000000ffff		/* DATA16 */
	.quad	0x00cffb000000ffff		/* USER_CODE32: privilege level 3 */
	.quad	0x00cff3000000ffff		/* USER_DATA32 */
	.quad	0x0000890000000067 + (TSS << 16)
	.quad	0x000081000000002b + (TSS << 16)
	.quad	0x0000890000000067 + ((TSS + 0x100) << 16)
	.quad	0x0000850000000000 + (OTHER_TSS32 << 16)
	.quad	0x0000890000000067 + (TSS << 16), 0
.Lgdtr_\name:
	.word	.Lgdtr_\name - .Lgdt_\name - 1
	.long	.Lgdt_\name, 0
.Lidtr16_\name:
	.word	0x3ff
	.long	0
.Lidtr32_\name:
	.word	32 * 8 - 1
	.long	IDT32
.Lidtr64_\name:
	.word	32 * 16 - 1
	.quad	IDT64
	.org	\name + 510
	.byte	0x55, 0xaa

.Lstubs16_\name:
	.set	vector, 0
	.rept	16
	.balign 8
	pushw	$vector
	jmp	.Lcommon16_\name
	.set	vector, vector + 1
	.endr
.Lcommon16_\name:
	pushw	%ds
	pushw	$0
	popw	%ds
	popw	SAVED_DS
	popw	SEEN_VECTOR
	popw	SEEN_IP
	popw	SEEN_CS
	popw	SEEN_FLAGS
	pushw	SEEN_FLAGS
	popw	RETURN_FLAGS
	andb	$~1, RETURN_FLAGS + 1		/* no further single steps */
	incl	COUNT
	pushw	RETURN_FLAGS
	pushw	$0
	pushw	RESUME
	movw	SAVED_DS, %ds
	iretw

	.code32
	.balign 16
.Lstubs32_\name:
	.set	vector, 0
	.rept	32
	.balign 16
	.if	(0x227d00 >> vector & 1) == 0	/* 8, 10 to 14, 17, 21 have an error code */
	pushl	$0
	.endif
	pushl	$vector
	jmp	.Lcommon32_\name
	.set	vector, vector + 1
	.endr
.Lcommon32_\name:
	pushl	%ds
	pushl	$DATA32
	popl	%ds
	popl	SAVED_DS
	popl	SEEN_VECTOR
	popl	SEEN_ERROR
	popl	SEEN_IP
	popl	SEEN_CS
	popl	SEEN_FLAGS
	pushl	SEEN_FLAGS
	popl	RETURN_FLAGS
	andb	$~1, RETURN_FLAGS + 1
	incl	COUNT
	pushl	RETURN_FLAGS
	pushl	SEEN_CS
	pushl	RESUME
	movw	SAVED_DS, %ds
	iretl

	.code64
	.balign 16
.Lstubs64_\name:
	.set	vector, 0
	.rept	32
	.balign 16
	.if	(0x227d00 >> vector & 1) == 0
	pushq	$0
	.endif
	pushq	$vector
	jmp	.Lcommon64_\name
	.set	vector, vector + 1
	.endr
.Lcommon64_\name:
	popq	SEEN_VECTOR
	popq	SEEN_ERROR
	popq	SEEN_IP
	pushq	8(%rsp)
	popq	SEEN_FLAGS
	pushq	(%rsp)
	popq	SEEN_CS
	andl	$~0x100, 8(%rsp)
	incl	COUNT
	pushq	RESUME
	iretq

	.code16
.Lhandlers_\name:
	xorw	%di, %di			/* real mode: the vectors of exceptions */
	movw	$.Lstubs16_\name, %ax
1:	movw	%ax, (%di)
	movw	$0, 2(%di)
	addw	$4, %di
	addw	$8, %ax
	cmpw	$(16 * 4), %di
	jb	1b
	movw	$IDT32, %di
	movw	$.Lstubs32_\name, %ax
1:	movw	%ax, (%di)
	movl	$(0x8e000000 + CODE32), 2(%di)	/* present, interrupt gate of 32 bits */
	addw	$8, %di
	addw	$16, %ax
	cmpw	$(IDT32 + 32 * 8), %di
	jb	1b
	movw	$IDT64, %di
	movw	$.Lstubs64_\name, %ax
1:	movw	%ax, (%di)
	movl	$(0x8e000000 + CODE64), 2(%di)
	addw	$16, %di
	addw	$16, %ax
	cmpw	$(IDT64 + 32 * 16), %di
	jb	1b
	/* One to one, the first 2 MiB: tables for long mode, and PDPTEs for PAE, which have none of
	 * the bits that the processor sets in the former. */
	movl	$(PDPT + 3), PML4
	movl	$(DIRECTORY + 3), PDPT
	movl	$(DIRECTORY + 1), PAE_PDPT
	movl	$0x83, DIRECTORY
	xorl	%eax, %eax
	xorw	%di, %di
.endm

/* Real mode -> protected mode, 32 bits, without paging. */
.macro to_protected name
	.code16
	lgdtl	.Lgdtr_\name
	lidtl	.Lidtr32_\name
	movl	%cr0, %eax
	orl	$CR0_PE, %eax
	movl	%eax, %cr0
	ljmpl	$CODE32, $93f
	.code32
93:	movw	$DATA32, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$BOOT, %esp
.endm

/* Protected mode, 32 bits, without paging -> real mode. */
.macro to_real name
	.code32
	ljmp	$CODE16, $93f
	.code16
93:	movw	$DATA16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	%cr0, %eax
	andl	$~CR0_PE, %eax
	movl	%eax, %cr0
	ljmpw	$0, $94f
94:	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$BOOT, %esp
	lidtl	.Lidtr16_\name
.endm

/* Sets bits of a control register, or clears them. Uses EAX. */
#define SET_CR0(bits)	movl %cr0, %eax; orl $(bits), %eax; movl %eax, %cr0
#define CLEAR_CR0(bits)	movl %cr0, %eax; andl $~(bits), %eax; movl %eax, %cr0
#define SET_CR4(bits)	movl %cr4, %eax; orl $(bits), %eax; movl %eax, %cr4
#define CLEAR_CR4(bits)	movl %cr4, %eax; andl $~(bits), %eax; movl %eax, %cr4
#define LOAD_CR3(address)	movl $(address), %eax; movl %eax, %cr3
#define SET_EFER(bits)	movl $IA32_EFER, %ecx; rdmsr; orl $(bits), %eax; wrmsr
#define CLEAR_EFER(bits)	movl $IA32_EFER, %ecx; rdmsr; andl $~(bits), %eax; wrmsr

/* Protected mode, 32 bits, without paging -> long mode, 64-bit code. */
.macro to_long name
	.code32
	SET_CR4(CR4_PAE)
	LOAD_CR3(PML4)
	SET_EFER(EFER_LME)
	SET_CR0(CR0_PG)
	ljmp	$CODE64, $93f
	.code64
93:	lidt	.Lidtr64_\name
.endm

/* Long mode, 64-bit code -> protected mode, 32 bits, without paging. */
.macro from_long name
	.code64
	pushq	$CODE32
	pushq	$93f
	lretq
	.code32
93:	movw	$DATA32, %ax
	movw	%ax, %ss
	movw	%ax, %ds
	movw	%ax, %es
	CLEAR_CR0(CR0_PG)
	CLEAR_EFER(EFER_LME)
	CLEAR_CR4(CR4_PAE)
	lidt	.Lidtr32_\name
.endm
