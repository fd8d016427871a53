/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guest programs of the tests share. Read by the assembler after the C preprocessor.
 *
 * A file holds many guests. Each lies in a section of its own, `.guest.NAME`, which is linked at
 * 0x1000 and becomes a flat binary (host_builds.py). A guest checks itself: a check that fails
 * ends it with the number of its line as status, which the module logs.
 */

#define HYPERCALL_EXIT 0
#define HYPERCALL_PRINT 1
#define HYPERCALL_TIME 2

#define VECTOR_DE 0
#define VECTOR_DB 1
#define VECTOR_BP 3
#define VECTOR_OF 4
#define VECTOR_UD 6
#define VECTOR_NM 7
#define VECTOR_DF 8
#define VECTOR_NP 11
#define VECTOR_SS 12
#define VECTOR_GP 13
#define VECTOR_PF 14

/* Where the guests keep their tables and notes, in RAM that begins as zeroes. */
#define IDT 0xa000
#define GDT 0xb000
#define TSS 0xb800
#define NOTES 0xc000
#define RESUME (NOTES + 0x00)		/* where a handler goes on */
#define SEEN_VECTOR (NOTES + 0x08)	/* what the last exception was */
#define SEEN_ERROR (NOTES + 0x10)
#define SEEN_RIP (NOTES + 0x18)
#define SEEN_RFLAGS (NOTES + 0x20)
#define SEEN_CR2 (NOTES + 0x28)
#define COUNT (NOTES + 0x30)		/* exceptions so far */
#define SCRATCH (NOTES + 0x100)

/* Ends the guest. */
#define EXIT(status)	movl $(status), %edi; xorl %eax, %eax; vmcall
#define PASS		EXIT(0)
#define FAIL		EXIT(__LINE__)

/* Checks that two operands of CMPQ are equal, or that a condition of Jcc holds. */
#define EXPECT(condition)	j##condition 97f; FAIL; 97:
#define EXPECT_EQ(a, b)		cmpq a, b; EXPECT(e)

/* The same with a 64-bit constant; uses R15. */
#define EXPECT_EQ64(a, b)	movabsq a, %r15; cmpq %r15, b; EXPECT(e)

/* Checks that instructions raise an exception with this vector and error code at their first
 * byte, and goes on behind them. */
#define FAULTS(vector, error, ...) \
	movq $96f, RESUME; movq $-1, SEEN_VECTOR; \
	95: __VA_ARGS__; FAIL; \
	96: EXPECT_EQ($(vector), SEEN_VECTOR); EXPECT_EQ($(error), SEEN_ERROR); \
	EXPECT_EQ($95b, SEEN_RIP)

/* The same for any error code. */
#define FAULTS_SOMEHOW(vector, ...) \
	movq $96f, RESUME; movq $-1, SEEN_VECTOR; \
	95: __VA_ARGS__; FAIL; \
	96: EXPECT_EQ($(vector), SEEN_VECTOR); EXPECT_EQ($95b, SEEN_RIP)

/* Checks that instructions raise no exception. */
#define WORKS(...) \
	movq $96f, RESUME; movq $-1, SEEN_VECTOR; \
	__VA_ARGS__; \
	96: EXPECT_EQ($-1, SEEN_VECTOR)

/* A hypercall. The arguments may not depend on RAX. */
#define HYPERCALL(number)	movq $(number), %rax; vmcall
#define PRINT(address, length) \
	movq address, %rdi; movq length, %rsi; HYPERCALL(HYPERCALL_PRINT)

/* A guest with nothing of its own: no GDT, no IDT. */
.macro guest name
	.section .guest.\name, "awx", @progbits
	.globl	\name
\name:
.endm

/* A guest with a GDT and an IDT, whose handlers note what came, and go on at RESUME. */
.macro guest_with_handlers name
	guest \name
	jmp	.Lbegin_\name
	.balign 16
.Lstubs_\name:
	.set	vector, 0
	.rept	32
	.balign 16
	.if	(0x227d00 >> vector & 1) == 0	/* 8, 10 to 14, 17, 21 have an error code */
	pushq	$0
	.endif
	pushq	$vector
	jmp	.Lcommon_\name
	.set	vector, vector + 1
	.endr
.Lcommon_\name:
	popq	SEEN_VECTOR
	popq	SEEN_ERROR
	popq	SEEN_RIP
	pushq	%rax
	movq	%cr2, %rax
	movq	%rax, SEEN_CR2
	movq	16(%rsp), %rax
	movq	%rax, SEEN_RFLAGS
	andl	$~0x100, 16(%rsp)		/* no further single steps */
	popq	%rax
	incq	COUNT
	pushq	RESUME
	iretq
.Lgdtr_\name:
	.word	0x3f
	.quad	GDT
.Lidtr_\name:
	.word	32 * 16 - 1
	.quad	IDT
.Lbegin_\name:
	movabsq	$0x00af9b000000ffff, %rax	/* 08h: 64-bit code */
	movq	%rax, GDT + 0x08
	movabsq	$0x00cf93000000ffff, %rax	/* 10h: data */
	movq	%rax, GDT + 0x10
	movabsq	$0x00cf9b000000ffff, %rax	/* 18h: 32-bit code */
	movq	%rax, GDT + 0x18
	movabsq	$(0x0000890000000067 + (TSS << 16)), %rax	/* 20h: an available TSS */
	movq	%rax, GDT + 0x20
	movabsq	$0x00affb000000ffff, %rax	/* 30h: 64-bit code of privilege level 3 */
	movq	%rax, GDT + 0x30
	movabsq	$0x00cff3000000ffff, %rax	/* 38h: data of privilege level 3 */
	movq	%rax, GDT + 0x38
	lgdt	.Lgdtr_\name
	movl	$IDT, %edi
	movl	$.Lstubs_\name, %eax
1:	movw	%ax, (%rdi)
	movl	$0x8e000008, 2(%rdi)		/* selector 08h, present, interrupt gate */
	addl	$16, %edi
	addl	$16, %eax
	cmpl	$(IDT + 32 * 16), %edi
	jb	1b
	lidt	.Lidtr_\name
	xorl	%eax, %eax
	xorl	%edi, %edi
.endm
